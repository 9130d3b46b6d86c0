r"""The LSTM on unweighted paths, step by step, and its gradient.

.. math::
    (f_i, i_i, o_i, g_i) = (\sigma, \sigma, \sigma, \tanh)(W x_i + b + U h_{i-1}), \qquad
    c_i = f_i \odot c_{i-1} + i_i \odot g_i, \qquad h_i = o_i \odot \tanh c_i

The paths that live on are the first rows of every step. So a step is one product for all four gates, on slices, and
one pass over the cells; the weights' gradients are one product over all nodes.

Letters: N nodes, F input channels, B paths that are not empty, H hidden channels; n paths alive in a step. Gates have
the order f, i, o, g.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gnnseq.kernels.derivative import differentiably
from gnnseq.kernels.frontier_lstm import swap_gates
from gnnseq.kernels.inputs import add_input_kernel_gradient, input_term
from gnnseq.kernels.native import native
from gnnseq.kernels.precision import outside_autocast
from gnnseq.schedule import Schedule

if TYPE_CHECKING:
    from gnnseq.layers.recurrent import CellWeights, Recurrent

__all__ = ["path_lstm_sweep"]

# Numbers in the gradients of a run of steps' gates: 1 MiB of float32, which stays in a core's cache while it is used.
CHUNK = 1 << 18


def path_lstm_sweep(
    layer: "Recurrent", x: Tensor, schedule: Schedule, initial: Tensor | None, weights: "CellWeights"
) -> tuple[Tensor, Tensor]:
    """Sweeps paths whose nodes are numbered in firing order; arguments and results as :func:`gnnseq.kernels.sweep`."""
    rows, width = schedule.rows, layer.state_channels
    entering = None if initial is None else initial.index_select(0, rows)
    h, h_last, c_last = _PathLSTM.apply(layer, schedule, x, entering, *weights)
    everything = h.new_zeros(schedule.starts.numel(), width) if initial is None else initial
    return h, everything.index_copy(0, rows, torch.cat([h_last, c_last], dim=1))


class _PathLSTM(torch.autograd.Function):
    """h of all nodes [N, H], then h and c of the paths' last nodes, longest path first [B, H]."""

    @staticmethod
    def forward(
        ctx: Any,
        layer: "Recurrent",
        schedule: Schedule,
        x: Tensor,
        entering: Tensor | None,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor | None,
        bias_hh: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        bias = None if bias_ih is None or bias_hh is None else swap_gates(bias_ih + bias_hh)
        gates = input_term(x, swap_gates(weight_ih), bias)
        hidden, alive = weight_hh.size(1), list(schedule.step_sizes)
        h = gates.new_empty(gates.size(0), hidden)
        c, tanh_c = torch.empty_like(h), torch.empty_like(h)
        kernel = swap_gates(weight_hh).t().contiguous()
        h_before, c_before = _enter(entering, h, alive[0])
        fused = native("lstm_forward", gates, gates.numel())
        reads = entering is not None
        for own in zip(*(part.split(alive) for part in (gates, c, tanh_c, h)), strict=True):
            paths = own[0].size(0)
            if reads:
                own[0].addmm_(h_before[:paths], kernel)
            if fused is None:
                _fire(own[0], c_before[:paths], *own[1:])
            else:
                fused(paths, hidden, own[0], c_before, *own[1:])
            _, c_before, _, h_before = own
            reads = True
        ctx.save_for_backward(x, entering, weight_ih, weight_hh, bias_ih, bias_hh, gates, c, tanh_c, h)
        ctx.layer, ctx.schedule = layer, schedule
        ends = schedule.ends.index_select(0, schedule.rows)
        return h, h.index_select(0, ends), c.index_select(0, ends)

    @staticmethod
    @outside_autocast
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors  # once: torch's checkpoint computes them at this word
        x, entering, weight_ih, weight_hh, bias_ih, _ = inputs = saved[:6]
        gates, c, tanh_c, h = saved[6:]
        schedule: Schedule = ctx.schedule
        alive = list(schedule.step_sizes)
        d_h, *d_last = (
            h.new_zeros(shape) if grad is None else grad
            for grad, shape in zip(grads, [h.shape, *[(alive[0], h.size(1))] * 2], strict=True)
        )
        if torch.is_grad_enabled():
            ends = schedule.ends.index_select(0, schedule.rows)
            d_states = torch.cat([d_h, torch.zeros_like(d_h)], dim=1).index_add(0, ends, torch.cat(d_last, dim=1))
            inputs = (x, entering, None, *inputs[2:])
            d_x, d_entering, _, *d_weights = differentiably(ctx.layer, schedule, inputs, d_states)
            return None, None, d_x, d_entering, *d_weights
        hidden = h.size(1)
        flow_h, flow_c = (part.clone(memory_format=torch.contiguous_format) for part in d_last)
        kernel, input_kernel = swap_gates(weight_hh), swap_gates(weight_ih)
        h_first, c_first = _enter(entering, h, alive[0])
        steps = [part.split(alive) for part in (gates, tanh_c, d_h.contiguous())]
        c_before = (c_first, *c.split(alive)[:-1])
        needs = ctx.needs_input_grad[2:]
        d_x = x.new_empty(x.shape) if needs[0] else None
        d_input_kernel = gates.new_zeros(input_kernel.size(1), gates.size(1)).t()  # rows of indices are added up
        d_kernel = torch.zeros_like(kernel)
        d_bias = gates.new_zeros(gates.size(1))
        fused = native("lstm_backward", gates, gates.numel())
        chunks = _chunks(schedule, CHUNK // gates.size(1))
        room = gates.new_empty(max(rows.stop - rows.start for _, rows in chunks), gates.size(1))
        for span, rows in reversed(chunks):
            d_gates = room[: rows.stop - rows.start]
            for step, d_gate in zip(
                reversed(span), reversed(d_gates.split(alive[span.start : span.stop])), strict=True
            ):
                gate, tanh, d_own = (part[step] for part in steps)
                paths = alive[step]
                if fused is None:
                    _fire_back(gate, c_before[step][:paths], tanh, d_own, flow_h[:paths], flow_c[:paths], d_gate)
                else:
                    fused(paths, hidden, gate, c_before[step], tanh, d_own, flow_h, flow_c, d_gate)
                if step > 0 or entering is not None:
                    torch.mm(d_gate, kernel, out=flow_h[:paths])
            if d_x is not None:
                torch.mm(d_gates, input_kernel, out=d_x[rows])
            add_input_kernel_gradient(d_input_kernel, d_gates, x[rows])
            d_bias += d_gates.sum(0)
            if span.start == 0:
                if entering is not None:
                    d_kernel.addmm_(d_gates[: alive[0]].t(), h_first)
                d_gates, rows = d_gates[alive[0] :], slice(alive[0], rows.stop)
            read = schedule.edge_index[0, rows.start - alive[0] : rows.stop - alive[0]]  # an edge for each later node
            equal = alive[0] == alive[-1]
            h_read = h[rows.start - alive[0] : rows.stop - alive[0]] if equal else h.index_select(0, read)
            d_kernel.addmm_(d_gates.t(), h_read)
        return (
            None,
            None,
            d_x,
            None if entering is None else torch.cat([flow_h, flow_c], dim=1),
            swap_gates(d_input_kernel),
            swap_gates(d_kernel),
            *[None if bias_ih is None else swap_gates(d_bias)] * 2,
        )


def _chunks(schedule: Schedule, most: int) -> list[tuple[range, slice]]:
    """Runs of steps and their nodes: at most so many, or one step."""
    offsets, chunks, first = schedule.node_offsets, [], 0
    for step in range(1, len(offsets)):
        if step == len(offsets) - 1 or offsets[step + 1] - offsets[first] > most:
            chunks.append((range(first, step), slice(offsets[first], offsets[step])))
            first = step
    return chunks


def _enter(entering: Tensor | None, h: Tensor, paths: int) -> tuple[Tensor, Tensor]:
    """What the first step reads: h and c. [B, H]"""
    if entering is None:
        zeros = h.new_zeros(paths, h.size(1))
        return zeros, zeros
    h_first, c_first = entering.chunk(2, dim=1)
    return h_first.contiguous(), c_first.contiguous()


def _fire(gates: Tensor, c_before: Tensor, c: Tensor, tanh_c: Tensor, h: Tensor) -> None:
    """``lstm_forward`` of cells.c by torch."""
    hidden = h.size(1)
    gates[:, : 3 * hidden].sigmoid_()
    f, i, o, g = gates.chunk(4, dim=1)
    torch.mul(i, g.tanh_(), out=c).addcmul_(f, c_before)
    torch.mul(o, torch.tanh(c, out=tanh_c), out=h)


def _fire_back(
    gates: Tensor, c_before: Tensor, tanh_c: Tensor, d_h: Tensor, flow_h: Tensor, flow_c: Tensor, d_gates: Tensor
) -> None:
    """``lstm_backward`` of cells.c by torch."""
    hidden = d_h.size(1)
    f, i, o, g = gates.chunk(4, dim=1)
    d_f, d_i, d_o, d_g = d_gates.chunk(4, dim=1)
    d_h = d_h + flow_h
    d_c = torch.ops.aten.tanh_backward(d_h * o, tanh_c).add_(flow_c)
    torch.mul(d_c, c_before, out=d_f)
    torch.mul(d_c, g, out=d_i)
    torch.mul(d_h, tanh_c, out=d_o)
    sums = d_gates[:, : 3 * hidden]
    torch.ops.aten.sigmoid_backward.grad_input(sums, gates[:, : 3 * hidden], grad_input=sums)
    torch.ops.aten.tanh_backward.grad_input(d_c * i, g, grad_input=d_g)
    torch.mul(d_c, f, out=flow_c)
