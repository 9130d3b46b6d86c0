"""A schedule's edges as compressed rows, by target and by source: what only kernels read.

Letters: N nodes, E edges, B rows of initial state; n nodes and e edges of a step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate

import torch
from torch import Tensor

from gnnseq.tracing import for_real

__all__ = ["SweepPointers"]


@dataclass(frozen=True, eq=False)
class SweepPointers:
    """Pointers into the edges of a schedule whose nodes are numbered in firing order, each computed when first read.

    Attributes:
        edge_index: Edges sorted by target; source N + b is row b of the initial state. [2, E]
        num_nodes: Number of nodes N.
        num_rows: Rows of initial state B.
        step_sizes: How many nodes fire in each step.
        edge_sizes: How many edges are read in each step.
    """

    edge_index: Tensor
    num_nodes: int
    num_rows: int
    step_sizes: tuple[int, ...]
    edge_sizes: tuple[int, ...]

    def same(self, other: "SweepPointers | None") -> bool:
        """Whether the other's pointers are into the same edges, without comparing their numbers."""
        return (
            other is not None
            and other.edge_index is self.edge_index
            and (other.num_nodes, other.num_rows) == (self.num_nodes, self.num_rows)
            and (other.step_sizes, other.edge_sizes) == (self.step_sizes, self.edge_sizes)
        )

    @cached_property
    @for_real()
    def from_rows(self) -> "SweepPointers":
        """Those of the same edges, each from the row of the initial state that has its source's number."""
        nodes = self.num_nodes
        edges = torch.stack([self.edge_index[0] + nodes, self.edge_index[1]])
        return SweepPointers(edges, nodes, nodes, self.step_sizes, self.edge_sizes)

    @cached_property
    @for_real()
    def in_indptr(self) -> Tensor:
        """The first edge into each node, and E. [N + 1]"""
        return torch.searchsorted(self.edge_index[1], torch.arange(self.num_nodes + 1, device=self.edge_index.device))

    @cached_property
    @for_real()
    def out_edge_id(self) -> Tensor:
        """Edges sorted by source. [E]"""
        return self.edge_index[0].argsort(stable=True)

    @cached_property
    @for_real()
    def out_indptr(self) -> Tensor:
        """Where in :attr:`out_edge_id` each source's edges begin, initial states after the nodes, and E. [N + B + 1]"""
        sources = torch.arange(self.num_nodes + self.num_rows + 1, device=self.edge_index.device)
        return torch.searchsorted(self.edge_index[0, self.out_edge_id], sources)

    @cached_property
    @for_real()
    def out_targets(self) -> Tensor:
        """The targets of the edges of :attr:`out_edge_id`. [E]"""
        return self.edge_index[1, self.out_edge_id]

    @cached_property
    @for_real()
    def step_in_indptr(self) -> tuple[Tensor, ...]:
        """For each step, where in its edges each of its nodes' begin. [n + 1]"""
        return _split_indptr(self.in_indptr, self.step_sizes)[1]

    @cached_property
    @for_real()
    def step_targets(self) -> tuple[Tensor, ...]:
        """For each step, its edges' targets, counted from the step's first node. [e]"""
        begin = [*accumulate(self.step_sizes, initial=0)][:-1]
        first, sizes = torch.tensor([begin, self.edge_sizes], dtype=torch.int64, device=self.edge_index.device)
        targets: tuple[Tensor, ...] = (self.edge_index[1] - first.repeat_interleave(sizes)).split(self.edge_sizes)
        return targets

    @property
    def step_out_sizes(self) -> list[int]:
        """How many edges leave each step's nodes, and the initial states."""
        return self._step_out[0]

    @property
    def step_out_indptr(self) -> tuple[Tensor, ...]:
        """For each step, and the initial states, where in the edges that leave them each row's begin. [n + 1]"""
        return self._step_out[1]

    @cached_property
    @for_real()
    def _step_out(self) -> tuple[list[int], tuple[Tensor, ...]]:
        return _split_indptr(self.out_indptr, [*self.step_sizes, self.num_rows])


def _split_indptr(indptr: Tensor, sizes: Sequence[int]) -> tuple[list[int], tuple[Tensor, ...]]:
    """Compressed rows cut into runs of so many: the number of entries in each run, and the indptr of each [n + 1]."""
    size = torch.tensor([*sizes], dtype=torch.int64, device=indptr.device)
    run = torch.arange(len(size), device=indptr.device).repeat_interleave(size + 1)
    begin = indptr[torch.cat([size.new_zeros(1), size.cumsum(0)])]
    offsets = indptr[torch.arange(len(run), device=indptr.device) - run] - begin[run]
    return begin.diff().tolist(), offsets.split([n + 1 for n in sizes])
