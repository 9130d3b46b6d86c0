"""Reach by structure; that it is the reach of the layers is among the tests of these."""

from gnnseq import topological
from gnnseq.graphs import tree_graph
from gnnseq.schedule.reachability import dependence


def test_entering_states_are_no_ancestors():
    schedule = topological(tree_graph([2, 2, 4, 4, -1]).edge_index, 5)
    assert (dependence(schedule.with_state_edges) != dependence(schedule)).nnz == 0
