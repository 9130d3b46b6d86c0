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

from gnnseq.kernels.fronts import Backflow, CellGradients, Fronts

__all__ = ["lstm_backward", "lstm_forward"]


def lstm_forward(term: Tensor, weight: Tensor, entering: Tensor, fronts: Fronts) -> tuple[Tensor, ...]:
    """States h and c, sums that nodes read [N, H], gates i, g, o [N, 3H], forget gates [V + E, H]."""
    hidden = weight.size(1)
    forget_weight, other_weight = _split(weight)
    h = term.new_empty(term.size(0), hidden)
    c, forget_read = torch.empty_like(h), torch.empty_like(h)  # U_f h_j
    summed, kept = torch.zeros_like(h), torch.zeros_like(h)  # of h, and of f * c
    gates = term.new_empty(term.size(0), 3 * hidden)
    forget = term.new_empty(fronts.entering + fronts.num_edges, hidden)
    term_i, term_f, term_g, term_o = term.chunk(4, dim=1)
    first_h, first_c = entering.chunk(2, dim=1)
    first_read = first_h @ forget_weight.t()
    for front in fronts.steps:
        rows = front.rows
        i, g, o = gates[rows].chunk(3, dim=1)
        if front.reads:
            torch.mm(front.sum(front.gather(h, first_h), summed[rows]), other_weight.t(), out=gates[rows])
            i.add_(term_i[rows]).sigmoid_()
            g.add_(term_g[rows]).tanh_()
            o.add_(term_o[rows]).sigmoid_()
            f = forget[front.edges]
            torch.add(front.spread(term_f[rows]), front.sources(forget_read, first_read), out=f).sigmoid_()
            torch.addcmul(front.sum(f * front.gather(c, first_c), kept[rows]), i, g, out=c[rows])
        else:
            torch.sigmoid(term_i[rows], out=i)
            torch.tanh(term_g[rows], out=g)
            torch.sigmoid(term_o[rows], out=o)
            torch.mul(i, g, out=c[rows])
        torch.mul(o, c[rows].tanh(), out=h[rows])
        torch.mm(h[rows], forget_weight.t(), out=forget_read[rows])
    return h, c, summed, gates, forget


def lstm_backward(
    grad: Tensor, kept: tuple[Tensor, ...], weight: Tensor, entering: Tensor, fronts: Fronts
) -> CellGradients:
    """Gradients from those of the states [N, 2H] and of what the forward pass kept."""
    h, c, summed, gates, forget = kept
    forget_weight, other_weight = _split(weight)
    first_h, first_c = entering.chunk(2, dim=1)
    grad_h, grad_c = grad.chunk(2, dim=1)
    flow_h, flow_c = Backflow(grad_h, first_h, fronts), Backflow(grad_c, first_c, fronts)
    d_reads = torch.zeros_like(h)  # gradient of U_f h_j
    read = Backflow(d_reads, first_h, fronts)
    d_gates = torch.empty_like(gates)
    d_forget = torch.zeros_like(summed)  # gradient of W_f x_i + b_f
    for front in reversed(fronts.steps):
        rows = front.rows
        i, g, o = gates[rows].chunk(3, dim=1)
        tanh_c = c[rows].tanh()
        # All that read these nodes have been gone through, so U_f's share is complete.
        d_read = read.arrived(front)
        d_reads[rows] = d_read
        d_node = torch.addmm(flow_h.arrived(front), d_read, forget_weight)
        d_cell = torch.addcmul(flow_c.arrived(front), d_node * o, 1 - tanh_c * tanh_c)
        torch.cat(
            [d_cell * g * i * (1 - i), d_cell * i * (1 - g * g), d_node * tanh_c * o * (1 - o)],
            dim=1,
            out=d_gates[rows],
        )
        if front.reads:
            f, read_c = forget[front.edges], front.sources(c, first_c)
            flow_h.send(front, d_gates[rows] @ other_weight, h, first_h)
            d_kept = front.spread(d_cell)  # gradient of the message f * c_j
            if front.weight is not None:
                if flow_c.edge_weight.numel() > 0:
                    flow_c.edge_weight[front.edges] = (d_kept * f * read_c).sum(1)
                d_kept = d_kept * front.weight
            d_f = d_kept * read_c * f * (1 - f)
            front.sum(d_f, d_forget[rows])
            read.add(front, d_f)
            flow_c.add(front, d_kept * f)
    d_i, d_g, d_o = d_gates.chunk(3, dim=1)
    d_term = torch.cat([d_i, d_forget, d_g, d_o], dim=1)
    w_i, w_g, w_o = (d_gates.t() @ summed).chunk(3)
    w_f = (d_reads.t() @ h).addmm_(read.entering.t(), first_h)
    d_weight = torch.cat([w_i, w_f, w_g, w_o])
    d_entering = torch.cat([flow_h.entering.addmm_(read.entering, forget_weight), flow_c.entering], dim=1)
    return CellGradients(d_term, d_weight, d_term.sum(0), d_entering, flow_h.edge_weight + flow_c.edge_weight)


def _split(weight: Tensor) -> tuple[Tensor, Tensor]:
    """The forget gate's kernel and the other three, stacked, out of torch's order i, f, g, o. [H, H] and [3H, H]"""
    i, f, g, o = weight.chunk(4)
    return f, torch.cat([i, g, o])
