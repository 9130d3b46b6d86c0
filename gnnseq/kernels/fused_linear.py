r"""Sweeps of cells that are linear in the state over any graph, in compiled code, and their gradients: one call each.

Nodes go through ``c/linear.c`` in chunks: the input projection of a chunk, its gates, recurrence and output follow one
another while they are in a core's cache; so do its gradients backwards. Nothing is kept but the projection and h: the
backward pass makes the gates again, which costs less than reading them.

Letters: N nodes, E edges, F input channels, B rows of initial state, H hidden channels, G gates.
"""

import ctypes
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gnnseq.kernels.autograd_state import outside_autocast
from gnnseq.kernels.cell import Cell, CellWeights, Loop
from gnnseq.kernels.double_backward import double_backward, refuse_batch
from gnnseq.kernels.final_states import place_final, read_final
from gnnseq.kernels.input_projection import index_in_table, input_kernel_zeros, is_index, lie_as_kernel
from gnnseq.kernels.native import WIDEST, address, compiled, panels
from gnnseq.kernels.saved import recall, save
from gnnseq.schedule import Schedule

__all__ = ["fused_linear_sweep"]

# Numbers in the inputs and sums of a chunk that one thread reads: 256 KiB of float32, which stay in a core's cache.
CHUNK = 1 << 16
FEWEST, MOST = 64, 512  # nodes of a chunk; fewer are too few for a product, and of more a panel leaves the first cache


class Linear(ctypes.Structure):
    """What the functions of ``c/linear.c`` are given; described there."""

    _fields_ = (
        *((name, ctypes.c_ssize_t) for name in ("threads", "rows", "N", "B", "H", "G", "E", "F")),
        *((name, ctypes.c_void_p) for name in ("incoming", "source", "weight", "first", "x", "index")),
        ("apart", ctypes.c_ssize_t),
        *((name, ctypes.c_void_p) for name in ("kernel", "bias")),
        ("forgets", ctypes.c_ssize_t),
        *((name, ctypes.c_void_p) for name in ("sums", "h", "d_h", "d_first", "d_sums", "room", "d_x")),
        *((name, ctypes.c_void_p) for name in ("d_kernel", "d_bias", "d_weight")),
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
        nodes, width = inputs.x.size(0), inputs.weight_ih.size(0)
        learns, kernel, bias = any(ctx.needs_input_grad), inputs.weight_ih.t(), inputs.bias_ih
        sums = inputs.weight_ih.new_empty(nodes if learns else _rows(inputs), width)
        h = sums.new_empty(nodes, width // cell.gates)
        if is_index(inputs.x):  # a look-up: the products with all one-hot rows are the kernel
            kernel, bias = (kernel.contiguous() if bias is None else kernel + bias), None
        else:
            kernel = torch.stack([panels(gate, "linear") for gate in kernel.chunk(cell.gates, dim=1)])
        _run("linear_forward", schedule, inputs, kernel=kernel, bias=bias, sums=sums, h=h, forgets=not learns)
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
    width, threads, rows = weight_ih.size(0), torch.get_num_threads(), _rows(inputs)
    d_x = torch.empty_like(x, memory_format=torch.contiguous_format) if needs[0] else None
    d_initial = None if initial is None else initial.new_zeros(initial.shape)
    d_kernel = input_kernel_zeros(weight_ih) if needs[3] else None
    d_bias = h.new_zeros(width)
    # A row for each share of the channels; there may be fewer.
    d_weights = h.new_zeros(threads, schedule.edge_index.size(1)) if needs[2] else None
    _run(
        "linear_back",
        schedule,
        inputs,
        kernel=None if d_x is None else panels(weight_ih, "linear"),
        sums=sums,
        h=h,
        d_h=grad.clone(memory_format=torch.contiguous_format),  # which those that later nodes send are added to
        d_first=d_initial,
        d_sums=h.new_empty(2, rows, width),
        room=h.new_empty(threads, rows, WIDEST),
        d_x=d_x,
        d_kernel=None if d_kernel is None else d_kernel.t(),
        d_bias=d_bias,
        d_weight=d_weights,
    )
    d_edge_weight = None
    if d_weights is not None and edge_weight is not None:
        d_edge_weight = d_weights.sum(0).to(edge_weight.dtype)
    found = None if d_kernel is None else lie_as_kernel(d_kernel)
    return d_x, d_initial, d_edge_weight, found, d_bias if needs[4] else None


def _rows(inputs: _Inputs) -> int:
    """Nodes of a chunk."""
    read = inputs.weight_ih.size(0) // torch.get_num_threads() + (0 if is_index(inputs.x) else inputs.x.size(1))
    return min(max(FEWEST, min(MOST, CHUNK // max(1, read))), inputs.x.size(0))


def _run(
    name: str,
    schedule: Schedule,
    inputs: _Inputs,
    sums: Tensor,
    h: Tensor,
    kernel: Tensor | None,
    forgets: bool = False,
    **tensors: Tensor | None,
) -> None:
    """Calls a function of ``c/linear.c`` on contiguous tensors."""
    x, source, weight = inputs.x, schedule.edge_index[0].contiguous(), inputs.edge_weight
    channels, indexed = inputs.weight_ih.size(1), is_index(x)
    valid = len(h) == schedule.num_nodes == schedule.node_offsets[-1]
    valid = valid and (weight is None or weight.shape == source.shape)
    given = {
        "weight": None if weight is None else weight.float(),
        "first": inputs.initial,
        "x": None if indexed else x,
        "index": index_in_table(x, channels) if indexed else None,
        "source": source,
        "incoming": schedule.pointers.in_indptr,
        "kernel": kernel,
        "sums": sums,
        "h": h,
        **tensors,
    }
    lying = {name: tensor.contiguous() for name, tensor in given.items() if tensor is not None}
    whole = ("index", "source", "incoming")
    linear = Linear(
        threads=torch.get_num_threads(),
        rows=_rows(inputs),
        N=schedule.num_nodes,
        B=0 if inputs.initial is None else len(inputs.initial),
        H=h.size(1),
        G=inputs.weight_ih.size(0) // h.size(1),
        E=source.numel(),
        F=channels,
        apart=0 if kernel is None else kernel.stride(0),
        forgets=forgets,
        **{name: address(part, torch.int64 if name in whole else torch.float32) for name, part in lying.items()},
    )
    if not (valid and compiled(name)(linear)):
        raise ValueError("the schedule has edges, weights or step_sizes that do not fit one another, or was altered in "
                         "place; make another one for other edges")  # fmt: skip
