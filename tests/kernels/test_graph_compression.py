"""Edges sorted and weights normalised in compiled code: what torch's operations make of the same graph."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseq.kernels import adjacency, gcn_weights
from gnnseq.kernels.adjacency import Adjacency
from gnnseq.layers import GCN
from gnnseq.normalization import gcn_normalize
from strategies import graphs

pytestmark = pytest.mark.usefixtures("compiled")


@pytest.fixture(autouse=True)
def _any_size(monkeypatch):
    monkeypatch.delenv("GNNSEQ_NATIVE", raising=False)
    monkeypatch.setattr(adjacency, "LEAST_SIZE", 0)
    monkeypatch.setattr(gcn_weights, "LEAST_SIZE", 0)


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
def test_weights_are_normalised(graph, weighted, improved, loops):
    weight = graph.edge_weight.float() if weighted else None
    if weight is not None:
        weight[::3] = 0.0
    found = gcn_weights.gcn_weights(graph.edge_index, weight, graph.num_nodes, improved, loops)
    options = {"improved": improved, "add_self_loops": loops}
    _, expected = gcn_normalize(graph.edge_index, weight, graph.num_nodes, **options)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=0)


def test_what_it_leaves_to_the_reference():
    edges = torch.tensor([[0, 1, 2], [1, 2, 0]])
    negative, nan = torch.tensor([1.0, -0.5, 1.0]), torch.tensor([1.0, torch.nan, 1.0])
    for weight in (negative, nan, torch.ones(3, dtype=torch.float64), torch.ones(2)):
        assert gcn_weights.gcn_weights(edges, weight, 3, improved=False, add_self_loops=True) is None
    assert gcn_weights.gcn_weights(edges, None, 2, improved=False, add_self_loops=True) is None  # node 2 of 2
    with pytest.raises(ValueError, match="out-degree -2"):
        GCN(1, 1, add_self_loops=False)(torch.ones(3, 1), edges, torch.tensor([-2.0, 1.0, 1.0]))


def test_ends_out_of_range_are_not_read():
    rows, columns = torch.tensor([0, 5]), torch.tensor([0, 0])
    assert adjacency._compress_in_one_go(rows, columns, 2, 2) is None
    assert adjacency._compress_in_one_go(columns, rows, 2, 2) is None
    assert adjacency._compress_in_one_go(columns, rows, 2, 6) is not None
