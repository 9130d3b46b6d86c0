"""A graph's edges as compressed rows, by target for the way forward and by source for the way back.

Letters: N nodes, E edges.
"""

from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor

from gnnseq.kernels.autograd_state import is_traced
from gnnseq.kernels.native import compiled, library, lies_in_memory

__all__ = ["CSR", "LEAST_SIZE", "Adjacency"]

LEAST_SIZE = 1 << 10  # edges that are worth a compiler's run


class CSR(NamedTuple):
    """Edges in compressed sparse rows.

    Attributes:
        indptr: Where each row's edges begin, and E. [N + 1]
        indices: The column of each edge. [E]
        edge_id: Its place in the list that made the rows. [E]
        weight: Its weight, where weights are constants that come with the edges. [E]
    """

    indptr: Tensor
    indices: Tensor
    edge_id: Tensor
    weight: Tensor | None = None


@dataclass(frozen=True, eq=False)
class Adjacency:
    """The same edges twice.

    Attributes:
        by_target: A row for each target, its columns are sources.
        by_source: A row for each source, its columns are targets.
    """

    by_target: CSR
    by_source: CSR

    @staticmethod
    def of(edge_index: Tensor, num_nodes: int, num_sources: int | None = None) -> "Adjacency":
        """The compressed rows of ``edge_index`` [2, E]; sources are numbered apart if ``num_sources`` is given."""
        source, target = edge_index
        num_sources = num_nodes if num_sources is None else num_sources
        by_target = _compress(target, source, num_nodes, num_sources)
        return Adjacency(by_target, _compress(source, target, num_sources, num_nodes))

    def weighted(self, weight: Tensor) -> "Adjacency":
        """The same edges with constant weights [E], in the order of the list, which no later call has to sort."""
        return Adjacency(
            self.by_target._replace(weight=weight.index_select(0, self.by_target.edge_id)),
            self.by_source._replace(weight=weight.index_select(0, self.by_source.edge_id)),
        )

    @property
    def unweighted(self) -> "Adjacency":
        """The same edges without weights."""
        return Adjacency(self.by_target._replace(weight=None), self.by_source._replace(weight=None))

    @property
    def transposed(self) -> "Adjacency":
        """Every edge turned around."""
        return Adjacency(self.by_source, self.by_target)


def _compress(rows: Tensor, columns: Tensor, num_rows: int, num_columns: int) -> CSR:
    # Sorting by both ends makes the sums the same in whatever order the edges were listed.
    if _can_compress(rows, columns, num_rows, num_columns):
        made = _compress_in_one_go(rows, columns, num_rows, num_columns)
        if made is not None:
            return made
    edge_id = (rows * num_columns + columns).argsort(stable=True)
    indptr = torch.zeros(num_rows + 1, dtype=torch.int64, device=rows.device)
    torch.cumsum(torch.bincount(rows, minlength=num_rows), 0, out=indptr[1:])
    # 32-bit indices halve the memory that is read with the features.
    small = torch.int32 if max(edge_id.numel(), num_rows, num_columns) < 2**31 else torch.int64
    return CSR(indptr.to(small), columns[edge_id].to(small), edge_id)


def _can_compress(rows: Tensor, columns: Tensor, num_rows: int, num_columns: int) -> bool:
    """Whether compiled code can and should sort these edges, as it does by counting."""
    if rows.numel() < LEAST_SIZE or max(rows.numel(), num_rows, num_columns) >= 2**31:
        return False
    plain = all(t.dtype == torch.int64 and lies_in_memory(t) for t in (rows, columns))
    return plain and not is_traced(rows, columns) and library("graphs") is not None


def _compress_in_one_go(rows: Tensor, columns: Tensor, num_rows: int, num_columns: int) -> CSR | None:
    """The same; None if an end is out of range."""
    edges = rows.numel()
    room = torch.empty(edges + max(num_rows, num_columns) + 1, dtype=torch.int64, device="cpu")
    indptr = torch.empty(num_rows + 1, dtype=torch.int32, device="cpu")
    indices, edge_id = torch.empty(edges, dtype=torch.int32, device="cpu"), torch.empty_like(room[:edges])
    given = rows.contiguous(), columns.contiguous(), room, indptr, indices, edge_id
    # What C's ptrdiff_t returns is read as an int, whose lower half is enough of 0 or 1.
    return CSR(indptr, indices, edge_id) if compiled("compress_rows")(edges, num_rows, num_columns, *given) else None
