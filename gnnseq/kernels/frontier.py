"""Sweeps over paths, trees and directed acyclic graphs, frontier by frontier.

Each step's nodes are rows next to one another, so a step is a gather from earlier rows, a product and a write; on paths
the gather is a slice. The backward passes are derived by hand: states are stored once, and every weight's gradient is
one product over all nodes.

Letters: N nodes, B rows of state, G gates, H hidden channels, S state width.
"""

from typing import Any

import torch
from torch import Tensor

from gnnseq.kernels.autograd_state import outside_autocast
from gnnseq.kernels.cell import Cell, CellWeights, Loop
from gnnseq.kernels.double_backward import double_backward, refuse_batch
from gnnseq.kernels.final_states import place_final, read_final
from gnnseq.kernels.frontier_gru import gru_backward, gru_forward
from gnnseq.kernels.frontier_linear import linear_backward, linear_forward
from gnnseq.kernels.frontier_lstm import lstm_backward, lstm_forward, swap_gates
from gnnseq.kernels.frontier_rnn import rnn_backward, rnn_forward
from gnnseq.kernels.frontier_steps import CellGradients, Fronts, make_fronts
from gnnseq.kernels.input_projection import input_kernel_gradient, project_inputs, split_bias
from gnnseq.kernels.saved import recall, save
from gnnseq.schedule import Schedule

__all__ = ["cell_backward", "cell_forward", "frontier_sweep", "in_order"]


def frontier_sweep(
    cell: Cell, x: Tensor, schedule: Schedule, initial: Tensor | None, weights: CellWeights, loop: Loop
) -> tuple[Tensor, Tensor]:
    """Sweeps any graph whose nodes are numbered in firing order, as :data:`gnnseq.kernels.dispatch.Kernel` says."""
    swept = schedule if initial is None else schedule.with_state_edges
    states: Tensor = _Sweep.apply(cell, loop, swept, x, initial, swept.edge_weight, *weights)
    last = states.index_select(0, read_final(schedule))
    return states[:, : weights.weight_hh.size(1)], place_final(schedule, initial, last)


class _Sweep(torch.autograd.Function):
    """The states of all nodes [N, S] from x, the initial states [B, S], the edge weights and the parameters."""

    @staticmethod
    def forward(
        ctx: Any,
        cell: Cell,
        loop: Loop,
        schedule: Schedule,
        x: Tensor,
        initial: Tensor | None,
        edge_weight: Tensor | None,
        *weights: Any,
    ) -> Tensor:
        weight_ih, weight_hh, bias_ih, bias_hh = weights
        weight = None if edge_weight is None else edge_weight.to(weight_hh.dtype)
        fronts = make_fronts(schedule, weight, *ctx.needs_input_grad[4:6])
        first = weight_hh.new_empty(0, cell.states * weight_hh.size(1)) if initial is None else fronts.enter(initial)
        bias, inner_bias = split_bias(cell, bias_ih, bias_hh, weight_hh)
        projection = project_inputs(x, in_order(cell, weight_ih), None if bias is None else in_order(cell, bias))
        states, kept = cell_forward(cell, projection, in_order(cell, weight_hh), inner_bias, first, fronts)
        save(ctx, schedule, x, initial, edge_weight, weight_ih, weight_hh, bias_ih, bias_hh, *kept)
        ctx.cell, ctx.loop, ctx.schedule, ctx.fronts = cell, loop, schedule, fronts
        return states[: len(projection)]

    @staticmethod
    @outside_autocast
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        saved, grad = recall(ctx), grad.resolve_neg()  # compiled code reads numbers as they lie in memory
        if torch.is_grad_enabled():
            return None, None, None, *double_backward(ctx.loop, ctx.schedule, tuple(saved[:7]), grad)
        refuse_batch(grad)
        x, initial, edge_weight, weight_ih, weight_hh, bias_ih, bias_hh = saved[:7]
        kept = [tensor.contiguous() for tensor in saved[7:]]  # hooks on saved tensors may change strides
        cell, fronts, needs = ctx.cell, ctx.fronts, ctx.needs_input_grad[3:]
        weight_ih, weight_hh = in_order(cell, weight_ih), in_order(cell, weight_hh)
        found = cell_backward(cell, grad, kept, weight_hh, fronts)
        d_projection = found.input_projection
        d_weight_ih = input_kernel_gradient(d_projection, x, weight_ih.size(1)) if needs[3] else None
        return (
            None,
            None,
            None,
            d_projection @ weight_ih if needs[0] else None,
            None if initial is None else fronts.leave(found.initial, initial),
            found.edge_weight.to(edge_weight.dtype) if needs[2] else None,
            None if d_weight_ih is None else in_order(cell, d_weight_ih),
            in_order(cell, found.weight_hh),
            None if bias_ih is None else in_order(cell, d_projection.sum(0)),
            None if bias_hh is None else in_order(cell, found.bias_hh),
        )


def cell_forward(
    cell: Cell, projection: Tensor, weight_hh: Tensor, inner_bias: Tensor, first: Tensor, fronts: Fronts
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """States of nodes and below them the initial ones [N + B, S], and what the backward pass needs."""
    if cell.name == "lstm":
        kept = lstm_forward(projection, weight_hh, first, fronts)
        return torch.cat(kept[:2], dim=1), kept
    if cell.linear:
        kept = linear_forward(cell, projection, first, fronts)
    elif cell.name == "gru":
        kept = gru_forward(projection, weight_hh, inner_bias, first, fronts)
    else:
        kept = rnn_forward(projection, weight_hh, first, fronts, cell.name.removeprefix("rnn_"))
    return kept[0], kept


def cell_backward(cell: Cell, grad: Tensor, kept: Any, weight_hh: Tensor, fronts: Fronts) -> CellGradients:
    """Gradients from those of the states of nodes [N, S] and of what the forward pass kept."""
    if cell.name == "lstm":
        return lstm_backward(grad, kept, weight_hh, fronts)
    if cell.name == "gru":
        return gru_backward(grad, kept, weight_hh, fronts)
    if cell.linear:
        return linear_backward(cell, grad, kept, fronts)
    return rnn_backward(grad, kept, weight_hh, fronts, cell.name.removeprefix("rnn_"))


def in_order(cell: Cell, rows: Tensor) -> Tensor:
    """A parameter's rows in the kernel's order of gates, or back in torch's."""
    return swap_gates(rows) if cell.name == "lstm" else rows
