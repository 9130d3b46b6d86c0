"""Draws in NumPy, where there is no compiler: number by number what :mod:`gnnseq.sampler.in_c` draws.

Letters: N nodes, E edges of the graph; n targets whose neighbours are drawn, m edges drawn.
"""

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gnnseq.sampler.rows import Rows

__all__ = ["Numbering", "draw", "gather", "reach"]

Array = npt.NDArray[np.generic]
GOLDEN = np.uint64(0x9E3779B97F4A7C15)


def _mix(z: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Steele, Lea and Flood 2014, Fast splittable pseudorandom number generators."""
    z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    mixed: npt.NDArray[np.uint64] = z ^ (z >> np.uint64(31))
    return mixed


def _bits(stream: npt.NDArray[np.uint64], turn: int | npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """A stream's number of that turn, from 0 on."""
    return _mix(stream + np.asarray(turn, np.uint64) * GOLDEN + GOLDEN)


def _below(bits: npt.NDArray[np.uint64], n: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
    return (((bits >> np.uint64(32)) * n.astype(np.uint64)) >> np.uint64(32)).astype(np.int64)


def reach(
    rows: Rows, node: Tensor, tree: Tensor | None, limit: Tensor | None, k: int, last: bool, replace: bool
) -> tuple[Tensor, Tensor, int]:
    """Where the edges begin that each target may draw from, how many they are [n], and how many at most are drawn."""
    nodes, indptr = node.numpy(), rows.csr.indptr.numpy()
    start, high = indptr[nodes].astype(np.int64), indptr[nodes + 1].astype(np.int64)
    if limit is not None:
        assert tree is not None
        now, low, end = limit.numpy()[tree.numpy()], start.copy(), high.copy()
        by_edge = rows.edge_time is not None
        time = (rows.edge_time if by_edge else rows.node_time).numpy()  # type: ignore[union-attr]
        while (open_ := low < end).any():
            middle = low + (end - low) // 2
            at = middle[open_]
            early = np.zeros(len(low), bool)
            early[open_] = time[at if by_edge else rows.csr.indices.numpy()[at]] <= now[open_]
            low = np.where(open_ & early, middle + 1, low)
            end = np.where(open_ & ~early, middle, end)
        high = low
    size = high - start
    if last and k >= 0:
        size = np.minimum(size, k)
    drawn = size if k < 0 else np.where(size > 0, k, 0) if replace else np.minimum(size, k)
    return torch.from_numpy((high - size).astype(np.int32)), torch.from_numpy(size.astype(np.int32)), int(drawn.sum())


def draw(
    rows: Rows, begin: Tensor, size: Tensor, most: int, first: int, k: int, replace: bool, key: int
) -> tuple[Tensor, Tensor]:
    """The edges drawn, as places in the rows, and the number of each one's target. [m]"""
    n = size.numpy().astype(np.int64)
    target = np.arange(len(n))
    stream = _mix(np.uint64(key & (2**64 - 1)) + np.arange(first + 1, first + 1 + len(n), dtype=np.uint64) * GOLDEN)
    whole = np.full(len(n), True) if k < 0 else (n <= k) & (not replace)
    if rows.weight is not None and k >= 0:
        chosen = [_weighted(rows.weight.numpy()[b : b + s], s_, k, replace)
                  for b, s, s_ in zip(begin.tolist(), n.tolist(), stream, strict=True)]  # fmt: skip
        column = np.repeat(target, [len(places) for places in chosen])
        offset = np.concatenate([*chosen, np.zeros(0, np.int64)])
    else:
        every = np.repeat(target[whole], n[whole])
        within = np.arange(len(every)) - np.repeat(np.cumsum(n[whole]) - n[whole], n[whole])
        some = ~whole & (n > 0)
        drawn = np.zeros((int(some.sum()), 0), np.int64)
        if k > 0 and some.any():  # turns are as many as are asked for, which may be far more than there are
            drawn = _choose(n[some], stream[some], k, replace)
        column = np.concatenate([every, np.repeat(target[some], drawn.shape[1])])
        order = np.argsort(column, kind="stable")  # one target's are on one side
        column, offset = column[order], np.concatenate([within, drawn.reshape(-1)])[order]
    edge = begin.numpy()[column] + offset
    assert len(edge) <= most
    return torch.from_numpy(edge.astype(np.int32)), torch.from_numpy((column + first).astype(np.int32))


def _choose(n: npt.NDArray[np.int64], stream: npt.NDArray[np.uint64], k: int, replace: bool) -> npt.NDArray[np.int64]:
    """Of each stream k of n, in Floyd's way: Bentley and Floyd 1987, A sample of brilliance. [streams, k]"""
    if replace:
        return _below(_bits(stream[:, None], np.arange(k, dtype=np.uint64)), n[:, None])
    chosen = np.empty((len(n), k), np.int64)
    for turn in range(k):
        top = n - k + turn
        drawn = _below(_bits(stream, turn), top + 1)
        again = (chosen[:, :turn] == drawn[:, None]).any(1)
        chosen[:, turn] = np.where(again, top, drawn)
    return chosen


def _weighted(weight: npt.NDArray[np.float64], stream: np.uint64, k: int, replace: bool) -> npt.NDArray[np.int64]:
    """Places in proportion to their weights, one after another, those that were drawn left out unless replace."""
    left = weight.copy()
    (positive,) = np.nonzero(weight > 0)
    if len(positive) == 0 or (len(positive) <= k and not replace):
        return positive
    chosen = np.empty(k, np.int64)
    for turn in range(k):
        sums = np.cumsum(left)
        unit = float(_bits(np.array([stream]), turn)[0] >> np.uint64(11)) * 2.0**-53
        place = int(np.searchsorted(sums, unit * sums[-1], side="right"))
        chosen[turn] = place if place < len(left) else np.nonzero(left > 0)[0][-1]
        if not replace:
            left[chosen[turn]] = 0.0
    return chosen


def gather(rows: Rows, edge: Tensor) -> tuple[Tensor, Tensor]:
    """The source of each edge, int32, and its place in the list that made the rows, int64. [m]"""
    listed = edge if rows.edge_id is None else rows.edge_id[edge.long()]
    return rows.csr.indices[edge.long()], listed.long()


class Numbering:
    """The nodes of a sample in the order in which they were met; of equal seeds the first is the one that is met again.

    Attributes:
        node: What they are in the graph. int32
        tree: Whose tree each is in, where seeds have trees of their own. int32
    """

    def __init__(self, rows: Rows, seed: Tensor, tree: Tensor | None) -> None:
        self.node, self.tree, self._num_nodes = seed.to(torch.int32), tree, rows.num_nodes

    def add(self, source: Tensor, column: Tensor) -> Tensor:
        """The number of each source [m], in its column's tree; those that are new get one."""
        keys = self._keys(source, None if self.tree is None else self.tree[column.long()])
        unique, first, inverse = np.unique(keys, return_index=True, return_inverse=True)
        number = self._known(unique)
        (new,) = np.nonzero(number < 0)
        new = new[np.argsort(first[new])]
        number[new] = len(self.node) + np.arange(len(new))
        met = torch.from_numpy(first[new])
        if self.tree is not None:
            self.tree = torch.cat([self.tree, self.tree[column[met].long()]])
        self.node = torch.cat([self.node, source[met]])
        return torch.from_numpy(number[inverse])

    def find(self, source: Tensor, column: Tensor) -> Tensor:
        """The number of each source, -1 where it has none. [m]"""
        return torch.from_numpy(
            self._known(self._keys(source, None if self.tree is None else self.tree[column.long()]))
        )

    def close(self) -> None:
        """Nothing is lent."""

    def _known(self, keys: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        known, number = np.unique(self._keys(self.node, self.tree), return_index=True)
        place = np.searchsorted(known, keys).clip(max=max(len(known) - 1, 0))
        if len(known) == 0:
            return np.full(len(keys), -1)
        found: npt.NDArray[np.int64] = np.where(known[place] == keys, number[place], -1)
        return found

    def _keys(self, node: Tensor, tree: Tensor | None) -> npt.NDArray[np.int64]:
        keys = node.long() if tree is None else tree.long() * self._num_nodes + node.long()
        array: npt.NDArray[np.int64] = keys.numpy()
        return array
