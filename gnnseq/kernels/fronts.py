"""The steps of a sweep as rows and edges, for the frontier kernels.

Letters: N nodes, H hidden channels, G gates, S state width, V rows of entering state, n nodes and e edges of a step.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gnnseq.schedule import Schedule

__all__ = ["CellGradients", "Front", "Fronts"]


class CellGradients(NamedTuple):
    """What a rule's backward pass gives."""

    term: Tensor  # of the input term. [N, G * H]
    weight_hh: Tensor  # [G * H, H]
    bias_hh: Tensor  # [G * H]
    entering: Tensor  # [V, S]
    edge_weight: Tensor | None  # one an edge, entering ones first. [V + E]


@dataclass(frozen=True)
class Front:
    """One step: rows of its nodes, and its edges.

    Entering states are the first V rows of what is read, so ``source`` counts from there. On paths the sources are
    neighbouring rows, in the order of their targets: a slice, and no target is listed.
    """

    rows: slice
    read_rows: slice  # the same nodes, counted with the entering states
    edges: slice
    source: Tensor | slice  # [e]
    target: Tensor | None  # counted from the step's first node, [e]
    weight: Tensor | None  # [e, 1]

    @property
    def reads(self) -> bool:
        """Whether there is an edge."""
        return bool(self.edges.stop > self.edges.start)

    def sources(self, states: Tensor) -> Tensor:
        """States of the sources. [e, H]"""
        return states[self.source] if isinstance(self.source, slice) else states.index_select(0, self.source)

    def gather(self, states: Tensor) -> Tensor:
        """Weighted states of the sources. [e, H]"""
        read = self.sources(states)
        return read if self.weight is None else read * self.weight

    def sum(self, messages: Tensor) -> Tensor:
        """Sums the messages of each node of the step. [n, H]"""
        if self.target is None:
            return messages
        total = messages.new_zeros(self.rows.stop - self.rows.start, messages.size(1))
        return total.index_add_(0, self.target, messages)

    def spread(self, values: Tensor) -> Tensor:
        """The value of each edge's target, from those of the step's nodes. [e, H]"""
        return values if self.target is None else values.index_select(0, self.target)

    def add_to_sources(self, states: Tensor, messages: Tensor) -> None:
        """Adds to the rows of the sources, in place."""
        if isinstance(self.source, slice):
            states[self.source].add_(messages)
        else:
            states.index_add_(0, self.source, messages)


@dataclass(frozen=True)
class Fronts:
    """The steps of a schedule, with one entering edge to each node that has no predecessor where states enter."""

    steps: list[Front]
    num_nodes: int
    num_edges: int
    entering: int
    weighted: bool

    @staticmethod
    def of(schedule: Schedule, edge_weight: Tensor | None, entering: int) -> "Fronts":
        """The fronts of a schedule in firing order; ``entering`` is V, the size of the first step or 0."""
        on_paths = schedule.lengths is not None
        source, target = schedule.edge_index
        if entering > 0 and not on_paths:
            first = torch.arange(entering, device=source.device)
            source, target = torch.cat([first, source + entering]), torch.cat([first, target])
        weight = None if edge_weight is None else edge_weight.unsqueeze(1)
        steps, before = [], 0
        for step in range(len(schedule)):
            begin, end = schedule.node_offsets[step : step + 2]
            edges = slice(
                schedule.edge_offsets[step] + (entering if step > 0 else 0), schedule.edge_offsets[step + 1] + entering
            )
            steps.append(
                Front(
                    rows=slice(begin, end),
                    read_rows=slice(begin + entering, end + entering),
                    edges=edges,
                    # The paths that live on are the first rows of the step before.
                    source=slice(before, before + edges.stop - edges.start) if on_paths else source[edges],
                    target=None if on_paths else target[edges] - begin,
                    weight=None if weight is None else weight[edges],
                )
            )
            before = begin + entering
        return Fronts(
            steps, schedule.num_nodes, schedule.edge_index.size(1) + entering, entering, edge_weight is not None
        )
