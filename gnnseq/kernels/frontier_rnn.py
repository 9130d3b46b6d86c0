r"""The tanh or ReLU network, frontier by frontier, and its gradient.

.. math:: h_i = \phi\Big(W_{ih} x_i + b + W_{hh} \sum_{j \to i} w_{ji} h_j\Big)

Letters: N nodes, E edges, H hidden channels, B rows of initial state.
"""

import torch
from torch import Tensor

from gnnseq.kernels.frontier_steps import CellGradients, Fronts
from gnnseq.kernels.native import compiled, runs_compiled

__all__ = ["rnn_backward", "rnn_forward"]


def rnn_forward(projection: Tensor, weight: Tensor, initial: Tensor, fronts: Fronts, phi: str) -> tuple[Tensor, ...]:
    """States [N + B, H], in the input projection's place if B = 0, and what nodes read unless it is rows of these."""
    h = torch.cat([projection, initial]) if len(initial) > 0 else projection
    summed = fronts.make_summed(projection)
    kernel = weight.t().contiguous()
    activate = torch.tanh_ if phi == "tanh" else torch.relu_
    fire = compiled("tanh_forward") if phi == "tanh" and runs_compiled(h, h.numel()) else None
    threads = torch.get_num_threads()
    for front in fronts.steps:
        out = h[front.rows]
        if front.reads:
            out.addmm_(front.read(h, summed), kernel)
        if fire is None:
            activate(out)
        else:
            fire(threads, *out.shape, out)
    return h, summed


def rnn_backward(grad: Tensor, kept: tuple[Tensor, ...], weight: Tensor, fronts: Fronts, phi: str) -> CellGradients:
    """Gradients from those of the states [N, H] and of what the forward pass kept."""
    h, summed = kept
    d_projection = h.new_empty(grad.shape)
    flow = fronts.backflow(grad, h)
    for front in reversed(fronts.steps):
        rows = front.rows
        d_h = flow.arrived(front)
        if phi == "tanh":
            torch.ops.aten.tanh_backward.grad_input(d_h, h[rows], grad_input=d_projection[rows])
        else:
            # As relu's own derivative: where h is NaN the gradient passes, and an infinite one is 0 where h is.
            torch.ops.aten.threshold_backward.grad_input(d_h, h[rows], 0, grad_input=d_projection[rows])
        if front.reads:
            flow.send(front, d_projection[rows] @ weight, h)
    d_weight = fronts.kernel_gradient(d_projection, h, summed)
    return CellGradients(d_projection, d_weight, d_projection.sum(0), flow.initial, flow.edge_weight)
