"""Firing every node once, after all of its predecessors: recurrent networks.

Letters: N nodes, E edges.
"""

from collections.abc import Sequence

from torch import Tensor

from gnnseq.schedule.firing import fire_topologically
from gnnseq.schedule.schedule import Schedule
from gnnseq.tracing import for_real

__all__ = ["topological"]


@for_real()
def topological(
    edge_index: Tensor,
    num_nodes: int,
    edge_weight: Tensor | None = None,
    *,
    ptr: Tensor | Sequence[int] | None = None,
) -> Schedule:
    """Fires every node once, after all of its predecessors: step l is the nodes whose longest path from a source is l.

    On a path this is a recurrent network's sweep, on a tree the sweep from the leaves to the root. The result does not
    depend on the order in which the edges are listed.

    Args:
        edge_index: Edges of a directed acyclic graph, in any form of :func:`gnnseq.graphs.as_edge_index`. [2, E]
        num_nodes: Number of nodes N.
        edge_weight: A factor for every message. Where these are learnt, make the schedule anew in every training step:
            it holds what they were computed from. [E]
        ptr: Of a torch_geometric Batch, ``batch.ptr``: the node at which each of its graphs begins, and N. A graph
            without nodes, which edges cannot tell of, then has its row of state too, as an empty path has: without
            ``ptr`` the final state of a Batch is a row short for each of them. [graphs + 1]

    Returns:
        The schedule. Paths take O(N log N) vectorised work, and so do trees; other graphs one vectorised pass a level.

    Raises:
        ValueError: If the graph has a cycle (its edges are named), the edges are malformed, or one leads from one of
            ptr's graphs to another.

    Example:
        >>> import torch
        >>> schedule = topological(torch.tensor([[0, 1, 2], [2, 2, 3]]), num_nodes=4)
        >>> [step.nodes.tolist() for step in schedule]
        [[0, 1], [2], [3]]
        >>> topological(torch.tensor([[0], [1]]), num_nodes=2, ptr=[0, 0, 2]).ends.tolist()  # nothing, then a path
        [-1, 1]
    """
    return Schedule(**fire_topologically(edge_index, num_nodes, edge_weight, ptr))
