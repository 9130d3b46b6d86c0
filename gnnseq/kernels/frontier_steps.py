"""The steps of a sweep as rows and edges, and what kernels of all cells share.

What a kernel asks of steps is the same on paths (:mod:`gnnseq.kernels.frontier_paths`), whose sources are a slice of
rows, and on any other graph (:mod:`gnnseq.kernels.frontier_graphs`), whose sources are listed. Initial states are rows
below those of the nodes, read along edges as any other.

Letters: N nodes, E edges, H hidden channels, G gates, S state width, B rows of initial state.
"""

from typing import NamedTuple

from torch import Tensor

from gnnseq.kernels.frontier_graphs import GraphFronts
from gnnseq.kernels.frontier_paths import PathFronts
from gnnseq.schedule import Schedule

__all__ = ["CellGradients", "Fronts", "make_fronts", "make_nodes"]

Fronts = PathFronts | GraphFronts


def make_fronts(schedule: Schedule, weight: Tensor | None, learns_initial: bool, learns_weights: bool) -> Fronts:
    """The steps of a schedule whose nodes are numbered in firing order, with weights of the edges [E]."""
    if schedule.lengths is not None:
        return PathFronts(schedule, weight, learns_weights)
    return GraphFronts(schedule, weight, learns_initial, learns_weights)


class CellGradients(NamedTuple):
    """What a cell's backward pass returns."""

    input_projection: Tensor  # [N, G * H]
    weight_hh: Tensor  # [G * H, H]
    bias_hh: Tensor  # [G * H]
    initial: Tensor  # [B, S]
    edge_weight: Tensor  # empty if the weights are not learnt. [E]


def make_nodes(nodes: int, initial: Tensor) -> Tensor:
    """Room for the states of nodes, above the initial ones. [N + B, H]"""
    made = initial.new_empty(nodes + len(initial), initial.size(1))
    made[nodes:] = initial
    return made
