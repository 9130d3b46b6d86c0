"""Synchronous rounds of recurrent layers on any graph, without a message per edge.

A round is a sweep of one step, whose nodes read rows of initial state: the states of the round before. The input
projection is one product for all rounds, and its gradients are too. Without gradients nothing is kept of a round but
its states.

Letters: N nodes, E edges, F input channels, H hidden channels, G gates, S state width, R rounds.
"""

from abc import ABC, abstractmethod
from dataclasses import replace
from itertools import islice
from typing import Any

import torch
from torch import Tensor

from gnnseq.kernels.autograd_state import has_memory, outside_autocast
from gnnseq.kernels.cell import Cell, CellWeights, Loop
from gnnseq.kernels.double_backward import double_backward
from gnnseq.kernels.frontier import cell_backward, cell_forward, in_order
from gnnseq.kernels.frontier_graphs import GraphFronts
from gnnseq.kernels.input_projection import input_kernel_gradient, project_inputs, split_bias
from gnnseq.kernels.saved import recall, save
from gnnseq.schedule import Schedule

__all__ = ["Round", "rounds_sweep", "sweep_by", "without_edges"]

Tensors = tuple[Tensor, ...]


class Round(ABC):
    """What all rounds of a sweep have in common, and the gradients that they add up.

    Attributes:
        d_weight_hh: The gradient of the recurrent kernel, in the kernels' order of gates. [G * H, H]
        d_bias_hh: That of the recurrent bias; None if it is the input projection's. [G * H]
        d_edge_weight: That of the weights of edges, or None if they are not learnt. [E]
    """

    def __init__(
        self,
        cell: Cell,
        schedule: Schedule,
        weight_hh: Tensor,
        inner_bias: Tensor,
        weight: Tensor | None,
        learnt: bool,
        learns: bool,
    ) -> None:
        """Of the cell, one round as a step, U, a GRU's b_hn, edges' weights, whether these are learnt, and anything."""
        self.learns = learns
        self.cell, self.schedule, self.weight_hh, self.inner_bias = cell, schedule, weight_hh, inner_bias
        self.weight, self.hidden = weight, weight_hh.size(1)
        self.d_weight_hh: Tensor | None = None
        self.d_bias_hh: Tensor | None = None
        self.d_edge_weight = torch.zeros_like(weight) if weight is not None and learnt else None

    @abstractmethod
    def fire(self, projection: Tensor, state: Tensors | None, more: bool) -> tuple[Tensors, Tensors]:
        """The states after a round, and what its backward pass needs.

        Args:
            projection: The input projection, whose memory is the round's to write in. [N, G * H]
            state: The states before, h [N, H] first, then an LSTM's c; None if they are zero, and need not be read.
            more: Whether another round follows.
        """

    @abstractmethod
    def fire_back(self, kept: Tensors, grads: Tensors, d_projection: Tensor, reads: bool) -> Tensors:
        """The gradients of the states that were read, if any were, from those of the new ones.

        Args:
            kept: What :meth:`fire` left.
            grads: The gradients of the new states. [N, H] each
            d_projection: The gradient of the input projection, to which the round's is added. [N, G * H]
            reads: Whether the round had states to read.
        """


class FrontierRound(Round):
    """By the frontier kernels: of any cell, on any device, in any precision."""

    def _fronts(self, reads: bool) -> GraphFronts:
        schedule = self.schedule if reads else without_edges(self.schedule)
        weight = self.weight if reads else None
        return GraphFronts(schedule, weight, reads, self.d_edge_weight is not None and reads)

    def fire(self, projection: Tensor, state: Tensors | None, more: bool) -> tuple[Tensors, Tensors]:
        """As the base says."""
        width = self.cell.states * self.hidden
        first = self.weight_hh.new_empty(0, width) if state is None else torch.cat(state, dim=1)
        fronts = self._fronts(state is not None)
        states, kept = cell_forward(self.cell, projection, self.weight_hh, self.inner_bias, first, fronts)
        # Copies: what is kept of them must not change where a caller writes into h.
        return tuple(part.clone() for part in states[: len(projection)].split(self.hidden, dim=1)), kept

    def fire_back(self, kept: Tensors, grads: Tensors, d_projection: Tensor, reads: bool) -> Tensors:
        """As the base says."""
        grad = grads[0] if len(grads) == 1 else torch.cat(grads, dim=1)
        found = cell_backward(self.cell, grad, kept, self.weight_hh, self._fronts(reads))
        self.d_weight_hh = found.weight_hh if self.d_weight_hh is None else self.d_weight_hh.add_(found.weight_hh)
        self.d_bias_hh = found.bias_hh if self.d_bias_hh is None else self.d_bias_hh.add_(found.bias_hh)
        if self.d_edge_weight is not None and reads:
            self.d_edge_weight += found.edge_weight
        d_projection += found.input_projection
        return found.initial.split(self.hidden, dim=1) if reads else ()


def rounds_sweep(
    cell: Cell, x: Tensor, schedule: Schedule, initial: Tensor | None, weights: CellWeights, loop: Loop
) -> tuple[Tensor, Tensor]:
    """Fires all nodes in every round, as :data:`gnnseq.kernels.dispatch.Kernel` says."""
    return sweep_by(FrontierRound, cell, x, schedule, initial, weights, loop)


def sweep_by(
    kind: type[Round],
    cell: Cell,
    x: Tensor,
    schedule: Schedule,
    initial: Tensor | None,
    weights: CellWeights,
    loop: Loop,
) -> tuple[Tensor, Tensor]:
    """All rounds by rounds of a kind."""
    given = x, initial, schedule.edge_weight, *weights
    learns = torch.is_grad_enabled() and any(tensor is not None and tensor.requires_grad for tensor in given)
    h, *others = _Sweep.apply(kind, cell, loop, schedule, learns, x, initial, schedule.edge_weight, *weights)
    return h, torch.cat([h, *others], dim=1) if others else h


class _Sweep(torch.autograd.Function):
    """The states of all nodes after the last round: h [N, H], and an LSTM's c."""

    @staticmethod
    def forward(
        ctx: Any,
        kind: type[Round],
        cell: Cell,
        loop: Loop,
        schedule: Schedule,
        learns: bool,
        x: Tensor,
        initial: Tensor | None,
        edge_weight: Tensor | None,
        *weights: Any,
    ) -> Tensors:
        ctx.set_materialize_grads(False)
        weight_ih, weight_hh, bias_ih, bias_hh = weights
        bias, inner_bias = split_bias(cell, bias_ih, bias_hh, weight_hh)
        own = _of_schedule(kind, cell, schedule, weight_hh, inner_bias, edge_weight, ctx.needs_input_grad[7], learns)
        projection = project_inputs(x, in_order(cell, weight_ih), None if bias is None else in_order(cell, bias))
        state = _first(initial, edge_weight, weight_hh, schedule.num_nodes, cell.states)
        everything: list[Tensor] = []
        ctx.reads_first, ctx.sizes = state is not None, []
        for left in reversed(range(schedule.rounds or 0)):
            state, kept = own.fire(projection.clone() if left > 0 else projection, state, left > 0)
            if learns:
                everything += kept
                ctx.sizes.append(len(kept))
        save(ctx, schedule, x, initial, edge_weight, *weights, inner_bias, *everything)
        ctx.kind, ctx.cell, ctx.loop, ctx.schedule = kind, cell, loop, schedule
        assert state is not None
        return state[: cell.states]

    @staticmethod
    @outside_autocast
    def backward(ctx: Any, *given: Tensor | None) -> tuple[Tensor | None, ...]:
        saved = recall(ctx)
        x, initial, edge_weight, weight_ih, weight_hh, bias_ih, bias_hh, inner_bias = saved[:8]
        cell, needs = ctx.cell, ctx.needs_input_grad[5:]
        zeros = weight_hh.new_zeros(x.size(0), weight_hh.size(1))
        grads = tuple(zeros if grad is None else grad.resolve_neg() for grad in given)
        if torch.is_grad_enabled() or not all(map(has_memory, grads)):
            by_loop = double_backward(ctx.loop, ctx.schedule, tuple(saved[:7]), torch.cat(grads, dim=1))
            return None, None, None, None, None, *by_loop
        own = _of_schedule(ctx.kind, cell, ctx.schedule, weight_hh, inner_bias, edge_weight, needs[2], True)
        d_projection = weight_hh.new_zeros(x.size(0), weight_ih.size(0))
        rest = iter([tensor.contiguous() for tensor in saved[8:]])  # hooks on saved tensors may change strides
        rounds = [tuple(islice(rest, size)) for size in ctx.sizes]
        for number in reversed(range(len(rounds))):
            grads = own.fire_back(rounds.pop(), grads, d_projection, number > 0 or ctx.reads_first)
        assert own.d_weight_hh is not None
        weight_ih = in_order(cell, weight_ih)
        d_weight_ih = input_kernel_gradient(d_projection, x, weight_ih.size(1)) if needs[3] else None
        d_bias = d_projection.sum(0)
        return (
            *[None] * 5,
            d_projection @ weight_ih if needs[0] else None,
            None if initial is None else torch.cat(grads, dim=1),
            None if own.d_edge_weight is None else own.d_edge_weight.to(edge_weight.dtype),
            None if d_weight_ih is None else in_order(cell, d_weight_ih),
            in_order(cell, own.d_weight_hh),
            None if bias_ih is None else in_order(cell, d_bias),
            None if bias_hh is None else in_order(cell, d_bias.clone() if own.d_bias_hh is None else own.d_bias_hh),
        )


def _of_schedule(
    kind: type[Round],
    cell: Cell,
    schedule: Schedule,
    weight_hh: Tensor,
    inner_bias: Tensor,
    edge_weight: Tensor | None,
    learnt: bool,
    learns: bool,
) -> Round:
    weight = None if edge_weight is None else edge_weight.to(weight_hh.dtype).contiguous()
    return kind(cell, _one_round(schedule), in_order(cell, weight_hh), inner_bias, weight, learnt, learns)


def _first(
    initial: Tensor | None, edge_weight: Tensor | None, like: Tensor, num_nodes: int, states: int
) -> Tensors | None:
    """The states before the first round, None if edges have nothing to bring: zeros weighed by NaN are something."""
    if initial is None and edge_weight is None:
        return None
    given = like.new_zeros(num_nodes, states * like.size(1)) if initial is None else initial
    parts: Tensors = given.split(like.size(1), dim=1)
    return parts


def _one_round(schedule: Schedule) -> Schedule:
    """One round as a schedule of one step, whose edges come from rows of initial state."""
    pointers = schedule.pointers.from_rows
    return replace(schedule, edge_index=pointers.edge_index, edge_weight=None, rounds=None, shared=pointers)


def without_edges(step: Schedule) -> Schedule:
    """The same step, in which nothing is read, and there are no rows to read."""
    none = step.edge_index[:, :0]
    return replace(step, edge_index=none, edge_sizes=(0,), starts=step.starts[:0], shared=None)
