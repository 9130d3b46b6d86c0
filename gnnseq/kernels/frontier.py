"""Sweeps over paths, trees and directed acyclic graphs, frontier by frontier.

Each step's nodes are rows next to one another, so a step is a gather from earlier rows, a product and a write; on paths
the gather is a slice. The backward passes are derived by hand: states are stored once, and every weight's gradient is
one product over all nodes.

Letters: N nodes, B rows of state, G gates, H hidden channels, S state width.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gnnseq.kernels.double_backward import differentiably, refuse_batch
from gnnseq.kernels.frontier_gru import gru_backward, gru_forward
from gnnseq.kernels.frontier_lstm import lstm_backward, lstm_forward, swap_gates
from gnnseq.kernels.frontier_rnn import rnn_backward, rnn_forward
from gnnseq.kernels.frontier_steps import CellGradients, Fronts
from gnnseq.kernels.fused_tree import can_fuse_tree, fused_tree_sweep
from gnnseq.kernels.input_projection import input_kernel_gradient, input_term, split_bias
from gnnseq.kernels.precision import outside_autocast
from gnnseq.schedule import Schedule

if TYPE_CHECKING:
    from gnnseq.layers.recurrent import CellWeights, Recurrent

__all__ = ["frontier_sweep"]


def frontier_sweep(
    layer: "Recurrent", x: Tensor, schedule: Schedule, initial: Tensor | None, weights: "CellWeights"
) -> tuple[Tensor, Tensor]:
    """Sweeps any graph whose nodes are numbered in firing order, as :func:`gnnseq.kernels.sweep`."""
    readout_rows = schedule.readout_rows
    if initial is not None:
        schedule = schedule.with_state_edges
    all_end = readout_rows.numel() == schedule.ends.numel()
    ends = schedule.ends if all_end else schedule.ends[readout_rows]
    if can_fuse_tree(layer, x, schedule, initial, weights):
        h, last = fused_tree_sweep(layer, x, schedule, initial, weights, ends)
    else:
        states: Tensor = _Sweep.apply(layer, schedule, x, initial, schedule.edge_weight, *weights)
        h, last = states[:, : layer.hidden_channels], states.index_select(0, ends)
    if all_end:
        return h, last
    # Other states pass through.
    everything = h.new_zeros(schedule.ends.numel(), last.size(1)) if initial is None else initial
    return h, everything.index_copy(0, readout_rows, last)


class _Sweep(torch.autograd.Function):
    """The states of all nodes [N, S] from x, the initial states [B, S], the edge weights and the parameters."""

    @staticmethod
    def forward(
        ctx: Any,
        layer: "Recurrent",
        schedule: Schedule,
        x: Tensor,
        initial: Tensor | None,
        edge_weight: Tensor | None,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor | None,
        bias_hh: Tensor | None,
    ) -> Tensor:
        weight = None if edge_weight is None else edge_weight.to(weight_hh.dtype)
        fronts = Fronts.of(schedule, weight, *ctx.needs_input_grad[3:5])
        first = weight_hh.new_empty(0, layer.state_channels) if initial is None else initial
        bias, inner_bias = split_bias(layer.kind, bias_ih, bias_hh, weight_hh)
        in_order = _gate_order(layer.kind)
        term = input_term(x, in_order(weight_ih), None if bias is None else in_order(bias))
        if layer.kind == "lstm":
            kept = lstm_forward(term, in_order(weight_hh), first, fronts)
            states = torch.cat(kept[:2], dim=1)
        elif layer.kind == "gru":
            kept = gru_forward(term, weight_hh, inner_bias, first, fronts)
            states = kept[0]
        else:
            kept = rnn_forward(term, weight_hh, first, fronts, layer.kind.removeprefix("rnn_"))
            states = kept[0]
        ctx.save_for_backward(x, initial, schedule.edge_weight, weight_ih, weight_hh, bias_ih, bias_hh, *kept)
        ctx.layer, ctx.schedule, ctx.fronts = layer, schedule, fronts
        return states[: len(term)]

    @staticmethod
    @outside_autocast
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors  # once: torch's checkpoint computes them at this word
        inputs: tuple[Tensor | None, ...] = saved[:7]
        kept: Any = saved[7:]
        if torch.is_grad_enabled():
            return None, None, *differentiably(ctx.layer, ctx.schedule, inputs, grad)
        refuse_batch(grad)
        x, initial, edge_weight, weight_ih, weight_hh, bias_ih, _ = inputs
        assert isinstance(x, Tensor)
        assert isinstance(weight_ih, Tensor)
        assert isinstance(weight_hh, Tensor)
        fronts: Fronts = ctx.fronts
        kind = ctx.layer.kind
        in_order = _gate_order(kind)
        weight_ih, weight_hh = in_order(weight_ih), in_order(weight_hh)
        found: CellGradients
        if kind == "lstm":
            found = lstm_backward(grad, kept, weight_hh, fronts)
        elif kind == "gru":
            found = gru_backward(grad, kept, weight_hh, fronts)
        else:
            found = rnn_backward(grad, kept, weight_hh, fronts, kind.removeprefix("rnn_"))
        needs = ctx.needs_input_grad[2:]
        d_edge = None
        if edge_weight is not None and fronts.learns_weights:
            d_edge = found.edge_weight.to(edge_weight.dtype)
        return (
            None,
            None,
            found.term @ weight_ih if needs[0] else None,
            None if initial is None else found.initial,
            d_edge,
            in_order(input_kernel_gradient(found.term, x, weight_ih.size(1))) if needs[3] else None,
            in_order(found.weight_hh),
            None if bias_ih is None else in_order(found.term.sum(0)),
            None if bias_ih is None else in_order(found.bias_hh),
        )


def _gate_order(kind: str) -> Callable[[Tensor], Tensor]:
    """What brings a parameter's rows into the kernel's order of gates, and back."""
    return swap_gates if kind == "lstm" else lambda rows: rows
