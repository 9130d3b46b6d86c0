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

from gnnseq.kernels.frontier_steps import CellGradients, Fronts, make_nodes
from gnnseq.kernels.native import compiled, is_plain, runs_compiled

__all__ = ["gru_backward", "gru_forward"]


def gru_forward(
    projection: Tensor, weight: Tensor, bias: Tensor, initial: Tensor, fronts: Fronts
) -> tuple[Tensor, ...]:
    """States, gates, inner sums and what nodes read.

    Args:
        projection: The input projection, whose place r, z and n take. [N, 3H]
        weight: W_hh. [3H, H]
        bias: b_hn alone; the others are in the input projection. [H]
        initial: The initial states. [B, H]
        fronts: The steps.

    Returns:
        h [N + B, H], the gates [N, 3H], W_hn h~ + b_hn [N, H], and h~ if it is more than rows of h [N, H].
    """
    hidden = weight.size(1)
    h = make_nodes(len(projection), initial)
    inner = h.new_empty(len(projection), hidden)
    summed = fronts.make_summed(inner)
    if runs_compiled(projection, projection.numel()) and is_plain(weight) and is_plain(bias):
        _steps_in_c(projection, weight, bias, fronts, h, inner, summed)
        return h, projection, inner, summed
    gates_weight, inner_weight = weight[: 2 * hidden].t().contiguous(), weight[2 * hidden :].t().contiguous()
    for front in fronts.steps:
        rows = front.rows
        gate, n = projection[rows].split([2 * hidden, hidden], dim=1)
        h_sum = front.read(h, summed)
        if front.reads:
            gate.addmm_(h_sum, gates_weight)
            torch.addmm(bias, h_sum, inner_weight, out=inner[rows])
        else:
            inner[rows] = bias
        r, z = gate.sigmoid_().chunk(2, dim=1)
        n.addcmul_(r, inner[rows]).tanh_()
        torch.lerp(n, h_sum, z, out=h[rows])
    return h, projection, inner, summed


def _steps_in_c(
    projection: Tensor, weight: Tensor, bias: Tensor, fronts: Fronts, h: Tensor, inner: Tensor, summed: Tensor
) -> None:
    """All steps of :func:`gru_forward`, whose cells are ``gru_forward`` of cells.c."""
    hidden = weight.size(1)
    kernel, bias = weight.t().contiguous(), bias.contiguous()
    fire, threads = compiled("gru_forward"), torch.get_num_threads()
    most = max((front.rows.stop - front.rows.start for front in fronts.steps), default=0)
    product = torch.zeros_like(projection[:most])
    for front in fronts.steps:
        rows = front.rows
        nodes, h_sum = rows.stop - rows.start, front.read(h, summed)
        if front.reads:
            torch.mm(h_sum, kernel, out=product[:nodes])
        fire(threads, nodes, hidden, projection[rows], product, bias, h_sum.contiguous(), inner[rows], h[rows])


def gru_backward(grad: Tensor, kept: tuple[Tensor, ...], weight: Tensor, fronts: Fronts) -> CellGradients:
    """Gradients from those of the states [N, H] and of what the forward pass kept."""
    h, gates, inner, summed = kept
    hidden = weight.size(1)
    # Of n's inner product and of the sums inside r, z, n: those of W_hh h~ and of the input projection are neighbours.
    d_all = grad.new_empty(len(grad), 4 * hidden)
    d_read, d_projection = d_all[:, : 3 * hidden], d_all[:, hidden:]
    turned = weight.roll(hidden, 0)  # rows of n, r, z
    flow = fronts.backflow(grad, h)
    fire_back = compiled("gru_backward") if runs_compiled(gates, gates.numel()) else None
    threads = torch.get_num_threads()
    for front in reversed(fronts.steps):
        rows = front.rows
        d_h, read = flow.arrived(front), front.read_again(h, summed)
        if fire_back is None:
            d_kept = _step_back(gates[rows], inner[rows], read, d_h, d_all[rows])
        else:
            d_kept = torch.empty_like(h[rows])
            own = gates[rows], inner[rows], read.contiguous(), d_h.contiguous(), d_all[rows]
            fire_back(threads, *d_kept.shape, *own, d_kept)
        if front.reads:
            flow.send(front, d_kept.addmm_(d_read[rows], turned), h)
    d_weight = fronts.kernel_gradient(d_read, h, summed).roll(-hidden, 0)
    d_bias = d_read.sum(0).roll(-hidden, 0)
    return CellGradients(d_projection, d_weight, d_bias, flow.initial, flow.edge_weight)


def _step_back(gates: Tensor, inner: Tensor, read: Tensor, d_h: Tensor, d_all: Tensor) -> Tensor:
    """``gru_backward`` of cells.c by torch: writes d_all, returns d_kept."""
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
