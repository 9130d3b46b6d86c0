"""Firing every node once, after all of its predecessors: recurrent networks.

Letters: N nodes, E edges.
"""

import numpy as np
import torch
from torch import Tensor

from gnnseq.graphs import as_edge_index
from gnnseq.schedule.edge_order import canonical_order
from gnnseq.schedule.inference import outside_inference
from gnnseq.schedule.levels import levels, path_heads
from gnnseq.schedule.schedule import Schedule

__all__ = ["topological"]


@outside_inference()
def topological(edge_index: Tensor, num_nodes: int, edge_weight: Tensor | None = None) -> Schedule:
    """Fires every node once, after all of its predecessors: step l is the nodes whose longest path from a source is l.

    On a path this is a recurrent network's sweep, on a tree the sweep from the leaves to the root. The result does not
    depend on the order in which the edges are listed.

    Args:
        edge_index: Edges of a directed acyclic graph, in any form of :func:`gnnseq.graphs.as_edge_index`. [2, E]
        num_nodes: Number of nodes N.
        edge_weight: A factor for every message. Where these are learnt, make the schedule anew in every training step:
            it holds what they were computed from. [E]

    Returns:
        The schedule. Paths take O(N log N) vectorised work, and so do trees; other graphs one vectorised pass a level.

    Raises:
        ValueError: If the graph has a cycle (its edges are named), or the edges are malformed.

    Example:
        >>> schedule = topological(torch.tensor([[0, 1, 2], [2, 2, 3]]), num_nodes=4)
        >>> [step.nodes.tolist() for step in schedule]
        [[0, 1], [2], [3]]
    """
    edge_index, edge_weight = as_edge_index(edge_index, num_nodes, edge_weight)
    device, edges = edge_index.device, edge_index.cpu().numpy()
    level = levels(edges, num_nodes)
    in_degree, out_degree = (np.bincount(edges[end], minlength=num_nodes) for end in (1, 0))
    starts, ends = (in_degree == 0).nonzero()[0], (out_degree == 0).nonzero()[0]
    lengths = None
    if edges.size == 0 or max(in_degree.max(), out_degree.max()) <= 1:
        # Paths: within a level the longest comes first, so that the living ones are always a prefix.
        head = path_heads(edges, num_nodes)
        size = np.bincount(head, minlength=num_nodes)
        rank = np.empty(num_nodes, dtype=np.int64)
        rank[starts[np.argsort(-size[starts], kind="stable")]] = np.arange(len(starts))
        order = np.lexsort((rank[head], level))
        tail = np.empty(num_nodes, dtype=np.int64)
        tail[head[ends]] = ends
        ends, lengths = tail[starts], tuple(size[starts].tolist())
    else:
        order = np.argsort(level, kind="stable")
    place = np.empty(num_nodes, dtype=np.int64)
    place[order] = np.arange(num_nodes)
    sorting = canonical_order(place[edges], edge_weight).to(edge_index.device)
    return Schedule(
        num_nodes=num_nodes,
        edge_index=edge_index[:, sorting],
        edge_weight=None if edge_weight is None else edge_weight[sorting],
        edge_id=sorting,
        order=None if bool((order == np.arange(num_nodes)).all()) else torch.from_numpy(order).to(device),
        step_sizes=tuple(np.bincount(level).tolist()) if num_nodes else (),
        edge_sizes=tuple(np.bincount(level[edges[1]], minlength=level.max() + 1).tolist()) if num_nodes else (),
        starts=torch.from_numpy(starts).to(device),
        ends=torch.from_numpy(ends).to(device),
        lengths=lengths,
    )
