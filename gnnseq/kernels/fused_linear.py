r"""Sweeps of cells that are linear in the state over any graph, in compiled code.

Nodes go through in runs: the input projection of a run is one product, and its gates, recurrence and output one pass in
``c/linear.c`` while that is in a core's cache; so it is backwards, with the products of the gradients. Nothing is kept
but the projection and h: the backward pass makes the gates again, which costs less than reading them.

Letters: N nodes, E edges, F input channels, B rows of initial state, H hidden channels, G gates; n nodes of a run.
"""

import ctypes
import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gnnseq.kernels.autograd_state import outside_autocast
from gnnseq.kernels.cell import Cell, CellWeights, Loop
from gnnseq.kernels.double_backward import double_backward, refuse_batch
from gnnseq.kernels.final_states import place_final, read_final
from gnnseq.kernels.input_projection import (
    add_input_kernel_gradient,
    input_kernel_zeros,
    is_index,
    lie_as_kernel,
)
from gnnseq.kernels.native import address, compiled
from gnnseq.kernels.saved import recall, save
from gnnseq.schedule import Schedule

__all__ = ["fused_linear_sweep"]

# Numbers in the gates of a run of nodes, at most: 1.5 MiB of float32, which stays in a core's cache while it is used.
CHUNK = 3 << 17


class Linear(ctypes.Structure):
    """What the functions of ``c/linear.c`` are given; described there."""

    _fields_ = (
        *((name, ctypes.c_ssize_t) for name in ("threads", "begin", "end", "N", "B", "H", "G", "E")),
        *((name, ctypes.c_void_p) for name in ("incoming", "source", "weight", "first", "sums", "h")),
        *((name, ctypes.c_void_p) for name in ("d_h", "d_first", "d_sums", "d_weight")),
    )


def fused_linear_sweep(
    cell: Cell, x: Tensor, schedule: Schedule, initial: Tensor | None, weights: CellWeights, loop: Loop
) -> tuple[Tensor, Tensor]:
    """Sweeps any graph whose nodes are numbered in firing order, as :data:`gnnseq.kernels.dispatch.Kernel` says."""
    swept = schedule if initial is None else schedule.with_state_edges
    h = _FusedLinear.apply(cell, loop, swept, x, initial, swept.edge_weight, weights.weight_ih, weights.bias_ih)
    return h, place_final(schedule, initial, h.index_select(0, read_final(schedule)))


class _Inputs(NamedTuple):
    """What gradients are taken of."""

    x: Tensor  # [N, F], or [N]
    initial: Tensor | None  # what edges from N on read. [B, H]
    edge_weight: Tensor | None  # [E]
    weight_ih: Tensor  # [G * H, F]
    bias_ih: Tensor | None  # [G * H]


class _FusedLinear(torch.autograd.Function):
    """h of all nodes. [N, H]"""

    @staticmethod
    def forward(ctx: Any, cell: Cell, loop: Loop, schedule: Schedule, *given: Any) -> Tensor:
        inputs = _Inputs(*given)
        nodes, hidden = inputs.x.size(0), inputs.weight_ih.size(0) // cell.gates
        runs = _runs(nodes, cell.gates * hidden)
        learns = any(ctx.needs_input_grad)
        sums = inputs.weight_ih.new_empty(nodes if learns else len(runs[0]), cell.gates * hidden)
        h = sums.new_empty(nodes, hidden)
        kernel, weight = inputs.weight_ih.t(), _as_floats(inputs.edge_weight)
        if is_index(inputs.x):  # a look-up: the products with all one-hot rows are the kernel
            kernel = kernel.contiguous() if inputs.bias_ih is None else kernel + inputs.bias_ih
        for run in runs:
            own = sums[run.start : run.stop] if learns else sums[: len(run)]
            _project(inputs.x[run.start : run.stop], kernel, inputs.bias_ih, own)
            _run("linear_forward", schedule, run, inputs, weight=weight, sums=own, h=h)
        save(ctx, schedule, *inputs, sums, h)
        ctx.cell, ctx.loop, ctx.schedule = cell, loop, schedule
        return h

    @staticmethod
    @outside_autocast
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        saved, grad = recall(ctx), grad.resolve_neg()  # compiled code reads numbers as they lie in memory
        inputs = _Inputs(*saved[:5])
        if torch.is_grad_enabled():
            x, initial, edge_weight, weight_ih, bias_ih = inputs
            given = x, initial, edge_weight, weight_ih, weight_ih.new_empty(0, grad.size(1)), bias_ih, None
            d_x, d_initial, d_edge_weight, d_weight_ih, _, d_bias_ih, _ = double_backward(
                ctx.loop, ctx.schedule, given, grad
            )
            return None, None, None, d_x, d_initial, d_edge_weight, d_weight_ih, d_bias_ih
        refuse_batch(grad)
        sums, h = (tensor.contiguous() for tensor in saved[5:])  # hooks on saved tensors may change strides
        return None, None, None, *_backward(ctx.schedule, inputs, sums, h, grad, ctx.needs_input_grad[3:])


def _backward(
    schedule: Schedule, inputs: _Inputs, sums: Tensor, h: Tensor, grad: Tensor, needs: tuple[bool, ...]
) -> tuple[Tensor | None, ...]:
    """Gradients of the inputs."""
    x, initial, edge_weight, weight_ih, _ = inputs
    d_h = grad.clone(memory_format=torch.contiguous_format)  # which those that later nodes send are added to
    d_x = x.new_empty(x.shape) if needs[0] else None
    d_initial = None if initial is None else initial.new_zeros(initial.shape)
    # A row for each share of the channels; there may be fewer.
    d_weights = h.new_zeros(torch.get_num_threads(), schedule.edge_index.size(1)) if needs[2] else None
    d_kernel = input_kernel_zeros(weight_ih)
    d_bias = h.new_zeros(weight_ih.size(0))
    runs, weight = _runs(len(h), sums.size(1)), _as_floats(edge_weight)
    room = sums.new_empty(len(runs[0]), sums.size(1))
    for run in reversed(runs):
        rows = slice(run.start, run.stop)
        d_sums = room[: len(run)]
        found = {"weight": weight, "d_h": d_h, "d_first": d_initial, "d_sums": d_sums, "d_weight": d_weights}
        _run("linear_back", schedule, run, inputs, sums=sums[rows], h=h, **found)
        if d_x is not None:
            torch.mm(d_sums, weight_ih, out=d_x[rows])
        if needs[3]:
            add_input_kernel_gradient(d_kernel, d_sums, x[rows])
        if needs[4]:
            d_bias += d_sums.sum(0)
    d_edge_weight = None
    if d_weights is not None and edge_weight is not None:
        d_edge_weight = d_weights.sum(0).to(edge_weight.dtype)
    return d_x, d_initial, d_edge_weight, lie_as_kernel(d_kernel) if needs[3] else None, d_bias if needs[4] else None


def _runs(nodes: int, width: int) -> list[range]:
    """Runs of nodes that stay in a cache, as few as can be and about equally long: a short one costs as many calls."""
    count = max(1, math.ceil(nodes * width / CHUNK))
    most = max(1, math.ceil(nodes / count))
    return [range(begin, min(begin + most, nodes)) for begin in range(0, nodes, most)]


def _as_floats(edge_weight: Tensor | None) -> Tensor | None:
    return None if edge_weight is None else edge_weight.float().contiguous()


def _project(x: Tensor, kernel: Tensor, bias: Tensor | None, out: Tensor) -> None:
    """The input projection of a run. [n, G * H]"""
    if is_index(x):
        torch.index_select(kernel, 0, x, out=out)
    elif bias is None:
        torch.mm(x, kernel, out=out)
    else:
        torch.addmm(bias, x, kernel, out=out)


def _run(name: str, schedule: Schedule, nodes: range, inputs: _Inputs, **tensors: Tensor | None) -> None:
    """Calls a function of ``c/linear.c`` on contiguous tensors."""
    h, weight, source = tensors["h"], tensors["weight"], schedule.edge_index[0].contiguous()
    assert h is not None
    given = {"first": None if inputs.initial is None else inputs.initial.contiguous(), **tensors}
    valid = len(h) == schedule.num_nodes == schedule.node_offsets[-1]
    valid = valid and (weight is None or weight.shape == source.shape)
    linear = Linear(
        threads=torch.get_num_threads(),
        begin=nodes.start,
        end=nodes.stop,
        N=schedule.num_nodes,
        B=0 if inputs.initial is None else len(inputs.initial),
        H=h.size(1),
        G=inputs.weight_ih.size(0) // h.size(1),
        E=source.numel(),
        incoming=address(schedule.pointers.in_indptr, torch.int64),
        source=address(source, torch.int64),
        **{name: address(tensor) for name, tensor in given.items() if tensor is not None},
    )
    if not (valid and compiled(name)(linear)):
        raise ValueError("the schedule has edges, weights or step_sizes that do not fit one another, or was altered in "
                         "place; make another one for other edges")  # fmt: skip
