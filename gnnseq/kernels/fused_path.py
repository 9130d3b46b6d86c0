r"""Sweeps over unweighted paths in compiled code, and their gradients: one call forward, a few for each run back.

All that a step does is in ``c/paths.h``: input projections, products with the states that are read, cells, and
gradients on their way back to inputs and states. Gradients of the parameters are products of a run of steps at a time,
torch's if they are in float32. Where no gradients are wanted, nothing is kept but h. Gates have torch's order. Of a
mixed cell what is multiplied is rounded to bfloat16, if the processor has instructions for it; sums, states and gates
stay in float32.

Letters: N nodes, F input channels, B paths that are not empty, H hidden channels, S states, G gates, D gradients of
sums, T steps.
"""

import ctypes
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gnnseq.kernels.autograd_state import outside_autocast
from gnnseq.kernels.cell import Cell, CellWeights, Loop
from gnnseq.kernels.double_backward import double_backward, refuse_batch
from gnnseq.kernels.input_projection import (
    add_input_kernel_gradient,
    index_in_table,
    input_kernel_zeros,
    is_index,
    lie_as_kernel,
    split_bias,
)
from gnnseq.kernels.native import address, compiled, library, panels, room_for_products
from gnnseq.kernels.saved import recall, save
from gnnseq.schedule import Schedule

__all__ = ["fused_path_sweep"]

# Numbers in the gradients of a run of steps' sums: 8 MiB of float32. Longer runs leave the shared cache, and shorter
# ones read and write the gradients of the kernels, as large as a run's own, more often than they need to.
CHUNK = 1 << 21


class Sweep(ctypes.Structure):
    """What the functions of ``c/paths.h`` are given; described there."""

    _fields_ = (
        *((name, ctypes.c_ssize_t) for name in ("threads", "begin", "end", "N", "B", "H", "reads_first")),
        *((name, ctypes.c_void_p) for name in ("offsets", "kernel", "bias", "first", "scratch")),
        ("F", ctypes.c_ssize_t),
        *((name, ctypes.c_void_p) for name in ("x", "index", "input_kernel", "input_bias")),
        *((name, ctypes.c_void_p) for name in ("gates", "h", "c", "tanh_c", "inner")),
        ("forgets", ctypes.c_ssize_t),
        *((name, ctypes.c_void_p) for name in ("d_h", "flow", "d_sums", "d_x")),
    )


@dataclass(frozen=True)
class Layout:
    """What a sweep keeps and sends back.

    Attributes:
        sums: D; a GRU's candidate has a sum inside its reset gate and one around it.
        kept: Names of the tensors [N, H] that the backward pass needs, the new states first. With one gate the first is
            the input projection, which becomes the state.
    """

    sums: int
    kept: tuple[str, ...]


LAYOUTS = {
    "rnn_tanh": Layout(1, ("h",)),
    "rnn_relu": Layout(1, ("h",)),
    "gru": Layout(4, ("h", "inner")),
    "lstm": Layout(4, ("h", "c", "tanh_c")),
}


def fused_path_sweep(
    cell: Cell, x: Tensor, schedule: Schedule, initial: Tensor | None, weights: CellWeights, loop: Loop
) -> tuple[Tensor, Tensor]:
    """Sweeps paths whose nodes are numbered in firing order, as :data:`gnnseq.kernels.dispatch.Kernel` says."""
    if cell.mixed and not (library("rounded") and compiled("has_rounded")()):
        cell = replace(cell, mixed=False)
    rows = None if schedule.dense_shape else schedule.rows  # None: as they come
    entering = initial if initial is None or rows is None else initial.index_select(0, rows)
    given = [x, *weights] if initial is None else [x, initial, *weights]
    if torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in given):
        h, *last = _FusedPath.apply(cell, loop, schedule, x, entering, *weights)
    else:
        h, *last = _without_gradients(cell, schedule, x, entering, weights)
    final = torch.cat(last, dim=1)
    if rows is None:
        return h, final
    everything = h.new_zeros(schedule.starts.numel(), final.size(1)) if initial is None else initial
    return h, everything.index_copy(0, rows, final)


class _Inputs(NamedTuple):
    """What gradients are taken of."""

    x: Tensor  # [N, F], or [N]
    entering: Tensor | None  # [B, S * H]
    weight_ih: Tensor  # [G * H, F]
    weight_hh: Tensor  # [G * H, H]
    bias_ih: Tensor | None  # [G * H]
    bias_hh: Tensor | None  # [G * H]


class _FusedPath(torch.autograd.Function):
    """h of all nodes [N, H], then of the paths' last nodes, longest path first: h, and c of an LSTM [B, H]."""

    @staticmethod
    def forward(
        ctx: Any, cell: Cell, loop: Loop, schedule: Schedule, x: Tensor, entering: Tensor | None, *weights: Any
    ) -> tuple[Tensor, ...]:
        ctx.set_materialize_grads(False)
        weight_ih, weight_hh, bias_ih, bias_hh = weights
        layout, hidden, like = LAYOUTS[cell.name], weight_hh.size(1), weight_hh.detach()
        offsets = torch.tensor(schedule.node_offsets, device="cpu")  # whatever device is torch's default
        gates = like.new_empty(x.size(0), cell.gates * hidden)
        kept = [gates] if cell.gates == 1 else [like.new_empty(x.size(0), hidden) for _ in layout.kept]
        first = _enter(cell, entering, kept[0], schedule)
        room: dict[str, Tensor | None] = {"gates": gates, **dict(zip(layout.kept, kept, strict=True))}
        _sweep(cell, schedule, x, entering, CellWeights(*weights), offsets, first, room)
        save(ctx, schedule, x, entering, weight_ih, weight_hh, bias_ih, bias_hh, gates, *kept)
        ctx.cell, ctx.loop, ctx.schedule, ctx.offsets = cell, loop, schedule, offsets
        return kept[0], *(_last(states, schedule) for states in kept[: cell.states])

    @staticmethod
    @outside_autocast
    def backward(ctx: Any, *grads: Tensor | None) -> tuple[Tensor | None, ...]:
        saved = recall(ctx)
        inputs = _Inputs(*saved[:6])
        gates, *kept = (tensor.contiguous() for tensor in saved[6:])  # hooks on saved tensors may change strides
        h, paths = kept[0], ctx.schedule.step_sizes[0]
        d_h = torch.zeros_like(h) if grads[0] is None else grads[0].resolve_neg().contiguous()
        flow = torch.stack([h.new_zeros(paths, h.size(1)) if grad is None else grad for grad in grads[1:]])
        if torch.is_grad_enabled():
            return None, None, None, *_differentiable(ctx, inputs, d_h, flow)
        refuse_batch(d_h, flow)
        first = _enter(ctx.cell, inputs.entering, h, ctx.schedule)
        found = _Gradients(ctx.cell, ctx.schedule, inputs, h, first)
        d_x = torch.empty_like(inputs.x, memory_format=torch.contiguous_format) if ctx.needs_input_grad[3] else None
        for steps, rows, d_sums in _sweep_back(ctx, inputs, gates, kept, first, d_h, flow, d_x):
            found.add(steps, rows, d_sums)
        d_entering = None if inputs.entering is None else torch.cat(list(flow), dim=1)
        return None, None, None, d_x, d_entering, *found.of_parameters()


def _without_gradients(
    cell: Cell, schedule: Schedule, x: Tensor, entering: Tensor | None, weights: CellWeights
) -> tuple[Tensor, ...]:
    """What the sweep that is differentiated returns, without anything that lives longer than a step."""
    hidden, paths, like = weights.weight_hh.size(1), schedule.step_sizes[0], weights.weight_hh.detach()
    h = like.new_empty(x.size(0), hidden)
    offsets = torch.tensor(schedule.node_offsets, device="cpu")
    first = _enter(cell, entering, h, schedule)
    c = first[1].clone() if cell.name == "lstm" else None
    gates = h if cell.gates == 1 else like.new_empty(paths, cell.gates * hidden)
    inner = like.new_empty(paths, hidden) if cell.name == "gru" else None
    room = {"gates": gates, "h": h, "c": c, "inner": inner}
    _sweep(cell, schedule, x, entering, weights, offsets, first, room, forgets=True)
    last = _last(h, schedule)
    return (h, last) if c is None else (h, last, c)


def _last(states: Tensor, schedule: Schedule) -> Tensor:
    """Those of the paths' last nodes, in memory of their own. [B, H]"""
    if schedule.dense_shape:
        return states[-schedule.dense_shape[1] :].clone()
    return states.index_select(0, schedule.ends.index_select(0, schedule.rows))


def _sweep(
    cell: Cell,
    schedule: Schedule,
    x: Tensor,
    entering: Tensor | None,
    weights: CellWeights,
    offsets: Tensor,
    first: Tensor,
    room: dict[str, Tensor | None],
    forgets: bool = False,
) -> None:
    """Fires all nodes into the memory given."""
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    bias, inner_bias = split_bias(cell, bias_ih, bias_hh, weight_hh)
    indexed, width = is_index(x), weight_ih.size(0)
    if indexed:
        input_kernel = (weight_ih.t() if bias is None else weight_ih.t() + bias).contiguous()
    else:
        input_kernel = panels(weight_ih.t(), _part(cell))
    _run(
        cell,
        "",
        range(len(schedule)),
        weight_hh.size(1),
        reads=entering is not None,
        forgets=forgets,
        offsets=offsets,
        kernel=panels(weight_hh.t(), _part(cell)),
        bias=inner_bias,
        first=first,
        scratch=first.new_zeros(first.size(1), width) if cell.name == "gru" else None,
        x=None if indexed else x.contiguous(),
        index=index_in_table(x, weight_ih.size(1)) if indexed else None,
        input_kernel=input_kernel,
        input_bias=None if bias is None else bias.contiguous(),
        **room,  # type: ignore[arg-type]  # h is always there
    )


def _differentiable(ctx: Any, inputs: _Inputs, d_h: Tensor, flow: Tensor) -> list[Tensor | None]:
    """The gradients as functions of the inputs, by the layer's loop."""
    schedule = ctx.schedule
    ends = schedule.ends.index_select(0, schedule.rows)
    others = [torch.zeros_like(d_h)] * (ctx.cell.states - 1)
    d_states = torch.cat([d_h, *others], dim=1).index_add(0, ends, torch.cat(list(flow), dim=1))
    taken = replace(schedule, starts=torch.arange(len(schedule.rows), device=d_h.device))  # rows as `entering` has them
    x, entering, *weights = inputs
    d_x, d_entering, _, *d_weights = double_backward(ctx.loop, taken, (x, entering, None, *weights), d_states)
    return [d_x, d_entering, *d_weights]


def _sweep_back(
    ctx: Any,
    inputs: _Inputs,
    gates: Tensor,
    kept: list[Tensor],
    first: Tensor,
    d_h: Tensor,
    flow: Tensor,
    d_x: Tensor | None,
) -> Iterator[tuple[range, slice, Tensor]]:
    """Runs of steps and their nodes, last ones first, and the gradients of their sums [., D * H], in the same memory.

    ``flow`` [S, B, H], that of the last states, becomes that of the first; ``d_x`` [N, F] is written.
    """
    cell: Cell = ctx.cell
    layout, hidden = LAYOUTS[cell.name], inputs.weight_hh.size(1)
    runs = _runs(ctx.schedule, CHUNK // (layout.sums * hidden))
    room = gates.new_empty(max(rows.stop - rows.start for _, rows in runs), layout.sums * hidden)
    kernel = panels(_by_sums(cell, inputs.weight_hh, hidden), _part(cell))
    sent: dict[str, Any] = {}
    if d_x is not None:
        sent = {"input_kernel": panels(inputs.weight_ih, _part(cell)), "d_x": d_x}
    for steps, rows in reversed(runs):
        d_sums = room[: rows.stop - rows.start]
        _run(
            cell,
            "_back",
            steps,
            hidden,
            reads=inputs.entering is not None,
            offsets=ctx.offsets,
            kernel=kernel,
            first=first,
            gates=gates,
            d_h=d_h,
            flow=flow,
            d_sums=d_sums,
            **sent,
            **dict(zip(layout.kept, kept, strict=True)),  # type: ignore[arg-type]  # tensors all
        )
        yield steps, rows, d_sums


class _Gradients:
    """Gradients of the parameters, added up run by run while those of the sums are in a core's cache.

    Of the sums' gradients the first G * H belong to what is read, the last to the input projection: a GRU's are those
    of n's inner sum, r, z and n.
    """

    def __init__(self, cell: Cell, schedule: Schedule, inputs: _Inputs, h: Tensor, first: Tensor) -> None:
        self._cell, self._schedule, self._inputs, self._h, self._first = cell, schedule, inputs, h, first
        hidden = inputs.weight_hh.size(1)
        self._width = cell.gates * hidden
        self._input_kernel = input_kernel_zeros(inputs.weight_ih)
        self._kernel = input_kernel_zeros(inputs.weight_hh)
        self._bias = h.new_zeros(LAYOUTS[cell.name].sums * hidden)

    def add(self, steps: range, rows: slice, d_sums: Tensor) -> None:
        """Adds the share of a run of steps."""
        x, entering, *_ = self._inputs
        self._bias.addmv_(d_sums.t(), d_sums.new_ones(len(d_sums)))  # twice as fast as their sum
        first = d_sums.size(1) - self._width
        if is_index(x):
            add_input_kernel_gradient(self._input_kernel, d_sums[:, first:], x[rows])
        else:
            self._add_product(self._input_kernel, d_sums, first, x[rows])
        paths = self._schedule.step_sizes[0]
        if steps.start == 0:
            if entering is not None:
                self._add_product(self._kernel, d_sums[:paths], 0, self._first[0])
            d_sums, rows = d_sums[paths:], slice(paths, rows.stop)
        edges = slice(rows.start - paths, rows.stop - paths)  # one for each node after the first step
        equal = paths == self._schedule.step_sizes[-1]
        read = self._h[edges] if equal else self._h.index_select(0, self._schedule.edge_index[0, edges])
        self._add_product(self._kernel, d_sums, 0, read)

    def _add_product(self, total: Tensor, d_sums: Tensor, first: int, read: Tensor) -> None:
        """Adds the gradient of a kernel that multiplied what is read, from those of sums, of which one is the first."""
        if not self._cell.mixed:
            total.t().addmm_(read.t(), d_sums[:, first : first + self._width])
            return
        sizes = torch.get_num_threads(), read.size(0), read.size(1), self._width
        room = room_for_products(self._width)
        compiled("add_product_rounded")(*sizes, read.contiguous(), d_sums, first, d_sums.size(1), room, total.t())

    def of_parameters(self) -> tuple[Tensor | None, ...]:
        """Those of W_ih, W_hh, b_ih and b_hh, once all runs are added."""
        hidden = self._kernel.size(1)
        d_kernel = _by_sums(self._cell, lie_as_kernel(self._kernel), -hidden)
        if self._inputs.bias_ih is None:
            return lie_as_kernel(self._input_kernel), d_kernel, None, None
        # A copy: gradients that share memory would be clipped or scaled twice.
        d_bias_ih = self._bias[-self._width :].clone()
        return (
            lie_as_kernel(self._input_kernel),
            d_kernel,
            d_bias_ih,
            _by_sums(self._cell, self._bias[: self._width], -hidden),
        )


def _by_sums(cell: Cell, rows: Tensor, shift: int) -> Tensor:
    """A GRU's rows r, z, n in the order of its sums, n, r, z, if shifted by H, and back by -H; other cells' as is."""
    return rows.roll(shift, 0) if cell.name == "gru" else rows


def _part(cell: Cell) -> str:
    """The file of the folder ``c`` that has a cell's functions."""
    return "rounded" if cell.mixed else "paths"


def _run(
    cell: Cell,
    end: str,
    steps: range,
    hidden: int,
    reads: bool,
    h: Tensor,
    first: Tensor,
    offsets: Tensor,
    forgets: bool = False,
    **tensors: Tensor | None,
) -> None:
    """Calls a function of ``c/paths.h`` on contiguous tensors."""
    given = {name: tensor for name, tensor in tensors.items() if tensor is not None}
    panel_kind = torch.bfloat16 if cell.mixed else torch.float32
    kinds = {
        "index": torch.int64,
        "kernel": panel_kind,
        "input_kernel": torch.float32 if "index" in given else panel_kind,
    }
    sweep = Sweep(
        threads=torch.get_num_threads(),
        begin=steps.start,
        end=steps.stop,
        reads_first=reads,
        N=h.size(0),
        B=first.size(1),
        H=hidden,
        forgets=forgets,
        F=next((given[name].size(1) for name in ("x", "d_x") if name in given), 0),
        h=address(h),
        first=address(first),
        offsets=address(offsets, torch.int64),
        **{name: address(tensor, kinds.get(name, torch.float32)) for name, tensor in given.items()},
    )
    if not compiled(f"{cell.name}_{_part(cell)}{end}")(sweep):
        raise ValueError("the schedule has step_sizes or starts that are not those of its paths; make it by "
                         "packed_paths or pack_paths")  # fmt: skip


def _enter(cell: Cell, entering: Tensor | None, h: Tensor, schedule: Schedule) -> Tensor:
    """What the first step reads. [S, B, H]"""
    if entering is None:
        return h.new_zeros(cell.states, schedule.step_sizes[0], h.size(1))
    return torch.stack(entering.chunk(cell.states, dim=1))


def _runs(schedule: Schedule, most: int) -> list[tuple[range, slice]]:
    """Runs of steps and their nodes: at most so many, or one step."""
    offsets, runs, first = schedule.node_offsets, [], 0
    for step in range(1, len(offsets)):
        if step == len(offsets) - 1 or offsets[step + 1] - offsets[first] > most:
            runs.append((range(first, step), slice(offsets[first], offsets[step])))
            first = step
    return runs
