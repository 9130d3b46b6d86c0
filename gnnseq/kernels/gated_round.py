r"""A round of the gated graph network in compiled code, and its gradient.

.. math:: h_i' = \mathrm{GRU}\Big(\sum_{j \to i} w_{ji} W_t h_j,\; h_i\Big)

W_t and the GRU's input kernel are multiplied by one another, once, in place of one after the other by every node's sum.

Letters: N nodes, E edges, H hidden channels.
"""

from typing import Any

import torch
from torch import Tensor

from gnnseq.kernels.adjacency import Adjacency
from gnnseq.kernels.autograd_state import has_memory, outside_autocast, under_transform
from gnnseq.kernels.cell import GRU_CELL
from gnnseq.kernels.double_backward import gradients_of
from gnnseq.kernels.gru_rows import GRUGradients, Incoming, gru_rows
from gnnseq.kernels.input_projection import split_bias
from gnnseq.kernels.native import is_plain, runs_compiled
from gnnseq.kernels.saved import recall, save
from gnnseq.kernels.spmm import aggregate

__all__ = ["GRUWeights", "gated_round"]

# Nodes for each channel from which on one product of the two kernels costs less than the one of every node's sum.
LEAST_NODES = 4

GRUWeights = tuple[Tensor, Tensor, Tensor | None, Tensor | None]  # W_ih and W_hh [3H, H], b_ih and b_hh [3H]


def gated_round(h: Tensor, edge_weight: Tensor | None, graph: Adjacency, weight: Tensor, cell: GRUWeights) -> Tensor:
    """The states after a round.

    Args:
        h: The states before. [N, H]
        edge_weight: Weights in the order of the list that made the graph; None for the graph's own. [E]
        graph: The edges.
        weight: W_t, which multiplies from the right. [H, H]
        cell: The GRU's parameters, as torch.nn.GRUCell has them.
    """
    given = h, weight, *(part for part in cell if part is not None)
    large = h.size(0) >= LEAST_NODES * h.size(1)
    plain = edge_weight is None and large and all(map(is_plain, given)) and not under_transform(*given)
    if plain and runs_compiled(h, h.numel()):
        fired: Tensor = _GatedRound.apply(graph, h, weight, *cell)
        return fired
    return _by_torch(h, edge_weight, graph, weight, cell)


def _by_torch(h: Tensor, edge_weight: Tensor | None, graph: Adjacency, weight: Tensor, cell: GRUWeights) -> Tensor:
    """One product a node, none an edge."""
    return torch.gru_cell(aggregate(h, edge_weight, graph) @ weight, h, *cell)


class _GatedRound(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, graph: Adjacency, h: Tensor, weight: Tensor, *cell: Any) -> Tensor:
        weight_ih, weight_hh, bias_ih, bias_hh = cell
        hidden, lying = h.size(1), h.contiguous()
        summed = aggregate(lying, None, graph)
        kernel = weight @ weight_ih.t()  # [H, 3H]
        gates = summed.new_empty(len(h), 3 * hidden)
        bias, inner_bias = split_bias(GRU_CELL, bias_ih, bias_hh, weight_hh)
        fired, inner = gru_rows(gates, lying, weight_hh, inner_bias, Incoming(summed, kernel.t(), bias))
        save(ctx, None, h, weight, weight_ih, weight_hh, bias_ih, bias_hh, summed, gates, inner)
        ctx.graph = graph
        return fired

    @staticmethod
    @outside_autocast
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        h, weight, *cell, summed, gates, inner = recall(ctx)
        if torch.is_grad_enabled() or not has_memory(grad):

            def fired(h: Tensor, weight: Tensor, *cell: Any) -> Tensor:
                return _by_torch(h, None, ctx.graph, weight, cell)

            return None, *gradients_of(fired, (h, weight, *cell), grad)
        weight_ih, weight_hh, bias_ih, _ = cell
        h, summed, gates, inner = (tensor.contiguous() for tensor in (h, summed, gates, inner))
        wants_h = ctx.needs_input_grad[1]
        d_h, d_summed = torch.empty_like(h), torch.empty_like(summed) if wants_h else None
        found = GRUGradients(weight_hh, Incoming(summed, weight_ih @ weight.t()))
        found.add(gates, inner, h, grad.resolve_neg().contiguous(), d_h, d_summed)
        d_kernel = found.input_kernel
        if d_summed is not None:
            d_h += aggregate(d_summed, None, ctx.graph.transposed)
        d_bias = (None, None) if bias_ih is None else (found.input_bias, found.bias)
        return None, d_h if wants_h else None, d_kernel.t() @ weight_ih, d_kernel @ weight, found.kernel, *d_bias
