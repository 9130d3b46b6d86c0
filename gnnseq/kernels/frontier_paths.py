"""Steps of paths: what a step's nodes read are the first rows of the step before, whose order is theirs.

Letters: as in :mod:`gnnseq.kernels.frontier_front`; B paths that are not empty, longest first.
"""

from functools import cached_property
from itertools import pairwise

import torch
from torch import Tensor

from gnnseq.kernels.frontier_front import Front
from gnnseq.schedule import Schedule

__all__ = ["PathBackflow", "PathFront", "PathFronts"]


class PathFront(Front):
    """One step; each node reads one row, and without weights reads it as it is."""

    __slots__ = ("source",)

    def __init__(self, rows: slice, edges: slice, weight: Tensor | None, source: slice) -> None:
        super().__init__(rows, edges, weight)
        self.source = source

    def sources(self, nodes: Tensor) -> Tensor:
        """The row of each edge's source. [e, H]"""
        return nodes[self.source]

    def spread(self, values: Tensor) -> Tensor:
        """Each node has one edge. [e, H]"""
        return values

    def sum(self, messages: Tensor, out: Tensor) -> Tensor:
        """Each node has one message. [n, H]"""
        return out.copy_(messages)

    def sum_sources(self, nodes: Tensor, out: Tensor) -> Tensor:
        """Each node has one source. [n, H]"""
        return out.copy_(self.gather(nodes))

    def read(self, nodes: Tensor, summed: Tensor) -> Tensor:
        """What each node of the step reads, kept in ``summed`` if it had to be computed. [n, H]"""
        return nodes[self.source] if self.reads and self.weight is None else super().read(nodes, summed)

    def read_again(self, nodes: Tensor, summed: Tensor) -> Tensor:
        """What :meth:`read` returned."""
        return self.read(nodes, summed) if self.weight is None else super().read_again(nodes, summed)


class PathFronts:
    """The steps of a schedule of paths.

    Attributes:
        steps: In their order.
        num_edges: E.
    """

    def __init__(self, schedule: Schedule, weight: Tensor | None, learns_weights: bool) -> None:
        nodes, edges = schedule.node_offsets, schedule.edge_offsets
        weights = [None] * len(schedule) if weight is None else weight.split(schedule.edge_sizes)
        begins = [schedule.num_nodes, *nodes[:-1]]  # of what each step reads, initial states first
        self.steps = [
            PathFront(slice(*rows), slice(*own), own_weight, slice(begin, begin + rows[1] - rows[0]))
            for rows, own, own_weight, begin in zip(pairwise(nodes), pairwise(edges), weights, begins, strict=False)
        ]
        self.num_edges = schedule.edge_index.size(1)
        self._schedule, self._weight, self._learns_weights = schedule, weight, learns_weights

    def enter(self, initial: Tensor) -> Tensor:
        """The initial states that are read, in the order of the first step's nodes. [B, S]"""
        return initial.index_select(0, self._entered)

    def leave(self, d_initial: Tensor, initial: Tensor) -> Tensor:
        """The gradient of the initial states from that of what :meth:`enter` returned."""
        return d_initial.new_zeros(initial.shape).index_copy(0, self._entered, d_initial)

    @cached_property
    def _entered(self) -> Tensor:
        return self._schedule.edge_index[0, : self.steps[0].edges.stop if self.steps else 0] - self._schedule.num_nodes

    def make_summed(self, nodes: Tensor) -> Tensor:
        """Room for what nodes read: none if those are rows as they are. [N or 0, H]"""
        return nodes.new_empty(0, nodes.size(1)) if self._weight is None else torch.zeros_like(nodes)

    def kernel_gradient(self, d_read: Tensor, nodes: Tensor, summed: Tensor) -> Tensor:
        """The gradient of the kernel that multiplies what nodes read, one product over all of them. [G * H, H]"""
        if not self.steps:
            return d_read.t() @ nodes
        first, (begin, *_), sizes = self.steps[0], self._schedule.edge_offsets[1:], self._schedule.step_sizes
        later = d_read[first.rows.stop :]
        if self._weight is not None:
            read = summed[first.rows.stop :]
        elif sizes[0] == sizes[-1]:
            read = nodes[: len(later)]
        else:
            read = nodes.index_select(0, self._schedule.edge_index[0, begin:])
        found = later.t() @ read
        if first.reads:
            found.addmm_(d_read[first.rows].t(), first.read_again(nodes, summed))
        return found

    def backflow(self, grad: Tensor, nodes: Tensor) -> "PathBackflow":
        """Gradients on their way back, beginning with those of the nodes' own states [N, H]."""
        edges = self.num_edges if self._learns_weights else 0
        return PathBackflow(grad, len(nodes) - len(grad), edges)


class PathBackflow:
    """Gradients on their way against the edges: all that is under way goes to the step before.

    Attributes:
        edge_weight: Of the weights; empty if they are not learnt. [E]
    """

    def __init__(self, grad: Tensor, initial: int, edges: int) -> None:
        self._grad, self._initial = grad, initial
        self._carried: Tensor | None = None
        self.edge_weight = grad.new_zeros(edges)

    @property
    def initial(self) -> Tensor:
        """The gradient of the initial states, complete once all steps have sent theirs. [B, H]"""
        if self._carried is None or self._initial == 0:
            return self._grad.new_zeros(self._initial, self._grad.size(1))
        return self._carried

    def arrived(self, front: Front) -> Tensor:
        """The gradient of the step's states, complete once all later steps have sent theirs. [n, H]"""
        own = self._grad[front.rows]
        if self._carried is None:
            return own
        if self._carried.size(0) == own.size(0):
            return own + self._carried
        own = own.clone()
        own[: self._carried.size(0)] += self._carried
        return own

    def send(self, front: Front, d_sum: Tensor, nodes: Tensor) -> None:
        """Sends the gradient of what each node summed on to the states of its sources and the weights of its edges."""
        if self.edge_weight.numel() > 0:
            self.edge_weight[front.edges] = (d_sum * front.sources(nodes)).sum(1)
        self.add(front, d_sum if front.weight is None else d_sum * front.weight.unsqueeze(1))

    def add(self, front: Front, d_state: Tensor) -> None:
        """Adds to the gradients of the sources. [e, H]"""
        self._carried = d_state
