r"""The GRU, frontier by frontier, and its gradient.

.. math::
    \tilde h_i &= \sum_{j \to i} w_{ji} h_j, \qquad
    (r_i, z_i) = \sigma(W_{i,rz} x_i + b_{rz} + W_{h,rz} \tilde h_i) \\
    n_i &= \tanh(W_{in} x_i + b_{in} + r_i \odot (W_{hn} \tilde h_i + b_{hn})), \qquad
    h_i = (1 - z_i) \odot n_i + z_i \odot \tilde h_i

Letters: N nodes, E edges, H hidden channels, V rows of entering state.
"""

import torch
from torch import Tensor

from gnnseq.kernels.fronts import CellGradients, Fronts

__all__ = ["gru_backward", "gru_forward"]


def gru_forward(
    term: Tensor, weight: Tensor, bias: Tensor, entering: Tensor | None, fronts: Fronts
) -> tuple[Tensor, ...]:
    """States of entering rows and nodes [V + N, H]; sums that nodes read, gates r and z, n, W_hn h~ + b_hn, all [N, .].

    The bias is that of n's inner product alone, [H]; the others' are in the input term.
    """
    hidden = weight.size(1)
    states = term.new_empty(fronts.entering + fronts.num_nodes, hidden)
    if entering is not None:
        states[: fronts.entering] = entering
    summed = term.new_zeros(fronts.num_nodes, hidden)
    gates = term.new_empty(fronts.num_nodes, 2 * hidden)  # r, z
    new = torch.empty_like(summed)
    inner = torch.empty_like(summed)
    gates_weight, inner_weight = weight[: 2 * hidden].t(), weight[2 * hidden :].t()
    gates_term, new_term = term.split([2 * hidden, hidden], dim=1)
    for front in fronts.steps:
        rows = front.rows
        h_sum, gate, n = summed[rows], gates[rows], new[rows]
        if front.reads:
            h_sum.copy_(front.sum(front.gather(states)))
            torch.addmm(gates_term[rows], h_sum, gates_weight, out=gate).sigmoid_()
            torch.addmm(bias, h_sum, inner_weight, out=inner[rows])
        else:
            torch.sigmoid(gates_term[rows], out=gate)
            inner[rows] = bias
        r, z = gate.chunk(2, dim=1)
        torch.addcmul(new_term[rows], r, inner[rows], out=n).tanh_()
        torch.lerp(n, h_sum, z, out=states[front.read_rows])
    return states, summed, gates, new, inner


def gru_backward(grad: Tensor, kept: tuple[Tensor, ...], weight: Tensor, fronts: Fronts) -> CellGradients:
    """Gradients from those of the states [V + N, H] and of what the forward pass kept."""
    states, summed, gates, new, inner = kept
    hidden = weight.size(1)
    d_states = grad.clone()
    d_all = grad.new_empty(fronts.num_nodes, 4 * hidden)  # of the sums inside r, z, of n's inner product, of n's sum
    d_read = d_all[:, : 3 * hidden]
    d_edge = grad.new_zeros(fronts.num_edges) if fronts.weighted else None
    for front in reversed(fronts.steps):
        rows = front.rows
        (r, z), n, d_h = gates[rows].chunk(2, dim=1), new[rows], d_states[front.read_rows]
        d_r, d_z, d_inner, d_n = d_all[rows].chunk(4, dim=1)
        d_kept = d_h * z
        torch.ops.aten.tanh_backward.grad_input(d_h - d_kept, n, grad_input=d_n)
        torch.mul(d_n, r, out=d_inner)
        torch.mul(d_n, inner[rows], out=d_r)
        torch.sub(summed[rows], n, out=d_z).mul_(d_h)
        d_gate = d_all[rows, : 2 * hidden]
        torch.ops.aten.sigmoid_backward.grad_input(d_gate, gates[rows], grad_input=d_gate)
        if front.reads:
            d_message = front.spread(d_kept.addmm_(d_read[rows], weight))
            if d_edge is not None and front.weight is not None:
                d_edge[front.edges] = (d_message * front.sources(states)).sum(1)
                d_message *= front.weight
            front.add_to_sources(d_states, d_message)
    d_term = torch.cat([d_all[:, : 2 * hidden], d_all[:, 3 * hidden :]], dim=1)
    return CellGradients(d_term, d_read.t() @ summed, d_read.sum(0), d_states[: fronts.entering], d_edge)
