"""Firing every node in every step: graph networks.

Letters: N nodes, E edges.
"""

import torch
from torch import Tensor

from gnnseq.checks import check_whole
from gnnseq.graphs import as_edge_index
from gnnseq.schedule.edge_order import canonical_order
from gnnseq.schedule.inference import outside_inference
from gnnseq.schedule.schedule import Schedule

__all__ = ["synchronous"]


@outside_inference()
def synchronous(edge_index: Tensor, num_nodes: int, rounds: int = 1, edge_weight: Tensor | None = None) -> Schedule:
    """Fires every node in every round, each reading its sources' states of the round before.

    Before the first round states are zero, or the initial state that is given, a row for every node. From zeros, k
    rounds of a layer move information k - 1 hops from its inputs; from given states, those states k hops.

    Args:
        edge_index: Edges of any graph, in any form of :func:`gnnseq.graphs.as_edge_index`. [2, E]
        num_nodes: Number of nodes N.
        rounds: Number of rounds k.
        edge_weight: A factor for every message; learnt ones as in :func:`topological`. [E]

    Raises:
        ValueError: If rounds is negative or no integer, or the edges are malformed.

    Example:
        >>> len(synchronous(torch.tensor([[0, 1], [1, 0]]), num_nodes=2, rounds=3))
        3
    """
    check_whole(0, rounds=rounds)
    edge_index, edge_weight = as_edge_index(edge_index, num_nodes, edge_weight)
    sorting = canonical_order(edge_index.cpu().numpy(), edge_weight).to(edge_index.device)
    nodes = torch.arange(num_nodes, device=edge_index.device)
    return Schedule(
        num_nodes=num_nodes,
        edge_index=edge_index[:, sorting],
        edge_weight=None if edge_weight is None else edge_weight[sorting],
        edge_id=sorting,
        order=None,
        step_sizes=(num_nodes,),
        edge_sizes=(edge_index.size(1),),
        starts=nodes,
        ends=nodes,
        rounds=rounds,
    )
