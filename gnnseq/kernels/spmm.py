"""Weighted sums over neighbours without a message per edge.

Letters: N nodes, E edges, F channels, V a batch dimension added by torch.vmap.
"""

import inspect
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gnnseq.kernels.autograd_state import under_transform

__all__ = ["Adjacency", "aggregate", "along_edges", "sum_rows"]

# Edges whose two ends are held at once when weights get a gradient.
EDGE_CHUNK = 1 << 16


@dataclass(frozen=True, eq=False)
class Adjacency:
    """Edges in compressed rows, by target and by source.

    Attributes:
        by_target: Row offsets [N + 1], the source of each edge [E], and the edge's number in the list [E].
        by_source: The same with targets, for the backward pass.
        weights: The edges' weights in both orders, where they are constants and come with the edges.
    """

    by_target: tuple[Tensor, Tensor, Tensor]
    by_source: tuple[Tensor, Tensor, Tensor]
    weights: tuple[Tensor, Tensor] | None = None

    @staticmethod
    def of(edge_index: Tensor, num_nodes: int, num_sources: int | None = None) -> "Adjacency":
        """The compressed rows of ``edge_index`` [2, E]; sources are numbered apart where ``num_sources`` is given."""
        source, target = edge_index
        num_sources = num_nodes if num_sources is None else num_sources
        by_target = _compress(target, source, num_nodes, num_sources)
        return Adjacency(by_target, _compress(source, target, num_sources, num_nodes))

    def weighted(self, weight: Tensor) -> "Adjacency":
        """The same edges with constant weights [E], in the order of the list, which no later call has to sort."""
        ordered = weight.index_select(0, self.by_target[2]), weight.index_select(0, self.by_source[2])
        return Adjacency(self.by_target, self.by_source, ordered)

    @property
    def transposed(self) -> "Adjacency":
        """Every edge turned around."""
        return Adjacency(self.by_source, self.by_target, None if self.weights is None else self.weights[::-1])


def _compress(rows: Tensor, columns: Tensor, num_rows: int, num_columns: int) -> tuple[Tensor, Tensor, Tensor]:
    # Sorting by both ends makes the sums the same in whatever order the edges were listed.
    edge = (rows * num_columns + columns).argsort(stable=True)
    offsets = torch.zeros(num_rows + 1, dtype=torch.int64, device=rows.device)
    torch.cumsum(torch.bincount(rows, minlength=num_rows), 0, out=offsets[1:])
    # 32-bit indices halve the memory that is read beside the features.
    small = torch.int32 if max(edge.numel(), num_rows, num_columns) < 2**31 else torch.int64
    return offsets.to(small), columns[edge].to(small), edge


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
    if not torch.is_grad_enabled() and not under_transform(*given):  # as in a backward pass: no derivative is asked
        return _sum(x, weight, adjacency)
    summed: Tensor = _Aggregate.apply(x, weight, adjacency)
    return summed


def sum_rows(rows: Tensor, which: Tensor, first: Tensor, weight: Tensor | None) -> Tensor:
    """Sums of rows, each of those from its first to the next one's: on a CPU torch's fastest way.

    Args:
        rows: [N, F]
        which: The rows that are summed. [E]
        first: Where each sum's begin among them, and E. [n + 1]
        weight: Of the summed rows, 1 where None. [E]

    Returns:
        [n, F]
    """
    if which.numel() == 0 or rows.size(1) == 0:
        return rows.new_zeros(first.numel() - 1, rows.size(1))
    return torch.embedding_bag(rows, which, first, False, 0, False, weight, True)[0]


def _sum(x: Tensor, weight: Tensor | None, adjacency: Adjacency) -> Tensor:
    offsets, columns, edge = adjacency.by_target
    # On a CPU sums of half-precision rows are ten times slower than those of their float32 copies, and rounder.
    exact = x if x.is_cuda else x.to(torch.promote_types(x.dtype, torch.float32))
    if weight is not None:
        ordered = weight.index_select(0, edge)
    else:
        assert adjacency.weights is not None
        ordered = adjacency.weights[0]
    return sum_rows(exact.contiguous(), columns, offsets, ordered.to(exact.dtype)).to(x.dtype)


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
    """The product of each edge's target row of grad and source row of x, edges in their listed order. [E]"""
    offsets, source, edge = adjacency.by_target
    target = torch.repeat_interleave(torch.arange(len(offsets) - 1, device=x.device), offsets.diff())
    products = [
        (grad.index_select(0, i) * x.index_select(0, j)).sum(1)
        for i, j in zip(target.split(EDGE_CHUNK), source.split(EDGE_CHUNK), strict=True)
    ]
    return torch.cat(products).index_select(0, edge.argsort())
