"""What neighbours are drawn from: a graph's compressed rows, and the time and weight of what stands in them.

Letters: N nodes, E edges.
"""

from typing import Any

import torch
from torch import Tensor

from gnnseq.kernels.adjacency import CSR
from gnnseq.kernels.native import compiled, library

__all__ = ["Rows"]

# Edges of a graph; less is not worth a compiler's run.
LEAST_EDGES = 1 << 12
MOST = 2**31 - 1


class Rows:
    """The sources of the edges into each node, 32 bits a node and 32 or 64 an edge: nothing of the graph is held twice.

    Args:
        csr: A row for each target; ``indptr`` and ``indices`` int32 on the CPU.
        node_time: Ranks in time of the nodes, in whose order rows are sorted. int32 [N]
        edge_time: Ranks in time of the edges in the rows, which are sorted by them. int32 [E]
        weight: Weights of the edges in the rows. float64 [E]

    Attributes:
        edge_id: Where each edge stood in the list; None where it is where it was. int32 [E]
    """

    def __init__(
        self, csr: CSR, node_time: Tensor | None = None, edge_time: Tensor | None = None, weight: Tensor | None = None
    ) -> None:
        self.csr, self.node_time, self.edge_time, self.weight = csr, node_time, edge_time, weight
        self.edge_id: Tensor | None = csr.edge_id
        self.num_nodes = csr.indptr.numel() - 1
        self.longest = int(csr.indptr.diff().max()) if self.num_nodes > 0 else 0
        self._lent: list[Tensor] = []

    @property
    def in_c(self) -> bool:
        """Whether draws are made in compiled code."""
        return self.csr.indices.numel() >= LEAST_EDGES and library("neighbors") is not None

    def borrow(self) -> Tensor:
        """An array of -1, to be given back so; every thread gets its own. int32 [N]"""
        try:
            return self._lent.pop()
        except IndexError:
            return torch.full((self.num_nodes,), -1, dtype=torch.int32, device="cpu")

    def give_back(self, local: Tensor) -> None:
        """Keeps what was borrowed for the next."""
        self._lent.append(local)

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_lent": []}

    @staticmethod
    def of(edge_index: Tensor, num_nodes: int, order: Tensor | None = None) -> "CSR":
        """The rows of a list of edges [2, E] that was checked.

        Args:
            edge_index: Sources and targets, int64 on the CPU.
            num_nodes: Number of nodes N.
            order: The order of edges in a row, a permutation of all; that of the list if None. int64 [E]
        """
        source, target = edge_index
        size = source.numel()
        if size >= LEAST_EDGES and library("neighbors") is not None:
            indptr = torch.empty(num_nodes + 1, dtype=torch.int32, device="cpu")
            indices, edge_id = torch.empty(2, size, dtype=torch.int32, device="cpu").unbind()
            compiled("neighbors_compress")(
                num_nodes, size, source.contiguous(), target.contiguous(), order, indptr, indices, edge_id
            )
            return CSR(indptr, indices, edge_id)
        by_target = target.argsort(stable=True) if order is None else order[target[order].argsort(stable=True)]
        indptr = torch.zeros(num_nodes + 1, dtype=torch.int64, device="cpu")
        torch.cumsum(torch.bincount(target, minlength=num_nodes), 0, out=indptr[1:])
        return CSR(indptr.int(), source[by_target].int(), by_target.int())
