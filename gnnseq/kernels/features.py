"""Convolutions of features that are mostly zero, such as bags of words, in compiled code.

Letters: N nodes, F features, H channels, Z numbers that are not zero.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gnnseq.kernels.aggregate import Adjacency, aggregate
from gnnseq.kernels.native import call, is_plain, library_for
from gnnseq.kernels.tracing import has_memory, is_traced

__all__ = ["check_listed", "check_offsets", "convolve_features"]

# Dense features are multiplied as such where more than one in so many is not zero.
LIMIT = 20
# Numbers of dense features for one that :func:`library_for` asks for: an estimate of what is worth listing.
DENSE = 16
# Numbers in rows that `spread_rows` writes: whole registers of any processor.
LANES = 16


class _Lists(NamedTuple):
    """The numbers of node i that are not zero lie at begin[i]..end[i]-1.

    Attributes:
        begin: [N], or [N + 1] where end is None.
        end: None where each list ends where the next begins. [N]
        columns: [Z]
        values: [Z]
        dense: The features, where they were given as such; their zeros count where something is not finite. [N, F]
    """

    begin: Tensor
    end: Tensor | None
    columns: Tensor
    values: Tensor
    dense: Tensor | None


def convolve_features(x: Tensor, weight: Tensor, bias: Tensor | None, adjacency: Adjacency) -> Tensor | None:
    """``aggregate(x @ weight.T) + bias``; None where torch has to make it, because it is as fast or must see it.

    Args:
        x: Features without a gradient, dense or torch.sparse. [N, F]
        weight: The kernel. [H, F]
        bias: [H]
        adjacency: Edges among the nodes, and their weights.

    Raises:
        ValueError: If x is sparse and an index of it is out of range.
    """
    learnt = (weight,) if bias is None else (weight, bias)
    if is_traced(x, *learnt) or x.dim() != 2 or torch.is_autocast_enabled("cpu"):
        return None
    size = x.numel() // DENSE if x.layout == torch.strided else x._nnz()
    if library_for(x, size) is None or not all(map(is_plain, learnt)) or adjacency.by_target[1].dtype != torch.int32:
        return None
    if x.requires_grad and torch.is_grad_enabled():
        return None
    lists = _find(x) if x.layout == torch.strided else _listed(x)
    if lists is None or (lists.dense is not None and not _is_finite(weight)):
        return None
    sizes = *x.shape, len(weight), lists.columns.numel(), lists.columns.dtype == torch.int64
    convolved: Tensor = _Convolution.apply(weight, bias, adjacency, sizes, *lists)
    return convolved


def _find(x: Tensor) -> _Lists | None:
    """Goes through dense features once; None where too many of them are not zero."""
    room = x.numel() // LIMIT
    if not x.is_contiguous() or room >= 2**31:
        return None
    begin, end = x.new_empty(2, x.size(0), dtype=torch.int32).unbind()
    columns, values = x.new_empty(room, dtype=torch.int32), x.new_empty(room)
    sparse = call("find_nonzero", *x.shape, x, LIMIT, begin, end, columns, values)
    return _Lists(begin, end, columns, values, x) if sparse else None


def _listed(x: Tensor) -> _Lists | None:
    if x.layout == torch.sparse_csr:
        offsets, columns, values = x.crow_indices(), x.col_indices(), x.values()
    elif x.layout == torch.sparse_coo:
        x = x.coalesce()
        (row, columns), values = x.indices(), x.values()
        offsets = torch.searchsorted(row.contiguous(), _count(x.size(0) + 1))
        if offsets[0] != 0 or offsets[-1] != row.numel():
            check_listed("row", row, x.size(0))
    else:
        return None
    return _Lists(offsets.contiguous(), None, columns.contiguous(), values.contiguous(), None)


def check_listed(what: str, listed: Tensor, size: int) -> None:
    """Raises a ValueError where a row or column of sparse features is not there."""
    outside = listed[(listed < 0) | (listed >= size)]
    if outside.numel() > 0:
        raise ValueError(f"x is sparse and lists {what} {int(outside[0])}; expected 0 to {size - 1}")


def check_offsets(offsets: Tensor, size: int) -> None:
    """Raises a ValueError where rows of so many numbers do not begin at the first of them and end at the last."""
    if offsets[0] != 0 or offsets[-1] != size or (offsets.diff() < 0).any():
        raise ValueError(f"x is sparse, and its crow_indices are not 0 to {size} in rising order")


def _count(size: int) -> Tensor:
    return torch.arange(size, device="cpu")  # whatever device is torch's default


def _is_finite(tensor: Tensor) -> bool:
    return math.isfinite(float(tensor.detach().sum()))


class _Convolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        weight: Tensor,
        bias: Tensor | None,
        adjacency: Adjacency,
        sizes: tuple[int, int, int, int, bool],
        *lists: Any,
    ) -> Tensor:
        nodes, features, channels, size, _ = sizes
        table, product, out = (weight.new_empty(rows, channels) for rows in (features, nodes, nodes))
        kernel, start = weight.contiguous(), None if bias is None else bias.contiguous()
        if not call("convolve", *sizes, *lists[:4], kernel, table, product, *_edges(adjacency), start, out):
            check_listed("column", lists[2], features)
            check_offsets(lists[0], size)
        ctx.adjacency, ctx.sizes = adjacency, sizes
        ctx.save_for_backward(*lists)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        begin, _, columns, values, dense = lists = ctx.saved_tensors
        nodes, features, channels, _, _ = ctx.sizes
        back = ctx.adjacency.transposed
        d_bias = grad.sum(0) if ctx.needs_input_grad[1] else None
        watched = torch.is_grad_enabled() or not has_memory(grad)
        if watched or (dense is not None and not _is_finite(grad)):
            if dense is None:
                row = torch.repeat_interleave(_count(nodes), begin.diff())
                dense = values.new_zeros(nodes, features).index_put((row, columns), values, accumulate=True)
            with torch.autocast("cpu", enabled=False):
                return aggregate(grad, None, back).t() @ dense, d_bias, *[None] * 7
        lanes = -(-channels // LANES) * LANES
        room = grad.new_empty(nodes, channels), grad.new_empty(features, lanes)
        grad, d_weight = grad.resolve_neg().contiguous(), grad.new_empty(channels, features)
        call("convolve_back", *ctx.sizes, *lists[:4], lanes, *_edges(back), grad, *room, d_weight)
        return d_weight, d_bias, *[None] * 7


def _edges(adjacency: Adjacency) -> tuple[Tensor, Tensor, Tensor]:
    """What compiled code reads of them: offsets, sources, weights."""
    assert adjacency.weights is not None
    return *adjacency.by_target[:2], adjacency.weights[0].to(torch.float32)
