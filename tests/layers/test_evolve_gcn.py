"""EvolveGCN against a slow dense reference, its reach, its state, and what it does not forget."""

import copy

import numpy as np
import pytest
import torch
from torch import nn
from torch_geometric.explain.algorithm.utils import set_masks

import reference
from gnnseq import receptive_field
from gnnseq.graphs import path_graph
from gnnseq.layers import EvolveGCN

EXACT = {"rtol": 0, "atol": 1e-12}
T, N, F, O = 4, 5, 3, 4  # noqa: E741
EDGES = torch.tensor([[0, 1, 3, 2, 2], [1, 2, 0, 2, 0]])
CASES = [(version, cell) for version in "OH" for cell in ("GRU", "LSTM", "RNN")]


def make(version, cell="GRU", **options):
    torch.manual_seed(0)
    layer = EvolveGCN(F, O, version, cell, **options).double()
    for parameter in layer.parameters():
        nn.init.normal_(parameter, std=0.7)
    return layer


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def evolve_gcn(layer, x, adjacencies, state=None):
    """Step by step and column by column: y [T, N, O] and the columns of the last kernel, h and c [O, F]."""
    p = dict(layer.named_parameters())
    own = {name.removeprefix("recurrence."): value for name, value in p.items() if name.startswith("recurrence.")}
    zero, one = torch.zeros(F, dtype=x.dtype), torch.ones((), dtype=x.dtype)
    h, c = ([*p["weight"]], [zero] * O) if state is None else ([*state[0][0]], [*state[-1][0]])
    outputs = []
    for x_t, A in zip(x, adjacencies, strict=True):
        z = h
        if layer.version == "H":
            scores = [x_t[i] @ p["score"] / p["score"].square().sum().sqrt() for i in range(len(x_t))]
            best = sorted(range(len(x_t)), key=lambda i: -scores[i].item())[:O]
            z = [torch.tanh(scores[i]) * x_t[i] for i in best]
        if type(layer.recurrence).__name__ == "LSTM":
            found = [reference.lstm_rule(z[o], [(h[o], c[o], one)], own, "l0") for o in range(O)]
            h, c = [each[0] for each in found], [each[1] for each in found]
        else:
            rule = reference.gru_rule if type(layer.recurrence).__name__ == "GRU" else reference.rnn_rule
            h = [rule(z[o], h[o], own, "l0") for o in range(O)]
        W = torch.stack(h, dim=1)  # [F, O], as in the paper
        outputs.append(A @ x_t @ W)
    return torch.stack(outputs), torch.stack(h), torch.stack(c)


@pytest.mark.parametrize("changing", [False, True])
@pytest.mark.parametrize(("version", "cell"), CASES)
def test_equals_the_reference_and_so_do_gradients(version, cell, changing):
    layer, x = make(version, cell), torch.randn(T, N, F, dtype=torch.float64, requires_grad=True)
    weight = torch.tensor([0.5, 2.0, 1.0, 0.7, 1.5], dtype=torch.float64, requires_grad=True)
    if changing:
        edges, weights = [EDGES, EDGES[:, :3], EDGES[:, :0], EDGES.flip(0)], [weight, None, None, weight * 2]
    else:
        edges, weights = EDGES, weight
    listed = zip(edges, weights, strict=True) if changing else [(EDGES, weight)] * T
    adjacencies = [reference.gcn_adjacency(each, N, torch.ones(each.size(1)).double() if own is None else own)
                   for each, own in listed]  # fmt: skip
    state = tuple(torch.randn(1, O, F, dtype=torch.float64, requires_grad=True) for _ in range(2))
    for before in (None, state if cell == "LSTM" else state[:1]):
        y, last = layer(x, edges, weights, None if before is None else before if cell == "LSTM" else before[0])
        found = [y, *(part[0] for part in parts(last))]
        known = evolve_gcn(layer, x, adjacencies, before)[: len(found)]
        leaves = [x, weight, *layer.parameters(), *(before or ())]
        grads = []
        for outputs in (found, known):
            loss = sum(out.square().sum() for out in outputs)
            grads.append(torch.autograd.grad(loss, leaves, retain_graph=True, materialize_grads=True))
        for actual, wanted in zip([*found, *grads[0]], [*known, *grads[1]], strict=True):
            scale = max(1.0, float(wanted.detach().abs().max()))  # sums of many terms in another order
            torch.testing.assert_close(actual / scale, wanted / scale, **EXACT)


@pytest.mark.parametrize(("version", "cell"), CASES)
def test_nothing_is_kept_between_calls_and_nothing_forgotten(version, cell):
    """Two calls agree, in training and evaluation, of a copy and of a loaded one; a stream is the whole."""
    layer, x = make(version, cell), torch.randn(T, N, F).double()
    y, last = layer(x, EDGES)
    loaded = EvolveGCN(F, O, version, cell).double()
    loaded.load_state_dict(layer.state_dict())
    for other in (layer, layer.eval(), copy.deepcopy(layer), loaded):
        again, after = other(x, EDGES)
        assert torch.equal(again, y)
        assert all(torch.equal(*pair) for pair in zip(parts(after), parts(last), strict=True))
    assert all(torch.equal(*pair) for pair in zip(layer.state_dict().values(), loaded.state_dict().values(),
                                                  strict=True))  # fmt: skip
    state, days = None, []
    for x_t in x:
        y_t, state = layer(x_t.unsqueeze(0), [EDGES], state=list(state) if isinstance(state, tuple) else state)
        days.append(y_t)
    torch.testing.assert_close(torch.cat(days), y, **EXACT)
    for actual, wanted in zip(parts(state), parts(last), strict=True):
        torch.testing.assert_close(actual, wanted, **EXACT)


@pytest.mark.parametrize("version", ["O", "H"])
def test_nodes_carry_their_order_along(version):
    layer, x, new = make(version), torch.randn(T, N, F).double(), torch.randperm(N)
    y, last = layer(x, EDGES)
    moved, after = layer(x[:, new.argsort()], new[EDGES])
    torch.testing.assert_close(moved[:, new], y, **EXACT)
    torch.testing.assert_close(after, last, **EXACT)


@pytest.mark.parametrize("version", ["O", "H"])
def test_reach_is_as_stated(version):
    """One hop, now; by the kernels of version H every node until now, though at one input only those it chose."""
    edges, nodes = path_graph(6, undirected=True).edge_index, 6
    layer, x = EvolveGCN(F, 2, version), torch.randn(T * nodes, F)
    known, seen = np.zeros((2, T * nodes, T * nodes), dtype=bool)
    for t in range(T):
        own = t * nodes + np.arange(nodes)
        for j, i in [*edges.t().tolist(), *((i, i) for i in range(nodes))]:
            known[own[i], own[j]] = seen[own[i], own[j]] = True
        for s in range(t + 1) if version == "H" else []:
            scores = x[s * nodes : (s + 1) * nodes] @ layer.score.detach()
            known[own, s * nodes : (s + 1) * nodes] = True
            seen[np.ix_(own, s * nodes + scores.topk(2).indices.numpy())] = True

    def run(module, x, _=None):
        return module(x.view(T, nodes, F), edges)[0].flatten(0, 1)

    field = receptive_field(layer, x, torch.empty(2, 0, dtype=torch.long), call=run, influence_nodes=1)
    assert (field.possible.toarray() == known).all()
    assert (field.reach.toarray() <= known).all()
    assert field.certain or version == "H"
    blocks = torch.autograd.functional.jacobian(lambda x: run(layer, x), x).abs().sum((1, 3))
    assert ((blocks.numpy() != 0) == seen).all()


@pytest.mark.parametrize("version", ["O", "H"])
def test_second_derivatives_explainers_and_autocast(version):
    layer, x = make(version), torch.randn(2, N, F).double().requires_grad_()
    assert torch.autograd.gradgradcheck(lambda x: layer(x, EDGES)[0], x, fast_mode=True)
    shown = torch.tensor([0.0, 1, 1, 1, 1]).double()
    set_masks(layer, shown, EDGES, apply_sigmoid=False)
    y, _ = layer(x, EDGES)
    (gradient,) = torch.autograd.grad(y[0, 1].sum(), x)
    assert version == "H" or not gradient[0, 0].any()
    layer, x = EvolveGCN(F, O, version), torch.randn(T, N, F)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half, state = layer(x.bfloat16(), EDGES)
    assert state.dtype == torch.float32
    torch.testing.assert_close(half.float(), layer(x, EDGES)[0], rtol=0.1, atol=0.05)  # bfloat16 carries 4e-3


@pytest.mark.parametrize("version", ["O", "H"])
def test_no_steps(version):
    layer = make(version)
    for edges in (EDGES, []):
        y, state = layer(torch.zeros(0, N, F).double(), edges)
        assert y.shape == (0, N, O)
        assert torch.equal(state[0], layer.weight)
        assert all(not each.any() for each in torch.autograd.grad(y.sum(), list(layer.parameters())))


def test_improved_is_obeyed():
    layer, x = make("O", improved=True), torch.randn(T, N, F).double()
    y, _ = layer(x, EDGES)
    assert "improved=True" in repr(layer)
    assert not torch.allclose(make("O")(x, EDGES)[0], y)
    layer.reset_parameters()
    assert not torch.allclose(layer(x, EDGES)[0], y)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"x": torch.zeros(T, N, F)}, "x has type torch.float32"),
        ({"x": torch.zeros(N, F).double()}, r"x has shape \[5, 3\]; expected \[T, N, 3\]"),
        ({"x": torch.zeros(T, 3, F).double(), "edge_index": EDGES[:, :0]}, "x has 3 nodes.*out_channels=4.*'O'"),
        ({"edge_index": EDGES + 3}, "edge_index holds node 6"),
        ({"edge_index": [EDGES]}, "edge_index has 1 entries and x 4 steps"),
        ({"edge_weight": torch.ones(3).double()}, r"edge_weight has shape \[3\]"),
        ({"edge_weight": -3 * torch.ones(5).double()}, "edge_weight gives node 0 the out-degree -2;"),
        ({"state": torch.zeros(1, F, O).double()}, r"state has shape \[1, 3, 4\]; expected \[1, 4, 3\]"),
        ({"state": torch.zeros(1, O, F)}, "state is torch.float32"),
    ],
)
def test_what_cannot_be_is_refused(named, words):
    arguments = {"x": torch.zeros(T, N, F).double(), "edge_index": EDGES, **named}
    with pytest.raises(ValueError, match=words):
        make("H")(**arguments)


def test_settings_that_cannot_be_are_refused():
    for options, words in [
        ({"version": "-H"}, "version='-H'; expected 'O'"),
        ({"recurrent": "TRNN"}, "recurrent='TRNN'; expected one of"),
        ({"improved": 1}, "improved=1; expected True or False"),
    ]:
        with pytest.raises(ValueError, match=words):
            EvolveGCN(F, O, **options)
    with pytest.raises(ValueError, match=r"expected a pair \(h, c\), each \[1, 4, 3\]"):
        make("O", "LSTM")(torch.zeros(T, N, F).double(), EDGES, state=torch.zeros(1, 1, F).double())
