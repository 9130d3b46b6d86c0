r"""The tanh or ReLU network, frontier by frontier, and its gradient.

.. math:: h_i = \phi\Big(W_{ih} x_i + b + W_{hh} \sum_{j \to i} w_{ji} h_j\Big)

Letters: N nodes, E edges, H hidden channels, V rows of entering state.
"""

import torch
from torch import Tensor

from gnnseq.kernels.fronts import CellGradients, Fronts

__all__ = ["rnn_backward", "rnn_forward"]


def rnn_forward(term: Tensor, weight: Tensor, entering: Tensor | None, fronts: Fronts, phi: str) -> tuple[Tensor, ...]:
    """States of entering rows and nodes [V + N, H], and the sum that each node read [N, H]."""
    states = term.new_empty(fronts.entering + fronts.num_nodes, weight.size(1))
    if entering is not None:
        states[: fronts.entering] = entering
    summed = term.new_zeros(fronts.num_nodes, weight.size(1))
    activate = torch.tanh_ if phi == "tanh" else torch.relu_
    for front in fronts.steps:
        h = states[front.read_rows]
        if front.reads:
            summed[front.rows] = front.sum(front.gather(states))
            torch.addmm(term[front.rows], summed[front.rows], weight.t(), out=h)
        else:
            h.copy_(term[front.rows])
        activate(h)
    return states, summed


def rnn_backward(grad: Tensor, kept: tuple[Tensor, ...], weight: Tensor, fronts: Fronts, phi: str) -> CellGradients:
    """Gradients from those of the states [V + N, H] and of what the forward pass kept."""
    states, summed = kept
    d_states = grad.clone()
    d_term = torch.empty_like(summed)
    d_edge = grad.new_zeros(fronts.num_edges) if fronts.weighted else None
    for front in reversed(fronts.steps):
        h = states[front.read_rows]
        if phi == "tanh":
            torch.ops.aten.tanh_backward.grad_input(d_states[front.read_rows], h, grad_input=d_term[front.rows])
        else:
            torch.mul(d_states[front.read_rows], h > 0, out=d_term[front.rows])
        if front.reads:
            d_message = front.spread(d_term[front.rows] @ weight)
            if d_edge is not None and front.weight is not None:
                d_edge[front.edges] = (d_message * front.sources(states)).sum(1)
                d_message *= front.weight
            front.add_to_sources(d_states, d_message)
    return CellGradients(d_term, d_term.t() @ summed, d_term.sum(0), d_states[: fronts.entering], d_edge)
