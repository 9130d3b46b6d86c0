"""Products of features that are mostly zero, such as bags of words, with a kernel, in compiled code.

Letters: n rows, F features, H channels, Z numbers that are not zero.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch._C._functorch import is_legacy_batchedtensor
from torch.autograd import forward_ad
from torch.func import debug_unwrap

from gnnseq.kernels.native import call, is_plain, library_for
from gnnseq.kernels.select import is_traced

__all__ = ["feature_product"]

# Dense features are multiplied as such where more than one in so many is not zero.
LIMIT = 20
# Numbers of dense features for one that :func:`library_for` asks for: an estimate of what is worth listing.
DENSE = 16


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
    if any(forward_ad.unpack_dual(tensor).tangent is not None for tensor in (x, weight)):
        return None
    rows = _find(x) if x.layout == torch.strided else _listed(x)
    if rows is None or (rows.dense is not None and not _is_finite(weight)):
        return None
    product: Tensor = _FeatureProduct.apply(weight, *rows)
    return product


def _find(x: Tensor) -> _Rows | None:
    """Goes through dense features once; None where too many of them are not zero."""
    if not x.is_contiguous():
        return None
    begin, end = torch.empty(2, x.size(0), dtype=torch.int64).unbind()
    room = x.numel() // LIMIT
    columns, values = torch.empty(room, dtype=torch.int64), torch.empty(room)
    sparse = call("find_nonzero", *x.shape, x, LIMIT, begin, end, columns, values)
    return _Rows(begin, end, columns, values, x) if sparse else None


def _listed(x: Tensor) -> _Rows | None:
    if x.layout == torch.sparse_csr:
        offsets, columns, values = x.crow_indices().long().contiguous(), x.col_indices(), x.values()
    elif x.layout == torch.sparse_coo:
        x = x.coalesce()
        row, columns = x.indices()
        offsets, values = torch.searchsorted(row.contiguous(), torch.arange(x.size(0) + 1)), x.values()
        if offsets[0] != 0 or offsets[-1] != row.numel():
            wrong = int(row[-1 if offsets[0] == 0 else 0])
            raise ValueError(f"x is sparse and lists row {wrong}; expected 0 to {x.size(0) - 1}")
    else:
        return None
    return _Rows(offsets[:-1], offsets[1:], columns.long().contiguous(), values.contiguous(), None)


def _is_finite(tensor: Tensor) -> bool:
    return math.isfinite(float(tensor.detach().sum()))


class _FeatureProduct(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, weight: Tensor, begin: Tensor, end: Tensor, columns: Tensor, values: Tensor, dense: Tensor | None
    ) -> Tensor:
        channels, features = weight.shape
        out = weight.new_empty(begin.numel(), channels)
        sizes, listed = (begin.numel(), features, channels), (begin, end, columns, values)
        if not call("features_forward", *sizes, values.numel(), *listed, weight.t().contiguous(), out):
            outside = columns[(columns < 0) | (columns >= features)]
            wrong = (
                f"column {int(outside[0])}; expected 0 to {features - 1}" if outside.numel() else "rows out of order"
            )
            raise ValueError(f"x is sparse and lists {wrong}")
        ctx.sizes = sizes
        ctx.save_for_backward(*listed, dense)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        *listed, dense = ctx.saved_tensors
        nodes, features, channels = ctx.sizes
        batched = is_legacy_batchedtensor(grad) or debug_unwrap(grad) is not grad  # of is_grads_batched, or of vmap
        watched = batched or torch.is_grad_enabled()
        if watched or (dense is not None and not _is_finite(grad)):
            if dense is None:
                begin, end, columns, values = listed
                row = torch.repeat_interleave(torch.arange(nodes), end - begin)
                dense = values.new_zeros(nodes, features).index_put((row, columns), values, accumulate=True)
            with torch.autocast("cpu", enabled=False):
                return grad.t() @ dense, None, None, None, None, None
        d_weight_t = grad.new_empty(features, channels)
        call("features_backward", nodes, features, channels, *listed, grad.contiguous(), d_weight_t)
        return d_weight_t.t(), None, None, None, None, None
