"""One step of a sweep, as the frontier kernels see it: rows of nodes, and edges.

Letters: N nodes, E edges, H hidden channels, G gates, B rows of initial state; n nodes and e edges of a step.
"""

from abc import ABC, abstractmethod

from torch import Tensor

__all__ = ["Front"]


class Front(ABC):
    """One step.

    Attributes:
        rows: Its nodes.
        edges: Its edges, sorted by target.
        weight: Theirs; None if all are 1. [e]
        reads: Whether there is an edge.
    """

    __slots__ = ("edges", "reads", "rows", "weight")

    def __init__(self, rows: slice, edges: slice, weight: Tensor | None) -> None:
        self.rows = rows
        self.edges = edges
        self.weight = weight
        self.reads: bool = edges.stop > edges.start

    @abstractmethod
    def sources(self, nodes: Tensor) -> Tensor:
        """The row of each edge's source. [e, H]"""

    @abstractmethod
    def spread(self, values: Tensor) -> Tensor:
        """The value of each edge's target, from those of the step's nodes. [e, H]"""

    @abstractmethod
    def sum(self, messages: Tensor, out: Tensor) -> Tensor:
        """Writes the sum of the messages to each node of the step into ``out``, which is zero. [n, H]"""

    @abstractmethod
    def sum_sources(self, nodes: Tensor, out: Tensor) -> Tensor:
        """Writes the sum of the weighted rows of each node's sources into ``out``. [n, H]"""

    def gather(self, nodes: Tensor) -> Tensor:
        """The weighted row of each edge's source. [e, H]"""
        read = self.sources(nodes)
        return read if self.weight is None else read * self.weight.unsqueeze(1)

    def read(self, nodes: Tensor, summed: Tensor) -> Tensor:
        """What each node of the step reads, kept in ``summed`` if it had to be computed. [n, H]"""
        if not self.reads:
            return nodes.new_zeros(self.rows.stop - self.rows.start, nodes.size(1))
        return self.sum_sources(nodes, summed[self.rows])

    def read_again(self, nodes: Tensor, summed: Tensor) -> Tensor:
        """What :meth:`read` returned."""
        return summed[self.rows]
