"""The two theorems of the library, for random graphs: which schedules agree, and how far each one sees.

Reach is measured from gradients of a randomly weighted layer in float64, where an accidental zero has probability zero,
and expected from networkx.
"""

import inspect

import networkx as nx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks

import reference
from gnnseq import synchronous, topological
from gnnseq.graphs import path_graph
from gnnseq.layers import GCN, GRU, LSTM, RNN, GatedGraph, MinGRU, MinLSTM
from strategies import dags, graphs

LAYERS = pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU, MinGRU, MinLSTM])
RULE = {RNN: "tanh", LSTM: "lstm", GRU: "gru", MinGRU: "mingru", MinLSTM: "minlstm"}
EXACT = {"rtol": 0, "atol": 1e-12}


def measured_reach(function, x):
    """bool [N, N]: whether output v has a gradient by input u."""
    x = x.clone().requires_grad_()
    h = function(x)
    if not h.requires_grad:  # no round has run yet
        return torch.zeros(x.size(0), x.size(0), dtype=torch.bool)
    rows = []
    for v in range(h.size(0)):
        (gradient,) = torch.autograd.grad(h[v].sum(), x, retain_graph=True, allow_unused=True)
        rows.append(torch.zeros(x.size(0), dtype=torch.bool) if gradient is None else (gradient != 0).any(1))
    return torch.stack(rows)


def walks(graph, length):
    """bool [N, N]: whether a directed walk of exactly this many edges leads from u to v."""
    A = (reference.dense_adjacency(graph.edge_index, graph.num_nodes) > 0).double()
    return torch.linalg.matrix_power(A, length) > 0


@LAYERS
@given(dags(), st.integers(0, 2))
def test_theorem_1_topological_equals_depth_many_rounds(layer_type, graph, more):
    """A rule that does not read the node's own previous state is settled after as many rounds as the DAG has levels."""
    torch.manual_seed(graph.seed)
    layer, x = layer_type(2, 3).double(), graph.features(2)
    sweep = topological(graph.edge_index, graph.num_nodes, graph.edge_weight)
    rounds = synchronous(graph.edge_index, graph.num_nodes, len(sweep) + more, graph.edge_weight)
    torch.testing.assert_close(layer(x, rounds)[0], layer(x, sweep)[0], **EXACT)


@LAYERS
def test_theorem_1_is_sharp(layer_type):
    """One round less than the depth is not enough: on a path, the last node has not heard of the first."""
    layer, x, edge_index = layer_type(2, 3).double(), torch.randn(5, 2, dtype=torch.float64), path_graph(5).edge_index
    settled, _ = layer(x, topological(edge_index, 5))
    early, _ = layer(x, synchronous(edge_index, 5, rounds=4))
    torch.testing.assert_close(early[:4], settled[:4], **EXACT)
    assert (early[4] - settled[4]).abs().max() > 1e-9


@LAYERS
@given(dags())
def test_sweep_equals_the_node_by_node_reference(layer_type, graph):
    torch.manual_seed(graph.seed)
    layer, x = layer_type(2, 3).double(), graph.features(2)
    h, _ = layer(x, topological(graph.edge_index, graph.num_nodes, graph.edge_weight))
    expected = reference.sweep(RULE[layer_type], x, graph.edge_index, dict(layer.named_parameters()), graph.edge_weight)
    torch.testing.assert_close(h, expected[0], **EXACT)


@LAYERS
@given(graphs(), st.integers(1, 4))
def test_rounds_equal_the_node_by_node_reference(layer_type, graph, rounds):
    torch.manual_seed(graph.seed)
    layer, x = layer_type(2, 3).double(), graph.features(2)
    h, _ = layer(x, synchronous(graph.edge_index, graph.num_nodes, rounds, graph.edge_weight))
    parameters = dict(layer.named_parameters())
    expected = reference.rounds(RULE[layer_type], x, graph.edge_index, parameters, rounds, graph.edge_weight)
    torch.testing.assert_close(h, expected, **EXACT)


@LAYERS
@given(graphs(), st.booleans())
def test_an_explainers_mask_is_an_edge_weight(layer_type, graph, bidirectional):
    """A mask is listed as the edges are; what it multiplies is what a weight multiplies."""
    torch.manual_seed(graph.seed)
    layer, x, mask = layer_type(2, 3, bidirectional=bidirectional).double(), graph.features(2), graph.edge_weight
    acyclic = nx.is_directed_acyclic_graph(graph.to_networkx())
    for make in (topological, synchronous) if acyclic else (synchronous,):
        expected, _ = layer(x, make(graph.edge_index, graph.num_nodes, edge_weight=mask))
        set_masks(layer, mask, graph.edge_index, apply_sigmoid=False)
        masked, _ = layer(x, make(graph.edge_index, graph.num_nodes))
        clear_masks(layer)
        torch.testing.assert_close(masked, expected, **EXACT)


@given(graphs())
def test_an_explainers_mask_is_an_edge_weight_of_a_gated_graph(graph):
    layer, x, mask = GatedGraph(3, num_rounds=2).double(), graph.features(2), graph.edge_weight
    expected = layer(x, graph.edge_index, mask)
    set_masks(layer, mask, graph.edge_index, apply_sigmoid=False)
    torch.testing.assert_close(layer(x, graph.edge_index), expected, **EXACT)


def test_an_explainers_mask_spares_entering_states():
    layer, x, edge_index = GRU(2, 3).double(), torch.randn(3, 2).double(), torch.tensor([[1, 0], [2, 2]])
    state, mask = torch.randn(1, 2, 3).double(), torch.tensor([0.25, 0.5]).double()
    expected, _ = layer(x, topological(edge_index, 3, mask), state)
    set_masks(layer, mask, edge_index, apply_sigmoid=False)
    torch.testing.assert_close(layer(x, edge_index, state)[0], expected, **EXACT)


@LAYERS
@given(dags())
def test_gradients_equal_those_of_the_reference(layer_type, graph):
    torch.manual_seed(graph.seed)
    layer, x = layer_type(2, 3).double(), graph.features(2).requires_grad_()
    weight = graph.edge_weight.clone().requires_grad_()
    parameters = dict(layer.named_parameters())
    inputs = [x, *parameters.values()] + ([weight] if weight.numel() else [])
    h, _ = layer(x, topological(graph.edge_index, graph.num_nodes, weight))
    expected = reference.sweep(RULE[layer_type], x, graph.edge_index, parameters, weight)[0]
    direction = torch.randn_like(h)
    mine = torch.autograd.grad(h, inputs, direction, allow_unused=True, materialize_grads=True)
    theirs = torch.autograd.grad(expected, inputs, direction, allow_unused=True, materialize_grads=True)
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, **EXACT)


@LAYERS
@given(dags())
def test_theorem_2_a_sweep_reaches_all_ancestors_and_nothing_else(layer_type, graph):
    torch.manual_seed(graph.seed)
    layer = layer_type(2, 3).double()
    schedule = topological(graph.edge_index, graph.num_nodes, graph.edge_weight)
    reach = measured_reach(lambda x: layer(x, schedule)[0], graph.features(2))
    known = graph.to_networkx()
    for v in known:
        assert set(reach[v].nonzero().flatten().tolist()) == nx.ancestors(known, v) | {v}


@LAYERS
@given(graphs(), st.integers(0, 4))
def test_theorem_2_k_rounds_from_a_zero_state_reach_k_minus_1_hops(layer_type, graph, rounds):
    torch.manual_seed(graph.seed)
    layer = layer_type(2, 3).double()
    schedule = synchronous(graph.edge_index, graph.num_nodes, rounds, graph.edge_weight)
    reach = measured_reach(lambda x: layer(x, schedule)[0], graph.features(2))
    expected = torch.zeros(graph.num_nodes, graph.num_nodes, dtype=torch.bool)
    for length in range(rounds):
        expected |= walks(graph, length)
    assert torch.equal(reach, expected)


@given(graphs(), st.integers(1, 4))
def test_theorem_2_k_gcn_layers_reach_k_hops(graph, depth):
    torch.manual_seed(graph.seed)
    layers = [GCN(2, 2).double() for _ in range(depth)]

    def network(x):
        for layer in layers:
            x = torch.tanh(layer(x, graph.edge_index, graph.edge_weight))
        return x

    reach = measured_reach(network, graph.features(2))
    known = graph.to_networkx()
    for v in known:
        near = nx.single_source_shortest_path_length(known.reverse(), v, cutoff=depth)
        assert set(reach[v].nonzero().flatten().tolist()) == set(near)


def test_a_gcn_with_too_few_layers_cannot_see_the_first_digit():
    """Corollary: k < L - 1 layers give bitwise the same output for every first digit of a palindrome."""
    length, edge_index = 7, path_graph(7).edge_index
    for depth in (length - 2, length - 1):
        torch.manual_seed(1)
        layers = [GCN(1, 4), *(GCN(4, 4) for _ in range(depth - 1))]
        outputs = []
        for digit in (0.0, 9.0):
            x = torch.full((length, 1), 5.0)
            x[0] = digit
            for layer in layers:
                x = torch.tanh(layer(x, edge_index))
            outputs.append(x[-1])
        assert torch.equal(*outputs) == (depth < length - 1)


@LAYERS
@given(st.integers(2, 8), st.integers(0, 2**16), st.data())
def test_a_path_is_causal(layer_type, length, seed, data):
    """A changed input changes no earlier output, bitwise, and every later one."""
    torch.manual_seed(seed)
    layer, x = layer_type(2, 3).double(), torch.randn(length, 2, dtype=torch.float64)
    changed = x.clone()
    t = data.draw(st.integers(0, length - 1))
    changed[t] += 1
    edge_index = path_graph(length).edge_index
    before, after = layer(x, edge_index)[0], layer(changed, edge_index)[0]
    assert torch.equal(before[:t], after[:t])
    assert ((before[t:] - after[t:]).abs().sum(1) > 0).all()


@given(graphs(), st.randoms(use_true_random=False))
def test_gcn_is_permutation_equivariant(graph, random):
    torch.manual_seed(graph.seed)
    layer, x = GCN(2, 3).double(), graph.features(2)
    label = list(range(graph.num_nodes))
    random.shuffle(label)
    label = torch.tensor(label)
    relabelled = torch.empty_like(x)
    relabelled[label] = x
    h = layer(x, graph.edge_index, graph.edge_weight)
    torch.testing.assert_close(layer(relabelled, label[graph.edge_index], graph.edge_weight)[label], h, **EXACT)


@LAYERS
@given(graphs(), st.randoms(use_true_random=False))
def test_rounds_are_permutation_equivariant(layer_type, graph, random):
    torch.manual_seed(graph.seed)
    layer, x = layer_type(2, 3).double(), graph.features(2)
    label = list(range(graph.num_nodes))
    random.shuffle(label)
    label = torch.tensor(label)
    relabelled = torch.empty_like(x)
    relabelled[label] = x
    h, _ = layer(x, synchronous(graph.edge_index, graph.num_nodes, 3, graph.edge_weight))
    relabelled_h, _ = layer(relabelled, synchronous(label[graph.edge_index], graph.num_nodes, 3, graph.edge_weight))
    torch.testing.assert_close(relabelled_h[label], h, **EXACT)


@pytest.mark.parametrize(
    "make", [lambda: RNN(2, 3), lambda: LSTM(2, 3), lambda: GRU(2, 3), lambda: GatedGraph(3, 1), lambda: GCN(2, 3)]
)
def test_a_second_layer_reads_no_source_code(make, monkeypatch):
    make()
    monkeypatch.setattr(inspect, "getsource", None)
    make()


def test_a_rule_of_the_users_own_may_read_less_and_more():
    class Own(RNN):
        def message(self, state_j, state_i, edge_weight):
            return edge_weight * (state_j + state_i)

    layer, x = Own(2, 3), torch.ones(2, 2)
    h, _ = layer(x, torch.tensor([[0], [1]]))
    plain = RNN(2, 3)
    plain.load_state_dict(layer.state_dict())
    torch.testing.assert_close(h, plain(x, torch.tensor([[0], [1]]))[0])  # state_i is 0 before a node's one firing
