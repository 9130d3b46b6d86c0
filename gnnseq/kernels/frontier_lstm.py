r"""The LSTM with a forget gate for each edge, frontier by frontier: on trees the child-sum Tree-LSTM; and its gradient.

.. math::
    \tilde h_i &= \sum_{j \to i} w_{ji} h_j, \qquad
    (i_i, g_i, o_i) = (\sigma, \tanh, \sigma)(W_{igo} x_i + b_{igo} + U_{igo} \tilde h_i) \\
    f_{ji} &= \sigma(W_f x_i + b_f + U_f h_j), \qquad
    c_i = i_i \odot g_i + \sum_{j \to i} w_{ji} f_{ji} \odot c_j, \qquad h_i = o_i \odot \tanh c_i

Tai, Socher and Manning 2015, https://arxiv.org/abs/1503.00075, equations 2 to 8, with edge weights.

Letters: N nodes, E edges, H hidden channels, V rows of entering state.
"""

import torch
from torch import Tensor

from gnnseq.kernels.fronts import CellGradients, Fronts

__all__ = ["lstm_backward", "lstm_forward"]


def lstm_forward(term: Tensor, weight: Tensor, entering: Tensor | None, fronts: Fronts) -> tuple[Tensor, ...]:
    """States h and c of entering rows and nodes [V + N, H], sums [N, H], gates [N, 3H], forget gates [V + E, H]."""
    hidden = weight.size(1)
    forget_weight, other_weight = _split(weight)
    h = term.new_empty(fronts.entering + fronts.num_nodes, hidden)
    c = torch.empty_like(h)
    forget_read = torch.empty_like(h)  # U_f h_j
    if entering is not None:
        h[: fronts.entering], c[: fronts.entering] = entering.chunk(2, dim=1)
        torch.mm(h[: fronts.entering], forget_weight.t(), out=forget_read[: fronts.entering])
    summed = term.new_zeros(fronts.num_nodes, hidden)
    gates = term.new_empty(fronts.num_nodes, 3 * hidden)  # i, g, o
    forget = term.new_empty(fronts.num_edges, hidden)
    term_i, term_f, term_g, term_o = term.chunk(4, dim=1)
    for front in fronts.steps:
        rows, node = front.rows, front.read_rows
        i, g, o = gates[rows].chunk(3, dim=1)
        if front.reads:
            summed[rows] = front.sum(front.gather(h))
            torch.mm(summed[rows], other_weight.t(), out=gates[rows])
            i.add_(term_i[rows]).sigmoid_()
            g.add_(term_g[rows]).tanh_()
            o.add_(term_o[rows]).sigmoid_()
            f = forget[front.edges]
            torch.add(front.spread(term_f[rows]), front.sources(forget_read), out=f).sigmoid_()
            torch.addcmul(front.sum(f * front.gather(c)), i, g, out=c[node])
        else:
            torch.sigmoid(term_i[rows], out=i)
            torch.tanh(term_g[rows], out=g)
            torch.sigmoid(term_o[rows], out=o)
            torch.mul(i, g, out=c[node])
        torch.mul(o, c[node].tanh(), out=h[node])
        torch.mm(h[node], forget_weight.t(), out=forget_read[node])
    return h, c, summed, gates, forget


def lstm_backward(
    grad_h: Tensor, grad_c: Tensor, kept: tuple[Tensor, ...], weight: Tensor, fronts: Fronts
) -> CellGradients:
    """Gradients from those of h and c [V + N, H] and of what the forward pass kept."""
    h, c, summed, gates, forget = kept
    forget_weight, other_weight = _split(weight)
    d_h, d_c = grad_h.clone(), grad_c.clone()
    d_read = torch.zeros_like(d_h)  # gradient of U_f h_j
    d_gates = torch.empty_like(gates)
    d_forget = torch.zeros_like(summed)  # gradient of W_f x_i + b_f
    d_edge = grad_h.new_zeros(fronts.num_edges) if fronts.weighted else None
    for front in reversed(fronts.steps):
        rows, node = front.rows, front.read_rows
        i, g, o = gates[rows].chunk(3, dim=1)
        tanh_c = c[node].tanh()
        # All that read these nodes have been gone through, so U_f's share is complete.
        d_node = torch.addmm(d_h[node], d_read[node], forget_weight)
        d_cell = torch.addcmul(d_c[node], d_node * o, 1 - tanh_c * tanh_c)
        torch.cat(
            [d_cell * g * i * (1 - i), d_cell * i * (1 - g * g), d_node * tanh_c * o * (1 - o)],
            dim=1,
            out=d_gates[rows],
        )
        if front.reads:
            f = forget[front.edges]
            d_sum = front.spread(d_gates[rows] @ other_weight)
            d_kept = front.spread(d_cell)  # gradient of the message f * c_j
            read_c = front.sources(c)
            if d_edge is not None and front.weight is not None:
                read_h = front.sources(h)
                d_edge[front.edges] = (d_sum * read_h).sum(1) + (d_kept * f * read_c).sum(1)
                d_sum *= front.weight
                d_kept *= front.weight
            d_f = d_kept * read_c * f * (1 - f)
            d_forget[rows] = front.sum(d_f)
            front.add_to_sources(d_read, d_f)
            front.add_to_sources(d_c, d_kept * f)
            front.add_to_sources(d_h, d_sum)
    d_i, d_g, d_o = d_gates.chunk(3, dim=1)
    d_term = torch.cat([d_i, d_forget, d_g, d_o], dim=1)
    w_i, w_g, w_o = (d_gates.t() @ summed).chunk(3)
    d_weight = torch.cat([w_i, d_read.t() @ h, w_g, w_o])
    first = slice(0, fronts.entering)
    d_entering = torch.cat([torch.addmm(d_h[first], d_read[first], forget_weight), d_c[first]], dim=1)
    return CellGradients(d_term, d_weight, d_term.sum(0), d_entering, d_edge)


def _split(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The forget gate's kernel and the other three, stacked, out of torch's order i, f, g, o. [H, H] and [3H, H]"""
    i, f, g, o = weight.chunk(4)
    return f, torch.cat([i, g, o])
