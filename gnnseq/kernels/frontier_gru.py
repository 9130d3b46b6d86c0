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
    """States of entering rows and nodes [V + N, H]; sums that nodes read [N, H], gates [N, 3H], candidates [N, H]."""
    hidden = weight.size(1)
    states = term.new_empty(fronts.entering + fronts.num_nodes, hidden)
    if entering is not None:
        states[: fronts.entering] = entering
    summed = term.new_zeros(fronts.num_nodes, hidden)
    gates = term.new_empty(fronts.num_nodes, 3 * hidden)  # r, z, n
    candidate = term.new_empty(fronts.num_nodes, hidden)  # W_hn h~ + b_hn
    for front in fronts.steps:
        rows = front.rows
        if front.source.numel() > 0:
            summed[rows] = front.sum(front.gather(states))
            read = torch.addmm(bias, summed[rows], weight.t())
        else:
            read = bias.expand(rows.stop - rows.start, -1)
        gate = gates[rows]
        torch.add(term[rows, : 2 * hidden], read[:, : 2 * hidden], out=gate[:, : 2 * hidden]).sigmoid_()
        candidate[rows] = read[:, 2 * hidden :]
        r, z, n = gate.chunk(3, dim=1)
        torch.addcmul(term[rows, 2 * hidden :], r, candidate[rows], out=n).tanh_()
        torch.lerp(n, summed[rows], z, out=states[front.read_rows])
    return states, summed, gates, candidate


def gru_backward(grad: Tensor, kept: tuple[Tensor, ...], weight: Tensor, fronts: Fronts) -> CellGradients:
    """Gradients from those of the states [V + N, H] and of what the forward pass kept."""
    states, summed, gates, candidate = kept
    d_states = grad.clone()
    d_term = torch.empty_like(gates)
    d_read = torch.empty_like(gates)  # gradient of W_hh h~ + b_hh
    d_edge = grad.new_zeros(fronts.num_edges) if fronts.weighted else None
    for front in reversed(fronts.steps):
        rows = front.rows
        r, z, n = gates[rows].chunk(3, dim=1)
        d_h = d_states[front.read_rows]
        d_n = d_h * (1 - z) * (1 - n * n)
        d_r = d_n * candidate[rows] * r * (1 - r)
        d_z = d_h * (summed[rows] - n) * z * (1 - z)
        torch.cat([d_r, d_z, d_n], dim=1, out=d_term[rows])
        torch.cat([d_r, d_z, d_n * r], dim=1, out=d_read[rows])
        if front.source.numel() > 0:
            d_message = torch.addmm(d_h * z, d_read[rows], weight).index_select(0, front.target)
            if d_edge is not None and front.weight is not None:
                d_edge[front.edges] = (d_message * states.index_select(0, front.source)).sum(1)
                d_message *= front.weight
            d_states.index_add_(0, front.source, d_message)
    return CellGradients(d_term, d_read.t() @ summed, d_read.sum(0), d_states[: fronts.entering], d_edge)
