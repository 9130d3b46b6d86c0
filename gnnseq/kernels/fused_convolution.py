r"""A graph convolution that learns, with its inputs' gradient, in compiled code: no sum over neighbours is ever whole.

.. math::
    Y = A X W^T + b, \qquad T = A^T \bar Y, \qquad \bar X = T W, \qquad \bar W = T^T X

``c/convolution.c`` sums a block of rows and multiplies it while it is in a core's cache: ``A X`` by the kernel on the
way forward, and T by the kernel and by X on the way back, for which the forward pass's sums need not be kept.

Letters: N nodes, F input channels, H output channels; M rows that are summed, C channels of them.
"""

import ctypes
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gnnseq.kernels.adjacency import CSR, Adjacency
from gnnseq.kernels.autograd_state import has_memory, is_traced, outside_autocast
from gnnseq.kernels.double_backward import gradients_of
from gnnseq.kernels.native import WIDEST, address, compiled, is_plain, panels, runs_compiled
from gnnseq.kernels.saved import recall, save
from gnnseq.kernels.spmm import aggregate

__all__ = ["fused_convolution"]

# Numbers in a block's sums, 64 KiB of float32, and its fewest rows: of fewer, products are slow.
BLOCK, FEWEST = 1 << 14, 56


class Convolution(ctypes.Structure):
    """What the functions of ``c/convolution.c`` are given; described there."""

    _fields_ = (
        *((name, ctypes.c_ssize_t) for name in ("threads", "block", "N", "M", "F", "H", "L", "size", "wide")),
        *((name, ctypes.c_void_p) for name in ("begin", "columns", "values", "table", "kernel", "bias", "out")),
        *((name, ctypes.c_void_p) for name in ("other", "d_kernel", "room")),
    )


def fused_convolution(x: Tensor, weight: Tensor, bias: Tensor | None, graph: Adjacency) -> Tensor | None:
    """``A @ x @ weight.T + bias``; None if torch is as fast, or must see it.

    Args:
        x: Features whose gradient is wanted. [N, F]
        weight: The kernel, no higher than wide: H is F at most. [H, F]
        bias: [H]
        graph: The edges, with weights of their own.
    """
    given = [x, weight] if bias is None else [x, weight, bias]
    if x.layout != torch.strided or x.dim() != 2 or not (torch.is_grad_enabled() and x.requires_grad):
        return None
    if weight.size(0) > weight.size(1) or weight.size(1) != x.size(1) or torch.is_autocast_enabled("cpu"):
        return None
    if is_traced(*given) or not all(map(is_plain, given)) or not runs_compiled(x, x.numel(), "convolution"):
        return None
    if weight.numel() == 0 or (bias is not None and bias.shape != weight.shape[:1]):
        return None
    if graph.by_target.indices.numel() == 0 or graph.by_source.indptr.numel() != x.size(0) + 1:
        return None
    out: Tensor = _Convolution.apply(graph, x, weight, bias)
    return out


def _by_torch(x: Tensor, weight: Tensor, bias: Tensor | None, graph: Adjacency) -> Tensor:
    out = functional.linear(aggregate(x, None, graph), weight)
    return out if bias is None else out + bias


class _Convolution(torch.autograd.Function):
    """[N, H]"""

    @staticmethod
    def forward(ctx: Any, graph: Adjacency, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        save(ctx, None, x, weight, bias)
        ctx.graph = graph
        if weight.size(0) < weight.size(1):  # sums on the narrower side
            out = aggregate(functional.linear(x, weight), None, graph)
            return out if bias is None else out.add_(bias)
        return _convolve(graph.by_target, x, weight.t(), bias)[0]

    @staticmethod
    @outside_autocast
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, bias = recall(ctx)
        if torch.is_grad_enabled() or not has_memory(grad):

            def convolved(x: Tensor, weight: Tensor, *bias: Tensor) -> Tensor:
                return _by_torch(x, weight, bias[0] if bias else None, ctx.graph)

            found = gradients_of(convolved, (x, weight) if bias is None else (x, weight, bias), grad)
            return None, *found, *([None] if bias is None else [])
        grad = grad.resolve_neg().contiguous()
        d_x, d_weight = _convolve(ctx.graph.by_source, grad, weight, None, x if ctx.needs_input_grad[2] else None)
        return None, d_x, d_weight, grad.sum(0) if ctx.needs_input_grad[3] else None


def _convolve(
    rows: CSR, table: Tensor, kernel: Tensor, bias: Tensor | None, other: Tensor | None = None
) -> tuple[Tensor, Tensor | None]:
    """Sums of a table's rows times a kernel, and, transposed, times other rows.

    Args:
        rows: Which rows of the table are summed, and their weights.
        table: [M, C]
        kernel: [C, H]
        bias: [H]
        other: [N, L]

    Returns:
        [N, H], and [C, L] if there are others.
    """
    count, threads, channels = rows.indptr.numel() - 1, torch.get_num_threads(), table.size(1)
    block = max(FEWEST, BLOCK // channels)
    out = table.new_empty(count, kernel.size(1))
    wide = rows.indices.dtype == torch.int64
    assert rows.weight is not None
    found = None if other is None else table.new_zeros(threads, channels, other.size(1))
    given = {
        "begin": rows.indptr,
        "columns": rows.indices,
        "values": rows.weight.float(),
        "table": table,
        "kernel": panels(kernel, "convolution"),
        "bias": bias,
        "out": out,
        "other": other,
        "d_kernel": found,
        "room": table.new_empty(threads, block * (channels + WIDEST)),
    }
    lying = {name: part.contiguous() for name, part in given.items() if part is not None}
    whole = dict.fromkeys(("begin", "columns"), rows.indices.dtype)
    if not compiled("convolution")(
        Convolution(
            threads=threads,
            block=block,
            N=count,
            M=table.size(0),
            F=channels,
            H=kernel.size(1),
            L=0 if other is None else other.size(1),
            size=rows.indices.numel(),
            wide=wide,
            **{name: address(part, whole.get(name, torch.float32)) for name, part in lying.items()},
        )
    ):
        raise ValueError("edges end at nodes that are not there; the graph was altered in place, or made for other "
                         "nodes: make another one")  # fmt: skip
    return out, None if found is None else found.sum(0)
