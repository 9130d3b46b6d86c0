"""The steps of a sweep as rows and edges, for the frontier kernels.

Letters: N nodes, E edges, H hidden channels, G gates, S state width, V rows of entering state; n nodes and e edges of
a step.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gnnseq.schedule import Schedule

__all__ = ["Backflow", "CellGradients", "Front", "Fronts"]


class CellGradients(NamedTuple):
    """What a rule's backward pass gives."""

    term: Tensor  # of the input term. [N, G * H]
    weight_hh: Tensor  # [G * H, H]
    bias_hh: Tensor  # [G * H]
    entering: Tensor  # [V, S]
    edge_weight: Tensor  # entering edges first; empty where the weights are not learnt. [V + E]


@dataclass(frozen=True)
class Front:
    """One step: rows of its nodes, and its edges.

    Nobody precedes the first step's nodes: they read the entering states, row by row. On paths the sources are
    neighbouring rows in the order of their targets. In both cases no target is listed.
    """

    rows: slice
    edges: slice  # counted with the entering states, which come first
    source: Tensor | slice | None  # rows of nodes, None: of entering states. [e]
    target: Tensor | None  # counted from the step's first node. [e]
    weight: Tensor | None  # [e, 1]

    @property
    def reads(self) -> bool:
        """Whether there is an edge."""
        return bool(self.edges.stop > self.edges.start)

    @property
    def reads_rows(self) -> bool:
        """Whether each node reads one row as it is."""
        return self.target is None and self.weight is None

    def sources(self, nodes: Tensor, entering: Tensor) -> Tensor:
        """The rows of the sources. [e, H]"""
        if self.source is None:
            return entering
        return nodes[self.source] if isinstance(self.source, slice) else nodes.index_select(0, self.source)

    def gather(self, nodes: Tensor, entering: Tensor) -> Tensor:
        """The weighted rows of the sources. [e, H]"""
        read = self.sources(nodes, entering)
        return read if self.weight is None else read * self.weight

    def sum(self, messages: Tensor, out: Tensor) -> Tensor:
        """Writes the sum of the messages to each node of the step into ``out``, which is zero. [n, H]"""
        return out.copy_(messages) if self.target is None else out.index_add_(0, self.target, messages)

    def read(self, nodes: Tensor, entering: Tensor, summed: Tensor) -> Tensor:
        """What each node of the step reads, kept in ``summed`` where it had to be computed. [n, H]"""
        if not self.reads:
            return nodes.new_zeros(self.rows.stop - self.rows.start, nodes.size(1))
        if self.reads_rows:
            return self.sources(nodes, entering)
        return self.sum(self.gather(nodes, entering), summed[self.rows])

    def read_again(self, nodes: Tensor, entering: Tensor, summed: Tensor) -> Tensor:
        """What :meth:`read` gave."""
        return self.read(nodes, entering, summed) if self.reads_rows else summed[self.rows]

    def spread(self, values: Tensor) -> Tensor:
        """The value of each edge's target, from those of the step's nodes. [e, H]"""
        return values if self.target is None else values.index_select(0, self.target)


@dataclass(frozen=True)
class Fronts:
    """The steps of a schedule whose nodes are numbered in firing order; V is the size of the first or 0."""

    steps: list[Front]
    entering: int
    num_edges: int
    learns_weights: bool
    sources: Tensor | slice | None  # on unweighted paths, the row that each node after the first step reads

    @staticmethod
    def of(
        schedule: Schedule, edge_weight: Tensor | None, states_enter: bool, learns_weights: bool = False
    ) -> "Fronts":
        """The fronts of a schedule, with entering edges into its first step or none."""
        nodes, offsets = schedule.node_offsets, schedule.edge_offsets
        source, target = schedule.edge_index
        sources: Tensor | slice | None = None
        if schedule.lengths is not None and edge_weight is None:
            equal = len(set(schedule.step_sizes)) <= 1
            sources = slice(0, source.numel()) if equal else source
        entering = nodes[1] if states_enter and len(schedule) > 0 else 0
        steps = [Front(slice(*nodes[:2]), slice(0, entering), None, None, None)] if len(schedule) > 0 else []
        for step in range(1, len(schedule)):
            rows, edges = slice(*nodes[step : step + 2]), slice(*offsets[step : step + 2])
            read: tuple[Tensor | slice, Tensor | None]
            if schedule.lengths is not None:  # the paths that live on are the first rows of the step before
                read = (slice(nodes[step - 1], nodes[step - 1] + rows.stop - rows.start), None)
            else:
                read = (source[edges], target[edges] - rows.start)
            weight = None if edge_weight is None else edge_weight[edges].unsqueeze(1)
            steps.append(Front(rows, slice(edges.start + entering, edges.stop + entering), *read, weight))
        return Fronts(steps, entering, source.numel(), learns_weights, sources)

    def make_summed(self, nodes: Tensor) -> Tensor:
        """Room for what nodes read: none where those are rows as they are. [N or 0, H]"""
        return torch.zeros_like(nodes) if self.sources is None else nodes.new_empty(0, nodes.size(1))

    def kernel_gradient(self, d_read: Tensor, nodes: Tensor, entering: Tensor, summed: Tensor) -> Tensor:
        """The gradient of the kernel that multiplies what nodes read, one product over all of them. [G * H, H]"""
        first = self.steps[0].rows.stop if self.steps else 0
        if self.sources is None:
            later = summed[first:]
        elif isinstance(self.sources, slice):
            later = nodes[self.sources]
        else:
            later = nodes.index_select(0, self.sources)
        return (d_read[first:].t() @ later).addmm_(d_read[: self.entering].t(), entering)


class Backflow:
    """Gradients on their way against the edges.

    Attributes:
        entering: Of the entering states. [V, H]
        edge_weight: Of the weights, entering edges first; empty where they are not learnt. [V + E]
    """

    def __init__(self, grad: Tensor, entering: Tensor, fronts: Fronts) -> None:
        self.grad = grad
        self.entering = torch.zeros_like(entering)
        self.edge_weight = grad.new_zeros(fronts.entering + fronts.num_edges if fronts.learns_weights else 0)
        # On unweighted paths all that is under way goes to the step before; elsewhere it adds up here.
        self._nodes = grad.clone() if fronts.sources is None else None
        self._carried: Tensor | None = None

    def arrived(self, front: Front) -> Tensor:
        """The gradient of the step's states, complete once all later steps have sent theirs. [n, H]"""
        if self._nodes is not None:
            return self._nodes[front.rows]
        own = self.grad[front.rows]
        if self._carried is None:
            return own
        if self._carried.size(0) == own.size(0):
            return own + self._carried
        own = own.clone()
        own[: self._carried.size(0)] += self._carried
        return own

    def send(self, front: Front, d_sum: Tensor, nodes: Tensor, entering: Tensor) -> None:
        """Sends the gradient of what each node summed on to the states of its sources and the weights of its edges."""
        d_message = front.spread(d_sum)
        if front.weight is not None:
            if self.edge_weight.numel() > 0:
                self.edge_weight[front.edges] = (d_message * front.sources(nodes, entering)).sum(1)
            d_message = d_message * front.weight
        self.add(front, d_message)

    def add(self, front: Front, d_state: Tensor) -> None:
        """Adds to the gradients of the sources. [e, H]"""
        if front.source is None:
            self.entering.add_(d_state)
        elif self._nodes is None:
            self._carried = d_state
        elif isinstance(front.source, slice):
            self._nodes[front.source].add_(d_state)
        else:
            self._nodes.index_add_(0, front.source, d_state)
