"""Distances of pairs and means over them, against networkx."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import given
from scipy.sparse import csr_array

from gnnseq.reach import hops as hops_module
from gnnseq.reach.hops import adjacency, farthest, mean_by_distance
from strategies import graphs


def all_distances(graph):
    """{(v, u): distance}: along the edges, and where there is no such path, ignoring direction."""
    directed = nx.DiGraph(graph.to_networkx())
    pairs = {(v, u): d for u, to in nx.all_pairs_shortest_path_length(directed.to_undirected()) for v, d in to.items()}
    return pairs | {(v, u): d for u, to in nx.all_pairs_shortest_path_length(directed) for v, d in to.items()}


def random_reach(graph):
    return np.random.default_rng(graph.seed).random((graph.num_nodes, graph.num_nodes)) < 0.4


@given(graphs())
def test_farthest_is_the_largest_of_networkx_distances(graph):
    reach, known = random_reach(graph), all_distances(graph)
    hops, pathless = farthest(csr_array(reach), adjacency(graph.edge_index.numpy(), graph.num_nodes))
    pairs = [tuple(pair) for pair in np.argwhere(reach).tolist()]
    expected = [max((known[pair] for pair in pairs if pair[0] == v and pair in known), default=-1)
                for v in range(graph.num_nodes)]  # fmt: skip
    assert hops.tolist() == expected
    assert pathless == sum(pair not in known for pair in pairs)


@given(graphs())
def test_means_are_over_paths_and_over_reached_pairs_without_one(graph):
    reach, known = random_reach(graph), all_distances(graph)
    values = np.random.default_rng(graph.seed).random(reach.shape)
    directed = nx.DiGraph(graph.to_networkx())
    nodes = np.arange(0, graph.num_nodes, 2)
    groups = {}
    for (v, u), distance in known.items():
        if v in nodes and (nx.has_path(directed, u, v) or reach[v, u]):
            groups.setdefault(distance, []).append(values[v, u])
    expected = [np.mean(groups.get(distance, np.nan)) for distance in range(4)]
    edges = adjacency(graph.edge_index.numpy(), graph.num_nodes)
    np.testing.assert_allclose(mean_by_distance(values[nodes], nodes, csr_array(reach), edges, 3), expected, rtol=1e-12)


def test_tables_in_pieces_are_the_whole(monkeypatch):
    reach = np.tril(np.ones((7, 7), dtype=bool))
    path = adjacency(np.array([range(6), range(1, 7)]), 7)
    monkeypatch.setattr(hops_module, "TABLE_BYTES", 20)  # two rows at a time
    assert farthest(csr_array(reach), path)[0].tolist() == [0, 1, 2, 3, 4, 5, 6]


@pytest.mark.parametrize("limit", [-1, 0, 2])
def test_a_graph_without_edges_has_distance_zero_only(limit):
    edges = adjacency(np.empty((2, 0), dtype=np.int64), 3)
    means = mean_by_distance(np.ones((3, 3)), np.arange(3), csr_array(np.eye(3, dtype=bool)), edges, limit)
    np.testing.assert_array_equal(means, [1.0, np.nan, np.nan][: limit + 1])
