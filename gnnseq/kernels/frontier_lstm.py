r"""The LSTM with a forget gate for each edge, frontier by frontier: on trees the child-sum Tree-LSTM; and its gradient.

.. math::
    \tilde h_i &= \sum_{j \to i} w_{ji} h_j, \qquad
    (i_i, g_i, o_i) = (\sigma, \tanh, \sigma)(W_{igo} x_i + b_{igo} + U_{igo} \tilde h_i) \\
    f_{ji} &= \sigma(W_f x_i + b_f + U_f h_j), \qquad
    c_i = i_i \odot g_i + \sum_{j \to i} w_{ji} f_{ji} \odot c_j, \qquad h_i = o_i \odot \tanh c_i

Tai, Socher and Manning 2015, https://arxiv.org/abs/1503.00075, equations 2 to 8, with edge weights. The reference is
the layer's message and update, to which tests/kernels/test_kernels.py holds this equal.

Letters: N nodes, E edges, H hidden channels, B rows of initial state.
"""

import torch
from torch import Tensor

from gnnseq.kernels.frontier_steps import CellGradients, Fronts, make_nodes

__all__ = ["lstm_backward", "lstm_forward", "swap_gates"]


def swap_gates(rows: Tensor) -> Tensor:
    """The gates' rows in the kernels' order f, i, o, g from torch's i, f, g, o, and back. [4H, ...]"""
    i, f, g, o = rows.chunk(4)
    return torch.cat([f, i, o, g])


def lstm_forward(projection: Tensor, weight: Tensor, initial: Tensor, fronts: Fronts) -> tuple[Tensor, ...]:
    """States, gates and what nodes read.

    Args:
        projection: The input projection, gates in the order f, i, o, g; i, o and g take their gates' place. [N, 4H]
        weight: U, in the same order. [4H, H]
        initial: The initial h and c. [B, 2H]
        fronts: The steps.

    Returns:
        h and c [N + B, H], the gates [N, 4H], tanh c [N, H], h~ [N, H], and the forget gates of edges [E, H].
    """
    hidden = weight.size(1)
    forget_weight, other_weight = weight[:hidden].t().contiguous(), weight[hidden:].t().contiguous()
    first_h, first_c = initial.chunk(2, dim=1)
    h, c, forget_read = (make_nodes(len(projection), rows) for rows in (first_h, first_c, first_h @ forget_weight))
    tanh_c = h.new_empty(len(projection), hidden)
    summed, kept = torch.zeros_like(tanh_c), torch.zeros_like(tanh_c)  # of h, and of f * c
    forget = projection.new_empty(fronts.num_edges, hidden)
    for front in fronts.steps:
        rows = front.rows
        forget_projection, gates = projection[rows].split([hidden, 3 * hidden], dim=1)
        if front.reads:
            gates.addmm_(front.sum_sources(h, summed[rows]), other_weight)
            f = forget[front.edges]
            torch.add(front.spread(forget_projection), front.sources(forget_read), out=f).sigmoid_()
            front.sum(f * front.gather(c), kept[rows])
        i, o, g = gates.chunk(3, dim=1)
        gates[:, : 2 * hidden].sigmoid_()
        torch.addcmul(kept[rows], i, g.tanh_(), out=c[rows])
        torch.mul(o, torch.tanh(c[rows], out=tanh_c[rows]), out=h[rows])
        torch.mm(h[rows], forget_weight, out=forget_read[rows])
    return h, c, projection, tanh_c, summed, forget


def lstm_backward(grad: Tensor, kept: tuple[Tensor, ...], weight: Tensor, fronts: Fronts) -> CellGradients:
    """Gradients from those of the states [N, 2H] and of what the forward pass kept, gates in the order f, i, o, g."""
    h, c, gates, tanh_c, summed, forget = kept
    hidden = weight.size(1)
    forget_weight, other_weight = weight[:hidden], weight[hidden:]
    grad_h, grad_c = grad.chunk(2, dim=1)
    flow_h, flow_c = fronts.backflow(grad_h, h), fronts.backflow(grad_c, c)
    d_read = torch.empty_like(h)  # of U_f h_j
    flow_read = fronts.backflow(torch.zeros_like(grad_h), h)
    d_projection = torch.empty_like(gates)
    d_projection[:, :hidden] = 0
    for front in reversed(fronts.steps):
        rows = front.rows
        _, i, o, g = gates[rows].chunk(4, dim=1)
        d_forget, d_i, d_o, d_g = d_projection[rows].chunk(4, dim=1)
        # All that read these nodes have been gone through, so U_f's share is complete.
        d_read[rows] = flow_read.arrived(front)
        d_h = torch.addmm(flow_h.arrived(front), d_read[rows], forget_weight)
        d_c = torch.ops.aten.tanh_backward(d_h * o, tanh_c[rows]).add_(flow_c.arrived(front))
        torch.mul(d_c, g, out=d_i)
        torch.mul(d_h, tanh_c[rows], out=d_o)
        d_io = d_projection[rows, hidden : 3 * hidden]
        torch.ops.aten.sigmoid_backward.grad_input(d_io, gates[rows, hidden : 3 * hidden], grad_input=d_io)
        torch.ops.aten.tanh_backward.grad_input(d_c * i, g, grad_input=d_g)
        if front.reads:
            f, read_c = forget[front.edges], front.sources(c)
            flow_h.send(front, d_projection[rows, hidden:] @ other_weight, h)
            d_kept = front.spread(d_c)  # gradient of the message f * c_j
            if front.weight is not None:
                if flow_c.edge_weight.numel() > 0:
                    flow_c.edge_weight[front.edges] = (d_kept * f * read_c).sum(1)
                d_kept = d_kept * front.weight.unsqueeze(1)
            d_f = torch.ops.aten.sigmoid_backward(d_kept * read_c, f)
            front.sum(d_f, d_forget)
            flow_read.add(front, d_f)
            flow_c.add(front, d_kept * f)
    d_read[len(grad) :] = flow_read.initial
    d_weight = torch.cat([d_read.t() @ h, d_projection[:, hidden:].t() @ summed])
    d_initial = torch.cat([torch.addmm(flow_h.initial, flow_read.initial, forget_weight), flow_c.initial], dim=1)
    return CellGradients(
        d_projection, d_weight, d_projection.sum(0), d_initial, flow_h.edge_weight + flow_c.edge_weight
    )
