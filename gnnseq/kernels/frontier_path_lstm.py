r"""The LSTM on unweighted paths, where every node reads one other, step by step; and its gradient.

.. math::
    (f_i, i_i, o_i, g_i) = (\sigma, \sigma, \sigma, \tanh)(W x_i + b + U h_{i-1}), \qquad
    c_i = f_i \odot c_{i-1} + i_i \odot g_i, \qquad h_i = o_i \odot \tanh c_i

One product a step for all four gates, where :mod:`gnnseq.kernels.frontier_lstm` needs two, and the input term as it is,
where torch's kernels make it themselves from features: this one takes one-hot indices.

Letters: N nodes, H hidden channels, V rows of entering state. Gates have the order f, i, o, g.
"""

import torch
from torch import Tensor

from gnnseq.kernels.fronts import Backflow, CellGradients, Fronts

__all__ = ["path_lstm_backward", "path_lstm_forward"]


def path_lstm_forward(term: Tensor, weight: Tensor, entering: Tensor, fronts: Fronts) -> tuple[Tensor, ...]:
    """States h and c, gates in the place of the input term, tanh c."""
    hidden = weight.size(1)
    h = term.new_empty(term.size(0), hidden)
    c, tanh_c = torch.empty_like(h), torch.empty_like(h)
    first_h, first_c = entering.chunk(2, dim=1)
    for front in fronts.steps:
        rows = front.rows
        gates = term[rows]
        if front.reads:
            gates.addmm_(front.sources(h, first_h), weight.t())
        gates[:, : 3 * hidden].sigmoid_()
        f, i, o, g = gates.chunk(4, dim=1)
        torch.mul(i, g.tanh_(), out=c[rows])
        if front.reads:
            c[rows].addcmul_(f, front.sources(c, first_c))
        torch.mul(o, torch.tanh(c[rows], out=tanh_c[rows]), out=h[rows])
    return h, c, term, tanh_c


def path_lstm_backward(
    grad: Tensor, kept: tuple[Tensor, ...], weight: Tensor, entering: Tensor, fronts: Fronts
) -> CellGradients:
    """Gradients from those of the states [N, 2H] and of what the forward pass kept."""
    h, c, gates, tanh_c = kept
    hidden = weight.size(1)
    first_h, first_c = entering.chunk(2, dim=1)
    grad_h, grad_c = grad.chunk(2, dim=1)
    flow_h, flow_c = Backflow(grad_h, first_h, fronts), Backflow(grad_c, first_c, fronts)
    d_term = torch.empty_like(gates)
    for front in reversed(fronts.steps):
        rows = front.rows
        f, i, o, g = gates[rows].chunk(4, dim=1)
        d_f, d_i, d_o, d_g = d_term[rows].chunk(4, dim=1)
        d_h = flow_h.arrived(front)
        d_c = torch.ops.aten.tanh_backward(d_h * o, tanh_c[rows]).add_(flow_c.arrived(front))
        torch.mul(d_c, g, out=d_i)
        torch.mul(d_h, tanh_c[rows], out=d_o)
        if front.reads:
            torch.mul(d_c, front.sources(c, first_c), out=d_f)
        else:
            d_f.zero_()
        d_gates = d_term[rows, : 3 * hidden]
        torch.ops.aten.sigmoid_backward.grad_input(d_gates, gates[rows, : 3 * hidden], grad_input=d_gates)
        torch.ops.aten.tanh_backward.grad_input(d_c * i, g, grad_input=d_g)
        if front.reads:
            flow_h.add(front, d_term[rows] @ weight)
            flow_c.add(front, d_c.mul_(f))
    d_weight = fronts.kernel_gradient(d_term, h, first_h, h)
    d_entering = torch.cat([flow_h.entering, flow_c.entering], dim=1)
    return CellGradients(d_term, d_weight, d_term.sum(0), d_entering, flow_h.edge_weight)
