"""Topological schedules and their levels against networkx, and the cycles that have none."""

import networkx as nx
import pytest
import torch
from hypothesis import given

from gnnseq import topological
from gnnseq.graphs import path_graph, tree_graph
from strategies import dags, forests, graphs


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


@given(dags())
def test_starts_and_ends_are_sources_and_sinks(graph):
    schedule, known = topological(graph.edge_index, graph.num_nodes), graph.to_networkx()
    assert sorted(schedule.starts.tolist()) == [v for v in known if known.in_degree(v) == 0]
    assert sorted(schedule.ends.tolist()) == [v for v in known if known.out_degree(v) == 0]


def test_a_path_fires_one_node_a_step():
    assert fired(topological(path_graph(4).edge_index, 4)) == [[0], [1], [2], [3]]


def test_a_forest_fires_leaves_first():
    schedule = topological(tree_graph([2, 2, 4, 4, -1, 6, -1]).edge_index, 7)
    assert fired(schedule) == [[0, 1, 3, 5], [2, 6], [4]]


def test_a_shuffled_path_is_a_path():
    schedule = topological(torch.tensor([[3, 0, 2], [0, 2, 1]]), 4)
    assert fired(schedule) == [[3], [0], [2], [1]]
    assert schedule.lengths == (4,)


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
