r"""Sweeps over unweighted paths in compiled code, and their gradients: one call forward, a few back.

What nodes contribute to their own gates is one product over all of them, made by torch before the sweep; so are the
gradients of all parameters and inputs, after it. The sweep is what lies between: products with the states that are
read, and cells, in ``c/paths.c``. Gates have torch's order.

Letters: N nodes, F input channels, B paths that are not empty, H hidden channels, S states, G gates, D gradients of
sums, T steps.
"""

import ctypes
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gnnseq.kernels.autograd_state import outside_autocast
from gnnseq.kernels.double_backward import differentiably, refuse_batch
from gnnseq.kernels.input_projection import add_input_kernel_gradient, input_term, is_index, split_bias
from gnnseq.kernels.native.build import gemm, is_plain, library, library_for
from gnnseq.schedule import Schedule

if TYPE_CHECKING:
    from gnnseq.layers.recurrent import CellWeights, Recurrent

__all__ = ["can_fuse", "fused_path_sweep"]

# Numbers in the gradients of a run of steps' sums: 1 MiB of float32, which stays in a core's cache while it is used.
CHUNK = 1 << 18


class Sweep(ctypes.Structure):
    """What the functions of ``c/paths.c`` are given; described there."""

    _fields_ = (
        ("gemm", ctypes.c_void_p),
        *((name, ctypes.c_ssize_t) for name in ("threads", "begin", "end", "H", "reads_first")),
        *((name, ctypes.c_void_p) for name in ("offsets", "kernel", "bias", "first", "scratch", "gates")),
        *((name, ctypes.c_void_p) for name in ("h", "c", "tanh_c", "inner", "d_h", "flow", "d_sums")),
    )


@dataclass(frozen=True)
class Rule:
    """How a recurrence is laid out.

    Attributes:
        gates: G.
        sums: D; a GRU's candidate has a sum inside its reset gate beside the one that it is in.
        kept: Names of the tensors [N, H] that the backward pass needs, the new states first. The first is the input
            term itself where that has one gate, which becomes the state.
        states: S.
    """

    gates: int
    sums: int
    kept: tuple[str, ...]
    states: int = 1


RULES = {
    "rnn_tanh": Rule(1, 1, ("h",)),
    "rnn_relu": Rule(1, 1, ("h",)),
    "gru": Rule(3, 4, ("h", "inner")),
    "lstm": Rule(4, 4, ("h", "c", "tanh_c"), states=2),
}


def can_fuse(layer: "Recurrent", x: Tensor, initial: Tensor | None, weights: "CellWeights") -> bool:
    """Whether there is compiled code for these tensors, worth a compiler's run."""
    given = [tensor for tensor in (x, initial, *weights) if tensor is not None and not is_index(tensor)]
    hidden, width = layer.hidden_channels, RULES[layer.kind].gates * layer.hidden_channels
    fits = weights.weight_hh.shape == (width, hidden) and weights.weight_ih.size(0) == width
    compiled = library_for(weights.weight_hh, x.size(0) * layer.state_channels) is not None and gemm() is not None
    return compiled and fits and all(is_plain(tensor) for tensor in given)


def fused_path_sweep(
    layer: "Recurrent", x: Tensor, schedule: Schedule, initial: Tensor | None, weights: "CellWeights"
) -> tuple[Tensor, Tensor]:
    """Sweeps paths whose nodes are numbered in firing order; arguments and results as :func:`gnnseq.kernels.sweep`."""
    rows = schedule.rows
    entering = None if initial is None else initial.index_select(0, rows)
    h, *last = _FusedPath.apply(layer, schedule, x, entering, *weights)
    everything = h.new_zeros(schedule.starts.numel(), layer.state_channels) if initial is None else initial
    return h, everything.index_copy(0, rows, torch.cat(last, dim=1))


class _FusedPath(torch.autograd.Function):
    """h of all nodes [N, H], then of the paths' last nodes, longest path first: h, and c of an LSTM [B, H]."""

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
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        rule, hidden = RULES[layer.kind], weight_hh.size(1)
        bias, inner_bias = split_bias(layer.kind, bias_ih, bias_hh, weight_hh)
        gates = input_term(x, weight_ih, bias)
        offsets = torch.tensor(schedule.node_offsets, device="cpu")  # whatever device is torch's default
        kept = [gates] if rule.gates == 1 else [gates.new_empty(gates.size(0), hidden) for _ in rule.kept]
        _run(
            f"{layer.kind}_paths",
            range(len(schedule)),
            hidden,
            reads=entering is not None,
            offsets=offsets,
            kernel=weight_hh.t().contiguous(),
            bias=inner_bias,
            first=_enter(entering, kept[0], schedule, rule),
            scratch=gates.new_zeros(schedule.step_sizes[0], gates.size(1)) if layer.kind == "gru" else None,
            gates=gates,
            **dict(zip(rule.kept, kept, strict=True)),
        )
        ctx.save_for_backward(x, entering, weight_ih, weight_hh, bias_ih, bias_hh, gates, *kept)
        ctx.layer, ctx.schedule, ctx.offsets = layer, schedule, offsets
        ends = schedule.ends.index_select(0, schedule.rows)
        return kept[0], *(states.index_select(0, ends) for states in kept[: rule.states])

    @staticmethod
    @outside_autocast
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors  # once: torch's checkpoint computes them at this word
        x, entering, weight_ih, weight_hh, bias_ih, _ = inputs = saved[:6]
        gates, *kept = (tensor.contiguous() for tensor in saved[6:])  # hooks on saved tensors may lay them out anew
        schedule: Schedule = ctx.schedule
        rule, hidden, h = RULES[ctx.layer.kind], weight_hh.size(1), kept[0]
        d_h = torch.zeros_like(h) if grads[0] is None else grads[0].resolve_neg().contiguous()
        paths = schedule.step_sizes[0]
        flow = torch.stack([h.new_zeros(paths, hidden) if grad is None else grad for grad in grads[1:]])
        if torch.is_grad_enabled():
            ends = schedule.ends.index_select(0, schedule.rows)
            others = [torch.zeros_like(d_h)] * (rule.states - 1)
            d_states = torch.cat([d_h, *others], dim=1).index_add(0, ends, torch.cat(list(flow), dim=1))
            inputs = (x, entering, None, *inputs[2:])
            taken = replace(schedule, starts=torch.arange(len(schedule.rows), device=d_h.device))  # as `entering` is
            d_x, d_entering, _, *d_weights = differentiably(ctx.layer, taken, inputs, d_states)
            return None, None, d_x, d_entering, *d_weights
        refuse_batch(d_h, flow)
        is_gru = ctx.layer.kind == "gru"  # whose sums are n's inner one, r, z and n: a side each for what is read and x
        kernel = weight_hh.roll(hidden, 0) if is_gru else weight_hh.contiguous()
        first = _enter(entering, h, schedule, rule)
        needs = ctx.needs_input_grad[2:]
        d_x = x.new_empty(x.shape) if needs[0] else None
        d_input_kernel = gates.new_zeros(weight_ih.size(1), weight_ih.size(0)).t()  # rows of indices are added up
        d_kernel = torch.zeros_like(kernel)
        d_bias = gates.new_zeros(rule.sums * hidden)
        runs = _runs(schedule, CHUNK // (rule.sums * hidden))
        room = gates.new_empty(max(rows.stop - rows.start for _, rows in runs), rule.sums * hidden)
        for steps, rows in reversed(runs):
            d_sums = room[: rows.stop - rows.start]
            _run(
                f"{ctx.layer.kind}_paths_back",
                steps,
                hidden,
                reads=entering is not None,
                offsets=ctx.offsets,
                kernel=kernel,
                first=first,
                gates=gates,
                d_h=d_h,
                flow=flow,
                d_sums=d_sums,
                **dict(zip(rule.kept, kept, strict=True)),
            )
            d_read, d_term = d_sums[:, : rule.gates * hidden], d_sums[:, -rule.gates * hidden :]
            if d_x is not None:
                torch.mm(d_term, weight_ih, out=d_x[rows])
            add_input_kernel_gradient(d_input_kernel, d_term, x[rows])
            d_bias += d_sums.sum(0)
            if steps.start == 0:
                if entering is not None:
                    d_kernel.addmm_(d_read[:paths].t(), first[0])
                d_read, rows = d_read[paths:], slice(paths, rows.stop)
            edges = slice(rows.start - paths, rows.stop - paths)  # one for each node after the first step
            equal = paths == schedule.step_sizes[-1]
            read = h[edges] if equal else h.index_select(0, schedule.edge_index[0, edges])
            d_kernel.addmm_(d_read.t(), read)
        # A copy: gradients that share memory would be clipped or scaled twice.
        d_bias_ih, d_bias_hh = d_bias[-rule.gates * hidden :].clone(), d_bias[: rule.gates * hidden]
        if is_gru:
            d_kernel, d_bias_hh = d_kernel.roll(-hidden, 0), d_bias_hh.roll(-hidden, 0)
        return (
            None,
            None,
            d_x,
            None if entering is None else torch.cat(list(flow), dim=1),
            d_input_kernel,
            d_kernel,
            *((None, None) if bias_ih is None else (d_bias_ih, d_bias_hh)),
        )


def _run(name: str, steps: range, hidden: int, reads: bool, **tensors: Tensor | None) -> None:
    """Calls a function of ``c/paths.c`` on contiguous tensors."""
    sweep = Sweep(
        gemm=gemm(),
        threads=torch.get_num_threads(),
        begin=steps.start,
        end=steps.stop,
        reads_first=reads,
        H=hidden,
        **{name: tensor.data_ptr() for name, tensor in tensors.items() if tensor is not None},
    )
    getattr(library(), name)(ctypes.byref(sweep))


def _enter(entering: Tensor | None, h: Tensor, schedule: Schedule, rule: Rule) -> Tensor:
    """What the first step reads. [S, B, H]"""
    if entering is None:
        return h.new_zeros(rule.states, schedule.step_sizes[0], h.size(1))
    return torch.stack(entering.chunk(rule.states, dim=1))


def _runs(schedule: Schedule, most: int) -> list[tuple[range, slice]]:
    """Runs of steps and their nodes: at most so many, or one step."""
    offsets, runs, first = schedule.node_offsets, [], 0
    for step in range(1, len(offsets)):
        if step == len(offsets) - 1 or offsets[step + 1] - offsets[first] > most:
            runs.append((range(first, step), slice(offsets[first], offsets[step])))
            first = step
    return runs
