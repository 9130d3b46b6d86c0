"""The schedule of recurrences whose states go over a graph's edges from every step to the next.

Letters: T time steps, N nodes, E edges, D edges of the schedule; K nodes of the joined graph: N, or T * N if it is the
graphs of all steps side by side.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gnnseq.normalization import append_self_loops, gcn_normalize
from gnnseq.schedule.schedule import Schedule

__all__ = ["JoinedGraph", "SpaceTimeGraph"]


class JoinedGraph(NamedTuple):
    """The one graph of all steps, or the graphs of the steps side by side: t * N + i is node i at step t.

    Attributes:
        edge_index: Its edges, none of nodes that are away. [2, E]
        edge_weight: Their weights, or None if all are 1. [E]
        num_nodes: K.
    """

    edge_index: Tensor
    edge_weight: Tensor | None
    num_nodes: int

    @staticmethod
    def of(graphs: list[tuple[Tensor, Tensor | None]], x: Tensor, mask: Tensor | None) -> "JoinedGraph":
        """Joins the graphs of the steps.

        Args:
            graphs: Edges and weights of each step, or of all of them.
            x: Features of the nodes. [T, N, F]
            mask: Which nodes are there, all if None. Boolean [T, N].
        """
        steps, nodes, _ = x.shape
        if len(graphs) == 1 and mask is None:
            edges, weight = graphs[0]
            return JoinedGraph(edges, weight, nodes)
        graphs = graphs * steps if len(graphs) < steps else graphs
        joined = torch.cat([edges + t * nodes for t, (edges, _) in enumerate(graphs)], dim=1)
        weight = None
        if any(own is not None for _, own in graphs):
            weight = torch.cat([x.new_ones(edges.size(1)) if own is None else own for edges, own in graphs])
        if mask is not None:
            kept = mask.flatten()[joined].all(0)
            joined, weight = joined[:, kept], None if weight is None else weight[kept]
        return JoinedGraph(joined, weight, steps * nodes)

    def normalized(self, dtype: torch.dtype, improved: bool = False) -> Tensor:
        """The weights that :func:`gnnseq.normalization.gcn_normalize` makes, the self-loops' last. [E + K]"""
        weight = self.edge_weight
        weight = torch.ones_like(self.edge_index[0], dtype=dtype) if weight is None else weight.to(dtype)
        return gcn_normalize(self.edge_index, weight, self.num_nodes, improved=improved)[1]


@dataclass(frozen=True, eq=False)
class SpaceTimeGraph:
    """The history of a network, with the schedule that sweeps it.

    Attributes:
        schedule: The sweep of the nodes that are there, step by step, without weights; row i of its state is node i's,
            before the first step or after the last.
        edge_id: The places of its edges among those of :func:`gnnseq.normalization.gcn_normalize`: the given ones and
            K self-loops. [D]
        order: Which of the steps' T * N nodes the schedule's are; None if they are all there.
    """

    schedule: Schedule
    edge_id: Tensor
    order: Tensor | None

    @staticmethod
    def of(
        graph: JoinedGraph, shape: tuple[int, int], mask: Tensor | None = None, states_enter: bool = False
    ) -> "SpaceTimeGraph":
        """Each node of a step reads the last states of its sources and its own.

        Without masks and an initial state its schedule is :func:`gnnseq.topological` of
        :func:`gnnseq.graphs.space_time_graph`.

        Args:
            graph: Of every step, or of all steps side by side.
            shape: T and N.
            mask: Which nodes are there, all if None. Boolean [T, N].
            states_enter: Whether there is an initial state.
        """
        (steps, nodes), device = shape, graph.edge_index.device
        num_nodes = graph.num_nodes
        order = None if mask is None else mask.flatten().nonzero().view(-1)
        mask = torch.ones(shape, dtype=torch.bool, device=device) if mask is None else mask
        source, target = append_self_loops(graph.edge_index, num_nodes)
        edge = (target * num_nodes + source).argsort(stable=True)
        # A self-loop that was listed goes: its weight moved to the end, see gcn_normalize.
        edge = edge[(source != target)[edge] | (edge >= graph.edge_index.size(1))]
        first = torch.arange(0, steps * nodes, max(num_nodes, 1), device=device).unsqueeze(1)
        source, target = (source[edge] + first).flatten(), (target[edge] + first).flatten()
        edge = edge.repeat(len(first))

        there = mask.flatten()
        place = (there.cumsum(0) - 1).masked_fill(~there, -1).view(steps, nodes)
        last = torch.cat([place.new_full((1, nodes), -1), place]).cummax(0).values  # before each step, and after all
        present, row = int(there.sum()), torch.arange(nodes, device=device)
        source = torch.where(last[:-1] < 0, present + row, last[:-1]).flatten()[source]
        kept = there[target] if states_enter else there[target] & (source < present)
        source, target, edge = source[kept], target[kept], edge[kept]
        alive = mask.any(1)
        schedule = Schedule(
            num_nodes=present,
            edge_index=torch.stack([source, place.flatten()[target]]),
            edge_weight=None,
            edge_id=torch.full_like(edge, -1),
            order=None,
            step_sizes=tuple(mask.sum(1)[alive].tolist()),
            edge_sizes=tuple(torch.bincount(target // max(nodes, 1), minlength=steps)[alive].tolist()),
            starts=torch.full_like(row, -1),
            ends=last[-1],
        )
        return SpaceTimeGraph(schedule, edge, order)

    def weighted(self, graph: JoinedGraph, dtype: torch.dtype, improved: bool = False) -> Schedule:
        """The schedule, each edge weighing its entry of the normalised adjacency of the graph that it was made of."""
        return self.schedule.weighted(graph.normalized(dtype, improved).index_select(0, self.edge_id))
