"""The graphs of a history's steps: one for all of them or a list, and a convolution over them.

Letters: T time steps, N nodes, F input channels, E edges of one step's graph, C copies side by side.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from gnnseq.checks import as_edges_by
from gnnseq.graphs import as_edge_index
from gnnseq.layers.GCN import GCN
from gnnseq.schedule.space_time import JoinedGraph
from gnnseq.tracing import is_recording

__all__ = ["Graph", "convolve_steps", "copies_of", "graphs_of_steps", "join_steps"]

Graph = tuple[Tensor, Tensor | None]  # edge_index [2, E] and edge_weight [E]


def graphs_of_steps(
    edge_index: Tensor | Sequence[Tensor],
    edge_weight: Tensor | Sequence[Tensor | None] | None,
    steps: int,
    nodes: int,
    device: torch.device,
) -> list[Graph]:
    """The graphs of the steps, checked, or the one graph of all steps alone, as it was given.

    Raises:
        ValueError: If there is not one graph a step, or a step's is malformed.
    """
    if isinstance(edge_index, Tensor):
        if edge_weight is not None and not isinstance(edge_weight, Tensor):
            raise ValueError(f"edge_weight is a {type(edge_weight).__name__} and edge_index one graph; expected one "
                             "tensor [E], or a list of graphs too")  # fmt: skip
        return [(edge_index, edge_weight)]
    if not _are_graphs(edge_index):
        raise ValueError(f"edge_index is a {type(edge_index).__name__}; expected a [2, E] tensor of int64, or a list "
                         f"of one a step{as_edges_by('edge_index', edge_index)}")  # fmt: skip
    weights = [None] * steps if edge_weight is None else edge_weight
    for name, given in (("edge_index", edge_index), ("edge_weight", weights)):
        if not isinstance(given, Sequence) or len(given) != steps:
            came = f"{len(given)} entries" if isinstance(given, Sequence) else f"type {type(given).__name__}"
            raise ValueError(f"{name} has {came} and x {steps} steps; expected a list of one a step")
    if steps == 0:
        return [(torch.empty(2, 0, dtype=torch.int64, device=device), None)]
    graphs = []
    for t, (edges, weight) in enumerate(zip(edge_index, weights, strict=True)):
        try:
            graphs.append(as_edge_index(edges, nodes, weight))
        except ValueError as error:
            raise ValueError(f"step {t}: {error}") from error
    return graphs


def copies_of(graph: Graph, copies: int, nodes: int) -> Graph:
    """A graph C times side by side: b * N + i is node i of copy b. [2, C * E] and [C * E]"""
    edges, weight = graph
    if copies == 1:
        return graph
    first = nodes * torch.arange(copies, device=edges.device).unsqueeze(1)
    return (edges.unsqueeze(1) + first).flatten(1), None if weight is None else weight.repeat(copies)


def convolve_steps(gcn: GCN, x: Tensor, graphs: list[Graph], mask: Tensor | None = None) -> Tensor:
    """One convolution for all steps: of rows T times as wide, or on the steps' graphs side by side.

    Args:
        gcn: The convolution.
        x: Features. [T, N, F]
        graphs: One a step, or one for all.
        mask: Which nodes are there, all if None. Boolean [T, N].

    Returns:
        What it makes of every step, unspecified where a node is away. [T, N, out_channels]
    """
    convolved: Tensor
    if len(graphs) == 1 and mask is None:
        convolved = gcn(x, *graphs[0])
        return convolved
    steps, nodes, _ = x.shape
    if is_recording():
        joined = join_steps(graphs, x, mask)
        convolved = gcn(x.flatten(0, 1), joined.edge_index, joined.edge_weight)
        return convolved.view(steps, nodes, gcn.out_channels)
    if len(graphs) == 1:  # which nobody has checked yet
        graphs = [as_edge_index(graphs[0][0], nodes, graphs[0][1])]
    if gcn.explain:  # a mask is of one step's edges
        there = x.new_ones(steps, nodes) if mask is None else mask.to(x.dtype)
        return torch.stack([gcn(x[t], *_present(there[t], *graphs[t % len(graphs)])) for t in range(steps)])
    joined = JoinedGraph.of(graphs, x, mask)
    convolved = gcn(x.flatten(0, 1), joined.edge_index, joined.edge_weight)
    return convolved.view(steps, nodes, gcn.out_channels)


def join_steps(graphs: list[Graph], x: Tensor, mask: Tensor | None) -> JoinedGraph:
    """:meth:`gnnseq.schedule.space_time.JoinedGraph.of` in a recording, whose edges are as many under every mask.

    Those of nodes that are away weigh nothing.
    """
    if mask is None:
        return JoinedGraph.of(graphs, x, None)
    joined = JoinedGraph.of(graphs * len(x) if len(graphs) < len(x) else graphs, x, None)
    return joined._replace(edge_weight=_present(mask.flatten().to(x.dtype), joined.edge_index, joined.edge_weight)[1])


def _present(there: Tensor, edge_index: Tensor, edge_weight: Tensor | None) -> Graph:
    """The graph whose edges weigh nothing where an end of theirs is away."""
    source, target = edge_index
    weight = there[source] * there[target]
    return edge_index, weight if edge_weight is None else weight * edge_weight


def _are_graphs(given: object) -> bool:
    """Whether this is a list whose entries can be graphs, and are not sources and targets or pairs of these."""
    if not isinstance(given, Sequence) or isinstance(given, str):
        return False
    if any(isinstance(entry, Tensor) and entry.dim() != 1 for entry in given):
        return True
    return not any(isinstance(entry, Tensor | list | tuple | int) for entry in given)
