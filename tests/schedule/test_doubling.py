"""Doubling: the sweep's numbers in log D rounds, and 2^r - 1 hops in r of them, for rules linear in the state."""

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gnnseq import doubling, pack_paths, receptive_field, synchronous, topological, unpack_paths
from gnnseq.graphs import path_graph, tree_graph
from gnnseq.layers import GRU, LSTM, RNN, MinGRU, MinLSTM
from gnnseq.schedule import packed_paths
from strategies import forests

LINEAR = pytest.mark.parametrize("layer_type", [MinGRU, MinLSTM])
EXACT = {"rtol": 0, "atol": 1e-12}


def edges_of(parents, away):
    edges = tree_graph(parents).edge_index
    return edges.flip(0) if away else edges


def everything(layer, x, weight, schedule, state):
    h, final = layer(x, schedule.weighted(weight[schedule.edge_id]), state)
    torch.manual_seed(1)
    loss = (h * torch.randn_like(h)).sum() + (final * torch.randn_like(final)).sum()
    wanted = [x, weight, state, *layer.parameters()]
    return h, final, *torch.autograd.grad(loss, wanted, allow_unused=True, materialize_grads=True)


@LINEAR
@given(forests(max_nodes=20), st.booleans(), st.integers(0, 2))
def test_it_is_the_sweep_as_soon_as_it_reaches_the_depth(layer_type, parents, away, more):
    """Values, final states and every gradient, towards roots and away from them, both directions, with weights."""
    edges, nodes = edges_of(parents, away), len(parents)
    swept = topological(edges, nodes)
    depth = len(swept) - 1
    rounds = next(r for r in range(9) if 2**r > depth)
    assert len(doubling(edges, nodes)) == rounds
    torch.manual_seed(nodes)
    layer = layer_type(2, 3, num_layers=2, bidirectional=True).double()
    x = torch.randn(nodes, 2, dtype=torch.float64, requires_grad=True)
    weight = torch.rand(edges.size(1), dtype=torch.float64, requires_grad=True)
    rows = max(len(swept.starts), len(swept.ends))
    state = torch.randn(4, rows, 3, dtype=torch.float64, requires_grad=True)
    found = everything(layer, x, weight, doubling(edges, nodes, rounds + more), state)
    for a, b in zip(found, everything(layer, x, weight, swept, state), strict=True):
        torch.testing.assert_close(a, b, **EXACT)


@given(forests(max_nodes=20), st.booleans(), st.integers(0, 4))
def test_r_rounds_reach_what_is_2_to_the_r_less_1_hops_away(parents, away, rounds):
    """By derivatives, by structure, and by the steps that the schedule lists."""
    edges, nodes = edges_of(parents, away), len(parents)
    graph = nx.DiGraph(edges.t().tolist())
    graph.add_nodes_from(range(nodes))
    expected = np.zeros((nodes, nodes), dtype=bool)
    for source, distances in nx.all_pairs_shortest_path_length(graph, cutoff=2**rounds - 1):
        expected[list(distances), source] = True
    schedule, layer = doubling(edges, nodes, rounds), MinGRU(1, 1).double()
    x = torch.randn(nodes, 1, dtype=torch.float64)
    block = torch.autograd.functional.jacobian(lambda x: layer(x, schedule)[0].squeeze(1), x).squeeze(2)
    assert ((block != 0).numpy() == expected).all()
    assert (layer.reach(schedule, nodes).toarray() == expected).all()
    assert len(schedule) == len(list(schedule)) == rounds
    for r, step in enumerate(schedule):
        assert set(map(tuple, step.edge_index.t().tolist())) == {
            (u, v) for u in graph for v in graph if nx.has_path(graph, u, v) and distance(graph, u, v) == 2**r
        }
        assert step.nodes.numel() == nodes


def distance(graph, u, v):
    return nx.shortest_path_length(graph, u, v)


def test_a_receptive_field_finds_the_nearest():
    edges = path_graph(40).edge_index
    for rounds in range(5):
        call = lambda module, x, _, rounds=rounds: module(x, doubling(edges, 40, rounds))[0]  # noqa: E731
        field = receptive_field(MinGRU(2, 3).double(), torch.randn(40, 2, dtype=torch.float64), edges, call=call)
        assert field.certain
        assert field.hops.tolist() == [min(v, 2**rounds - 1) for v in range(40)]


def test_jumps_weigh_what_their_edges_do_together():
    weight = torch.tensor([2.0, 3.0, 5.0, 7.0])
    schedule = doubling(path_graph(5).edge_index, 5, edge_weight=weight)
    assert [step.edge_weight.tolist() for step in schedule] == [[2, 3, 5, 7], [6, 15, 35], [210]]
    assert [step.edge_id.tolist() for step in schedule] == [[0, 1, 2, 3], [-1] * 3, [-1]]


def test_ragged_paths_and_those_of_a_schedule():
    """States enter and leave in the caller's order, empty paths pass theirs on, and nodes can be unpacked."""
    x, swept = pack_paths([torch.randn(length, 2, dtype=torch.float64) for length in (3, 0, 9, 1)])
    doubled, layer, state = doubling(swept), MinLSTM(2, 3).double(), torch.randn(1, 4, 3, dtype=torch.float64)
    expected, last = layer(x, swept, state)
    h, final = layer(x, doubled, state)
    torch.testing.assert_close(h, expected, **EXACT)
    torch.testing.assert_close(final, last, **EXACT)
    assert [len(part) for part in unpack_paths(h, doubled)] == [3, 0, 9, 1]
    assert repr(doubled) == "Schedule(doubling, nodes=13, edges=10, steps=4)"


@pytest.mark.parametrize("layer", [RNN(2, 3), LSTM(2, 3), GRU(2, 3)], ids=["rnn", "lstm", "gru"])
def test_other_rules_refuse_it(layer):
    with pytest.raises(ValueError, match=f"doubling schedule.*linear in the state.*{type(layer).__name__}'s"):
        layer(torch.randn(3, 2), doubling(path_graph(3).edge_index, 3))


def test_messages_are_of_edges():
    layer = MinGRU(2, 3)
    layer.register_message_forward_hook(lambda module, inputs, output: None)
    with pytest.raises(ValueError, match="message of every edge"):
        layer(torch.randn(3, 2), doubling(path_graph(3).edge_index, 3))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda: doubling(torch.tensor([[0, 1, 2, 2], [2, 2, 3, 4]]), 5),
            ["from node 2", "into node 2"],
        ),
        (lambda: doubling(torch.tensor([[0, 0], [1, 1]]), 2), ["from node 0", "into node 1"]),
        (lambda: doubling(torch.tensor([[0, 1], [1, 0]]), 2), ["cycle"]),
        (lambda: doubling(torch.tensor([[0], [1]])), ["num_nodes=None"]),
        (lambda: doubling(torch.tensor([[0], [1]]), 2, -1), ["rounds=-1"]),
        (lambda: doubling(torch.tensor([[0], [1]]), 2, 1.5), ["rounds=1.5"]),
        (lambda: doubling(synchronous(torch.tensor([[0], [1]]), 2)), ["synchronous"]),
        (lambda: doubling(packed_paths([2]), 3), ["num_nodes"]),
    ],
)
def test_what_it_refuses(call, words):
    with pytest.raises(ValueError) as error:  # noqa: PT011
        call()
    for word in words:
        assert word in str(error.value)


def test_any_order_of_edges_gives_the_same_numbers():
    edges, x, layer = tree_graph([2, 2, 5, 5, 5, -1]).edge_index, torch.randn(6, 2), MinGRU(2, 3)
    expected, _ = layer(x, doubling(edges, 6))
    for _ in range(5):
        h, _ = layer(x, doubling(edges[:, torch.randperm(5)], 6))
        assert torch.equal(h, expected)
