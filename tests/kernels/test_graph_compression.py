"""Edges sorted and weights normalised in compiled code: what torch's operations make of the same graph."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseq.kernels import adjacency, gcn_adjacency
from gnnseq.kernels.adjacency import Adjacency
from gnnseq.layers import GCN
from gnnseq.normalization import gcn_normalize
from strategies import graphs

pytestmark = pytest.mark.usefixtures("compiled")


@pytest.fixture(autouse=True)
def _any_size(monkeypatch):
    monkeypatch.delenv("GNNSEQ_NATIVE", raising=False)
    monkeypatch.setattr(adjacency, "LEAST_SIZE", 0)
    monkeypatch.setattr(gcn_adjacency, "LEAST_SIZE", 0)


@settings(max_examples=25)
@given(graphs(max_nodes=7), st.integers(0, 3))
def test_rows_are_sorted_by_both_ends(graph, more):
    """With parallel edges, self-loops, nodes without edges, and sources numbered apart."""
    nodes, edges = graph.num_nodes, graph.edge_index
    made = Adjacency.of(edges, nodes, nodes + more)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(adjacency, "LEAST_SIZE", 1 << 60)
        expected = Adjacency.of(edges, nodes, nodes + more)
    for rows, known in ((made.by_target, expected.by_target), (made.by_source, expected.by_source)):
        for a, b in zip(rows[:3], known[:3], strict=True):
            assert torch.equal(a, b)
            assert a.dtype == b.dtype


@settings(max_examples=25)
@given(graphs(max_nodes=7), st.booleans(), st.booleans(), st.booleans())
def test_normalised_rows_are_those_of_the_reference(graph, weighted, improved, loops):
    weight = graph.edge_weight.float() if weighted else None
    if weight is not None:
        weight[::3] = 0.0
    nodes, options = graph.num_nodes, {"improved": improved, "add_self_loops": loops}
    found = gcn_adjacency.gcn_adjacency(graph.edge_index, weight, nodes, **options)
    edges, weights = gcn_normalize(graph.edge_index, weight, nodes, **options)
    expected = Adjacency.of(edges, nodes).weighted(weights)
    again = gcn_adjacency.gcn_adjacency(graph.edge_index, weight, nodes, found.unweighted, **options)
    for made in (found, again):
        for rows, known in ((made.by_target, expected.by_target), (made.by_source, expected.by_source)):
            for a, b in zip(rows[:3], known[:3], strict=True):
                assert torch.equal(a, b)
                assert a.dtype == b.dtype
            torch.testing.assert_close(rows.weight, known.weight, rtol=1e-6, atol=0)


def test_edges_that_are_known_are_not_sorted_again(monkeypatch):
    """Other weights on the same edges, of few and of many; None in the graph's place is named all the same."""
    sorts, call = [], gcn_adjacency.compiled
    monkeypatch.setattr(gcn_adjacency, "compiled", lambda name: sorts.append(name) or call(name))
    layer, x, edges = GCN(2, 2), torch.randn(9, 2), torch.randint(9, (2, 40))
    for weight in (None, torch.rand(40), torch.rand(40), None):
        expected = GCN(2, 2).double()
        expected.load_state_dict({name: value.double() for name, value in layer.state_dict().items()})
        exact = expected(x.double(), edges, None if weight is None else weight.double())
        torch.testing.assert_close(layer(x, edges, weight).double(), exact, rtol=1e-5, atol=1e-6)
    assert sorts == ["gcn_weights", "gcn_rows", "gcn_weights", "gcn_weights", "gcn_weights"]
    monkeypatch.setattr(gcn_adjacency, "MOST_EDGES", 30)
    sorts.clear()
    layer(x, edges.flip(0))
    assert sorts == ["gcn_weights"]
    with pytest.raises(ValueError, match="edge_index is a NoneType"):
        layer(x, None)


def test_what_it_leaves_to_the_reference():
    edges = torch.tensor([[0, 1, 2], [1, 2, 0]])
    unfit = [torch.tensor([1.0, number, 1.0]) for number in (-0.5, torch.nan, torch.inf)]
    for weight in (*unfit, torch.ones(3, dtype=torch.float64), torch.ones(2)):
        assert gcn_adjacency.gcn_adjacency(edges, weight, 3, improved=False, add_self_loops=True) is None
    for graph in (edges, -edges, edges.t(), edges[0], edges.int()):  # node 2 of 2
        assert gcn_adjacency.gcn_adjacency(graph, None, 2, improved=False, add_self_loops=True) is None
    with pytest.raises(ValueError, match="out-degree -2"):
        GCN(1, 1, add_self_loops=False)(torch.ones(3, 1), edges, torch.tensor([-2.0, 1.0, 1.0]))
    with pytest.raises(ValueError, match=r"edge_weight\[1\]=inf"):
        GCN(1, 1)(torch.ones(3, 1), edges, unfit[2])


def test_ends_out_of_range_are_not_read():
    rows, columns = torch.tensor([0, 5]), torch.tensor([0, 0])
    assert adjacency._compress_in_one_go(rows, columns, 2, 2) is None
    assert adjacency._compress_in_one_go(columns, rows, 2, 2) is None
    assert adjacency._compress_in_one_go(columns, rows, 2, 6) is not None
