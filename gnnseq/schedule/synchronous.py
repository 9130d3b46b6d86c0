"""Firing every node in every step: graph networks.

Letters: N nodes, E edges.
"""

from torch import Tensor

from gnnseq.schedule.firing import fire_synchronously
from gnnseq.schedule.schedule import Schedule
from gnnseq.tracing import for_real

__all__ = ["synchronous"]


@for_real()
def synchronous(edge_index: Tensor, num_nodes: int, rounds: int = 1, edge_weight: Tensor | None = None) -> Schedule:
    """Fires every node in every round, each reading its sources' states of the round before.

    Before the first round states are zero, or the initial state that is given, a row for every node. From zeros, k
    rounds of a layer move information k - 1 hops from its inputs; from given states, those states k hops.

    Rows of state are nodes, so that a graph of a torch_geometric Batch that has no nodes has none: pool with
    ``size=batch.num_graphs``, without which torch_geometric's pools leave out the last graphs if they are empty.

    Args:
        edge_index: Edges of any graph, in any form of :func:`gnnseq.graphs.as_edge_index`. [2, E]
        num_nodes: Number of nodes N.
        rounds: Number of rounds k.
        edge_weight: A factor for every message; learnt ones as in :func:`topological`. [E]

    Raises:
        ValueError: If rounds is negative or no integer, or the edges are malformed.

    Example:
        >>> import torch
        >>> len(synchronous(torch.tensor([[0, 1], [1, 0]]), num_nodes=2, rounds=3))
        3
    """
    return Schedule(**fire_synchronously(edge_index, num_nodes, rounds, edge_weight))
