"""What torch.compile records in place of a schedule: its number, made outside, or by an operation when it runs.

Operations that make schedules remember the last ones, as eager calls do.

Letters: T time steps, N nodes, E edges; K nodes of the joined graph, see :mod:`gnnseq.schedule.space_time`; B rows of
initial state, B' of final state.
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

from gnnseq.kernels.memo import Memo
from gnnseq.schedule import Schedule, packed_paths
from gnnseq.schedule.space_time import JoinedGraph, SpaceTimeGraph
from gnnseq.schedule.tickets import Ticket, number

__all__ = ["WholeSchedule", "equal_paths", "masked_paths"]


class WholeSchedule(NamedTuple):
    """What is recorded of a schedule in place of it.

    Attributes:
        number: See :mod:`gnnseq.schedule.tickets`. []
        entering: Rows of initial state B.
        leaving: Rows of final state B'.
        edge_weight: Weights of edges that are not the schedule's own, as learnt ones; else None. [E]
        backwards: Whether the reversed edges are swept.
    """

    number: Tensor
    entering: int
    leaving: int
    edge_weight: Tensor | None = None
    backwards: bool = False

    @property
    def reversed(self) -> "WholeSchedule":
        """The sweep along the reversed edges."""
        return WholeSchedule(self.number, self.leaving, self.entering, self.edge_weight, not self.backwards)

    @staticmethod
    def of(schedule: Schedule) -> "WholeSchedule":
        """In place of this schedule; its steps, sizes and edges are not read."""
        weight = schedule.edge_weight
        learnt = weight if weight is not None and weight.requires_grad and torch.is_grad_enabled() else None
        return WholeSchedule(schedule.number, schedule.starts.size(0), schedule.ends.size(0), learnt)

    @staticmethod
    def equal_paths(steps: int, paths: int, device: torch.device) -> "WholeSchedule":
        """Of so many paths of so many nodes each, stored step by step."""
        return WholeSchedule(_equal_paths(steps, paths, device), paths, paths)

    @staticmethod
    def masked_paths(mask: Tensor) -> "WholeSchedule":
        """Of a path for each column of a mask [T, N], whose nodes are the rows of T * N where it holds."""
        return WholeSchedule(_masked_paths(mask), mask.size(1), mask.size(1))

    @staticmethod
    def space_time(
        graph: JoinedGraph,
        shape: tuple[int, int],
        mask: Tensor | None,
        states_enter: bool,
        dtype: torch.dtype,
        improved: bool,
    ) -> "WholeSchedule":
        """Of :class:`gnnseq.schedule.space_time.SpaceTimeGraph`, among whose T * N nodes are those that are away.

        Args:
            graph: Of every step, or of all steps side by side; edges of nodes that are away weigh nothing.
            shape: T and N.
            mask: Which nodes are there, all if None. Boolean [T, N].
            states_enter: Whether there is an initial state.
            dtype: In which weights are normalised.
            improved: Whether self-loops weigh 2.
        """
        made = _space_time(graph.edge_index, mask, *shape, graph.num_nodes, states_enter)
        return WholeSchedule(made, shape[1], shape[1], graph.normalized(dtype, improved))


def equal_paths(steps: int, paths: int, device: torch.device) -> Schedule:
    """So many paths of so many nodes each, stored step by step."""
    return packed_paths([steps] * paths).to(device)


def masked_paths(mask: Tensor) -> tuple[Schedule, Tensor]:
    """A path for each column of a mask [T, N], and which of the T * N rows are its nodes. [n]"""
    schedule = packed_paths(mask.sum(0).tolist()).to(mask.device)
    # Row b of a step is the path that is b-th longest; a node's own count of steps tells which step it is at.
    offsets = torch.tensor([*schedule.node_offsets, 0], device=mask.device)
    place = (offsets[mask.cumsum(0) - 1] + schedule.starts)[mask]
    return schedule, torch.empty_like(place).index_copy(0, place, mask.reshape(-1).nonzero().view(-1))


_last_paths: Memo[Ticket] = Memo()
_last_space_time: Memo[Ticket] = Memo()


@lru_cache(maxsize=8)
def _remembered_paths(steps: int, paths: int, device: torch.device) -> Ticket:
    return Ticket(equal_paths(steps, paths, device))


@torch.library.custom_op(
    "gnnseq::equal_paths", mutates_args=(), schema="(SymInt steps, SymInt paths, Device device) -> Tensor"
)
def _equal_paths(steps: int, paths: int, device: torch.device) -> Tensor:
    return number(_remembered_paths(steps, paths, device))


@torch.library.custom_op("gnnseq::masked_paths", mutates_args=(), schema="(Tensor mask) -> Tensor")
def _masked_paths(mask: Tensor) -> Tensor:
    return number(_last_paths.get((mask,), None, lambda: Ticket(*masked_paths(mask))))


@torch.library.custom_op(
    "gnnseq::space_time",
    mutates_args=(),
    schema="(Tensor edge_index, Tensor? mask, SymInt steps, SymInt nodes, SymInt joined, bool enters) -> Tensor",
)
def _space_time(edge_index: Tensor, mask: Tensor | None, steps: int, nodes: int, joined: int, enters: bool) -> Tensor:
    def make() -> Ticket:
        edges, place = edge_index, torch.arange(edge_index.size(1) + joined, device=edge_index.device)
        if mask is not None:  # of nodes that are away there are no edges
            there = mask.reshape(-1)[edges].all(0)
            edges, place = edges[:, there], place[torch.cat([there, there.new_ones(joined)])]
        graph = SpaceTimeGraph.of(JoinedGraph(edges, None, joined), (steps, nodes), mask, enters)
        return Ticket(graph.schedule, graph.order, place[graph.edge_id])

    return number(_last_space_time.get((edge_index, mask), (steps, nodes, joined, enters), make))


@_equal_paths.register_fake
@_masked_paths.register_fake
@_space_time.register_fake
def _(*_: object) -> Tensor:
    return torch.empty((), dtype=torch.int64, device="cpu")
