"""When each node of a graph fires, as data.

A schedule is a list of steps; a step is a set of nodes and the edges into them. To run one, go through the steps, and
in each let the step's nodes read the states that their sources had before it. Firing every node in every step is a
graph network; firing each node once, after all of its predecessors, is a recurrent network.

Letters: N nodes, E edges, B rows of state (one a path, on paths).
"""

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import cached_property
from itertools import accumulate
from typing import Any

import torch
from torch import Tensor

from gnnseq.graphs import check_weight_form
from gnnseq.schedule.csr import SweepPointers
from gnnseq.schedule.firing import fire_synchronously, fire_topologically
from gnnseq.schedule.jumps import Jumps, double
from gnnseq.schedule.tickets import Ticket, number
from gnnseq.tracing import for_real, is_plain

__all__ = ["Schedule", "Step"]


@dataclass(frozen=True, eq=False)
class Step:
    """One step: these nodes fire, reading along these edges.

    Attributes:
        nodes: The nodes that fire. [n]
        edge_index: All edges into them, sorted by target. [2, e]
        edge_weight: Weights of those edges, or None if all are 1. [e]
        edge_id: Places of those edges in the list that made the schedule. [e]
    """

    nodes: Tensor
    edge_index: Tensor
    edge_weight: Tensor | None
    edge_id: Tensor


@dataclass(frozen=True, eq=False)
class Schedule:
    """The steps in which the nodes of a graph fire.

    :func:`topological`, :func:`synchronous`, :func:`doubling`, :func:`packed_paths` and :func:`pack_paths` make one.
    ``len(schedule)`` is the number of sequential steps and iterating yields each :class:`Step`.

    Attributes:
        num_nodes: Number of nodes N.
        edge_index: Edges, sorted by the firing of their target, then as they were listed or by source; source N + b is
            row b of the initial state. [2, E]
        edge_weight: Their weights, or None if all are 1. [E]
        edge_id: Their places in the list that made the schedule, -1 if they were in none. [E]
        order: Nodes in firing order, or None if they are numbered that way already. [N]
        step_sizes: How many nodes fire in each step of one round.
        edge_sizes: How many edges are read in each step of one round.
        starts: The node at which row b of the initial state enters: on a topological schedule those without
            predecessors, -1 for an empty path and where edges read the row; on a synchronous one every node. [B]
        ends: The node at which row b of the final state is read: those without successors, or every node; -1 if
            it is a row of the initial state, row b unless ``passed`` says which. [B']
        lengths: Length of the path that begins at ``starts[b]``, or None if the graph is not a set of paths. [B]
        passed: The row of the initial state that row b of the final state is where ``ends[b]`` is -1; None if it is
            row b. [B']
        rounds: How often the steps are repeated; None for a topological schedule, which goes through them once.
        doublings: How many rounds double the distance; None if none does. The fields above then are those of the sweep
            that they shorten, and the steps are :attr:`jumps`.
        shared: The pointers of the schedule of which this one is a copy with other weights; see :attr:`pointers`.
    """

    num_nodes: int
    edge_index: Tensor
    edge_weight: Tensor | None
    edge_id: Tensor
    order: Tensor | None
    step_sizes: tuple[int, ...]
    edge_sizes: tuple[int, ...]
    starts: Tensor
    ends: Tensor
    lengths: tuple[int, ...] | None = None
    rounds: int | None = None
    passed: Tensor | None = None
    doublings: int | None = None
    shared: SweepPointers | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        with nullcontext() if is_plain() else for_real():
            self.__dict__["_number"] = number(Ticket(self))

    @property
    def number(self) -> Tensor:
        """By which torch.compile names this schedule; a copy has another. []"""
        made: Tensor = self.__dict__["_number"]  # no field, as torch.fx makes dataclasses anew from their fields
        return made

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_number"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self.__post_init__()

    def __len__(self) -> int:
        if self.doublings is not None:
            return self.doublings
        return len(self.step_sizes) * (1 if self.rounds is None else self.rounds)

    def __getitem__(self, index: int) -> Step:
        if not -len(self) <= index < len(self):
            raise IndexError(f"step {index} of a schedule of {len(self)} steps")
        if self.doublings is not None:
            return self._jump(index % len(self))
        index = index % len(self) % len(self.step_sizes)
        first, last = self.node_offsets[index : index + 2]
        nodes = torch.arange(first, last, device=self.device) if self.order is None else self.order[first:last]
        edges = slice(*self.edge_offsets[index : index + 2])
        weight = None if self.edge_weight is None else self.edge_weight[edges]
        return Step(nodes, self.edge_index[:, edges], weight, self.edge_id[edges])

    def __iter__(self) -> Iterator[Step]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        return f"Schedule({self.kind}, nodes={self.num_nodes}, edges={self.edge_index.size(1)}, steps={len(self)})"

    @property
    def kind(self) -> str:
        """``"topological"``, ``"synchronous"`` or ``"doubling"``."""
        if self.doublings is not None:
            return "doubling"
        return "topological" if self.rounds is None else "synchronous"

    @property
    def device(self) -> torch.device:
        """Where the schedule's tensors are."""
        return self.edge_index.device

    @cached_property
    def node_offsets(self) -> list[int]:
        """Place in the firing order at which each step begins, and N."""
        return list(accumulate(self.step_sizes, initial=0))

    @cached_property
    def dense_shape(self) -> tuple[int, int] | None:
        """T and B if the nodes are those of [T, B, F], as of unweighted paths of one length; else None."""
        sizes = self.step_sizes
        if self.lengths is None or self.edge_weight is not None or self.order is not None or self.doublings is not None:
            return None
        # With no empty path among them, rows of state are in the caller's order.
        whole = bool(sizes) and sizes[0] == sizes[-1] == len(self.lengths)
        return (len(sizes), sizes[0]) if whole else None

    @cached_property
    def edge_offsets(self) -> list[int]:
        """Column of ``edge_index`` at which each step begins, and E."""
        return list(accumulate(self.edge_sizes, initial=0))

    @cached_property
    def pointers(self) -> SweepPointers:
        """What kernels read of the edges, computed once for a schedule and its :meth:`weighted` copies."""
        own = SweepPointers(self.edge_index, self.num_nodes, self.starts.numel(), self.step_sizes, self.edge_sizes)
        # A copy by dataclasses.replace may have other edges.
        return self.shared if self.shared is not None and self.shared.same(own) else own

    @cached_property
    @for_real()
    def jumps(self) -> tuple[Jumps, ...]:
        """The edges of each round of doubling, which span twice those of the round before."""
        return tuple(double(self.edge_index, self.num_nodes, self.doublings or 0))

    def _jump(self, index: int) -> Step:
        """One round of doubling: edges sorted by target, weighing what the edges that they span do together."""
        weight, edge_id = self.edge_weight, self.edge_id
        for jumps in self.jumps[1 : index + 1]:
            assert jumps.first is not None
            assert jumps.second is not None
            weight = None if weight is None else weight[jumps.first] * weight[jumps.second]
            edge_id = torch.full_like(jumps.first, -1)
        nodes, edges = torch.arange(self.num_nodes, device=self.device), self.jumps[index].edge_index
        sorting = edges[1].argsort(stable=True)
        return Step(nodes, edges[:, sorting], None if weight is None else weight[sorting], edge_id[sorting])

    @cached_property
    @for_real()
    def rows(self) -> Tensor:
        """Rows of state in the order in which their nodes fire, empty paths left out. [B]"""
        begun = (self.starts >= 0).nonzero().view(-1)
        return begun[self.in_order.starts[begun].argsort()]

    @cached_property
    @for_real()
    def readout_rows(self) -> Tensor:
        """Rows of the final state that are read at a node; on paths as :attr:`rows`."""
        return (self.ends >= 0).nonzero().view(-1) if self.lengths is None else self.rows

    @property
    def with_state_edges(self) -> "Schedule":
        """The same topological schedule, in which initial states enter by edges into the first step that weigh 1."""
        if self.rows.numel() == 0:
            return self
        weight = self.edge_weight
        if weight is None:
            return self._with_state_edges
        return self._with_state_edges.weighted(torch.cat([weight.new_ones(self.rows.numel()), weight]))

    @cached_property
    @for_real()
    def _with_state_edges(self) -> "Schedule":
        """Without weights, which may change."""
        rows = self.rows
        edges = torch.stack([rows + self.num_nodes, self.starts[rows]])
        return replace(
            self,
            edge_index=torch.cat([edges, self.edge_index], dim=1),
            edge_weight=None,
            edge_id=torch.cat([torch.full_like(rows, -1), self.edge_id]),
            edge_sizes=(rows.numel(), *self.edge_sizes[1:]),
            starts=torch.full_like(self.starts, -1),
            shared=None,
        )

    def prepare(self, both_directions: bool) -> int:
        """Compute all that a recorded sweep reads, which a compiler could not look into; of reversed edges too."""
        directions = [self.in_order, self.in_order.reversed.in_order] if both_directions else [self.in_order]
        for along in directions:
            _ = along.rows, along.readout_rows, along.node_offsets, along.edge_offsets, along.jumps
            if along.rounds is None:
                _ = along._with_state_edges.node_offsets, along._with_state_edges.edge_offsets
        return 0

    # What torch.compiler.assume_constant_result does, which would import the compiler: it calls this, and looks away.
    prepare._dynamo_marked_constant = True  # type: ignore[attr-defined]

    def weighted(self, edge_weight: Tensor) -> "Schedule":
        """The same schedule with weights [E], in the order of ``edge_index``.

        Learnt weights make it part of the graph of gradients: make it anew in every training step. A NaN among them is
        one in what its edge leads to.

        Raises:
            ValueError: If there is not one floating-point weight an edge, on the schedule's device.
        """
        check_weight_form(edge_weight, self.edge_index)
        return replace(self, edge_weight=edge_weight, shared=self.pointers)

    @property
    def in_order(self) -> "Schedule":
        """The same schedule with nodes renumbered in firing order: node ``order[p]`` becomes p."""
        return self if self.order is None else self._in_order  # remembering itself, it would outlive its last use

    @cached_property
    @for_real()
    def _in_order(self) -> "Schedule":
        assert self.order is not None
        # One slot more than nodes, so that -1, the start of an empty path, stays -1.
        place = torch.full((self.num_nodes + 1,), -1, device=self.device)
        place[self.order] = torch.arange(self.num_nodes, device=self.device)
        return replace(
            self,
            edge_index=place[self.edge_index],
            order=None,
            starts=place[self.starts],
            ends=place[self.ends],
            shared=None,
        )

    @cached_property
    @for_real()
    def reversed(self) -> "Schedule":
        """The sweep along the reversed edges; its state has the same rows, entering where this one's is read."""
        backwards = self.edge_index.flip(0)
        if self.rounds is not None:
            swept = Schedule(**fire_synchronously(backwards, self.num_nodes, self.rounds, self.edge_weight))
        else:
            swept = Schedule(**fire_topologically(backwards, self.num_nodes, self.edge_weight))
            swept = replace(swept, starts=self.ends, ends=self.starts, lengths=self.lengths, passed=self._passed_back)
            swept = replace(swept, doublings=self.doublings)
        return replace(swept, edge_id=self.edge_id[swept.edge_id])

    @property
    def _passed_back(self) -> Tensor | None:
        if self.passed is None:
            return None
        through = (self.ends < 0).nonzero().view(-1)
        return torch.zeros_like(self.starts).index_copy(0, self.passed[through], through)

    @for_real()
    def to(self, device: torch.device | str) -> "Schedule":
        """The same schedule with its tensors on another device."""
        if torch.device(device) == self.device:
            return self
        return replace(
            self,
            edge_index=self.edge_index.to(device),
            edge_weight=None if self.edge_weight is None else self.edge_weight.to(device),
            edge_id=self.edge_id.to(device),
            order=None if self.order is None else self.order.to(device),
            starts=self.starts.to(device),
            ends=self.ends.to(device),
            passed=None if self.passed is None else self.passed.to(device),
            shared=None,
        )
