"""Draws in compiled code, see ``kernels/native/c/neighbors.c``; the functions are those of the module in_numpy.

Letters: N nodes, E edges of the graph; n targets whose neighbours are drawn, m edges drawn.
"""

import torch
from torch import Tensor

from gnnseq.kernels.native import address, compiled
from gnnseq.sampler.rows import Rows

__all__ = ["Numbering", "draw", "gather", "reach"]

FEW = 32  # draws that compiled code compares one by one


def reach(
    rows: Rows, node: Tensor, tree: Tensor | None, limit: Tensor | None, k: int, last: bool, replace: bool
) -> tuple[Tensor, Tensor, int]:
    """Where the edges begin that each target may draw from, how many they are [n], and how many at most are drawn."""
    begin, size = torch.empty(2, node.numel(), dtype=torch.int32, device="cpu").unbind()
    timed = limit is not None
    most = compiled("neighbors_reach")(
        node.numel(), rows.num_nodes, rows.csr.indices.numel(), rows.longest, node, tree if timed else None, limit,
        rows.csr.indptr, rows.csr.indices, rows.node_time if timed else None, rows.edge_time if timed else None,
        k, int(last), int(replace), begin, size,
    )  # fmt: skip
    return begin, size, _checked(most) if most != -1 else 2**31


def draw(
    rows: Rows, begin: Tensor, size: Tensor, most: int, first: int, k: int, replace: bool, key: int
) -> tuple[Tensor, Tensor]:
    """The edges drawn, as places in the rows, and the number of each one's target. [m]"""
    edge, column = torch.empty(2, most, dtype=torch.int32, device="cpu").unbind()
    taken = torch.zeros(rows.longest if k > FEW or rows.weight is not None else 0, dtype=torch.uint8, device="cpu")
    drawn = compiled("neighbors_draw")(
        size.numel(), first, k, int(replace), key, begin, size, rows.csr.indices, rows.edge_id,
        None if rows.weight is None else address(rows.weight, torch.float64), taken, edge, column,
    )  # fmt: skip
    return edge[:drawn], column[:drawn]


def gather(rows: Rows, edge: Tensor) -> tuple[Tensor, Tensor]:
    """The source of each edge, int32, and its place in the list that made the rows, int64. [m]"""
    source, listed = (
        torch.empty(edge.numel(), dtype=torch.int32, device="cpu"),
        torch.empty(edge.numel(), dtype=torch.int64, device="cpu"),
    )
    _checked(
        compiled("neighbors_gather")(edge.numel(), rows.num_nodes, edge, rows.csr.indices, rows.edge_id, source, listed)
    )
    return source, listed


def _checked(number: int) -> int:
    if number < 0:
        raise ValueError("the rows that a sampler was made of were written to since; make a new sampler of them")
    return number


class Numbering:
    """The nodes of a sample in the order in which they were met; of equal seeds the first is the one that is met again.

    Without trees a node's number stands in an array of all the graph's, which the rows lend and which is cleared at the
    end; with trees, in a table.

    Attributes:
        node: What they are in the graph. int32
        tree: Whose tree each is in, where seeds have trees of their own. int32
    """

    def __init__(self, rows: Rows, seed: Tensor, tree: Tensor | None) -> None:
        self.node, self.tree, self._rows = seed.to(torch.int32), tree, rows
        if tree is None:
            self._local = rows.borrow()
            compiled("neighbors_seed")(self.node.numel(), self.node, self._local)
        else:
            self._slots: tuple[Tensor, Tensor] | None = None

    def add(self, source: Tensor, column: Tensor) -> Tensor:
        """The number of each source [m], in its column's tree; those that are new get one."""
        count, m = self.node.numel(), source.numel()
        row = torch.empty(m, dtype=torch.int64, device="cpu")
        node = torch.cat([self.node, torch.empty(m, dtype=torch.int32, device="cpu")])
        if self.tree is None:
            count = compiled("neighbors_number")(m, source, count, node, self._local, row)
        else:
            tree = torch.cat([self.tree, torch.empty(m, dtype=torch.int32, device="cpu")])
            keys, numbers = self._table(count + m)
            count = compiled("neighbors_number_trees")(
                m, self._rows.num_nodes, source, column, 1, count, node, tree, keys.numel(), keys, numbers, row
            )
            self.tree = tree[:count]
        self.node = node[:count]
        return row

    def find(self, source: Tensor, column: Tensor) -> Tensor:
        """The number of each source, -1 where it has none. [m]"""
        row = torch.empty(source.numel(), dtype=torch.int64, device="cpu")
        if self.tree is None:
            compiled("neighbors_find")(source.numel(), source, self._local, row)
        else:
            keys, numbers = self._table(self.node.numel())
            compiled("neighbors_number_trees")(
                source.numel(), self._rows.num_nodes, source, column, 0, self.node.numel(), self.node, self.tree,
                keys.numel(), keys, numbers, row,
            )  # fmt: skip
        return row

    def close(self) -> None:
        """Gives back what was lent."""
        if self.tree is None:
            compiled("neighbors_forget")(self.node.numel(), self.node, self._local)
            self._rows.give_back(self._local)

    def _table(self, most: int) -> tuple[Tensor, Tensor]:
        """A table with room for so many nodes that holds those numbered so far."""
        slots = 2 << most.bit_length()
        if self._slots is None or self._slots[0].numel() < slots:
            assert self.tree is not None
            self._slots = (
                torch.full((slots,), -1, dtype=torch.int64, device="cpu"),
                torch.empty(slots, dtype=torch.int32, device="cpu"),
            )
            compiled("neighbors_table")(
                self.node.numel(), self._rows.num_nodes, self.node, self.tree, slots, *self._slots
            )
        return self._slots
