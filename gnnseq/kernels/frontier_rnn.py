r"""The tanh or ReLU network, frontier by frontier.

.. math:: h_i = \phi\Big(W_{ih} x_i + b + W_{hh} \sum_{j \to i} w_{ji} h_j\Big)

Letters: N nodes, E edges, H hidden channels, V rows of entering state.
"""

from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from gnnseq.kernels.fronts import Fronts, input_term

if TYPE_CHECKING:
    from gnnseq.layers.recurrent import CellWeights

__all__ = ["rnn_sweep"]


def rnn_sweep(
    x: Tensor, entering: Tensor | None, edge_weight: Tensor | None, weights: "CellWeights", fronts: Fronts, phi: str
) -> Tensor:
    """H of every node. [N, H]"""
    term = input_term(x, weights, hidden_bias=True)
    h: Tensor = _Sweep.apply(term, weights.weight_hh, entering, edge_weight, fronts, phi)
    return h


class _Sweep(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        term: Tensor,
        weight: Tensor,
        entering: Tensor | None,
        edge_weight: Tensor | None,
        fronts: Fronts,
        phi: str,
    ) -> Tensor:
        states = term.new_empty(fronts.entering + fronts.num_nodes, weight.size(1))
        if entering is not None:
            states[: fronts.entering] = entering
        summed = term.new_zeros(fronts.num_nodes, weight.size(1))
        activate = torch.tanh_ if phi == "tanh" else torch.relu_
        for front in fronts.steps:
            h = states[front.read_rows]
            if front.source.numel() > 0:
                summed[front.rows] = front.sum(front.gather(states))
                torch.addmm(term[front.rows], summed[front.rows], weight.t(), out=h)
            else:
                h.copy_(term[front.rows])
            activate(h)
        ctx.save_for_backward(states, summed, weight)
        ctx.fronts, ctx.phi, ctx.weighted = fronts, phi, edge_weight is not None
        return states[fronts.entering :].clone()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
        states, summed, weight = ctx.saved_tensors
        fronts: Fronts = ctx.fronts
        d_states = torch.cat([grad.new_zeros(fronts.entering, grad.size(1)), grad])
        d_term = torch.empty_like(grad)
        d_edge = grad.new_zeros(fronts.num_edges) if ctx.weighted else None
        for front in reversed(fronts.steps):
            h = states[front.read_rows]
            slope = 1 - h * h if ctx.phi == "tanh" else (h > 0).to(h.dtype)
            torch.mul(d_states[front.read_rows], slope, out=d_term[front.rows])
            if front.source.numel() > 0:
                d_message = (d_term[front.rows] @ weight).index_select(0, front.target)
                if d_edge is not None and front.weight is not None:
                    d_edge[front.edges] = (d_message * states.index_select(0, front.source)).sum(1)
                    d_message *= front.weight
                d_states.index_add_(0, front.source, d_message)
        d_entering = d_states[: fronts.entering] if fronts.entering > 0 else None
        return d_term, d_term.t() @ summed, d_entering, d_edge, None, None
