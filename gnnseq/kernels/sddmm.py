"""Products of the two ends of every edge, without holding both ends of all edges at once.

Letters: N nodes, E edges, F channels.
"""

from typing import Any

import torch
from torch import Tensor

from gnnseq.kernels.adjacency import Adjacency
from gnnseq.kernels.autograd_state import is_traced
from gnnseq.kernels.spmm import aggregate, along_edges

__all__ = ["edge_products"]


def edge_products(x: Tensor, y: Tensor, adjacency: Adjacency) -> Tensor:
    """The inner product of each edge's target row of x and source row of y, edges in the order of the list.

    Differentiable in both, twice and more; memory is O(N F + E).

    Args:
        x: A row for each target. [N, F]
        y: A row for each source. [N, F]
        adjacency: The edges.

    Returns:
        A number for each edge. [E]
    """
    if is_traced(x, y):
        return along_edges(x, y, adjacency)
    products: Tensor = _EdgeProducts.apply(x, y, adjacency)
    return products


class _EdgeProducts(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, y: Tensor, adjacency: Adjacency) -> Tensor:
        ctx.save_for_backward(x, y)
        ctx.adjacency = adjacency
        return along_edges(x, y, adjacency)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        x, y = ctx.saved_tensors
        return aggregate(y, grad, ctx.adjacency), aggregate(x, grad, ctx.adjacency.transposed), None
