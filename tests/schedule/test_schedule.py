"""Schedules as data, and the promises the layers rest on."""

import gc
import weakref

import networkx as nx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gnnseq import Schedule, synchronous, topological
from gnnseq.graphs import path_graph, tree_graph
from gnnseq.layers import GRU, LSTM, RNN
from strategies import dags, graphs

LAYERS = pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])


def fired(schedule):
    return [sorted(step.nodes.tolist()) for step in schedule]


def edge_multiset(edge_index, edge_weight=None):
    weights = [1.0] * edge_index.size(1) if edge_weight is None else edge_weight.tolist()
    return sorted(zip(*edge_index.tolist(), weights, strict=True))


@given(graphs(), st.integers(0, 4))
def test_synchronous_fires_everything_in_every_round(graph, rounds):
    schedule = synchronous(graph.edge_index, graph.num_nodes, rounds, graph.edge_weight)
    assert len(schedule) == len(list(schedule)) == rounds
    for step in schedule:
        assert sorted(step.nodes.tolist()) == list(range(graph.num_nodes))
        assert edge_multiset(step.edge_index, step.edge_weight) == edge_multiset(graph.edge_index, graph.edge_weight)


@given(dags())
def test_reversed_schedule_is_the_schedule_of_the_reversed_graph(graph):
    backwards = topological(graph.edge_index, graph.num_nodes, graph.edge_weight).reversed
    expected = nx.topological_generations(graph.to_networkx().reverse())
    assert fired(backwards) == [sorted(level) for level in expected]
    assert edge_multiset(backwards.edge_index, backwards.edge_weight) == edge_multiset(
        graph.edge_index.flip(0), graph.edge_weight
    )


@pytest.mark.parametrize("num_nodes", [0, 1, 3])
def test_no_edges(num_nodes):
    schedule = topological(torch.empty(2, 0, dtype=torch.long), num_nodes)
    assert fired(schedule) == ([list(range(num_nodes))] if num_nodes else [])
    assert len(schedule) == min(num_nodes, 1)
    assert len(synchronous(torch.empty(2, 0, dtype=torch.long), num_nodes, rounds=2)) == 2


@LAYERS
@given(dags(), st.randoms(use_true_random=False))
def test_the_order_of_the_edges_does_not_matter_bitwise(layer_type, graph, random):
    torch.manual_seed(graph.seed)
    layer, x = layer_type(2, 3).double(), graph.features(2)
    order = list(range(graph.edge_index.size(1)))
    random.shuffle(order)
    h, _ = layer(x, topological(graph.edge_index, graph.num_nodes, graph.edge_weight))
    shuffled, _ = layer(x, topological(graph.edge_index[:, order], graph.num_nodes, graph.edge_weight[order]))
    assert torch.equal(h, shuffled)
    h, _ = layer(x, synchronous(graph.edge_index, graph.num_nodes, 3, graph.edge_weight))
    shuffled, _ = layer(x, synchronous(graph.edge_index[:, order], graph.num_nodes, 3, graph.edge_weight[order]))
    assert torch.equal(h, shuffled)


@LAYERS
@given(dags(), st.randoms(use_true_random=False))
def test_relabelling_the_nodes_relabels_the_result(layer_type, graph, random):
    torch.manual_seed(graph.seed)
    layer, x = layer_type(2, 3).double(), graph.features(2)
    label = list(range(graph.num_nodes))
    random.shuffle(label)
    label = torch.tensor(label)
    relabelled = torch.empty_like(x)
    relabelled[label] = x
    h, _ = layer(x, topological(graph.edge_index, graph.num_nodes, graph.edge_weight))
    expected, _ = layer(relabelled, topological(label[graph.edge_index], graph.num_nodes, graph.edge_weight))
    torch.testing.assert_close(expected[label], h, rtol=0, atol=1e-12)


@LAYERS
@given(st.lists(dags(max_nodes=6), min_size=2, max_size=4))
def test_a_batch_of_graphs_equals_its_graphs(layer_type, batch):
    torch.manual_seed(batch[0].seed)
    layer = layer_type(2, 3).double()
    offsets = [sum(graph.num_nodes for graph in batch[:b]) for b in range(len(batch) + 1)]
    edge_index = torch.cat([graph.edge_index + offset for graph, offset in zip(batch, offsets, strict=False)], dim=1)
    edge_weight = torch.cat([graph.edge_weight for graph in batch])
    together, _ = layer(
        torch.cat([graph.features(2) for graph in batch]), topological(edge_index, offsets[-1], edge_weight)
    )
    for graph, first, last in zip(batch, offsets, offsets[1:], strict=False):
        alone, _ = layer(graph.features(2), topological(graph.edge_index, graph.num_nodes, graph.edge_weight))
        torch.testing.assert_close(together[first:last], alone, rtol=0, atol=1e-12)


def test_a_schedule_is_data():
    schedule = topological(torch.tensor([[0, 1], [2, 2]]), 3)
    assert isinstance(schedule, Schedule)
    assert isinstance(repr(schedule), str)
    with pytest.raises(AttributeError):
        schedule.num_nodes = 4
    assert fired(schedule.to("cpu")) == fired(schedule)
    assert schedule.to("meta").edge_index.device.type == "meta"


def test_weights_that_change_are_read_anew_beside_a_state():
    weight = torch.nn.Parameter(torch.rand(4))
    plain = topological(tree_graph([2, 2, 4, 4, -1]).edge_index, 5, torch.ones(4))
    schedule, layer, x = plain.weighted(weight), GRU(2, 3), torch.randn(5, 2)
    state = torch.randn(1, len(plain.starts), 3)
    layer(x, schedule, state)
    weight.data.mul_(5)
    torch.testing.assert_close(layer(x, schedule, state)[0], layer(x, plain.weighted(weight), state)[0])


@pytest.mark.parametrize("graph", [path_graph(6), tree_graph([2, 2, 4, 4, -1])])
def test_a_schedule_ends_with_its_last_use(graph):
    gc.collect()
    gc.disable()
    try:
        schedule = topological(graph.edge_index, graph.num_nodes, torch.ones(graph.edge_index.size(1)))
        layer = LSTM(2, 3)
        state = torch.zeros(1, len(schedule.starts), 3)
        layer(torch.randn(graph.num_nodes, 2), schedule, (state, state))[0].sum().backward()
        seen = weakref.ref(schedule)
        del schedule
        assert seen() is None
    finally:
        gc.enable()


@pytest.mark.parametrize(
    ("weight", "message"),
    [
        (torch.rand(3), r"edge_weight has shape \[3\]; expected \[4\]"),
        (torch.rand(99), r"edge_weight has shape \[99\]; expected \[4\]"),
        (torch.rand(4, 1), r"edge_weight has shape \[4, 1\]; expected \[4\]"),
        (torch.tensor(1.0), r"edge_weight has shape \[\]; expected \[4\]"),
        (torch.ones(4, dtype=torch.int64), r"edge_weight has type torch.int64; .*use edge_weight.float\(\)"),
        (torch.ones(4, dtype=torch.bool), r"edge_weight has type torch.bool"),
        (torch.ones(4, dtype=torch.complex64), r"edge_weight has type torch.complex64"),
        (torch.ones(4, device="meta"), r"edge_weight is on meta"),
        (torch.rand(4).numpy(), r"edge_weight is a ndarray; .*torch.as_tensor"),
        ([1.0] * 4, r"edge_weight is a list"),
        (None, r"edge_weight is a NoneType"),
    ],
)
def test_weights_are_one_floating_point_number_an_edge(weight: object, message: str) -> None:
    schedule = topological(torch.tensor([[0, 1, 2, 3], [1, 2, 3, 4]]), 5)
    with pytest.raises(ValueError, match=message):
        schedule.weighted(weight)  # type: ignore[arg-type]


@pytest.mark.parametrize("make", [topological, lambda edges, nodes: synchronous(edges, nodes, 2)])
def test_a_functional_tensor_has_no_memory_to_be_read(make):
    edges = torch.tensor([[0, 1], [1, 2]])
    with pytest.raises(ValueError, match="edge_index is a functional tensor outside"):
        make(torch._to_functional_tensor(edges), 3)
    with pytest.raises(ValueError, match="edge_index is a functional tensor, as within"):
        torch.func.functionalize(lambda edges: make(edges, 3).edge_index)(edges)
