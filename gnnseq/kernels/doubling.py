"""Doubling: linear recurrences in log D rounds of torch's operations, on any device.

Letters: N nodes, E edges of a round, F input channels, H hidden channels, B rows of initial state;
t steps and b paths of a block.
"""

import torch
from torch import Tensor

from gnnseq.kernels.cell import Cell, CellWeights, Loop
from gnnseq.kernels.final_states import place_final, read_final
from gnnseq.kernels.input_projection import project_inputs
from gnnseq.kernels.linear_gates import keep_and_add
from gnnseq.schedule import Schedule

__all__ = ["doubled", "doubling_sweep", "scan_steps"]


def doubled(keep: Tensor, added: Tensor, schedule: Schedule) -> Tensor:
    """States h of all nodes after the rounds of a doubling schedule, from zero initial states. [N, H]

    Args:
        keep: The factor of what each node reads. [N, H]
        added: What each node adds. [N, H]
        schedule: Whose rounds are gone through; nodes in its order.
    """
    h, factor = added, keep
    for jumps in schedule.jumps:
        source, target = jumps.edge_index
        if jumps.first is None or jumps.second is None:  # the graph's own edges
            factor = keep.index_select(0, target)
            if schedule.edge_weight is not None:
                factor = factor * schedule.edge_weight.to(keep.dtype).unsqueeze(1)
        else:
            factor = factor.index_select(0, jumps.first) * factor.index_select(0, jumps.second)
        h = h.index_add(0, target, factor * h.index_select(0, source))
    return h


def doubling_sweep(
    cell: Cell, x: Tensor, schedule: Schedule, initial: Tensor | None, weights: CellWeights, _loop: Loop
) -> tuple[Tensor, Tensor]:
    """A linear cell on a doubling schedule, as :data:`gnnseq.kernels.dispatch.Kernel` says. Torch differentiates it."""
    keep, added = keep_and_add(cell, project_inputs(x, weights.weight_ih, weights.bias_ih))
    if initial is not None:  # a first node reads its row of state and nothing else, so that this is what it adds
        node = schedule.starts.index_select(0, schedule.rows)
        entering = initial.index_select(0, schedule.rows)
        added = added.index_add(0, node, keep.index_select(0, node) * entering)
    h = doubled(keep, added, schedule)
    return h, place_final(schedule, initial, h.index_select(0, read_final(schedule)))


def scan_steps(keep: Tensor, added: Tensor, state: Tensor) -> Tensor:
    """States h of equal paths by doubling, over the first axis in place of a schedule. [t, b, H]

    Args:
        keep: The factor of what each step reads. [t, b, H]
        added: What each step adds. [t, b, H]
        state: What the first step reads. [b, H]
    """
    h, factor, span = torch.cat([added[:1] + keep[:1] * state, added[1:]]), keep, 1
    while span < len(keep):
        h = torch.cat([h[:span], h[span:] + factor[span:] * h[:-span]])
        factor = torch.cat([factor[:span], factor[span:] * factor[:-span]])
        span *= 2
    return h
