"""Schedules against networkx, and the promises the layers rest on."""

import gc
import weakref

import networkx as nx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gnnseq import Schedule, pack_paths, synchronous, topological, unpack_paths
from gnnseq.graphs import path_graph, tree_graph
from gnnseq.layers import GRU, LSTM, RNN
from gnnseq.schedule import packed_paths
from gnnseq.schedule.reachability import dependence
from strategies import dags, forests, graphs

LAYERS = pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])


def fired(schedule):
    return [sorted(step.nodes.tolist()) for step in schedule]


def edge_multiset(edge_index, edge_weight=None):
    weights = [1.0] * edge_index.size(1) if edge_weight is None else edge_weight.tolist()
    return sorted(zip(*edge_index.tolist(), weights, strict=True))


@given(dags())
def test_levels_are_networkx_topological_generations(graph):
    schedule = topological(graph.edge_index, graph.num_nodes)
    assert fired(schedule) == [sorted(level) for level in nx.topological_generations(graph.to_networkx())]
    assert len(schedule) == len(fired(schedule))


@given(dags())
def test_every_edge_is_read_once_in_the_step_of_its_target(graph):
    schedule = topological(graph.edge_index, graph.num_nodes, graph.edge_weight)
    read, weights, before = [], [], set()
    for step in schedule:
        assert set(step.edge_index[1].tolist()) <= set(step.nodes.tolist())
        assert set(step.edge_index[0].tolist()) <= before
        before |= set(step.nodes.tolist())
        read.append(step.edge_index)
        weights.append(step.edge_weight)
    expected = edge_multiset(graph.edge_index, graph.edge_weight)
    assert edge_multiset(torch.cat(read, dim=1), torch.cat(weights)) == expected
    assert edge_multiset(schedule.edge_index, schedule.edge_weight) == expected


@given(graphs(), st.integers(0, 4))
def test_synchronous_fires_everything_in_every_round(graph, rounds):
    schedule = synchronous(graph.edge_index, graph.num_nodes, rounds, graph.edge_weight)
    assert len(schedule) == len(list(schedule)) == rounds
    for step in schedule:
        assert sorted(step.nodes.tolist()) == list(range(graph.num_nodes))
        assert edge_multiset(step.edge_index, step.edge_weight) == edge_multiset(graph.edge_index, graph.edge_weight)


@given(dags())
def test_starts_and_ends_are_sources_and_sinks(graph):
    schedule, known = topological(graph.edge_index, graph.num_nodes), graph.to_networkx()
    assert sorted(schedule.starts.tolist()) == [v for v in known if known.in_degree(v) == 0]
    assert sorted(schedule.ends.tolist()) == [v for v in known if known.out_degree(v) == 0]


@given(dags())
def test_reversed_schedule_is_the_schedule_of_the_reversed_graph(graph):
    backwards = topological(graph.edge_index, graph.num_nodes, graph.edge_weight).reversed
    expected = nx.topological_generations(graph.to_networkx().reverse())
    assert fired(backwards) == [sorted(level) for level in expected]
    assert edge_multiset(backwards.edge_index, backwards.edge_weight) == edge_multiset(
        graph.edge_index.flip(0), graph.edge_weight
    )


def test_a_path_fires_one_node_a_step():
    assert fired(topological(path_graph(4).edge_index, 4)) == [[0], [1], [2], [3]]


def test_a_forest_fires_leaves_first():
    schedule = topological(tree_graph([2, 2, 4, 4, -1, 6, -1]).edge_index, 7)
    assert fired(schedule) == [[0, 1, 3, 5], [2, 6], [4]]


def test_a_shuffled_path_is_a_path():
    schedule = topological(torch.tensor([[3, 0, 2], [0, 2, 1]]), 4)
    assert fired(schedule) == [[3], [0], [2], [1]]
    assert schedule.lengths == (4,)


@pytest.mark.parametrize("num_nodes", [0, 1, 3])
def test_no_edges(num_nodes):
    schedule = topological(torch.empty(2, 0, dtype=torch.long), num_nodes)
    assert fired(schedule) == ([list(range(num_nodes))] if num_nodes else [])
    assert len(schedule) == min(num_nodes, 1)
    assert len(synchronous(torch.empty(2, 0, dtype=torch.long), num_nodes, rounds=2)) == 2


@given(graphs())
def test_a_cycle_is_named_by_its_edges(graph):
    known = graph.to_networkx()
    if nx.is_directed_acyclic_graph(known):
        topological(graph.edge_index, graph.num_nodes)
        return
    with pytest.raises(ValueError, match="cycle") as error:
        topological(graph.edge_index, graph.num_nodes)
    words = str(error.value).replace(",", " ").replace(";", " ").split()
    edges = [tuple(map(int, word.split("->"))) for word in words if "->" in word]
    assert edges
    assert all(known.has_edge(*edge) for edge in edges)
    assert [b for _, b in edges] == [a for a, _ in edges[1:] + edges[:1]]


def test_the_smallest_cycles_are_named():
    with pytest.raises(ValueError, match="1->1"):
        topological(torch.tensor([[0, 1], [1, 1]]), 2)
    with pytest.raises(ValueError, match=r"0->1.*1->0|1->0.*0->1"):
        topological(torch.tensor([[0, 1], [1, 0]]), 2)


@pytest.mark.parametrize("length", [3, 40])
def test_a_cycle_behind_a_path_and_before_a_tree(length):
    """The cycle is found among nodes that cannot fire without being on it."""
    ring = [(i, (i + 1) % length) for i in range(length)]
    edges = torch.tensor([(length, 0), *ring, (0, length + 1), (1, length + 2), (length + 1, length + 2)]).t()
    with pytest.raises(ValueError, match="cycle") as error:
        topological(edges, length + 3)
    assert f"{length}->" not in str(error.value)
    assert f"->{length + 1}" not in str(error.value)


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


@given(forests())
def test_trees_schedule_both_ways(parents):
    edge_index = tree_graph(parents).edge_index
    for edges in (edge_index, edge_index.flip(0)):
        known = nx.DiGraph(edges.t().tolist())
        known.add_nodes_from(range(len(parents)))
        expected = [sorted(level) for level in nx.topological_generations(known)]
        assert fired(topological(edges, len(parents))) == expected


@pytest.mark.parametrize("spread", [2, 5, 300])
@pytest.mark.parametrize("seed", range(3))
def test_large_trees_schedule_both_ways(seed, spread):
    """Deep and bushy ones: parents are drawn among the last few nodes, then the numbering is shuffled."""
    generator = torch.Generator().manual_seed(seed)
    label = torch.randperm(300, generator=generator)
    parents = [max(0, i - 1 - int(torch.randint(spread, (), generator=generator))) for i in range(1, 300)]
    edge_index = torch.stack([label[1:], label[torch.tensor(parents)]])
    for edges in (edge_index, edge_index.flip(0)):
        expected = [sorted(level) for level in nx.topological_generations(nx.DiGraph(edges.t().tolist()))]
        assert fired(topological(edges, 300)) == expected


@given(st.lists(st.integers(0, 6), min_size=1, max_size=6))
def test_packed_paths_is_torchs_packed_sequence(lengths):
    """The same level sizes as PackedSequence.batch_sizes, one path for each length, in the caller's order."""
    schedule = packed_paths(lengths)
    longest = max(lengths)
    assert [len(step.nodes) for step in schedule] == [sum(n > t for n in lengths) for t in range(longest)]
    assert schedule.lengths == tuple(lengths)
    known = nx.DiGraph(schedule.edge_index.t().tolist())
    known.add_nodes_from(range(schedule.num_nodes))
    for length, start, end in zip(lengths, schedule.starts.tolist(), schedule.ends.tolist(), strict=True):
        if length == 0:
            assert start == end == -1
        else:
            assert nx.shortest_path_length(known, start, end) == length - 1


@given(st.lists(st.integers(0, 5), min_size=1, max_size=6))
def test_unpack_undoes_pack(lengths):
    sequences = [torch.randn(n, 2) for n in lengths]
    x, schedule = pack_paths(sequences)
    assert x.shape == (sum(lengths), 2)
    for given_, back in zip(sequences, unpack_paths(x, schedule), strict=True):
        assert torch.equal(given_, back)


def test_unpack_works_for_a_topological_schedule_of_paths():
    schedule = topological(torch.tensor([[4, 0, 3], [0, 2, 1]]), 5)
    assert [path.tolist() for path in unpack_paths(torch.arange(5), schedule)] == [[3, 1], [4, 0, 2]]


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


def test_entering_states_are_no_ancestors():
    schedule = topological(tree_graph([2, 2, 4, 4, -1]).edge_index, 5)
    assert (dependence(schedule.with_state_edges) != dependence(schedule)).nnz == 0
