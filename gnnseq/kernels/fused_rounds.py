"""Synchronous rounds in compiled code.

An LSTM's round is one step of ``c/trees.c``, whose sources are all rows of initial state. What nodes read of one round
is written where the next reads it.

Letters: N nodes, E edges, H hidden channels.
"""

from functools import cached_property

import torch
from torch import Tensor

from gnnseq.kernels.cell import Cell, CellWeights, Loop
from gnnseq.kernels.fused_tree import run_tree
from gnnseq.kernels.gru_rows import GRUGradients, gru_rows
from gnnseq.kernels.native import panels
from gnnseq.kernels.rounds import Round, sweep_by, without_edges
from gnnseq.kernels.spmm import sum_rows
from gnnseq.schedule import Schedule

__all__ = ["fused_rounds_sweep"]


def fused_rounds_sweep(
    cell: Cell, x: Tensor, schedule: Schedule, initial: Tensor | None, weights: CellWeights, loop: Loop
) -> tuple[Tensor, Tensor]:
    """Fires all nodes in every round, as :data:`gnnseq.kernels.dispatch.Kernel` says."""
    return sweep_by(LSTMRound if cell.name == "lstm" else GRURound, cell, x, schedule, initial, weights, loop)


class LSTMRound(Round):
    """Of an LSTM. A state is h, c and, for another round, both of these with U_f h below them in one memory."""

    def fire(
        self, projection: Tensor, state: tuple[Tensor, ...] | None, more: bool
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """As the base says."""
        hidden, nodes = self.hidden, len(projection)
        forget, other = self.turned
        if state is None:
            first, summed = projection.new_empty(3, 0, hidden), projection.new_empty(0, hidden)
        else:
            first = state[2] if len(state) > 2 else torch.stack([state[0], state[1], state[0] @ forget])
            summed = projection.new_empty(nodes, hidden)
        slope = torch.empty_like(summed) if self.learns else None
        made = projection.new_empty(3 if more else 2, nodes, hidden)
        h, c = made[0], made[1]
        kept = {"gates": projection, "c": c, "first": first, "summed": summed, "slope": slope}
        self._run("lstm_tree", state is not None, other_kernel=other, h=h, **kept)
        saved = tuple(tensor for tensor in kept.values() if tensor is not None)
        if more:
            torch.mm(h, forget, out=made[2])
            return (h, c, made), saved
        return (h, c), saved

    def fire_back(
        self, kept: tuple[Tensor, ...], grads: tuple[Tensor, ...], d_projection: Tensor, reads: bool
    ) -> tuple[Tensor, ...]:
        """As the base says."""
        gates, c, first, summed, slope = kept
        hidden = self.hidden
        forget, other = self.panels_back
        d_h, d_c = (grad.clone(memory_format=torch.contiguous_format) for grad in grads)
        d_first, d_gates = torch.zeros_like(first), torch.empty_like(gates)
        d_weight = torch.empty_like(self.d_edge_weight) if self.d_edge_weight is not None and reads else None
        self._run(
            "lstm_tree_back",
            reads,
            first=first,
            forget_kernel=forget,
            other_kernel=other,
            gates=gates,
            c=c,
            summed=summed,
            slope=slope,
            d_h=d_h,
            d_c=d_c,
            d_gates=d_gates,
            d_first=d_first,
            d_weight=d_weight,
        )
        d_projection += d_gates
        if self.d_weight_hh is None:
            self.d_weight_hh = torch.zeros_like(self.weight_hh)
        if not reads:
            return ()
        if d_weight is not None and self.d_edge_weight is not None:
            self.d_edge_weight += d_weight
        self.d_weight_hh[:hidden].addmm_(d_first[2].t(), first[0])
        self.d_weight_hh[hidden:].addmm_(d_gates[:, hidden:].t(), summed)
        return (d_first[0].addmm_(d_first[2], self.weight_hh[:hidden]), d_first[1])

    @cached_property
    def turned(self) -> tuple[Tensor, Tensor]:
        """U_f [H, H], which multiplies from the right, and the other gates' panels [H, 3H]."""
        forget, other = self.weight_hh[: self.hidden].t(), self.weight_hh[self.hidden :].t()
        return forget.contiguous(), panels(other, "tree")

    @cached_property
    def panels_back(self) -> tuple[Tensor, Tensor]:
        """Panels by which the gradients of both products go back: U_f's and the other gates'."""
        return panels(self.weight_hh[: self.hidden], "tree"), panels(self.weight_hh[self.hidden :], "tree")

    def _run(self, name: str, reads: bool, **tensors: Tensor | None) -> None:
        step = self.schedule if reads else without_edges(self.schedule)
        back = name == "lstm_tree_back"
        pointers = {"outgoing": step.pointers.out_indptr, "edge": step.pointers.out_edge_id} if back else {}
        if back:
            pointers["target"] = step.pointers.out_targets
        weight = self.weight if reads else None
        run_tree(name, step, range(step.num_nodes), weight=weight, **pointers, **tensors)


class GRURound(Round):
    """Of a GRU, whose edges' weights are not learnt."""

    def fire(
        self, projection: Tensor, state: tuple[Tensor, ...] | None, more: bool
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """As the base says."""
        if state is None:
            read = projection.new_zeros(len(projection), self.hidden)
        else:
            pointers = self.schedule.pointers
            read = sum_rows(state[0].contiguous(), self.sources, pointers.in_indptr, self.weight)
        h, inner = gru_rows(projection, read, self.weight_hh, self.inner_bias, is_zero=state is None)
        return (h,), (projection, inner, read)

    def fire_back(
        self, kept: tuple[Tensor, ...], grads: tuple[Tensor, ...], d_projection: Tensor, reads: bool
    ) -> tuple[Tensor, ...]:
        """As the base says."""
        gates, inner, read = kept
        d_read = torch.empty_like(read)
        d_h = grads[0].contiguous()
        self.gradients.add(gates, inner, read, d_h, d_read, d_gates=d_projection, is_zero=not reads)
        self.d_weight_hh, self.d_bias_hh = self.gradients.kernel, self.gradients.bias
        if not reads:
            return ()
        pointers = self.schedule.pointers
        weight = None if self.weight is None else self.weight.index_select(0, pointers.out_edge_id)
        begin = pointers.out_indptr[self.schedule.num_nodes :]  # of the rows of initial state
        return (sum_rows(d_read, pointers.out_targets, begin, weight),)

    @cached_property
    def gradients(self) -> GRUGradients:
        """Added up over rounds."""
        return GRUGradients(self.weight_hh)

    @cached_property
    def sources(self) -> Tensor:
        """The node that each edge reads. [E]"""
        return self.schedule.edge_index[0] - self.schedule.num_nodes
