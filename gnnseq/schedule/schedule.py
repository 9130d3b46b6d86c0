"""When each node of a graph fires, as data.

A schedule is a list of steps; a step is a set of nodes and the edges into them. Whoever runs one goes through the
steps, and in each lets the step's nodes read the states that their sources had before it. Firing every node in every
step is a graph network; firing each node once, after all of its predecessors, is a recurrent network.

Letters: N nodes, E edges, B rows of state (one a path, on paths), T_b length of path b.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate

import numpy as np
import torch
from torch import Tensor

from gnnseq.checks import check_whole
from gnnseq.graphs import as_edge_index
from gnnseq.schedule.levels import levels, path_heads

__all__ = ["Schedule", "Step", "pack_paths", "packed_paths", "synchronous", "topological", "unpack_paths"]


@contextmanager
def _for_training() -> Iterator[None]:
    """Tensors made inside serve training too, though it may be evaluation that asks for them first."""
    with torch.inference_mode(False), torch.enable_grad():
        yield


@dataclass(frozen=True, eq=False)
class Step:
    """One step: these nodes fire, reading along these edges.

    Attributes:
        nodes: The nodes that fire. [n]
        edge_index: All edges into them, sorted by target. [2, e]
        edge_weight: Weights of those edges, or None where all are 1. [e]
        listed: Places of those edges in the list that made the schedule. [e]
    """

    nodes: Tensor
    edge_index: Tensor
    edge_weight: Tensor | None
    listed: Tensor


@dataclass(frozen=True, eq=False)
class Schedule:
    """The steps in which the nodes of a graph fire.

    :func:`topological`, :func:`synchronous`, :func:`packed_paths` and :func:`pack_paths` make one.
    ``len(schedule)`` is the number of sequential steps and iterating gives each :class:`Step`.

    Attributes:
        num_nodes: Number of nodes N.
        edge_index: Edges, sorted by the firing of their target, then as they were listed or by source; source N + b is
            row b of the initial state. [2, E]
        edge_weight: Their weights, or None where all are 1. [E]
        listed: Their places in the list that made the schedule, -1 where they were in none. [E]
        order: Nodes in firing order, or None where they are numbered that way already. [N]
        step_sizes: How many nodes fire in each step of one round.
        edge_sizes: How many edges are read in each step of one round.
        starts: The node at which row b of the initial state enters: on a topological schedule those without
            predecessors, -1 for an empty path and where edges read the row; on a synchronous one every node. [B]
        ends: The node at which row b of the final state is read: those without successors, or every node; -1 where
            it is row b of the initial state. [B']
        lengths: Length of the path that begins at ``starts[b]``, or None where the graph is not a set of paths. [B]
        rounds: How often the steps are repeated; None for a topological schedule, which goes through them once.
    """

    num_nodes: int
    edge_index: Tensor
    edge_weight: Tensor | None
    listed: Tensor
    order: Tensor | None
    step_sizes: tuple[int, ...]
    edge_sizes: tuple[int, ...]
    starts: Tensor
    ends: Tensor
    lengths: tuple[int, ...] | None = None
    rounds: int | None = None

    def __len__(self) -> int:
        return len(self.step_sizes) * (1 if self.rounds is None else self.rounds)

    def __getitem__(self, index: int) -> Step:
        if not -len(self) <= index < len(self):
            raise IndexError(f"step {index} of a schedule of {len(self)} steps")
        index = index % len(self) % len(self.step_sizes)
        first, last = self.node_offsets[index : index + 2]
        nodes = torch.arange(first, last, device=self.device) if self.order is None else self.order[first:last]
        edges = slice(*self.edge_offsets[index : index + 2])
        weight = None if self.edge_weight is None else self.edge_weight[edges]
        return Step(nodes, self.edge_index[:, edges], weight, self.listed[edges])

    def __iter__(self) -> Iterator[Step]:
        return (self[index] for index in range(len(self)))

    def __repr__(self) -> str:
        kind = "topological" if self.rounds is None else "synchronous"
        return f"Schedule({kind}, nodes={self.num_nodes}, edges={self.edge_index.size(1)}, steps={len(self)})"

    @property
    def device(self) -> torch.device:
        """Where the schedule's tensors are."""
        return self.edge_index.device

    @cached_property
    def node_offsets(self) -> list[int]:
        """Place in the firing order at which each step begins, and N."""
        return list(accumulate(self.step_sizes, initial=0))

    @cached_property
    def edge_offsets(self) -> list[int]:
        """Column of ``edge_index`` at which each step begins, and E."""
        return list(accumulate(self.edge_sizes, initial=0))

    @cached_property
    @_for_training()
    def rows(self) -> Tensor:
        """Rows of state in the order in which their nodes fire, empty paths left out. [B]"""
        begun = (self.starts >= 0).nonzero().view(-1)
        return begun[self.in_order.starts[begun].argsort()]

    @cached_property
    @_for_training()
    def ended(self) -> Tensor:
        """Rows of the final state that are read at a node; on paths as :attr:`rows`."""
        return (self.ends >= 0).nonzero().view(-1) if self.lengths is None else self.rows

    @property
    def entering(self) -> "Schedule":
        """The same topological schedule, in which initial states enter by edges into the first step that weigh 1."""
        if self.rows.numel() == 0:
            return self
        weight = self.edge_weight
        if weight is None:
            return self._entering
        return self._entering.weighted(torch.cat([weight.new_ones(self.rows.numel()), weight]))

    @cached_property
    @_for_training()
    def _entering(self) -> "Schedule":
        """Without weights, which may change."""
        rows = self.rows
        edges = torch.stack([rows + self.num_nodes, self.starts[rows]])
        return replace(
            self,
            edge_index=torch.cat([edges, self.edge_index], dim=1),
            edge_weight=None,
            listed=torch.cat([torch.full_like(rows, -1), self.listed]),
            edge_sizes=(rows.numel(), *self.edge_sizes[1:]),
            starts=torch.full_like(self.starts, -1),
        )

    @cached_property
    @_for_training()
    def incoming(self) -> Tensor:
        """The first column of ``edge_index`` into each node, and E, if nodes are numbered in firing order. [N + 1]"""
        return torch.searchsorted(self.edge_index[1], torch.arange(self.num_nodes + 1, device=self.device))

    @cached_property
    @_for_training()
    def outgoing(self) -> tuple[Tensor, Tensor, Tensor]:
        """Columns of ``edge_index`` sorted by source [E], each source's first and E [N + B + 1], and targets [E]."""
        source, edge = self.edge_index[0].sort(stable=True)
        sources = self.num_nodes + self.starts.numel()
        first = torch.searchsorted(source, torch.arange(sources + 1, device=self.device))
        return edge, first, self.edge_index[1, edge]

    @cached_property
    @_for_training()
    def reads(self) -> tuple[tuple[Tensor, ...], tuple[Tensor, ...]]:
        """For each step, where in its edges each node's begin [n + 1], and the targets, from its first node on [e]."""
        first = torch.tensor([self.node_offsets[:-1], self.edge_sizes], dtype=torch.int64, device=self.device)
        target = self.edge_index[1] - first[0].repeat_interleave(first[1])
        return _in_runs(self.step_sizes, self.incoming)[1], target.split(self.edge_sizes)

    @cached_property
    @_for_training()
    def readers(self) -> tuple[list[int], tuple[Tensor, ...]]:
        """How many edges leave each step's nodes, and initial states; where in these each source's begin [n + 1]."""
        return _in_runs([*self.step_sizes, self.starts.numel()], self.outgoing[1])

    def weighted(self, edge_weight: Tensor) -> "Schedule":
        """The same schedule with weights [E], in the order of ``edge_index``; what is known of its edges stays.

        Learnt weights make it part of the graph of gradients: make it anew in every training step.
        """
        made = replace(self, edge_weight=edge_weight)
        known = ("incoming", "outgoing", "reads", "readers")
        made.__dict__.update((name, getattr(self, name)) for name in known)
        return made

    @property
    def in_order(self) -> "Schedule":
        """The same schedule with nodes renumbered in firing order: node ``order[p]`` becomes p."""
        return self if self.order is None else self._in_order  # remembering itself, it would outlive its last use

    @cached_property
    @_for_training()
    def _in_order(self) -> "Schedule":
        # One slot more than nodes, so that -1, the start of an empty path, stays -1.
        place = torch.full((self.num_nodes + 1,), -1, device=self.device)
        place[self.order] = torch.arange(self.num_nodes, device=self.device)
        return replace(
            self, edge_index=place[self.edge_index], order=None, starts=place[self.starts], ends=place[self.ends]
        )

    @cached_property
    @_for_training()
    def reversed(self) -> "Schedule":
        """The sweep along the reversed edges; its state has the same rows, entering where this one's is read."""
        backwards = self.edge_index.flip(0)
        if self.rounds is not None:
            swept = synchronous(backwards, self.num_nodes, self.rounds, self.edge_weight)
        else:
            swept = topological(backwards, self.num_nodes, self.edge_weight)
            swept = replace(swept, starts=self.ends, ends=self.starts, lengths=self.lengths)
        return replace(swept, listed=self.listed[swept.listed])

    @_for_training()
    def to(self, device: torch.device | str) -> "Schedule":
        """The same schedule with its tensors on another device."""
        if torch.device(device) == self.device:
            return self
        return replace(
            self,
            edge_index=self.edge_index.to(device),
            edge_weight=None if self.edge_weight is None else self.edge_weight.to(device),
            listed=self.listed.to(device),
            order=None if self.order is None else self.order.to(device),
            starts=self.starts.to(device),
            ends=self.ends.to(device),
        )


@_for_training()
def topological(edge_index: Tensor, num_nodes: int, edge_weight: Tensor | None = None) -> Schedule:
    """Fires every node once, after all of its predecessors: step l is the nodes whose longest path from a source is l.

    On a path this is a recurrent network's sweep, on a tree the sweep from the leaves to the root. The result does not
    depend on the order in which the edges are listed.

    Args:
        edge_index: Edges of a directed acyclic graph, in any form of :func:`gnnseq.graphs.as_edge_index`. [2, E]
        num_nodes: Number of nodes N.
        edge_weight: A factor for every message. Where these are learnt, make the schedule anew in every training step:
            it holds what they were computed from. [E]

    Returns:
        The schedule. Paths take O(N log N) vectorised work, and so do trees; other graphs one vectorised pass a level.

    Raises:
        ValueError: If the graph has a cycle (its edges are named), or the edges are malformed.

    Example:
        >>> schedule = topological(torch.tensor([[0, 1, 2], [2, 2, 3]]), num_nodes=4)
        >>> [step.nodes.tolist() for step in schedule]
        [[0, 1], [2], [3]]
    """
    edge_index, edge_weight = as_edge_index(edge_index, num_nodes, edge_weight)
    device, edges = edge_index.device, edge_index.cpu().numpy()
    level = levels(edges, num_nodes)
    in_degree, out_degree = (np.bincount(edges[end], minlength=num_nodes) for end in (1, 0))
    starts, ends = (in_degree == 0).nonzero()[0], (out_degree == 0).nonzero()[0]
    lengths = None
    if edges.size == 0 or max(in_degree.max(), out_degree.max()) <= 1:
        # Paths: within a level the longest comes first, so that the living ones are always a prefix.
        head = path_heads(edges, num_nodes)
        size = np.bincount(head, minlength=num_nodes)
        rank = np.empty(num_nodes, dtype=np.int64)
        rank[starts[np.argsort(-size[starts], kind="stable")]] = np.arange(len(starts))
        order = np.lexsort((rank[head], level))
        tail = np.empty(num_nodes, dtype=np.int64)
        tail[head[ends]] = ends
        ends, lengths = tail[starts], tuple(size[starts].tolist())
    else:
        order = np.argsort(level, kind="stable")
    place = np.empty(num_nodes, dtype=np.int64)
    place[order] = np.arange(num_nodes)
    sorting = _canonical(place[edges], edge_weight).to(edge_index.device)
    return Schedule(
        num_nodes=num_nodes,
        edge_index=edge_index[:, sorting],
        edge_weight=None if edge_weight is None else edge_weight[sorting],
        listed=sorting,
        order=None if bool((order == np.arange(num_nodes)).all()) else torch.from_numpy(order).to(device),
        step_sizes=tuple(np.bincount(level).tolist()) if num_nodes else (),
        edge_sizes=tuple(np.bincount(level[edges[1]], minlength=level.max() + 1).tolist()) if num_nodes else (),
        starts=torch.from_numpy(starts).to(device),
        ends=torch.from_numpy(ends).to(device),
        lengths=lengths,
    )


@_for_training()
def synchronous(edge_index: Tensor, num_nodes: int, rounds: int = 1, edge_weight: Tensor | None = None) -> Schedule:
    """Fires every node in every round, each reading its sources' states of the round before.

    Before the first round states are zero, or the initial state that is given, a row for every node. From zeros, k
    rounds of a layer move information k - 1 hops from its inputs; from given states, those states k hops.

    Args:
        edge_index: Edges of any graph, in any form of :func:`gnnseq.graphs.as_edge_index`. [2, E]
        num_nodes: Number of nodes N.
        rounds: Number of rounds k.
        edge_weight: A factor for every message; learnt ones as in :func:`topological`. [E]

    Raises:
        ValueError: If rounds is negative or no integer, or the edges are malformed.

    Example:
        >>> len(synchronous(torch.tensor([[0, 1], [1, 0]]), num_nodes=2, rounds=3))
        3
    """
    check_whole(0, rounds=rounds)
    edge_index, edge_weight = as_edge_index(edge_index, num_nodes, edge_weight)
    sorting = _canonical(edge_index.cpu().numpy(), edge_weight).to(edge_index.device)
    nodes = torch.arange(num_nodes, device=edge_index.device)
    return Schedule(
        num_nodes=num_nodes,
        edge_index=edge_index[:, sorting],
        edge_weight=None if edge_weight is None else edge_weight[sorting],
        listed=sorting,
        order=None,
        step_sizes=(num_nodes,),
        edge_sizes=(edge_index.size(1),),
        starts=nodes,
        ends=nodes,
        rounds=rounds,
    )


@_for_training()
def packed_paths(lengths: Sequence[int]) -> Schedule:
    """Sweeps B paths whose nodes are stored in firing order: all first nodes, then all second ones, and so on.

    Longer paths come first within a step, as in :class:`torch.nn.utils.rnn.PackedSequence`; rows of state are in the
    order of ``lengths``. For B paths of T nodes each, the nodes are those of a [T, B, F] tensor flattened to
    [T * B, F].

    Args:
        lengths: Number of nodes of each path, in any order; 0 is an empty path, whose state passes through. [B]

    Raises:
        ValueError: If a length is negative or not an integer.

    Example:
        >>> schedule = packed_paths([1, 3])
        >>> schedule.step_sizes, schedule.edge_index.tolist()
        ((2, 1, 1), [[0, 2], [2, 3]])
    """
    size = np.asarray(lengths)
    if size.ndim != 1 or (size.size > 0 and (size.dtype.kind not in "iu" or size.min() < 0)):
        raise ValueError(f"lengths={lengths} should be one non-negative integer a path")
    size = size.astype(np.int64)
    longest = int(size.max(initial=0))
    row = np.argsort(-size, kind="stable")  # row[r] is the path of rank r
    rank = np.empty_like(row)
    rank[row] = np.arange(len(size))
    alive = len(size) - np.cumsum(np.bincount(size, minlength=longest + 1))[:-1]  # paths longer than t, t = 0..
    offset = np.concatenate([[0], np.cumsum(alive)])
    target = np.arange(offset[1] if longest else 0, offset[-1])
    source = target - np.repeat(alive[:-1], alive[1:])
    return Schedule(
        num_nodes=int(offset[-1]),
        edge_index=torch.from_numpy(np.stack([source, target])),
        edge_weight=None,
        listed=torch.arange(len(target)),
        order=None,
        step_sizes=tuple(alive.tolist()),
        edge_sizes=(0, *alive[1:].tolist()) if longest else (),
        starts=torch.from_numpy(np.where(size > 0, rank, -1)),
        ends=torch.from_numpy(np.where(size > 0, offset[np.maximum(size - 1, 0)] + rank, -1)),
        lengths=tuple(size.tolist()),
    )


def pack_paths(sequences: Sequence[Tensor]) -> tuple[Tensor, Schedule]:
    """Sequences of any lengths as one set of nodes in firing order, and the schedule that sweeps them.

    Args:
        sequences: B tensors [T_b, F], or [T_b] of one-hot indices, lengths in any order, empty ones included.

    Returns:
        x [N, F] or [N] with N the sum of the lengths, and the schedule of :func:`packed_paths`.

    Raises:
        ValueError: If there are no sequences, or they differ in width, type or device.

    Example:
        >>> x, schedule = pack_paths([torch.zeros(2, 5), torch.ones(4, 5)])
        >>> x.shape, len(schedule)
        (torch.Size([6, 5]), 4)
        >>> [h.shape[0] for h in unpack_paths(x, schedule)]
        [2, 4]
    """
    if len(sequences) == 0:
        raise ValueError("sequences is empty; expected at least one tensor [T, F], whose width tells F")
    first = sequences[0]
    for number, sequence in enumerate(sequences):
        if sequence.dim() not in ((2,) if sequence.is_floating_point() else (1, 2)):
            raise ValueError(f"sequences[{number}] has shape {list(sequence.shape)}; expected [T, F], or indices [T]")
        if (sequence.shape[1:], sequence.dtype, sequence.device) != (first.shape[1:], first.dtype, first.device):
            raise ValueError(
                f"sequences[{number}] is {list(sequence.shape)} of {sequence.dtype} on {sequence.device}; "
                f"sequences[0] is {list(first.shape)} of {first.dtype} on {first.device}: make them alike"
            )
    schedule = packed_paths([sequence.size(0) for sequence in sequences]).to(first.device)
    listed = _listed_to_packed(schedule)
    return torch.cat(list(sequences)).index_select(0, listed.argsort()), schedule


def unpack_paths(h: Tensor, schedule: Schedule) -> list[Tensor]:
    """Takes node values apart into one tensor a path, in the order of the schedule's rows.

    Args:
        h: Values of the nodes. [N, ...]
        schedule: A schedule of paths, from :func:`pack_paths` or :func:`topological`.

    Returns:
        B tensors [T_b, ...].

    Raises:
        ValueError: If the graph is not a set of paths, or h has another number of nodes.
    """
    if schedule.lengths is None:
        raise ValueError("schedule is not one of paths: some node has two predecessors or successors, or fires in "
                         "rounds; read its nodes from h directly")  # fmt: skip
    if h.dim() == 0 or h.size(0) != schedule.num_nodes:
        raise ValueError(f"h has shape {list(h.shape)}; expected {schedule.num_nodes} rows, one a node")
    return list(h.index_select(0, _listed_to_packed(schedule).to(h.device)).split(list(schedule.lengths)))


def _in_runs(sizes: Sequence[int], first: Tensor) -> tuple[list[int], tuple[Tensor, ...]]:
    """Of runs of so many rows, whose edges begin so, the number of edges and where in them each row's begin [n + 1]."""
    size = torch.tensor([*sizes], dtype=torch.int64, device=first.device)
    run = torch.arange(len(size), device=first.device).repeat_interleave(size + 1)
    begin = first[torch.cat([size.new_zeros(1), size.cumsum(0)])]
    offsets = first[torch.arange(len(run), device=first.device) - run] - begin[run]
    return begin.diff().tolist(), offsets.split([n + 1 for n in sizes])


def _listed_to_packed(schedule: Schedule) -> Tensor:
    """The node of every place in the list of paths laid end to end, in row order. [N]"""
    device = schedule.device
    alive = torch.tensor(schedule.step_sizes, dtype=torch.int64, device=device)
    first = torch.tensor(schedule.node_offsets[:-1], dtype=torch.int64, device=device).repeat_interleave(alive)
    rank = torch.arange(schedule.num_nodes, device=device) - first  # of the path that each place in firing order is on
    listed = torch.argsort(schedule.rows[rank], stable=True)
    return listed if schedule.order is None else schedule.order[listed]


def _canonical(edges: "np.ndarray[tuple[int, ...], np.dtype[np.int64]]", edge_weight: Tensor | None) -> Tensor:
    """The sorting of edges by target, then source, then weight: the same however they were listed. [E]"""
    keys = [edges[0], edges[1]]
    if edge_weight is not None:
        keys.insert(0, edge_weight.detach().double().cpu().numpy())
    return torch.from_numpy(np.lexsort(keys))
