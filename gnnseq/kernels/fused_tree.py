r"""The LSTM on trees and directed acyclic graphs in compiled code, and its gradient: one call forward, a few back.

The equations are those of :mod:`gnnseq.kernels.frontier_lstm`, and so is the order of the gates, f, i, o, g. The input
projection is one product over all nodes, made by torch before the sweep, which is ``c/trees.c``. Back, runs of nodes
take turns: the sweep finds the gradients of their gates, and while these are in a core's cache torch makes the products
that lead to inputs and parameters. Nothing is kept of an edge: its forget gate is computed anew wherever it is used.
Of all edges into a node is kept how what they leave of c grows with what its own input adds to their gates.

Letters: N nodes, E edges, H hidden channels, F input channels, B rows of initial state, B' of final state; P
nodes that read nothing, L before the last step, M of a run.
"""

import ctypes
from bisect import bisect_left, bisect_right
from collections.abc import Iterator
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gnnseq.kernels.autograd_state import outside_autocast
from gnnseq.kernels.cell import Cell, CellWeights, Loop
from gnnseq.kernels.double_backward import double_backward, refuse_batch
from gnnseq.kernels.final_states import place_final, read_final
from gnnseq.kernels.frontier_lstm import swap_gates
from gnnseq.kernels.input_projection import add_input_kernel_gradient, input_kernel_zeros, lie_as_kernel, project_inputs
from gnnseq.kernels.native import address, compiled, panels
from gnnseq.kernels.saved import recall, save
from gnnseq.schedule import Schedule

__all__ = ["fused_tree_sweep", "run_tree"]

# Numbers in the gradients of a run of nodes: 2 MiB of float32, which stays in a core's cache while it is used.
CHUNK = 1 << 19


class Tree(ctypes.Structure):
    """What the functions of ``c/trees.c`` are given; described there."""

    _fields_ = (
        *((name, ctypes.c_ssize_t) for name in ("threads", "T", "N", "E", "H", "B", "P", "L")),
        *((name, ctypes.c_void_p) for name in ("steps", "incoming", "source", "outgoing", "edge", "target", "weight")),
        *((name, ctypes.c_void_p) for name in ("forget_kernel", "other_kernel", "first", "gates", "h", "c", "read")),
        *((name, ctypes.c_void_p) for name in ("summed", "slope", "d_h", "d_c", "d_read", "d_gates", "d_first")),
        ("d_weight", ctypes.c_void_p),
    )


_INDICES = {"steps", "incoming", "source", "outgoing", "edge", "target"}


def fused_tree_sweep(
    _cell: Cell, x: Tensor, schedule: Schedule, initial: Tensor | None, weights: CellWeights, loop: Loop
) -> tuple[Tensor, Tensor]:
    """Sweeps any graph whose nodes are numbered in firing order, as :data:`gnnseq.kernels.dispatch.Kernel` says."""
    swept = schedule if initial is None else schedule.with_state_edges
    h, last = _FusedTree.apply(
        torch.is_grad_enabled(), loop, swept, read_final(schedule), x, initial, swept.edge_weight, *weights
    )
    return h, place_final(schedule, initial, last)


class _Inputs(NamedTuple):
    """What gradients are taken of."""

    x: Tensor  # [N, F], or [N]
    initial: Tensor | None  # what edges from N on read. [B, 2H]
    edge_weight: Tensor | None  # [E]
    weight_ih: Tensor  # [4H, F]
    weight_hh: Tensor  # [4H, H]
    bias_ih: Tensor | None  # [4H]
    bias_hh: Tensor | None  # [4H]


class _Kept(NamedTuple):
    """What a sweep leaves for its backward pass; described in ``c/trees.c``."""

    gates: Tensor  # [N, 4H]
    h: Tensor  # [N, H]
    c: Tensor  # [N, H]
    read: Tensor  # [L, H]
    summed: Tensor  # [N - P, H]
    slope: Tensor | None  # None if there will be none. [N - P, H]


class _FusedTree(torch.autograd.Function):
    """h of all nodes [N, H], and h and c at the ends [B', 2H]."""

    @staticmethod
    def forward(
        ctx: Any,
        learns: bool,
        loop: Loop,
        schedule: Schedule,
        ends: Tensor,
        x: Tensor,
        initial: Tensor | None,
        edge_weight: Tensor | None,
        *weights: Any,
    ) -> tuple[Tensor, Tensor]:
        ctx.set_materialize_grads(False)
        weight_ih, weight_hh, bias_ih, bias_hh = weights
        hidden, nodes, kernel = weight_hh.size(1), schedule.node_offsets, swap_gates(weight_hh)
        bias = None if bias_ih is None or bias_hh is None else swap_gates(bias_ih + bias_hh)
        gates = project_inputs(x, swap_gates(weight_ih), bias)
        h = gates.new_empty(len(gates), hidden)
        silent = nodes[1] if initial is None else 0
        c, read, summed = torch.empty_like(h), h.new_empty(nodes[-2], hidden), h.new_empty(len(h) - silent, hidden)
        kept = _Kept(gates, h, c, read, summed, torch.empty_like(summed) if learns else None)
        run_tree(
            "lstm_tree",
            schedule,
            range(len(h)),
            weight=_as_floats(edge_weight),
            forget_kernel=panels(kernel[:hidden].t(), "tree"),
            other_kernel=panels(kernel[hidden:].t(), "tree"),
            first=_enter(initial, kernel),
            **kept._asdict(),
        )
        save(ctx, schedule, x, initial, edge_weight, weight_ih, weight_hh, bias_ih, bias_hh, *kept)
        ctx.loop, ctx.schedule, ctx.ends = loop, schedule, ends
        return h, torch.cat([h.index_select(0, ends), c.index_select(0, ends)], dim=1)

    @staticmethod
    @outside_autocast
    def backward(ctx: Any, grad: Tensor | None, last_grad: Tensor | None) -> tuple[Tensor | None, ...]:
        saved = recall(ctx)
        inputs = _Inputs(*saved[:7])
        # Hooks on saved tensors may change strides.
        kept = _Kept(*(None if tensor is None else tensor.contiguous() for tensor in saved[7:]))  # type: ignore[arg-type]
        d_h, d_c = _state_gradients(kept.h, ctx.ends, grad, last_grad)
        if torch.is_grad_enabled():
            given = torch.cat([d_h, d_c], dim=1)
            return None, None, None, None, *double_backward(ctx.loop, ctx.schedule, inputs, given)
        refuse_batch(d_h, d_c)
        kernel = swap_gates(inputs.weight_hh)
        first = _enter(inputs.initial, kernel)
        d_first = torch.zeros_like(first)
        wants_x, _, wants_weight, *_ = ctx.needs_input_grad[4:]
        d_weight = kept.h.new_empty(ctx.schedule.edge_index.size(1)) if wants_weight else None
        found = _Gradients(inputs, kept, wants_x)
        for nodes, d_gates, d_read in _sweep_back(
            ctx.schedule, inputs, kept, kernel, first, d_h=d_h, d_c=d_c, d_first=d_first, d_weight=d_weight
        ):
            found.add(nodes, d_gates, d_read)
        d_initial = None if inputs.initial is None else found.add_initial(kernel, first, d_first)
        if d_weight is not None and inputs.edge_weight is not None:
            d_weight = d_weight.to(inputs.edge_weight.dtype)
        return None, None, None, None, found.d_x, d_initial, d_weight, *found.of_parameters()


def _state_gradients(h: Tensor, ends: Tensor, grad: Tensor | None, last_grad: Tensor | None) -> tuple[Tensor, Tensor]:
    """Those of h and c of all nodes, of their own. [N, H]"""
    d_h, d_c = torch.zeros_like(h), torch.zeros_like(h)
    if grad is not None:
        d_h = grad.resolve_neg().clone(memory_format=torch.contiguous_format)
    if last_grad is not None:
        last_h, last_c = last_grad.chunk(2, dim=1)
        d_h, d_c = d_h.index_add(0, ends, last_h), d_c.index_add(0, ends, last_c)
    return d_h, d_c


def _sweep_back(
    schedule: Schedule, inputs: _Inputs, kept: _Kept, kernel: Tensor, first: Tensor, **found: Tensor | None
) -> Iterator[tuple[range, Tensor, Tensor]]:
    """Runs of nodes, last ones first, and the gradients of their gates [M, 4H] and of U_f h, in the same memory."""
    hidden, nodes, sources = kernel.size(1), len(kept.h), len(kept.read)
    given = {
        "outgoing": schedule.pointers.out_indptr,
        "edge": schedule.pointers.out_edge_id,
        "target": schedule.pointers.out_targets,
        "weight": _as_floats(inputs.edge_weight),
        "forget_kernel": panels(kernel[:hidden], "tree"),
        "other_kernel": panels(kernel[hidden:], "tree"),
        "first": first,
        **kept._asdict(),
    }
    most = min(nodes, max(1, CHUNK // (4 * hidden)))
    room = first.new_empty(most, 4 * hidden), first.new_empty(most, hidden)
    for begin in reversed(range(0, nodes, most)):
        end = min(begin + most, nodes)
        d_gates, d_read = room[0][: end - begin], room[1][: max(0, min(end, sources) - begin)]
        run_tree("lstm_tree_back", schedule, range(begin, end), d_read=d_read, d_gates=d_gates, **found, **given)
        yield range(begin, end), d_gates, d_read


class _Gradients:
    """Gradients of x and the parameters, added up run by run while those of the gates are in a core's cache."""

    def __init__(self, inputs: _Inputs, kept: _Kept, wants_x: bool) -> None:
        self._x, self._has_bias, self._h, self._summed = inputs.x, inputs.bias_ih is not None, kept.h, kept.summed
        width, hidden = inputs.weight_hh.shape
        self._silent = len(kept.h) - len(kept.summed)
        self._swapped = swap_gates(inputs.weight_ih)
        self.d_x = inputs.x.new_empty(inputs.x.shape) if wants_x else None
        self._input_kernel = input_kernel_zeros(inputs.weight_ih)
        self._kernel, self._bias = kept.h.new_zeros(width, hidden), kept.h.new_zeros(width)

    def add(self, nodes: range, d_gates: Tensor, d_read: Tensor) -> None:
        """Adds the share of a run of nodes."""
        begin, end, hidden = nodes.start, nodes.stop, self._kernel.size(1)
        if self.d_x is not None:
            torch.mm(d_gates, self._swapped, out=self.d_x[begin:end])
        add_input_kernel_gradient(self._input_kernel, d_gates, self._x[begin:end])
        self._bias += d_gates.sum(0)
        self._kernel[:hidden].addmm_(d_read.t(), self._h[begin : begin + len(d_read)])
        reads = max(begin, self._silent)
        if reads < end:
            summed = self._summed[reads - self._silent : end - self._silent]
            self._kernel[hidden:].addmm_(d_gates[reads - begin :, hidden:].t(), summed)

    def add_initial(self, kernel: Tensor, first: Tensor, d_first: Tensor) -> Tensor:
        """Adds the share of the initial states, and returns their own gradient [B, 2H]."""
        hidden = kernel.size(1)
        self._kernel[:hidden].addmm_(d_first[2].t(), first[0])
        return torch.cat([d_first[0].addmm_(d_first[2], kernel[:hidden]), d_first[1]], dim=1)

    def of_parameters(self) -> tuple[Tensor | None, ...]:
        """Those of W_ih, W_hh, b_ih and b_hh, once all is added."""
        del self._swapped  # two copies of its gradient follow, of which a small graph needs little else
        biases = (swap_gates(self._bias), swap_gates(self._bias)) if self._has_bias else (None, None)
        return lie_as_kernel(swap_gates(self._input_kernel)), swap_gates(self._kernel), *biases


def run_tree(name: str, schedule: Schedule, nodes: range, **tensors: Tensor | None) -> None:
    """Calls a function of ``c/trees.c`` on contiguous tensors."""
    offsets = schedule.node_offsets
    inner = offsets[bisect_right(offsets, nodes.start) : bisect_left(offsets, nodes.stop)]
    steps = torch.tensor([nodes.start, *inner, nodes.stop], device="cpu")  # whatever device is torch's default
    source, first, weight = schedule.edge_index[0].contiguous(), tensors["first"], tensors["weight"]
    tensors |= {"steps": steps, "incoming": schedule.pointers.in_indptr, "source": source}
    assert first is not None
    valid = offsets[-1] == schedule.num_nodes and (weight is None or weight.shape == source.shape)
    tree = Tree(
        threads=torch.get_num_threads(),
        T=len(inner) + 1,
        N=schedule.num_nodes,
        E=source.numel(),
        H=first.size(2),
        B=first.size(1),
        P=0 if first.size(1) > 0 else offsets[1],
        L=offsets[-2],
        **{
            name: address(tensor, torch.int64 if name in _INDICES else torch.float32)
            for name, tensor in tensors.items()
            if tensor is not None
        },
    )
    if not (valid and compiled(name)(tree)):
        raise ValueError("the schedule has edges, weights or step_sizes that do not fit one another, or was altered in "
                         "place; make another one for other edges")  # fmt: skip


def _as_floats(edge_weight: Tensor | None) -> Tensor | None:
    return None if edge_weight is None else edge_weight.float().contiguous()


def _enter(initial: Tensor | None, kernel: Tensor) -> Tensor:
    """Initial h and c, and U_f h. [3, B, H]"""
    hidden = kernel.size(1)
    if initial is None:
        return kernel.new_empty(3, 0, hidden)
    h, c = initial.chunk(2, dim=1)
    return torch.stack([h, c, h @ kernel[:hidden].t()])
