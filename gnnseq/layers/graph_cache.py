"""What a layer keeps of the last graph it was given: its edges sorted, its weights normalised.

Letters: N nodes, E edges; E' edges that are summed over, self-loops included.
"""

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch_geometric import EdgeIndex
from torch_geometric.utils import is_torch_sparse_tensor

from gnnseq.graphs import as_edge_index, check_edge_weight
from gnnseq.kernels.adjacency import Adjacency
from gnnseq.kernels.memo import Memo
from gnnseq.normalization import append_self_loops

__all__ = ["NormalizedGraph", "is_learnt"]

Normalize = Callable[[Tensor, Tensor | None, int], tuple[Tensor, Tensor]]


class Fast(Protocol):
    """Makes edges and their weights, which are constants, in one go, and their weights alone if edges are known."""

    def __call__(
        self, edge_index: Tensor, edge_weight: Tensor | None, num_nodes: int, known: Adjacency | None = None
    ) -> Adjacency | None:
        """The weighted edges; None if it cannot."""


class NormalizedGraph:
    """The edges of a layer's last graph and their normalised weights.

    Both are recomputed whenever a number in the graph changes, edges and weights each on their own; weights that are
    learnt are normalised in every call, so that they get their gradient. Deep copies and pickles of it are empty.
    """

    def __init__(self) -> None:
        self._edges: Memo[Adjacency] = Memo()
        self._weighted: Memo[Adjacency] = Memo()

    def edges(
        self,
        edge_index: Tensor,
        num_nodes: int,
        self_loops: bool = False,
        make: Callable[[], Adjacency | None] | None = None,
    ) -> Adjacency:
        """The edges [2, E] without weights, checked and compressed; if asked, a self-loop of every node after them.

        Args:
            edge_index: [2, E]
            num_nodes: N.
            self_loops: Whether a self-loop of every node follows.
            make: A faster way to new ones, which returns None if it cannot.
        """

        def compress() -> Adjacency:
            made = None if make is None else make()
            if made is not None:
                return made
            checked, _ = as_edge_index(edge_index, num_nodes)
            return Adjacency.of(append_self_loops(checked, num_nodes) if self_loops else checked, num_nodes)

        return self._edges.get((edge_index,), (num_nodes, self_loops), compress)

    def normalized(
        self,
        graph: Tensor,
        edge_weight: Tensor | None,
        num_nodes: int,
        normalize: Normalize,
        options: object = None,
        self_loops: bool = False,
        fast: Fast | None = None,
    ) -> tuple[Adjacency, Tensor | None]:
        """The graph with its weights.

        Args:
            graph: In any form of :func:`gnnseq.graphs.as_edge_index`.
            edge_weight: Weights of its edges; None if all are 1. [E]
            num_nodes: Number of nodes N.
            normalize: Makes edges [2, E'] and weights [E'] of these three.
            options: Whatever else the weights depend on, compared with ==.
            self_loops: Whether ``normalize`` appends a self-loop of every node.
            fast: A faster way to both, if there is one.

        Returns:
            The edges, and None if these carry their weights, which are constants; else the weights, in the order of the
            list. [E']

        Raises:
            ValueError: If the graph is malformed.
        """
        plain = all(isinstance(given, Tensor) for given in (graph, edge_weight) if given is not None)
        if not plain or is_torch_sparse_tensor(graph):
            graph, edge_weight = as_edge_index(graph, num_nodes, edge_weight)
        edge_index = graph.as_tensor() if isinstance(graph, EdgeIndex) else graph

        def weigh() -> Tensor:
            if edge_weight is not None:
                check_edge_weight(edge_weight, edge_index)
            return normalize(edge_index, edge_weight, num_nodes)[1]

        made: list[Adjacency] = []  # with weights, if the edges are new

        def make() -> Adjacency | None:
            found = None if fast is None or is_learnt(edge_weight) else fast(edge_index, edge_weight, num_nodes)
            if found is None:
                return None
            made.append(found)
            return found.unweighted

        def weighted() -> Adjacency:
            if made:
                return made[0]
            found = None if fast is None else fast(edge_index, edge_weight, num_nodes, adjacency)
            return adjacency.weighted(weigh()) if found is None else found

        adjacency = self.edges(edge_index, num_nodes, self_loops, make)
        if is_learnt(edge_weight):
            return adjacency, weigh()
        return self._weighted.get((edge_weight,), (adjacency, options), weighted), None


def is_learnt(weight: Tensor | None) -> bool:
    """Whether somebody wants a derivative by these weights, which are then never remembered."""
    if weight is None:
        return False
    return (weight.requires_grad and torch.is_grad_enabled()) or forward_ad.unpack_dual(weight).tangent is not None
