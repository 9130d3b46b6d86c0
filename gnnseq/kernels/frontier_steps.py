"""The steps of a sweep as rows and edges, for the frontier kernels.

Initial states are rows below those of the nodes, read along edges as any other.

Letters: N nodes, E edges, H hidden channels, G gates, S state width, B rows of initial state; n nodes and e edges of
a step.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

from gnnseq.kernels.spmm import sum_rows
from gnnseq.schedule import Schedule

__all__ = ["Backflow", "CellGradients", "Front", "Fronts", "make_nodes"]


class CellGradients(NamedTuple):
    """What a rule's backward pass gives."""

    term: Tensor  # of the input term. [N, G * H]
    weight_hh: Tensor  # [G * H, H]
    bias_hh: Tensor  # [G * H]
    initial: Tensor  # [B, S]
    edge_weight: Tensor  # empty where the weights are not learnt. [E]


def make_nodes(nodes: int, initial: Tensor) -> Tensor:
    """Room for the states of nodes, above the initial ones. [N + B, H]"""
    made = initial.new_empty(nodes + len(initial), initial.size(1))
    made[nodes:] = initial
    return made


@dataclass(frozen=True)
class Front:
    """One step: rows of its nodes, and its edges.

    On paths the sources are neighbouring rows in the order of their targets, and no target is listed.
    """

    rows: slice
    edges: slice
    source: Tensor | slice  # rows of nodes. [e]
    target: Tensor | None  # counted from the step's first node. [e]
    first: Tensor | None  # of each node's edges, and e. [n + 1]
    weight: Tensor | None  # [e]

    @property
    def reads(self) -> bool:
        """Whether there is an edge."""
        return bool(self.edges.stop > self.edges.start)

    @property
    def reads_rows(self) -> bool:
        """Whether each node reads one row as it is."""
        return self.target is None and self.weight is None

    def sources(self, nodes: Tensor) -> Tensor:
        """The rows of the sources. [e, H]"""
        return nodes[self.source] if isinstance(self.source, slice) else nodes.index_select(0, self.source)

    def gather(self, nodes: Tensor) -> Tensor:
        """The weighted rows of the sources. [e, H]"""
        read = self.sources(nodes)
        return read if self.weight is None else read * self.weight.unsqueeze(1)

    def sum(self, messages: Tensor, out: Tensor) -> Tensor:
        """Writes the sum of the messages to each node of the step into ``out``, which is zero. [n, H]"""
        return out.copy_(messages) if self.target is None else out.index_add_(0, self.target, messages)

    def read(self, nodes: Tensor, summed: Tensor) -> Tensor:
        """What each node of the step reads, kept in ``summed`` where it had to be computed. [n, H]"""
        if not self.reads:
            return nodes.new_zeros(self.rows.stop - self.rows.start, nodes.size(1))
        if self.reads_rows:
            return self.sources(nodes)
        return self.sum_sources(nodes, summed[self.rows])

    def sum_sources(self, nodes: Tensor, out: Tensor) -> Tensor:
        """Writes the sum of the weighted rows of each node's sources into ``out``. [n, H]"""
        if self.first is None:
            return out.copy_(self.gather(nodes))
        assert isinstance(self.source, Tensor)
        return out.copy_(sum_rows(nodes, self.source, self.first, self.weight))

    def read_again(self, nodes: Tensor, summed: Tensor) -> Tensor:
        """What :meth:`read` gave."""
        return self.read(nodes, summed) if self.reads_rows else summed[self.rows]

    def spread(self, values: Tensor) -> Tensor:
        """The value of each edge's target, from those of the step's nodes. [e, H]"""
        return values if self.target is None else values.index_select(0, self.target)


@dataclass(frozen=True)
class Fronts:
    """The steps of a schedule whose nodes are numbered in firing order."""

    steps: list[Front]
    schedule: Schedule
    weight: Tensor | None  # [E]
    learns_initial: bool
    learns_weights: bool
    sources: Tensor | slice | None  # on unweighted paths, the row that each node after the first step reads

    @staticmethod
    def of(schedule: Schedule, edge_weight: Tensor | None, learns_initial: bool, learns_weights: bool) -> "Fronts":
        """The fronts of a schedule."""
        nodes, offsets = schedule.node_offsets, schedule.edge_offsets
        source = schedule.edge_index[0]
        sources: Tensor | slice | None = None
        if schedule.lengths is not None and edge_weight is None:
            later = source[offsets[1] :] if len(schedule) > 0 else source
            sources = slice(0, later.numel()) if len(set(schedule.step_sizes)) <= 1 else later
        read = source.split(schedule.edge_sizes)
        weight = [None] * len(schedule) if edge_weight is None else edge_weight.split(schedule.edge_sizes)
        steps = []
        if schedule.lengths is None:
            first, local = schedule.pointers.step_in_indptr, schedule.pointers.step_targets
        for number, rows in enumerate(pairwise(nodes)):
            edges = slice(*offsets[number : number + 2])
            if schedule.lengths is None:
                steps.append(Front(slice(*rows), edges, read[number], local[number], first[number], weight[number]))
                continue
            # The paths that live on are the first rows of the step before.
            living = slice(nodes[number - 1], nodes[number - 1] + rows[1] - rows[0]) if number > 0 else read[0]
            steps.append(Front(slice(*rows), edges, living, None, None, weight[number]))
        return Fronts(steps, schedule, edge_weight, learns_initial, learns_weights, sources)

    @cached_property
    def _outgoing(self) -> dict[int, tuple[Tensor, Tensor, Tensor | None]]:
        """What :meth:`pull` reads for the sources from some row on, step by step and for the initial states."""
        pointers, counts = self.schedule.pointers, self.schedule.pointers.step_out_sizes
        weight = None if self.weight is None else self.weight.index_select(0, pointers.out_edge_id).split(counts)
        targets, indptr = pointers.out_targets.split(counts), pointers.step_out_indptr
        parts = zip(targets, indptr, weight or [None] * len(counts), strict=True)
        return dict(zip(self.schedule.node_offsets, parts, strict=True))

    def pull(self, rows: Tensor, begin: int) -> Tensor:
        """The sum over the nodes that read each source of their rows, weighted as they weigh what they read."""
        return sum_rows(rows, *self._outgoing[begin])

    def make_summed(self, nodes: Tensor) -> Tensor:
        """Room for what nodes read: none where those are rows as they are. [N or 0, H]"""
        return torch.zeros_like(nodes) if self.sources is None else nodes.new_empty(0, nodes.size(1))

    def kernel_gradient(self, d_read: Tensor, nodes: Tensor, summed: Tensor) -> Tensor:
        """The gradient of the kernel that multiplies what nodes read, one product over all of them. [G * H, H]"""
        first = self.steps[0].rows.stop if self.steps else 0
        if self.sources is None:
            later = summed[first:]
        elif isinstance(self.sources, slice):
            later = nodes[self.sources]
        else:
            later = nodes.index_select(0, self.sources)
        found = d_read[first:].t() @ later
        if self.steps and self.steps[0].reads:
            found.addmm_(d_read[:first].t(), self.steps[0].read_again(nodes, summed))
        return found


class Backflow:
    """Gradients on their way against the edges.

    Attributes:
        edge_weight: Of the weights; empty where they are not learnt. [E]
    """

    def __init__(self, grad: Tensor, nodes: Tensor, fronts: Fronts) -> None:
        self._grad, self._own, self._below, self._fronts = grad, grad, len(nodes) - len(grad), fronts
        schedule = fronts.schedule
        self.edge_weight = grad.new_zeros(schedule.edge_index.size(1) if fronts.learns_weights else 0)
        # On unweighted paths all that is under way goes to the step before. Elsewhere gradients of sums are pulled by
        # the nodes that were read, and gradients that differ from edge to edge add up there.
        self._carried: Tensor | None = None
        self._sums: Tensor | None = None

    @property
    def initial(self) -> Tensor:
        """The gradient of the initial states, complete once all steps have sent theirs, if anyone learns it. [B, H]"""
        nodes = len(self._grad)
        own = self._grad.new_zeros(self._below, self._grad.size(1)) if self._own is self._grad else self._own[nodes:]
        return self._pull(own, nodes) if self._fronts.learns_initial else own

    def arrived(self, front: Front) -> Tensor:
        """The gradient of the step's states, complete once all later steps have sent theirs. [n, H]"""
        own = self._own[front.rows]
        if self._carried is None:
            return self._pull(own, front.rows.start)
        if self._carried.size(0) == own.size(0):
            return own + self._carried
        own = own.clone()
        own[: self._carried.size(0)] += self._carried
        return own

    def send(self, front: Front, d_sum: Tensor, nodes: Tensor) -> None:
        """Sends the gradient of what each node summed on to the states of its sources and the weights of its edges."""
        if self.edge_weight.numel() > 0:
            self.edge_weight[front.edges] = (front.spread(d_sum) * front.sources(nodes)).sum(1)
        if front.first is None:
            self.add(front, d_sum if front.weight is None else d_sum * front.weight.unsqueeze(1))
            return
        if self._sums is None:
            self._sums = torch.empty_like(self._grad, memory_format=torch.contiguous_format)
        self._sums[front.rows] = d_sum

    def add(self, front: Front, d_state: Tensor) -> None:
        """Adds to the gradients of the sources. [e, H]"""
        if isinstance(front.source, slice) and self._fronts.sources is not None:
            self._carried = d_state
            return
        if self._own is self._grad:
            self._own = torch.cat([self._grad, self._grad.new_zeros(self._below, self._grad.size(1))])
        if isinstance(front.source, slice):
            self._own[front.source].add_(d_state)
        else:
            self._own.index_add_(0, front.source, d_state)

    def _pull(self, own: Tensor, begin: int) -> Tensor:
        """What arrives at the sources from this row on, added to their own."""
        return own if self._sums is None else own + self._fronts.pull(self._sums, begin)
