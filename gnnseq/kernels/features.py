"""Products of features that are mostly zero, such as bags of words, with a kernel, in compiled code.

Letters: n rows, F features, H channels, Z numbers that are not zero.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gnnseq.kernels.native import call, is_plain, library_for
from gnnseq.kernels.tracing import has_memory, is_traced

__all__ = ["check_listed", "check_offsets", "feature_product"]

# Dense features are multiplied as such where more than one in so many is not zero.
LIMIT = 20
# Numbers of dense features for one that :func:`library_for` asks for: an estimate of what is worth listing.
DENSE = 16
# Numbers in rows that `spread_rows` writes: whole registers of any processor.
LANES = 16


class _Rows(NamedTuple):
    """What is not zero in row i lies at begin[i]..end[i]-1.

    Attributes:
        begin: [n]
        end: [n]
        columns: [Z]
        values: [Z]
        dense: The features, where they were given as such; their zeros count where something is not finite. [n, F]
    """

    begin: Tensor
    end: Tensor
    columns: Tensor
    values: Tensor
    dense: Tensor | None


def feature_product(x: Tensor, weight: Tensor) -> Tensor | None:
    """``x @ weight.T``; None where torch has to make it, because it is as fast or because it must see it.

    Args:
        x: Features without a gradient, dense or torch.sparse. [n, F]
        weight: The kernel. [H, F]

    Raises:
        ValueError: If x is sparse and an index of it is out of range.
    """
    if is_traced(x, weight) or x.dim() != 2 or torch.is_autocast_enabled("cpu"):
        return None
    size = x.numel() // DENSE if x.layout == torch.strided else x._nnz()
    if library_for(x, size) is None or not is_plain(weight):
        return None
    if x.requires_grad and torch.is_grad_enabled():
        return None
    rows = _find(x) if x.layout == torch.strided else _listed(x)
    if rows is None or (rows.dense is not None and not _is_finite(weight)):
        return None
    product: Tensor = _FeatureProduct.apply(weight, *rows)
    return product


def _find(x: Tensor) -> _Rows | None:
    """Goes through dense features once; None where too many of them are not zero."""
    room = x.numel() // LIMIT
    if not x.is_contiguous() or room >= 2**31:
        return None
    begin, end = x.new_empty(2, x.size(0), dtype=torch.int32).unbind()
    columns, values = x.new_empty(room, dtype=torch.int32), x.new_empty(room)
    sparse = call("find_nonzero", *x.shape, x, LIMIT, begin, end, columns, values)
    return _Rows(begin, end, columns, values, x) if sparse else None


def _listed(x: Tensor) -> _Rows | None:
    if x.layout == torch.sparse_csr:
        offsets, columns, values = x.crow_indices().contiguous(), x.col_indices(), x.values()
        if offsets[0] != 0 or offsets[-1] != columns.numel():  # what lies between is checked where it is read
            check_offsets(offsets, columns.numel())
    elif x.layout == torch.sparse_coo:
        x = x.coalesce()
        row, columns = x.indices()
        offsets, values = torch.searchsorted(row.contiguous(), _count(x.size(0) + 1)), x.values()
        if offsets[0] != 0 or offsets[-1] != row.numel():
            check_listed("row", row, x.size(0))
    else:
        return None
    return _Rows(offsets[:-1], offsets[1:], columns.contiguous(), values.contiguous(), None)


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


class _FeatureProduct(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, begin: Tensor, end: Tensor, columns: Tensor, values: Tensor, dense: Tensor | None
    ) -> Tensor:
        (channels, features), nodes = weight.shape, begin.numel()
        lists, wide = (begin, end, columns, values), columns.dtype == torch.int64
        weight_t, out = weight.new_empty(features, channels), weight.new_empty(nodes, channels)
        call("transpose", features, channels, weight.contiguous(), weight_t)
        if not call("sum_rows", nodes, features, channels, values.numel(), wide, *lists, weight_t, out):
            check_listed("column", columns, features)
            check_offsets(torch.cat([begin, end[-1:]]), values.numel())
        ctx.shape = weight.shape
        ctx.save_for_backward(*lists, dense)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        begin, end, columns, values, dense = ctx.saved_tensors
        (channels, features), nodes = ctx.shape, begin.numel()
        watched = torch.is_grad_enabled() or not has_memory(grad)
        if watched or (dense is not None and not _is_finite(grad)):
            if dense is None:
                row = torch.repeat_interleave(_count(nodes), end - begin)
                dense = values.new_zeros(nodes, features).index_put((row, columns), values, accumulate=True)
            with torch.autocast("cpu", enabled=False):
                return grad.t() @ dense, None, None, None, None, None
        lanes = -(-channels // LANES) * LANES
        lists, wide = (begin, end, columns, values), columns.dtype == torch.int64
        d_table, d_weight = grad.new_empty(features, lanes), grad.new_empty(channels, features)
        grad = grad.resolve_neg().contiguous()
        call("spread_rows", nodes, features, channels, lanes, wide, *lists, grad, d_table, d_weight)
        return d_weight, None, None, None, None, None
