"""The schedule of recurrences whose states go over a graph's edges from every step to the next.

Letters: T time steps, N nodes, E edges, D edges of the schedule; K nodes of the graph that is given: N, or T * N where
it is the graphs of all steps side by side.
"""

import torch
from torch import Tensor

from gnnseq.schedule.schedule import Schedule

__all__ = ["space_time_schedule"]


def space_time_schedule(
    edge_index: Tensor, listed: Tensor, num_nodes: int, mask: Tensor, states_enter: bool
) -> tuple[Schedule, Tensor]:
    """The sweep of the nodes that are there, step by step; each reads the last states of its sources and its own.

    Row i of the state is node i's, before the first step or after the last. Without masks and an initial state it is
    :func:`gnnseq.topological` of :func:`gnnseq.graphs.space_time_graph`.

    Args:
        edge_index: Edges of every step, or from t * N + j to t * N + i of step t, none of nodes that are away. [2, E]
        listed: Their places in the caller's list. [E]
        num_nodes: K.
        mask: Which nodes are there. Boolean [T, N].
        states_enter: Whether there is an initial state.

    Returns:
        The schedule, without weights, and the places of its edges among those of :func:`gnnseq.normalization.gcn_normalize`:
        the given ones and K self-loops. [D]
    """
    (steps, nodes), device, there = mask.shape, mask.device, mask.flatten()
    source, target = torch.cat([edge_index, torch.arange(num_nodes, device=device).expand(2, -1)], dim=1)
    edge = (target * num_nodes + source).argsort(stable=True)
    # A self-loop that was listed goes: its weight moved to the end, see gcn_normalize.
    edge = edge[(source != target)[edge] | (edge >= len(listed))]
    first = torch.arange(0, steps * nodes, max(num_nodes, 1), device=device).unsqueeze(1)
    source, target = (source[edge] + first).flatten(), (target[edge] + first).flatten()
    edge = edge.repeat(len(first))

    place = (there.cumsum(0) - 1).masked_fill(~there, -1).view(steps, nodes)
    last = torch.cat([place.new_full((1, nodes), -1), place]).cummax(0).values  # before each step, and after all
    present, row = int(there.sum()), torch.arange(nodes, device=device)
    source = torch.where(last[:-1] < 0, present + row, last[:-1]).flatten()[source]
    kept = there[target] if states_enter else there[target] & (source < present)
    source, target, edge = source[kept], target[kept], edge[kept]
    alive = mask.any(1)
    schedule = Schedule(
        num_nodes=present,
        edge_index=torch.stack([source, place.flatten()[target]]),
        edge_weight=None,
        edge_id=torch.cat([listed, listed.new_full((num_nodes,), -1)])[edge],
        order=None,
        step_sizes=tuple(mask.sum(1)[alive].tolist()),
        edge_sizes=tuple(torch.bincount(target // max(nodes, 1), minlength=steps)[alive].tolist()),
        starts=torch.full_like(row, -1),
        ends=last[-1],
    )
    return schedule, edge
