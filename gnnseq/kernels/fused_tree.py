r"""The LSTM on trees and directed acyclic graphs in compiled code, and its gradient: one call forward, a few back.

The equations are those of :mod:`gnnseq.kernels.frontier_lstm`, and so is the order of the gates, f, i, o, g. What nodes
contribute to their own gates is one product over all of them, made by torch before the sweep, which is ``c/trees.c``.
Back, runs of nodes take turns: the sweep gives the gradients of their gates, and while these are in a core's cache
torch makes the products that lead to inputs and parameters. Nothing is kept of an edge: its forget gate is computed
anew wherever it is used.

Letters: N nodes, E edges, H hidden channels, F input channels, B rows of initial state, B' of final state; P
nodes that read nothing, L before the last step, M of a run.
"""

import ctypes
from bisect import bisect_left, bisect_right
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from gnnseq.kernels.double_backward import differentiably, refuse_batch
from gnnseq.kernels.frontier_lstm import swap_gates
from gnnseq.kernels.fused_path import can_fuse
from gnnseq.kernels.input_projection import add_input_kernel_gradient, input_term
from gnnseq.kernels.native.build import gemm, is_plain, library
from gnnseq.kernels.precision import outside_autocast
from gnnseq.schedule import Schedule

if TYPE_CHECKING:
    from gnnseq.layers.recurrent import CellWeights, Recurrent

__all__ = ["can_fuse_tree", "fused_tree_sweep"]

# Numbers in the gradients of a run of nodes: 1 MiB of float32, which stays in a core's cache while it is used.
CHUNK = 1 << 18


class Tree(ctypes.Structure):
    """What the functions of ``c/trees.c`` are given; described there."""

    _fields_ = (
        ("gemm", ctypes.c_void_p),
        *((name, ctypes.c_ssize_t) for name in ("threads", "T", "N", "H", "B", "P", "L")),
        *((name, ctypes.c_void_p) for name in ("steps", "incoming", "source", "outgoing", "edge", "target", "weight")),
        *((name, ctypes.c_void_p) for name in ("forget_kernel", "other_kernel", "first", "gates", "h", "c", "read")),
        *((name, ctypes.c_void_p) for name in ("summed", "d_h", "d_c", "d_read", "d_gates", "d_first", "d_weight")),
    )


def can_fuse_tree(
    layer: "Recurrent", x: Tensor, schedule: Schedule, initial: Tensor | None, weights: "CellWeights"
) -> bool:
    """Whether there is compiled code for these tensors, worth a compiler's run."""
    if layer.kind != "lstm" or x.size(0) == 0 or not can_fuse(layer, x, initial, weights):
        return False
    edge_weight = _as_floats(schedule.edge_weight)
    return edge_weight is None or is_plain(edge_weight)


def fused_tree_sweep(
    layer: "Recurrent",
    x: Tensor,
    schedule: Schedule,
    initial: Tensor | None,
    weights: "CellWeights",
    ends: Tensor,
) -> tuple[Tensor, Tensor]:
    """Sweeps any graph whose nodes are numbered in firing order.

    Args:
        layer: An LSTM.
        x: Inputs of the nodes. [N, F], or one-hot indices [N]
        schedule: Its steps.
        initial: What edges from N on read. [B, 2H]
        weights: Parameters.
        ends: The nodes whose states are wanted. [B']

    Returns:
        h [N, H], and h and c at the ends. [B', 2H]
    """
    h: Tensor
    h, last = _FusedTree.apply(layer, schedule, ends, x, initial, schedule.edge_weight, *weights)
    return h, last


class _FusedTree(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        layer: "Recurrent",
        schedule: Schedule,
        ends: Tensor,
        x: Tensor,
        initial: Tensor | None,
        edge_weight: Tensor | None,
        weight_ih: Tensor,
        weight_hh: Tensor,
        bias_ih: Tensor | None,
        bias_hh: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        hidden, nodes, kernel = weight_hh.size(1), schedule.node_offsets, swap_gates(weight_hh)
        bias = None if bias_ih is None or bias_hh is None else swap_gates(bias_ih + bias_hh)
        gates = input_term(x, swap_gates(weight_ih), bias)
        h = gates.new_empty(len(gates), hidden)
        silent = nodes[1] if initial is None else 0
        kept = {
            "gates": gates,
            "h": h,
            "c": torch.empty_like(h),
            "read": h.new_empty(nodes[-2], hidden),
            "summed": h.new_empty(len(h) - silent, hidden),
        }
        _run(
            "lstm_tree",
            schedule,
            range(len(h)),
            weight=_as_floats(edge_weight),
            forget_kernel=kernel[:hidden].t().contiguous(),
            other_kernel=kernel[hidden:].t().contiguous(),
            first=_enter(initial, kernel),
            **kept,
        )
        ctx.save_for_backward(x, initial, edge_weight, weight_ih, weight_hh, bias_ih, bias_hh, *kept.values())
        ctx.layer, ctx.schedule, ctx.ends, ctx.names = layer, schedule, ends, list(kept)
        return h, torch.cat([h.index_select(0, ends), kept["c"].index_select(0, ends)], dim=1)

    @staticmethod
    @outside_autocast
    def backward(ctx: Any, grad: Tensor | None, last_grad: Tensor | None) -> tuple[Tensor | None, ...]:
        saved = ctx.saved_tensors  # once: torch's checkpoint computes them at this word
        x, initial, edge_weight, weight_ih, weight_hh, bias_ih, _ = inputs = saved[:7]
        # Hooks on saved tensors may lay them out anew.
        kept = {name: tensor.contiguous() for name, tensor in zip(ctx.names, saved[7:], strict=True)}
        schedule: Schedule = ctx.schedule
        h = kept["h"]
        d_h, d_c = torch.zeros_like(h), torch.zeros_like(h)
        if grad is not None:
            d_h = grad.clone(memory_format=torch.contiguous_format)
        if last_grad is not None:
            last_h, last_c = last_grad.chunk(2, dim=1)
            d_h, d_c = d_h.index_add(0, ctx.ends, last_h), d_c.index_add(0, ctx.ends, last_c)
        if torch.is_grad_enabled():
            return None, None, None, *differentiably(ctx.layer, schedule, inputs, torch.cat([d_h, d_c], dim=1))
        refuse_batch(d_h, d_c)
        needs, hidden = ctx.needs_input_grad[3:], weight_hh.size(1)
        input_kernel, kernel = swap_gates(weight_ih), swap_gates(weight_hh)
        edge = schedule.pointers.out_edge_id
        first = _enter(initial, kernel)
        given = {
            "outgoing": schedule.pointers.out_indptr,
            "edge": edge,
            "target": schedule.pointers.out_targets,
            "weight": _as_floats(edge_weight),
            "forget_kernel": kernel[:hidden],
            "other_kernel": kernel[hidden:],
            "first": first,
            **kept,
        }
        d_x = x.new_empty(x.shape) if needs[0] else None
        d_first = torch.zeros_like(first)
        d_weight = h.new_empty(edge.numel()) if needs[2] else None
        d_input_kernel = h.new_zeros(weight_ih.size(1), 4 * hidden).t()  # rows of indices are added up
        d_kernel, d_bias = torch.zeros_like(kernel), h.new_zeros(4 * hidden)
        silent, sources = len(h) - len(kept["summed"]), len(kept["read"])
        most = min(len(h), max(1, CHUNK // (4 * hidden)))
        room = h.new_empty(most, 4 * hidden), h.new_empty(most, hidden)
        for begin in reversed(range(0, len(h), most)):
            end = min(begin + most, len(h))
            d_gates, d_read = room[0][: end - begin], room[1][: max(0, min(end, sources) - begin)]
            found = {"d_h": d_h, "d_c": d_c, "d_read": d_read, "d_gates": d_gates}
            _run("lstm_tree_back", schedule, range(begin, end), d_first=d_first, d_weight=d_weight, **found, **given)
            if d_x is not None:
                torch.mm(d_gates, input_kernel, out=d_x[begin:end])
            add_input_kernel_gradient(d_input_kernel, d_gates, x[begin:end])
            d_bias += d_gates.sum(0)
            d_kernel[:hidden].addmm_(d_read.t(), h[begin : begin + len(d_read)])
            reads = max(begin, silent)
            if reads < end:
                summed = kept["summed"][reads - silent : end - silent]
                d_kernel[hidden:].addmm_(d_gates[reads - begin :, hidden:].t(), summed)
        del input_kernel  # or it would lie beside two copies of its gradient, of which a small graph needs little else
        d_initial = None
        if initial is not None:
            d_kernel[:hidden].addmm_(d_first[2].t(), first[0])
            d_initial = torch.cat([d_first[0].addmm_(d_first[2], kernel[:hidden]), d_first[1]], dim=1)
        return (
            None,
            None,
            None,
            d_x,
            d_initial,
            None if d_weight is None else d_weight.to(edge_weight.dtype),
            swap_gates(d_input_kernel),
            swap_gates(d_kernel),
            *((None, None) if bias_ih is None else (swap_gates(d_bias), swap_gates(d_bias))),
        )


def _run(name: str, schedule: Schedule, nodes: range, **tensors: Tensor | None) -> None:
    """Calls a function of ``c/trees.c`` on contiguous tensors."""
    offsets = schedule.node_offsets
    inner = offsets[bisect_right(offsets, nodes.start) : bisect_left(offsets, nodes.stop)]
    steps = torch.tensor([nodes.start, *inner, nodes.stop], device="cpu")  # whatever device is torch's default
    source, first = schedule.edge_index[0].contiguous(), tensors["first"]
    tensors |= {"steps": steps, "incoming": schedule.pointers.in_indptr, "source": source}
    assert first is not None
    tree = Tree(
        gemm=gemm(),
        threads=torch.get_num_threads(),
        T=len(inner) + 1,
        N=schedule.num_nodes,
        H=first.size(2),
        B=first.size(1),
        P=0 if first.size(1) > 0 else offsets[1],
        L=offsets[-2],
        **{name: tensor.data_ptr() for name, tensor in tensors.items() if tensor is not None},
    )
    getattr(library(), name)(ctypes.byref(tree))


def _as_floats(edge_weight: Tensor | None) -> Tensor | None:
    return None if edge_weight is None else edge_weight.float().contiguous()


def _enter(initial: Tensor | None, kernel: Tensor) -> Tensor:
    """Initial h and c, and U_f h. [3, B, H]"""
    hidden = kernel.size(1)
    if initial is None:
        return kernel.new_empty(3, 0, hidden)
    h, c = initial.chunk(2, dim=1)
    return torch.stack([h, c, h @ kernel[:hidden].t()])
