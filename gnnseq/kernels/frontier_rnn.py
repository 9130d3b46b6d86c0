r"""The tanh or ReLU network, frontier by frontier, and its gradient.

.. math:: h_i = \phi\Big(W_{ih} x_i + b + W_{hh} \sum_{j \to i} w_{ji} h_j\Big)

Letters: N nodes, E edges, H hidden channels, B rows of initial state.
"""

import torch
from torch import Tensor

from gnnseq.kernels.frontier_steps import Backflow, CellGradients, Fronts
from gnnseq.kernels.native.build import native

__all__ = ["rnn_backward", "rnn_forward"]


def rnn_forward(term: Tensor, weight: Tensor, initial: Tensor, fronts: Fronts, phi: str) -> tuple[Tensor, ...]:
    """States [N + B, H], in the place of the input term where none are given, and the sums that nodes read [N, H]."""
    h = torch.cat([term, initial]) if len(initial) > 0 else term
    summed = fronts.make_summed(term)
    kernel = weight.t().contiguous()
    activate = torch.tanh_ if phi == "tanh" else torch.relu_
    fused = native("tanh_forward", h, h.numel()) if phi == "tanh" else None
    for front in fronts.steps:
        out = h[front.rows]
        if front.reads:
            out.addmm_(front.read(h, summed), kernel)
        if fused is None:
            activate(out)
        else:
            fused(*out.shape, out)
    return h, summed


def rnn_backward(grad: Tensor, kept: tuple[Tensor, ...], weight: Tensor, fronts: Fronts, phi: str) -> CellGradients:
    """Gradients from those of the states [N, H] and of what the forward pass kept."""
    h, summed = kept
    d_term = h.new_empty(grad.shape)
    flow = Backflow(grad, h, fronts)
    for front in reversed(fronts.steps):
        rows = front.rows
        d_h = flow.arrived(front)
        if phi == "tanh":
            torch.ops.aten.tanh_backward.grad_input(d_h, h[rows], grad_input=d_term[rows])
        else:
            torch.mul(d_h, h[rows] > 0, out=d_term[rows])
        if front.reads:
            flow.send(front, d_term[rows] @ weight, h)
    d_weight = fronts.kernel_gradient(d_term, h, summed)
    return CellGradients(d_term, d_weight, d_term.sum(0), flow.initial, flow.edge_weight)
