"""Products of features that are mostly zero, such as bags of words, with a kernel.

Letters: N nodes, F features, H channels, Z numbers that are not zero.
"""

import math
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gnnseq.kernels.adjacency import Adjacency
from gnnseq.kernels.autograd_state import has_memory, is_traced
from gnnseq.kernels.memo import Memo
from gnnseq.kernels.native import compiled, is_plain, runs_compiled
from gnnseq.kernels.saved import recall, save
from gnnseq.kernels.spmm import aggregate
from gnnseq.sparse import check_csr, check_range, coalesced

__all__ = ["feature_product", "sparse_product"]

# Dense features are multiplied as such if more than one in so many is not zero.
LIMIT = 20
# Numbers of dense features that count as one for :func:`runs_compiled`: an estimate of how many are not zero.
DENSE = 16
# Numbers in rows that `spread_rows` writes: whole registers of any processor.
LANES = 16


class _Lists(NamedTuple):
    """The numbers of node i that are not zero lie at begin[i]..end[i]-1.

    Attributes:
        begin: [N], or [N + 1] if end is None.
        end: None if each list ends where the next begins. [N]
        columns: The feature that each number is of. [Z]
        values: [Z]
        dense: The features, if they were given as such; their zeros count if something is not finite. [N, F]
    """

    begin: Tensor
    end: Tensor | None
    columns: Tensor
    values: Tensor
    dense: Tensor | None


def feature_product(
    x: Tensor, weight: Tensor, adjacency: Adjacency | None = None, bias: Tensor | None = None
) -> Tensor | None:
    """``x @ weight.T``, or a whole convolution, in compiled code; None if torch is as fast, or must see it.

    Args:
        x: Features without a gradient, dense or torch.sparse. [N, F]
        weight: The kernel. [H, F]
        adjacency: Edges with weights of their own, if products are to be summed over them.
        bias: Added to those sums. [H]

    Raises:
        ValueError: If x is sparse and malformed.
    """
    learnt = (weight,) if bias is None else (weight, bias)
    if is_traced(x, *learnt) or x.dim() != 2 or torch.is_autocast_enabled("cpu"):
        return None
    size = x.numel() // DENSE if x.layout == torch.strided else x._nnz()
    if not runs_compiled(x, size, "rows") or not all(map(is_plain, learnt)):
        return None
    if weight.shape[1:] != x.shape[1:] or (bias is not None and bias.shape != weight.shape[:1]):
        return None
    if x.requires_grad and torch.is_grad_enabled():
        return None
    lists = _find(x) if x.layout == torch.strided else _take(x)
    if lists is None or (lists.dense is not None and not _is_finite(weight)):
        return None
    product: Tensor = _FeatureProduct.apply(weight, bias, adjacency, *lists)
    return product


@torch.compiler.disable  # type: ignore[untyped-decorator]  # it cannot trace sparse tensors
def sparse_product(x: Tensor, weight: Tensor, remembered: Memo[Adjacency]) -> Tensor:
    """``x @ weight.T`` by torch's operations: each node sums the kernel's columns of its features.

    Args:
        x: torch.sparse features without a gradient. [N, F]
        weight: The kernel. [H, F]
        remembered: Where the features stay, compressed by row and by column.

    Raises:
        ValueError: If x is malformed.
    """
    if x.layout == torch.sparse_csr:
        parts = x.crow_indices(), x.col_indices(), x.values()
    else:
        x = coalesced(x.to_sparse_coo())
        parts = x.indices()[0], x.indices()[1], x.values()
    shape = x.size(0), x.size(1)

    def compress() -> Adjacency:
        row, feature, value = parts
        if x.layout == torch.sparse_csr:
            check_csr("x", row, feature, value, shape)
            row = torch.repeat_interleave(torch.arange(x.size(0), device=row.device), row.diff())
        check_range("x", "row", row, x.size(0))
        check_range("x", "column", feature, x.size(1))
        return Adjacency.of(torch.stack([feature, row]), *shape).weighted(value)

    return aggregate(weight.t(), None, remembered.get(parts, (x.layout, x.shape), compress))


def _find(x: Tensor) -> _Lists | None:
    """Goes through dense features once; None if too many of them are not zero."""
    room = x.numel() // LIMIT
    if not x.is_contiguous() or room >= 2**31:
        return None
    begin, end = x.new_empty(2, x.size(0), dtype=torch.int32).unbind()
    columns, values = x.new_empty(room, dtype=torch.int32), x.new_empty(room)
    sparse = compiled("find_nonzero")(torch.get_num_threads(), *x.shape, x, LIMIT, begin, end, columns, values)
    return _Lists(begin, end, columns, values, x) if sparse else None


def _take(x: Tensor) -> _Lists | None:
    """The numbers of sparse features as they lie there; None if their form is one that compiled code does not know."""
    if x.layout == torch.sparse_csr:
        indptr, columns, values = x.crow_indices(), x.col_indices(), x.values()
        kinds = {indptr.dtype, columns.dtype}
        if indptr.numel() != x.size(0) + 1 or columns.numel() != values.numel() or len(kinds) > 1:
            return None
    elif x.layout == torch.sparse_coo:
        x = coalesced(x)
        (row, columns), values = x.indices(), x.values()
        indptr = torch.searchsorted(row.contiguous(), _count(x.size(0) + 1))
        if indptr[0] != 0 or indptr[-1] != row.numel():
            check_range("x", "row", row, x.size(0))
    else:
        return None
    if columns.dtype not in (torch.int32, torch.int64):
        return None
    return _Lists(indptr.contiguous(), None, columns.contiguous(), values.contiguous(), None)


def _count(size: int) -> Tensor:
    return torch.arange(size, device="cpu")  # whatever device is torch's default


def _is_finite(tensor: Tensor) -> bool:
    return math.isfinite(float(tensor.detach().sum()))


class _FeatureProduct(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        weight: Tensor,
        bias: Tensor | None,
        adjacency: Adjacency | None,
        begin: Tensor,
        end: Tensor | None,
        columns: Tensor,
        values: Tensor,
        dense: Tensor | None,
    ) -> Tensor:
        (channels, features), nodes = weight.shape, begin.numel() - (end is None)
        wide = columns.dtype == torch.int64
        ctx.sizes, ctx.adjacency = (nodes, features, channels, columns.numel(), wide), adjacency
        save(ctx, None, begin, end, columns, values, dense)
        table, out = weight.new_empty(features, channels), weight.new_empty(nodes, channels)
        lists = begin, end, columns, values
        if not compiled("multiply_lists")(torch.get_num_threads(), *ctx.sizes, *lists, weight.contiguous(), table, out):
            check_csr("x", begin, columns, values, (nodes, features))
        if adjacency is not None:
            out = aggregate(out, None, adjacency)
        return out if bias is None else out.add_(bias)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        d_bias = grad.sum(0) if ctx.needs_input_grad[1] else None
        d_weight = None
        if ctx.needs_input_grad[0]:
            if ctx.adjacency is not None:
                grad = aggregate(grad, None, ctx.adjacency.transposed)
            d_weight = _kernel_gradient(ctx.sizes, recall(ctx), grad)
        return d_weight, d_bias, None, None, None, None, None, None


def _kernel_gradient(sizes: tuple[int, int, int, int, bool], lists: list[Any], grad: Tensor) -> Tensor:
    """The gradient of the kernel [H, F] by that of the product [N, H]."""
    begin, end, columns, values, dense = lists
    nodes, features, channels, _, _ = sizes
    # Derivatives of this one need torch's operations.
    if torch.is_grad_enabled() or not has_memory(grad) or (dense is not None and not _is_finite(grad)):
        if dense is None:
            row = torch.repeat_interleave(_count(nodes), begin.diff())
            dense = values.new_zeros(nodes, features).index_put((row, columns), values, accumulate=True)
        with torch.autocast("cpu", enabled=False):
            d_weight: Tensor = grad.t() @ dense
            return d_weight
    lanes = -(-channels // LANES) * LANES
    d_table, d_weight = grad.new_empty(features, lanes), grad.new_empty(channels, features)
    # Hooks on saved tensors may give them back strided.
    begin, columns, values = begin.contiguous(), columns.contiguous(), values.contiguous()
    grad, end = grad.resolve_neg().contiguous(), None if end is None else end.contiguous()
    numbers = begin, end, columns, values
    if not compiled("multiply_lists_back")(torch.get_num_threads(), *sizes, *numbers, lanes, grad, d_table, d_weight):
        raise RuntimeError("x is sparse, and its indices were altered between the forward and the backward pass; "
                           "give a copy, x.clone()")  # fmt: skip
    return d_weight
