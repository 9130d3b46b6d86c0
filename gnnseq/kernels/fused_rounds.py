"""Synchronous rounds in compiled code.

An LSTM's round is one step of ``c/trees.c``, whose sources are all rows of initial state. What nodes read of one round
is written where the next reads it.

Letters: N nodes, E edges, H hidden channels.
"""

import torch
from torch import Tensor

from gnnseq.kernels.cell import Cell, CellWeights, Loop
from gnnseq.kernels.fused_tree import run_tree
from gnnseq.kernels.rounds import Round, sweep_by, without_edges
from gnnseq.schedule import Schedule

__all__ = ["fused_rounds_sweep"]


def fused_rounds_sweep(
    cell: Cell, x: Tensor, schedule: Schedule, initial: Tensor | None, weights: CellWeights, loop: Loop
) -> tuple[Tensor, Tensor]:
    """Fires all nodes in every round, as :data:`gnnseq.kernels.dispatch.Kernel` says."""
    return sweep_by(LSTMRound, cell, x, schedule, initial, weights, loop)


class LSTMRound(Round):
    """Of an LSTM. A state is h, c and, for another round, both of these with U_f h below them in one memory."""

    room: Tensor | None = None  # for the gradients of a round's gates. [N, 4H]

    def fire(
        self, projection: Tensor, state: tuple[Tensor, ...] | None, more: bool
    ) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """As the base says."""
        hidden, nodes = self.hidden, len(projection)
        forget, other = self.weight_hh[:hidden].t(), self.weight_hh[hidden:].t().contiguous()
        if state is None:
            first, summed = projection.new_empty(3, 0, hidden), projection.new_empty(0, hidden)
        else:
            first = state[2] if len(state) > 2 else torch.stack([state[0], state[1], state[0] @ forget])
            summed = projection.new_empty(nodes, hidden)
        made = projection.new_empty(3 if more else 2, nodes, hidden)
        h, c = made[0], made[1]
        self._run(
            "lstm_tree", state is not None, first=first, other_kernel=other, gates=projection, h=h, c=c, summed=summed
        )
        if more:
            torch.mm(h, forget, out=made[2])
            return (h, c, made), (projection, c, first, summed)
        return (h, c), (projection, c, first, summed)

    def fire_back(
        self, kept: tuple[Tensor, ...], grads: tuple[Tensor, ...], reads: bool
    ) -> tuple[Tensor, tuple[Tensor, ...]]:
        """As the base says."""
        gates, c, first, summed = kept
        hidden = self.hidden
        forget, other = self.weight_hh[:hidden], self.weight_hh[hidden:]
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
            d_h=d_h,
            d_c=d_c,
            d_gates=d_gates,
            d_first=d_first,
            d_weight=d_weight,
        )
        if self.d_weight_hh is None:
            self.d_weight_hh = torch.zeros_like(self.weight_hh)
        if not reads:
            return d_gates, ()
        if d_weight is not None and self.d_edge_weight is not None:
            self.d_edge_weight += d_weight
        self.d_weight_hh[:hidden].addmm_(d_first[2].t(), first[0])
        self.d_weight_hh[hidden:].addmm_(d_gates[:, hidden:].t(), summed)
        return d_gates, (d_first[0].addmm_(d_first[2], forget), d_first[1])

    def _run(self, name: str, reads: bool, **tensors: Tensor | None) -> None:
        step = self.schedule if reads else without_edges(self.schedule)
        back = name == "lstm_tree_back"
        pointers = {"outgoing": step.pointers.out_indptr, "edge": step.pointers.out_edge_id} if back else {}
        if back:
            pointers["target"] = step.pointers.out_targets
        weight = self.weight if reads else None
        run_tree(name, step, range(step.num_nodes), weight=weight, **pointers, **tensors)
