"""The derivations every course on recurrent networks makes, checked against the layers in float64.

T time steps, d input channels, n hidden channels, K classes. The model is a layer on a path, then p = W_ph h_T + b,
then softmax and cross-entropy against a one-hot y. The hand-derived backward passes are NumPy; the layers run autograd.
"""

import numpy as np
import pytest
import torch
from torch.autograd import gradcheck, gradgradcheck

import reference
from gnnseq import synchronous, topological
from gnnseq.graphs import path_graph, tree_graph
from gnnseq.layers import GCN, GRU, LSTM, RNN, GatedGraph

T, d, n, K = 6, 3, 4, 5
EXACT = {"rtol": 0, "atol": 1e-12}
EDGES = {
    "path": path_graph(5).edge_index,
    "tree": tree_graph([3, 3, 4, 4, -1]).edge_index,
    "dag": torch.tensor([[0, 0, 1, 1, 2, 0], [1, 2, 2, 4, 4, 4]]),  # node 3 is isolated
}


def numpy(tensor):
    return tensor.detach().numpy().astype(np.float64)


def sigmoid(a):
    return 1 / (1 + np.exp(-a))


@pytest.fixture
def x():
    return torch.randn(T, d, dtype=torch.float64)


@pytest.fixture
def head():
    return torch.nn.Linear(n, K).double()


def loss_and_states(layer, head, x, label):
    """Runs the model; h keeps its gradient so that dL/dh_t can be read."""
    h, _ = layer(x, path_graph(len(x)).edge_index)
    h.retain_grad()
    p = head(h[-1])
    p.retain_grad()
    loss = torch.nn.functional.cross_entropy(p, torch.tensor(label))
    loss.backward()
    return h, p


def softmax_minus_one_hot(p, label):
    exponentials = np.exp(p - p.max())
    return exponentials / exponentials.sum() - np.eye(K)[label]


def test_softmax_with_cross_entropy_has_gradient_softmax_minus_y(x, head):
    h, p = loss_and_states(RNN(d, n).double(), head, x, label=2)
    expected = softmax_minus_one_hot(numpy(p), 2)
    np.testing.assert_allclose(numpy(p.grad), expected, **EXACT)
    # The report's equation 9 says p - y; that is a different vector.
    assert np.abs(numpy(p.grad) - (numpy(p) - np.eye(K)[2])).max() > 0.01
    np.testing.assert_allclose(numpy(head.weight.grad), np.outer(expected, numpy(h[-1])), **EXACT)


def test_rnn_hidden_weight_gradient_is_the_recursion_summed_over_time(x, head):
    """dL/dW_hh = sum_t delta_t h_{t-1}^T, delta_t = (1 - h_t^2) (dL/dh_t + W_hh^T delta_{t+1})."""
    layer = RNN(d, n).double()
    h, p = loss_and_states(layer, head, x, label=1)
    W, states = numpy(layer.weight_hh_l0), np.concatenate([np.zeros((1, n)), numpy(h)])
    into_h = numpy(head.weight).T @ softmax_minus_one_hot(numpy(p), 1)
    dW_hh, dW_ih, db = np.zeros((n, n)), np.zeros((n, d)), np.zeros(n)
    for t in range(T, 0, -1):
        delta = (1 - states[t] ** 2) * into_h
        dW_hh += np.outer(delta, states[t - 1])
        dW_ih += np.outer(delta, numpy(x)[t - 1])
        db += delta
        into_h = W.T @ delta
    np.testing.assert_allclose(numpy(layer.weight_hh_l0.grad), dW_hh, **EXACT)
    np.testing.assert_allclose(numpy(layer.weight_ih_l0.grad), dW_ih, **EXACT)
    np.testing.assert_allclose(numpy(layer.bias_hh_l0.grad), db, **EXACT)


def test_rnn_hidden_weight_gradient_is_the_forward_recursion_of_the_report(x, head):
    """dh_t/dW = (1 - h_t^2) (direct term + W_hh dh_{t-1}/dW), equation 17, carried forward as a [n, n, n] tensor."""
    layer = RNN(d, n).double()
    h, p = loss_and_states(layer, head, x, label=0)
    W, states = numpy(layer.weight_hh_l0), np.concatenate([np.zeros((1, n)), numpy(h)])
    jacobian = np.zeros((n, n, n))  # of h_t[k] by W_hh[a, b]
    for t in range(1, T + 1):
        direct = np.einsum("ka,b->kab", np.eye(n), states[t - 1])
        jacobian = (1 - states[t] ** 2)[:, None, None] * (direct + np.einsum("km,mab->kab", W, jacobian))
    into_h = numpy(head.weight).T @ softmax_minus_one_hot(numpy(p), 0)
    expected = np.einsum("k,kab->ab", into_h, jacobian)
    np.testing.assert_allclose(numpy(layer.weight_hh_l0.grad), expected, **EXACT)


def test_lstm_backward_by_hand(x, head):
    """The LSTM's backward pass: the cell passes f_t on, the gates add n x n products beside it."""
    layer = LSTM(d, n).double()
    h, p = loss_and_states(layer, head, x, label=3)
    W, U, b = numpy(layer.weight_ih_l0), numpy(layer.weight_hh_l0), numpy(layer.bias_ih_l0 + layer.bias_hh_l0)
    states, cells, gates = [np.zeros(n)], [np.zeros(n)], []
    for x_t in numpy(x):
        i, f, g, o = (W @ x_t + U @ states[-1] + b).reshape(4, n)
        i, f, g, o = sigmoid(i), sigmoid(f), np.tanh(g), sigmoid(o)
        gates.append((i, f, g, o))
        cells.append(f * cells[-1] + i * g)
        states.append(o * np.tanh(cells[-1]))
    np.testing.assert_allclose(numpy(h), states[1:], **EXACT)
    into_h, into_c = numpy(head.weight).T @ softmax_minus_one_hot(numpy(p), 3), np.zeros(n)
    dW, dU, db = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b)
    for t in range(T, 0, -1):
        i, f, g, o = gates[t - 1]
        into_c = into_c + into_h * o * (1 - np.tanh(cells[t]) ** 2)
        delta = np.concatenate(
            [
                into_c * g * i * (1 - i),
                into_c * cells[t - 1] * f * (1 - f),
                into_c * i * (1 - g**2),
                into_h * np.tanh(cells[t]) * o * (1 - o),
            ]
        )
        dW, dU, db = dW + np.outer(delta, numpy(x)[t - 1]), dU + np.outer(delta, states[t - 1]), db + delta
        into_h, into_c = U.T @ delta, into_c * f
    np.testing.assert_allclose(numpy(layer.weight_ih_l0.grad), dW, **EXACT)
    np.testing.assert_allclose(numpy(layer.weight_hh_l0.grad), dU, **EXACT)
    np.testing.assert_allclose(numpy(layer.bias_ih_l0.grad), db, **EXACT)


def test_gru_backward_by_hand(x, head):
    """The GRU's backward pass: z_t passes the state on; the reset gate sits inside the candidate."""
    layer = GRU(d, n).double()
    h, p = loss_and_states(layer, head, x, label=4)
    W, U, b, v = (numpy(getattr(layer, name)) for name in ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"))
    states, gates = [np.zeros(n)], []
    for x_t in numpy(x):
        (ar, az, an), (hr, hz, hn) = (W @ x_t + b).reshape(3, n), (U @ states[-1] + v).reshape(3, n)
        r, z = sigmoid(ar + hr), sigmoid(az + hz)
        c = np.tanh(an + r * hn)
        gates.append((r, z, c, hn))
        states.append((1 - z) * c + z * states[-1])
    np.testing.assert_allclose(numpy(h), states[1:], **EXACT)
    into_h = numpy(head.weight).T @ softmax_minus_one_hot(numpy(p), 4)
    dW, dU, db, dv = np.zeros_like(W), np.zeros_like(U), np.zeros_like(b), np.zeros_like(v)
    for t in range(T, 0, -1):
        r, z, c, hn = gates[t - 1]
        d_candidate = into_h * (1 - z) * (1 - c**2)
        d_reset = d_candidate * hn * r * (1 - r)
        d_update = into_h * (states[t - 1] - c) * z * (1 - z)
        outer = np.concatenate([d_reset, d_update, d_candidate])
        inner = np.concatenate([d_reset, d_update, d_candidate * r])
        dW, db = dW + np.outer(outer, numpy(x)[t - 1]), db + outer
        dU, dv = dU + np.outer(inner, states[t - 1]), dv + inner
        into_h = into_h * z + U.T @ inner
    for name, expected in [("weight_ih", dW), ("weight_hh", dU), ("bias_ih", db), ("bias_hh", dv)]:
        np.testing.assert_allclose(numpy(getattr(layer, f"{name}_l0").grad), expected, **EXACT, err_msg=name)


def test_gcn_backward_by_hand():
    """With Y = A X W^T + b and G = dL/dY: dL/dW = G^T A X, dL/dX = A^T G W, dL/db = G^T 1."""
    edge_index, layer = EDGES["dag"], GCN(d, n).double()
    x = torch.randn(5, d, dtype=torch.float64, requires_grad=True)
    G = torch.randn(5, n, dtype=torch.float64)
    layer(x, edge_index).backward(G)
    A = reference.gcn_adjacency(edge_index, 5)
    torch.testing.assert_close(layer.lin.weight.grad, G.T @ A @ x.detach(), **EXACT)
    torch.testing.assert_close(x.grad, A.T @ G @ layer.lin.weight.detach(), **EXACT)
    torch.testing.assert_close(layer.bias.grad, G.sum(0), **EXACT)


@pytest.mark.parametrize(("inputs", "hidden"), [(1, 128), (10, 128), (3, 1)])
def test_lstm_parameter_count(inputs, hidden):
    """4 (dn + n^2 + n) weights by the count in every textbook; torch keeps a second bias, 4n more numbers."""
    textbook = 4 * (inputs * hidden + hidden**2 + hidden)
    count = sum(parameter.numel() for parameter in LSTM(inputs, hidden).parameters())
    assert count == textbook + 4 * hidden
    without = sum(parameter.numel() for parameter in LSTM(inputs, hidden, bias=False).parameters())
    assert without == textbook - 4 * hidden


@pytest.mark.parametrize("layer_type", [RNN, LSTM])
def test_the_second_bias_adds_no_function(layer_type, x):
    """b_ih and b_hh enter as their sum: moving one into the other changes nothing, and their gradients are equal."""
    layer = layer_type(d, n).double()
    edge_index = path_graph(T).edge_index
    h, _ = layer(x, edge_index)
    h.sum().backward()
    torch.testing.assert_close(layer.bias_ih_l0.grad, layer.bias_hh_l0.grad, **EXACT)
    with torch.no_grad():
        layer.bias_ih_l0 += layer.bias_hh_l0
        layer.bias_hh_l0.zero_()
    torch.testing.assert_close(layer(x, edge_index)[0], h, **EXACT)


def test_the_second_bias_of_a_gru_is_needed(x):
    """The reset gate multiplies b_hn, so a GRU's candidate has two biases that are not interchangeable."""
    layer = GRU(d, n).double()
    edge_index = path_graph(T).edge_index
    h, _ = layer(x, edge_index)
    with torch.no_grad():
        layer.bias_ih_l0 += layer.bias_hh_l0
        layer.bias_hh_l0.zero_()
    assert (layer(x, edge_index)[0] - h).abs().max() > 1e-3


def test_rnn_gradient_is_bounded_by_powers_of_the_recurrent_norm(x):
    """||dh_T/dh_t|| <= ||W_hh||^(T - t): the product of small factors by which an RNN forgets (Pascanu et al. 2013)."""
    layer = RNN(d, n).double()
    with torch.no_grad():
        layer.weight_hh_l0 *= 0.5 / torch.linalg.matrix_norm(layer.weight_hh_l0, 2)
    h, _ = layer(x.requires_grad_(), path_graph(T).edge_index)
    for t in range(T):
        rows = [torch.autograd.grad(h[-1, k], x, retain_graph=True)[0][t] for k in range(n)]
        bound = 0.5 ** (T - 1 - t) * torch.linalg.matrix_norm(layer.weight_ih_l0, 2)
        assert torch.linalg.matrix_norm(torch.stack(rows), 2) <= bound


@pytest.mark.parametrize("graph", EDGES)
@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
def test_gradcheck_of_recurrent_layers(layer_type, graph):
    layer = layer_type(2, 2).double()
    names, values = zip(*layer.named_parameters(), strict=True)
    edge_weight = torch.rand(EDGES[graph].size(1), dtype=torch.float64) + 0.5

    def run(x, *parameters):
        schedule = topological(EDGES[graph], 5, edge_weight)
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x, schedule))[0]

    inputs = [torch.randn(5, 2, dtype=torch.float64, requires_grad=True), *values]
    assert gradcheck(run, inputs)


@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
def test_gradcheck_by_edge_weight_and_state(layer_type):
    layer, edge_index = layer_type(2, 2).double(), EDGES["dag"]
    x = torch.randn(5, 2, dtype=torch.float64)
    weight = (torch.rand(edge_index.size(1), dtype=torch.float64) + 0.5).requires_grad_()
    states = [torch.randn(1, 2, 2, dtype=torch.float64, requires_grad=True) for _ in range(1 + (layer_type is LSTM))]

    def run(edge_weight, *state):
        return layer(x, topological(edge_index, 5, edge_weight), state if len(state) == 2 else state[0])[0]

    assert gradcheck(run, [weight, *states])


@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
def test_gradcheck_of_synchronous_rounds(layer_type):
    layer, schedule = layer_type(2, 2).double(), synchronous(torch.tensor([[0, 1, 2, 2], [1, 2, 0, 2]]), 3, rounds=3)
    names, values = zip(*layer.named_parameters(), strict=True)

    def run(x, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x, schedule))[0]

    assert gradcheck(run, [torch.randn(3, 2, dtype=torch.float64, requires_grad=True), *values])


@pytest.mark.parametrize("graph", EDGES)
def test_gradcheck_of_gcn(graph):
    layer = GCN(2, 2).double()
    x = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    weight = (torch.rand(EDGES[graph].size(1), dtype=torch.float64) + 0.5).requires_grad_()

    def run(x, weight, lin_weight, bias):
        parameters = {"lin.weight": lin_weight, "bias": bias}
        return torch.func.functional_call(layer, parameters, (x, EDGES[graph], weight))

    inputs = (x, weight, layer.lin.weight, layer.bias)
    assert gradcheck(run, inputs)
    assert gradgradcheck(run, inputs)


def test_gradcheck_of_gated_graph():
    layer = GatedGraph(3, num_rounds=2).double()
    names, values = zip(*layer.named_parameters(), strict=True)

    def run(x, *parameters):
        return torch.func.functional_call(layer, dict(zip(names, parameters, strict=True)), (x, EDGES["dag"]))

    assert gradcheck(run, [torch.randn(5, 2, dtype=torch.float64, requires_grad=True), *values])
