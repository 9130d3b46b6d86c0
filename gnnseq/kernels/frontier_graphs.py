"""Steps of trees, directed acyclic graphs and whatever else is not a set of paths: sources and targets are listed.

Letters: as in :mod:`gnnseq.kernels.frontier_front`.
"""

from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from gnnseq.kernels.frontier_front import Front
from gnnseq.kernels.spmm import sum_rows
from gnnseq.schedule import Schedule

__all__ = ["GraphBackflow", "GraphFront", "GraphFronts"]


class GraphFront(Front):
    """One step.

    Attributes:
        source: The row of each edge's source. [e]
        target: Each edge's target, counted from the step's first node. [e]
        first: The first of each node's edges, and e. [n + 1]
    """

    __slots__ = ("first", "source", "target")

    def __init__(
        self, rows: slice, edges: slice, weight: Tensor | None, source: Tensor, target: Tensor, first: Tensor
    ) -> None:
        super().__init__(rows, edges, weight)
        self.source = source
        self.target = target
        self.first = first

    def sources(self, nodes: Tensor) -> Tensor:
        """The row of each edge's source. [e, H]"""
        return nodes.index_select(0, self.source)

    def spread(self, values: Tensor) -> Tensor:
        """The value of each edge's target, from those of the step's nodes. [e, H]"""
        return values.index_select(0, self.target)

    def sum(self, messages: Tensor, out: Tensor) -> Tensor:
        """Writes the sum of the messages to each node of the step into ``out``, which is zero. [n, H]"""
        return out.index_add_(0, self.target, messages)

    def sum_sources(self, nodes: Tensor, out: Tensor) -> Tensor:
        """Writes the sum of the weighted rows of each node's sources into ``out``. [n, H]"""
        return out.copy_(sum_rows(nodes, self.source, self.first, self.weight))


class GraphFronts:
    """The steps of a schedule.

    Attributes:
        steps: In their order.
        num_edges: E.
    """

    def __init__(self, schedule: Schedule, weight: Tensor | None, learns_initial: bool, learns_weights: bool) -> None:
        weights = [None] * len(schedule) if weight is None else weight.split(schedule.edge_sizes)
        sources = schedule.edge_index[0].split(schedule.edge_sizes)
        firsts, targets = schedule.pointers.step_in_indptr, schedule.pointers.step_targets
        offsets = pairwise(schedule.node_offsets), pairwise(schedule.edge_offsets)
        self.steps = [
            GraphFront(slice(*rows), slice(*edges), own, source, target, first)
            for rows, edges, own, source, target, first in zip(*offsets, weights, sources, targets, firsts, strict=True)
        ]
        self.num_edges = schedule.edge_index.size(1)
        self._schedule, self._weight = schedule, weight
        self._learns_initial, self._learns_weights = learns_initial, learns_weights

    def enter(self, initial: Tensor) -> Tensor:
        """The initial states, as edges read them. [B, S]"""
        return initial

    def leave(self, d_initial: Tensor, initial: Tensor) -> Tensor:
        """The gradient of the initial states from that of what :meth:`enter` returned."""
        return d_initial

    def make_summed(self, nodes: Tensor) -> Tensor:
        """Room for what nodes read. [N, H]"""
        return torch.zeros_like(nodes)

    def kernel_gradient(self, d_read: Tensor, nodes: Tensor, summed: Tensor) -> Tensor:
        """The gradient of the kernel that multiplies what nodes read, one product over all of them. [G * H, H]"""
        first = self.steps[0].rows.stop if self.steps else 0
        found = d_read[first:].t() @ summed[first:]
        if self.steps and self.steps[0].reads:
            found.addmm_(d_read[:first].t(), summed[:first])
        return found

    def backflow(self, grad: Tensor, nodes: Tensor) -> "GraphBackflow":
        """Gradients on their way back, beginning with those of the nodes' own states [N, H]."""
        edges = self.num_edges if self._learns_weights else 0
        return GraphBackflow(self, grad, len(nodes) - len(grad), edges, self._learns_initial)

    def pull(self, rows: Tensor, begin: int) -> Tensor:
        """For each source of a step, or initial state, the weighted sum of the rows of the nodes that read it.

        Args:
            rows: Of all nodes. [N, H]
            begin: The first of the sources.
        """
        return sum_rows(rows, *self._readers[begin])

    @cached_property
    def _readers(self) -> dict[int, tuple[Tensor, Tensor, Tensor | None]]:
        """By a step's first row: the nodes that read its nodes, where those of each node begin, and the weights."""
        pointers, counts = self._schedule.pointers, self._schedule.pointers.step_out_sizes
        weight = None if self._weight is None else self._weight.index_select(0, pointers.out_edge_id).split(counts)
        targets, indptr = pointers.out_targets.split(counts), pointers.step_out_indptr
        parts = zip(targets, indptr, weight or [None] * len(counts), strict=True)
        return dict(zip(self._schedule.node_offsets, parts, strict=True))


class GraphBackflow:
    """Gradients on their way against the edges.

    Gradients of sums wait at the nodes that summed, and are pulled by the nodes that were read; gradients that differ
    from edge to edge are added up at the nodes that were read.

    Attributes:
        edge_weight: Of the weights; empty if they are not learnt. [E]
    """

    def __init__(self, fronts: GraphFronts, grad: Tensor, initial: int, edges: int, learns_initial: bool) -> None:
        self._fronts, self._grad, self._initial, self._learns_initial = fronts, grad, initial, learns_initial
        self._own = grad  # with rows for the initial states, once something is added. [N + B, H]
        self._sums: Tensor | None = None
        self.edge_weight = grad.new_zeros(edges)

    @property
    def initial(self) -> Tensor:
        """The gradient of the initial states, complete once all steps have sent theirs, if it is wanted. [B, H]"""
        nodes = len(self._grad)
        own = self._own[nodes:] if self._own is not self._grad else self._make_initial()
        return self._pull(own, nodes) if self._learns_initial else own

    def arrived(self, front: Front) -> Tensor:
        """The gradient of the step's states, complete once all later steps have sent theirs. [n, H]"""
        return self._pull(self._own[front.rows], front.rows.start)

    def send(self, front: Front, d_sum: Tensor, nodes: Tensor) -> None:
        """Sends the gradient of what each node summed on to the states of its sources and the weights of its edges."""
        if self.edge_weight.numel() > 0:
            self.edge_weight[front.edges] = (front.spread(d_sum) * front.sources(nodes)).sum(1)
        if self._sums is None:
            self._sums = torch.empty_like(self._grad, memory_format=torch.contiguous_format)
        self._sums[front.rows] = d_sum

    def add(self, front: Front, d_state: Tensor) -> None:
        """Adds to the gradients of the sources. [e, H]"""
        assert isinstance(front, GraphFront)
        if self._own is self._grad:
            self._own = torch.cat([self._grad, self._make_initial()])
        self._own.index_add_(0, front.source, d_state)

    def _make_initial(self) -> Tensor:
        return self._grad.new_zeros(self._initial, self._grad.size(1))

    def _pull(self, own: Tensor, begin: int) -> Tensor:
        """What arrives at the sources from this row on, added to their own."""
        return own if self._sums is None else own + self._fronts.pull(self._sums, begin)
