r"""Sums over neighbours through a gate for every edge, of which nothing is kept between the passes.

.. math:: s_i = \sum_{j \to i} w_{ji} \, \sigma(a_i + b_j) \odot c_j

This is what an LSTM's cell keeps of its predecessors' cells; :math:`\sigma(a_i + b_j)` is the edge's forget gate.

Letters: N nodes, E edges, H hidden channels.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gnnseq.kernels.aggregate import Adjacency
from gnnseq.kernels.tracing import is_traced, is_transformed

__all__ = ["GatedEdges", "gated_aggregate"]


@dataclass(frozen=True, eq=False)
class GatedEdges:
    """Compressed edges with what a gate on each needs; the number of an edge here is its place by target.

    Attributes:
        adjacency: The edges.
        target: The target of each edge. [E]
        ends: Target i and N + source j of each edge, side by side. [2E]
        outgoing: The edges by source. [E]
        every: 0 .. E, and two steps at a time. [E + 1], [E + 1]
    """

    adjacency: Adjacency
    target: Tensor
    ends: Tensor
    outgoing: Tensor
    every: tuple[Tensor, Tensor]

    @staticmethod
    def of(adjacency: Adjacency) -> "GatedEdges":
        """Of compressed edges."""
        offsets, source, edge = adjacency.by_target
        nodes, size = len(offsets) - 1, len(source)
        node = torch.arange(nodes, dtype=source.dtype, device=source.device)
        target = torch.repeat_interleave(node, offsets.diff())
        every = torch.arange(size + 1, dtype=source.dtype, device=source.device)
        place = torch.empty_like(source).index_copy(0, edge, every[:-1])
        ends = torch.stack([target, source + nodes], dim=1).view(-1)
        return GatedEdges(adjacency, target, ends, place[adjacency.by_source[2]], (every, 2 * every))

    def weights(self, weight: Tensor | None, like: Tensor) -> tuple[Tensor, Tensor]:
        """Weights by target and by source: of these, in the order of the list, or the adjacency's own. [E], [E]"""
        found = (self.adjacency if weight is None else self.adjacency.weighted(weight)).weights
        assert found is not None
        return found[0].to(like.dtype), found[1].to(like.dtype)


def gated_aggregate(a: Tensor, b: Tensor, c: Tensor, weight: Tensor | None, edges: GatedEdges) -> Tensor:
    """The sum over each node's incoming edges of their weight, times their gate, times their source's row of c.

    Differentiable in everything, twice and more; memory is O((N + E) H) while it runs and O(N H) afterwards.

    Args:
        a: The target's part of the gate. [N, H]
        b: The source's part of the gate. [N, H]
        c: What is passed on. [N, H]
        weight: One number an edge, in the order of the list that made the adjacency; None for the adjacency's own. [E]
        edges: The edges.

    Returns:
        A row for each target. [N, H]
    """
    empty = len(edges.target) == 0 or a.size(1) == 0
    if is_traced(*(tensor for tensor in (a, b, c, weight) if tensor is not None)) or empty:
        return _plainly(a, b, c, weight, edges)
    summed: Tensor = _GatedAggregate.apply(a, b, c, weight, edges)
    return summed


def _plainly(a: Tensor, b: Tensor, c: Tensor, weight: Tensor | None, edges: GatedEdges) -> Tensor:
    """The same by operations that torch differentiates and transforms."""
    source = edges.adjacency.by_target[1]
    gate = torch.sigmoid(a.index_select(0, edges.target) + b.index_select(0, source))
    messages = edges.weights(weight, a)[0].unsqueeze(1) * gate * c.index_select(0, source)
    return torch.zeros_like(a).index_add(0, edges.target, messages)


def _rows(rows: Tensor, which: Tensor, offsets: Tensor, weight: Tensor | None = None) -> Tensor:
    """Sums of rows, weighted or not: on a CPU the fastest of torch's ways to gather them, too."""
    return torch.embedding_bag(rows, which, offsets, False, 0, False, weight, True)[0]


def _gates(a: Tensor, b: Tensor, c: Tensor, edges: GatedEdges) -> tuple[Tensor, Tensor]:
    """The gate and the source's row of c on each edge. [E, H], [E, H]"""
    one, two = edges.every
    gate = _rows(torch.cat([a, b]), edges.ends, two).sigmoid_()
    return gate, _rows(c, edges.adjacency.by_target[1], one)


class _GatedAggregate(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, a: Tensor, b: Tensor, c: Tensor, weight: Tensor | None, edges: GatedEdges) -> Tensor:
        ctx.save_for_backward(a, b, c, weight)
        ctx.edges = edges
        gate, c = _gates(a, b, c.contiguous(), edges)
        return _rows(gate.mul_(c), edges.every[0][:-1], edges.adjacency.by_target[0], edges.weights(weight, a)[0])

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        inputs = ctx.saved_tensors
        a, b, c, weight = inputs
        edges: GatedEdges = ctx.edges
        if torch.is_grad_enabled() or is_transformed(grad):
            return *_differentiably(inputs, edges, grad), None
        in_weight, out_weight = edges.weights(weight, a)
        one, (incoming, _, listed), outgoing = edges.every[0], edges.adjacency.by_target, edges.adjacency.by_source[0]
        gate, c = _gates(a, b, c.contiguous(), edges)
        d_c = _rows(grad.contiguous(), edges.target, one).mul_(gate)  # all but for the weight
        d_weight = None
        if weight is not None and ctx.needs_input_grad[3]:
            d_weight = torch.empty_like(weight).index_copy(0, listed, (d_c * c).sum(1).to(weight.dtype))
        d_gate = torch.addcmul(d_c, d_c, gate, value=-1).mul_(c)
        return (
            _rows(d_gate, one[:-1], incoming, in_weight),
            _rows(d_gate, edges.outgoing, outgoing, out_weight),
            _rows(d_c, edges.outgoing, outgoing, out_weight),
            d_weight,
            None,
        )


def _differentiably(inputs: tuple[Tensor | None, ...], edges: GatedEdges, grad: Tensor) -> list[Tensor | None]:
    """The gradients as functions of the inputs, for a second derivative, and of a batch of gradients."""
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        # Aliases: where one input was computed from another, only its use here counts.
        used = [None if each is None else each.view_as(each) for each in inputs]
        wanted = [each for each in used if each is not None and each.requires_grad]
        summed = _plainly(*used, edges)  # type: ignore[call-arg, arg-type]
        found = iter(torch.autograd.grad(summed, wanted, grad, create_graph=again, allow_unused=True))
    return [next(found) if each is not None and each.requires_grad else None for each in used]
