"""Weighted sums over neighbours without a message per edge.

Letters: N nodes, E edges, F channels, V a batch dimension added by torch.vmap.
"""

import inspect
from typing import Any

import torch
from torch import Tensor

from gnnseq.kernels.adjacency import Adjacency
from gnnseq.kernels.autograd_state import under_transform

__all__ = ["aggregate", "aggregate_nodes", "along_edges", "sum_rows"]

# Edges whose two ends are held at once when weights get a gradient.
EDGE_CHUNK = 1 << 16


def aggregate(x: Tensor, weight: Tensor | None, adjacency: Adjacency) -> Tensor:
    """The sum over each node's incoming edges of their weight times their source's row.

    Differentiable in x and weight, twice and more; memory is that of x and of the result.

    Args:
        x: A row for each source. [N, F]
        weight: One number an edge, in the order of the list that made the adjacency; None for the adjacency's own. [E]
        adjacency: The edges.

    Returns:
        A row for each target. [N, F]
    """
    given = [x] if weight is None else [x, weight]
    if not torch.is_grad_enabled() and not under_transform(*given):  # as in a backward pass: no derivatives are wanted
        return _sum(x, weight, adjacency)
    summed: Tensor = _Aggregate.apply(x, weight, adjacency)
    return summed


def aggregate_nodes(x: Tensor, weight: Tensor | None, adjacency: Adjacency) -> Tensor:
    """:func:`aggregate` for nodes in the last dimension but one, in one go. [..., N, F]"""
    if x.dim() == 2:
        return aggregate(x, weight, adjacency)
    wide = x.movedim(-2, 0)  # [N, ..., F]
    return aggregate(wide.flatten(1), weight, adjacency).view(wide.shape).movedim(0, -2)


def sum_rows(rows: Tensor, indices: Tensor, indptr: Tensor, weight: Tensor | None) -> Tensor:
    """Sums of rows, listed in compressed form: on a CPU torch's fastest way.

    Args:
        rows: [N, F]
        indices: The rows that are summed. [E]
        indptr: Where each sum's rows begin among them, and E. [n + 1]
        weight: A factor for each of them; 1 if None. [E]

    Returns:
        [n, F]
    """
    if indices.numel() == 0 or rows.size(1) == 0:
        return rows.new_zeros(indptr.numel() - 1, rows.size(1))
    return torch.embedding_bag(rows, indices, indptr, False, 0, False, weight, True)[0]


def _sum(x: Tensor, weight: Tensor | None, adjacency: Adjacency) -> Tensor:
    rows = adjacency.by_target
    # On a CPU sums of half-precision rows are ten times slower than those of their float32 copies, and rounder.
    exact = x if x.is_cuda else x.to(torch.promote_types(x.dtype, torch.float32))
    ordered = rows.weight if weight is None else weight.index_select(0, rows.edge_id)
    assert ordered is not None
    return sum_rows(exact.contiguous(), rows.indices, rows.indptr, ordered.to(exact.dtype)).to(x.dtype)


class _Aggregate(torch.autograd.Function):
    @staticmethod
    def forward(x: Tensor, weight: Tensor | None, adjacency: Adjacency) -> Tensor:
        return _sum(x, weight, adjacency)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor | None, Adjacency], output: Tensor) -> None:
        x, weight, ctx.adjacency = inputs
        ctx.save_for_backward(x if ctx.needs_input_grad[1] else None, weight)
        ctx.save_for_forward(x, weight)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None, None]:
        x, weight = ctx.saved_tensors
        d_x = d_weight = None
        if ctx.needs_input_grad[0]:
            d_x = aggregate(grad, weight, ctx.adjacency.transposed)
        if ctx.needs_input_grad[1]:
            d_weight = along_edges(grad, x, ctx.adjacency).to(weight.dtype)
        return d_x, d_weight, None

    @staticmethod
    def jvp(ctx: Any, d_x: Tensor | None, d_weight: Tensor | None, _: None) -> Tensor:
        x, weight = ctx.saved_tensors
        parts = [] if d_x is None else [aggregate(d_x, weight, ctx.adjacency)]
        parts += [] if d_weight is None else [aggregate(x, d_weight, ctx.adjacency)]
        return torch.stack(parts).sum(0)

    @staticmethod
    def vmap(
        info: Any, in_dims: tuple[int | None, int | None, None], x: Tensor, weight: Tensor | None, adjacency: Adjacency
    ) -> tuple[Tensor, int]:
        x_dim, weight_dim, _ = in_dims
        if weight is not None and weight_dim is not None:  # weights of its own for each entry
            entries = x.expand(info.batch_size, *x.shape) if x_dim is None else x.movedim(x_dim, 0)
            weights = weight.movedim(weight_dim, 0)
            return torch.stack([aggregate(*entry, adjacency) for entry in zip(entries, weights, strict=True)]), 0
        assert x_dim is not None
        wide = x.movedim(x_dim, 1)  # [N, V, F]: one aggregation, V times as wide
        return aggregate(wide.flatten(1), weight, adjacency).view(-1, *wide.shape[1:]), 1


# apply() asks for it in every call, and would otherwise read it off the code: a tenth of a small graph's time.
_Aggregate.forward.__signature__ = inspect.signature(_Aggregate.forward)  # type: ignore[attr-defined]


def along_edges(grad: Tensor, x: Tensor, adjacency: Adjacency) -> Tensor:
    """The product of each edge's target row of grad and source row of x, edges in the order of the list. [E]"""
    rows = adjacency.by_target
    target = torch.repeat_interleave(torch.arange(len(rows.indptr) - 1, device=x.device), rows.indptr.diff())
    products = [
        (grad.index_select(0, i) * x.index_select(0, j)).sum(1)
        for i, j in zip(target.split(EDGE_CHUNK), rows.indices.split(EDGE_CHUNK), strict=True)
    ]
    return torch.cat(products).index_select(0, rows.edge_id.argsort())
