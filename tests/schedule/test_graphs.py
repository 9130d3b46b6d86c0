"""The graphs that sequences, trees and histories make."""

import networkx as nx
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data
from torch_geometric.utils import from_networkx, to_networkx

import reference
from gnnseq import topological
from gnnseq.graphs import path_graph, space_time_graph, tree_graph
from strategies import forests, graphs


def edges(data):
    return sorted(map(tuple, data.edge_index.t().tolist()))


@pytest.mark.parametrize("length", range(5))
@pytest.mark.parametrize("undirected", [False, True])
def test_path_graph_is_networkx_path_graph(length, undirected):
    data = path_graph(length, undirected=undirected)
    known = nx.path_graph(length, create_using=nx.DiGraph)
    assert isinstance(data, Data)
    assert data.num_nodes == length
    assert data.edge_index.dtype == torch.long
    assert data.edge_index.shape[0] == 2
    assert edges(data) == sorted(known.to_undirected().to_directed().edges if undirected else known.edges)


@given(forests())
def test_tree_graph_points_to_parents(parents):
    data = tree_graph(parents)
    assert data.num_nodes == len(parents)
    assert edges(data) == [(child, parent) for child, parent in enumerate(parents) if parent >= 0]
    assert nx.is_forest(to_networkx(data, to_undirected=True))
    assert edges(tree_graph(torch.tensor(parents))) == edges(data)


def test_the_empty_tree():
    assert tree_graph([]).num_nodes == 0
    assert tree_graph([]).edge_index.shape == (2, 0)


@given(graphs(), st.integers(0, 4))
def test_space_time_graph_is_the_kronecker_product_of_time_and_space(graph, steps):
    """Node (v, t) is t N + v; every step of time is weighted with the normalised adjacency of the network."""
    N = graph.num_nodes
    data = space_time_graph(graph.edge_index, N, steps, graph.edge_weight)
    assert data.num_nodes == N * steps
    time = torch.diag(torch.ones(max(steps - 1, 0)).double(), -1)[:steps, :steps]
    expected = torch.kron(time, reference.gcn_adjacency(graph.edge_index, N, graph.edge_weight))
    actual = reference.dense_adjacency(data.edge_index, N * steps, data.edge_weight)
    torch.testing.assert_close(actual, expected, rtol=0, atol=1e-12)
    if steps:
        assert len(topological(data.edge_index, N * steps)) == steps


def test_space_time_graph_without_weights():
    data = space_time_graph(torch.tensor([[0, 1], [1, 0]]), 2, 3)
    assert edges(data) == [(0, 2), (0, 3), (1, 2), (1, 3), (2, 4), (2, 5), (3, 4), (3, 5)]
    torch.testing.assert_close(data.edge_weight, torch.full((8,), 0.5))


def test_weights_of_a_space_time_graph_get_gradients():
    """Also where they are zero: such an edge carries nothing yet, but may learn to."""
    weight = torch.tensor([0.5, 0.0], dtype=torch.float64, requires_grad=True)
    data = space_time_graph(torch.tensor([[0, 1], [1, 0]]), 2, 3, weight)
    assert data.num_edges == 8
    data.edge_weight.sum().backward()
    assert weight.grad.ne(0).all()


def test_batches_and_networkx():
    """The graphs are torch_geometric's, so its batches and its conversions work."""
    batch = Batch.from_data_list([path_graph(3), tree_graph([1, -1]), path_graph(1)])
    assert edges(batch) == [(0, 1), (1, 2), (3, 4)]
    assert [sorted(step.nodes.tolist()) for step in topological(batch.edge_index, batch.num_nodes)] == [
        [0, 3, 5],
        [1, 4],
        [2],
    ]
    known = nx.balanced_tree(2, 2, create_using=nx.DiGraph).reverse()
    data = from_networkx(known)
    assert edges(data) == sorted(known.edges)
    assert len(topological(data.edge_index, data.num_nodes)) == 3
