r"""Cells that are linear in the state, frontier by frontier, and their gradients.

.. math:: h_i = a_i \odot \sum_j w_{ji} h_j + b_i

Letters: N nodes, E edges, H hidden channels, G gates, B rows of initial state.
"""

import torch
from torch import Tensor

from gnnseq.kernels.cell import Cell
from gnnseq.kernels.frontier_steps import CellGradients, Fronts, make_nodes
from gnnseq.kernels.linear_gates import keep_and_add, sum_of_gates

__all__ = ["linear_backward", "linear_forward"]


def linear_forward(cell: Cell, projection: Tensor, initial: Tensor, fronts: Fronts) -> tuple[Tensor, ...]:
    """States [N + B, H], what nodes read unless it is rows of these, and the input projection."""
    keep, added = keep_and_add(cell, projection)
    h = make_nodes(len(projection), initial)
    summed = fronts.make_summed(keep)
    for front in fronts.steps:
        rows = front.rows
        if front.reads:
            torch.addcmul(added[rows], keep[rows], front.read(h, summed), out=h[rows])
        else:
            h[rows] = added[rows]
    return h, summed, projection


def linear_backward(cell: Cell, grad: Tensor, kept: tuple[Tensor, ...], fronts: Fronts) -> CellGradients:
    """Gradients from those of the states [N, H] and of what the forward pass kept."""
    h, summed, projection = kept
    *gates, candidate = projection.chunk(cell.gates, dim=1)
    total = sum_of_gates(cell, projection)
    keep, write = torch.sigmoid(-total), torch.sigmoid(total)  # each for itself: 1 - keep would be rounded to nothing
    d_projection = torch.empty_like(projection)
    *d_gates, d_candidate = d_projection.chunk(cell.gates, dim=1)
    flow = fronts.backflow(grad, h)
    for front in reversed(fronts.steps):
        rows = front.rows
        d_h = flow.arrived(front)
        read = front.read_again(h, summed) if front.reads else 0.0
        torch.mul(d_h, write[rows], out=d_candidate[rows])
        d_gates[0][rows] = d_h * (candidate[rows] - read)
        if front.reads:
            flow.send(front, d_h * keep[rows], h)
    d_total = d_gates[0] * write * keep  # of the sum whose sigmoid is what is written
    if len(d_gates) == 1:
        d_gates[0].copy_(d_total)
    else:
        torch.mul(d_total, -torch.sigmoid(-gates[0]), out=d_gates[0])
        torch.mul(d_total, torch.sigmoid(-gates[1]), out=d_gates[1])
    d_bias = d_projection.sum(0)
    return CellGradients(d_projection, h.new_zeros(0, h.size(1)), d_bias, flow.initial, flow.edge_weight)
