r"""The GRU, frontier by frontier, and its gradient.

.. math::
    \tilde h_i &= \sum_{j \to i} w_{ji} h_j, \qquad
    (r_i, z_i) = \sigma(W_{i,rz} x_i + b_{rz} + W_{h,rz} \tilde h_i) \\
    n_i &= \tanh(W_{in} x_i + b_{in} + r_i \odot (W_{hn} \tilde h_i + b_{hn})), \qquad
    h_i = (1 - z_i) \odot n_i + z_i \odot \tilde h_i

Letters: N nodes, E edges, H hidden channels, B rows of initial state.
"""

import torch
from torch import Tensor

from gnnseq.kernels.frontier_steps import Backflow, CellGradients, Fronts, make_nodes
from gnnseq.kernels.native.build import native

__all__ = ["gru_backward", "gru_forward"]


def gru_forward(term: Tensor, weight: Tensor, bias: Tensor, initial: Tensor, fronts: Fronts) -> tuple[Tensor, ...]:
    """States [N + B, H], r, z and n in the input term's place [N, 3H], W_hn h~ + b_hn [N, H], sums that nodes read.

    The bias is that of n's inner product alone [H]; the others are in the input term.
    """
    hidden = weight.size(1)
    h = make_nodes(len(term), initial)
    inner = h.new_empty(len(term), hidden)
    summed = fronts.make_summed(inner)
    fused = native("gru_forward", term, term.numel())
    if fused is not None:
        kernel, bias = weight.t().contiguous(), bias.contiguous()
        product = torch.zeros_like(
            term[: max((front.rows.stop - front.rows.start for front in fronts.steps), default=0)]
        )
        for front in fronts.steps:
            rows = front.rows
            paths, h_sum = rows.stop - rows.start, front.read(h, summed)
            if front.reads:
                torch.mm(h_sum, kernel, out=product[:paths])
            fused(paths, hidden, term[rows], product, bias, h_sum.contiguous(), inner[rows], h[rows])
        return h, term, inner, summed
    gates_weight, inner_weight = weight[: 2 * hidden].t().contiguous(), weight[2 * hidden :].t().contiguous()
    for front in fronts.steps:
        rows = front.rows
        gate, n = term[rows].split([2 * hidden, hidden], dim=1)
        h_sum = front.read(h, summed)
        if front.reads:
            gate.addmm_(h_sum, gates_weight)
            torch.addmm(bias, h_sum, inner_weight, out=inner[rows])
        else:
            inner[rows] = bias
        r, z = gate.sigmoid_().chunk(2, dim=1)
        n.addcmul_(r, inner[rows]).tanh_()
        torch.lerp(n, h_sum, z, out=h[rows])
    return h, term, inner, summed


def gru_backward(grad: Tensor, kept: tuple[Tensor, ...], weight: Tensor, fronts: Fronts) -> CellGradients:
    """Gradients from those of the states [N, H] and of what the forward pass kept."""
    h, gates, inner, summed = kept
    hidden = weight.size(1)
    # Of n's inner product and of the sums inside r, z, n: those of W_hh h~ and of the input term are neighbours.
    d_all = grad.new_empty(len(grad), 4 * hidden)
    d_read, d_term = d_all[:, : 3 * hidden], d_all[:, hidden:]
    turned = weight.roll(hidden, 0)  # rows of n, r, z
    flow = Backflow(grad, h, fronts)
    fused = native("gru_backward", gates, gates.numel())
    for front in reversed(fronts.steps):
        rows = front.rows
        d_h, read = flow.arrived(front), front.read_again(h, summed)
        if fused is None:
            d_kept = _step_back(gates[rows], inner[rows], read, d_h, d_all[rows])
        else:
            d_kept = torch.empty_like(h[rows])
            fused(*d_kept.shape, gates[rows], inner[rows], read.contiguous(), d_h.contiguous(), d_all[rows], d_kept)
        if front.reads:
            flow.send(front, d_kept.addmm_(d_read[rows], turned), h)
    d_weight = fronts.kernel_gradient(d_read, h, summed).roll(-hidden, 0)
    d_bias = d_read.sum(0).roll(-hidden, 0)
    return CellGradients(d_term, d_weight, d_bias, flow.initial, flow.edge_weight)


def _step_back(gates: Tensor, inner: Tensor, read: Tensor, d_h: Tensor, d_all: Tensor) -> Tensor:
    """``gru_backward`` of cells.c by torch: writes d_all, gives d_kept."""
    hidden = read.size(1)
    r, z, n = gates.chunk(3, dim=1)
    d_inner, d_r, d_z, d_n = d_all.chunk(4, dim=1)
    d_kept = d_h * z
    torch.ops.aten.tanh_backward.grad_input(d_h - d_kept, n, grad_input=d_n)
    torch.mul(d_n, r, out=d_inner)
    torch.mul(d_n, inner, out=d_r)
    torch.sub(read, n, out=d_z).mul_(d_h)
    d_gate = d_all[:, hidden : 3 * hidden]
    torch.ops.aten.sigmoid_backward.grad_input(d_gate, gates[:, : 2 * hidden], grad_input=d_gate)
    return d_kept
