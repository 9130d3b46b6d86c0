"""Receptive fields as few bytes that a browser unpacks.

**Reach** is kept without loss, as what differs from a guess. The guess is that node v depends on all nodes within
radius_v along the edges, its farthest distance; a browser finds them from the edges. Layers that follow their graph
differ nowhere, and 5,000 nodes take 10 kB in place of 3 MB of bits. Where a row differs, its wrong entries are runs:
gap, length, gap, length, ..., each in 7-bit groups, the lowest first. Pairs in doubt are runs likewise.

**Influence** of a pair is a byte on a logarithmic scale, for as many nodes as there is room for; its mean by distance
is kept in full for each of these nodes.

Letters: N nodes, E edges, n nodes whose influence is known, k those whose influence is kept, d a distance.
"""

import zlib
from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gnnseq.reach.hops import TABLE_BYTES, distances

__all__ = ["Blob", "MeasuredField", "encode_fields"]

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]

# Pairs whose influence is kept, over all fields of a page; about a byte each.
ROOM = 5_000_000
NONE = 0  # the byte of an influence that is zero or no number; all others are 1..LEVELS
LEVELS = 255

TYPES = {"u1": "Uint8", "u4": "Uint32", "f4": "Float32"}  # JavaScript's names of them


class MeasuredField(Protocol):
    """What a page asks of a :class:`gnnseq.reach.ReceptiveField`."""

    @property
    def reach(self) -> csr_array: ...  # noqa: D102
    @property
    def possible(self) -> csr_array: ...  # noqa: D102
    @property
    def edges(self) -> csr_array: ...  # noqa: D102
    @property
    def hops(self) -> Integers: ...  # noqa: D102
    @property
    def influence(self) -> Reals: ...  # noqa: D102
    @property
    def influence_nodes(self) -> Integers: ...  # noqa: D102
    @property
    def pair_influence(self) -> Reals: ...  # noqa: D102
    @property
    def method(self) -> str: ...  # noqa: D102
    @property
    def certain(self) -> bool: ...  # noqa: D102


class Blob:
    """Arrays one after the other; each is known by the place and the type that :meth:`add` returns.

    Example:
        >>> blob = Blob()
        >>> blob.add(np.arange(3, dtype=np.uint8)), blob.add(np.ones(2, dtype=np.float32))
        ([0, 3, 'Uint8'], [4, 2, 'Float32'])
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, array: NDArray[Any]) -> list[Any]:
        """Where the array begins in bytes, how long it is, and JavaScript's name of its type."""
        kind = array.dtype.str[1:]
        content = array.astype(f"<{kind}").tobytes()
        place = [self._size, array.size, TYPES[kind]]
        padded = content + bytes(-len(content) % 4)  # a typed array begins at a multiple of its items' size
        self._parts.append(padded)
        self._size += len(padded)
        return place

    def compressed(self) -> bytes:
        """All of it, by zlib."""
        return zlib.compress(b"".join(self._parts), 6)


def encode_fields(fields: Sequence[MeasuredField], blob: Blob) -> list[dict[str, Any]]:
    """Put receptive fields of one graph into the blob.

    Args:
        fields: Of one graph, the same edges in each.
        blob: Grows by their arrays.

    Returns:
        What the page's script asks of each field: numbers, words and places in the blob.
    """
    num_nodes = fields[0].reach.shape[0]
    edges = fields[0].edges
    either_way = csr_array(edges + edges.T)
    kept = _kept_nodes(fields)
    reaches = [_Reach() for _ in fields]
    influences = [_Influence(field) for field in fields]
    rows = max(1, TABLE_BYTES // (4 * num_nodes))
    for begin in range(0, num_nodes, rows):
        nodes = np.arange(begin, min(begin + rows, num_nodes))
        away = distances(edges, nodes)
        any_way = None  # found where it is asked for
        for field, keep, reach, influence in zip(fields, kept, reaches, influences, strict=True):
            found = field.reach[nodes].toarray()
            pathless = found & (away < 0)
            if any_way is None and pathless.any():
                any_way = distances(either_way, nodes)
            doubt = field.possible[nodes].toarray() & ~found if field.possible.nnz > field.reach.nnz else None
            reach.add(found, away, doubt)
            for i in np.flatnonzero(np.isin(nodes, keep)):
                hops = away[i] if any_way is None else np.where(pathless[i], any_way[i], away[i])
                influence.add(int(nodes[i]), found[i], hops)
    return [
        {
            **reach.encode(blob),
            **influence.encode(blob),
            "pairs": int(field.reach.nnz),
            "inDoubt": int(field.possible.nnz - field.reach.nnz),
            "farthest": int(field.hops.max(initial=-1)),
            "method": field.method,
            "certain": bool(field.certain),
            "measured": len(field.influence_nodes),
            "mean": blob.add(_logarithms(field.influence)),
        }
        for field, reach, influence in zip(fields, reaches, influences, strict=True)
    ]


def _kept_nodes(fields: Sequence[MeasuredField]) -> list[Integers]:
    """The nodes of each field whose influence has room, the same ones in all fields that have it of them."""
    num_nodes = fields[0].reach.shape[0]
    order = np.random.default_rng(0).permutation(num_nodes)  # any, but the same for all
    cost, asked = np.zeros(num_nodes), np.zeros(num_nodes)
    for field in fields:
        cost[field.influence_nodes] += np.diff(field.reach.indptr)[field.influence_nodes]
        asked[field.influence_nodes] += 1
    order = order[np.argsort(-asked[order], kind="stable")]  # those that most fields know
    room = np.cumsum(cost[order]) <= ROOM
    room[:1] = True
    return [np.intersect1d(field.influence_nodes, order[room]) for field in fields]


class _Reach:
    def __init__(self) -> None:
        self._radius: list[Integers] = []
        self._wrong, self._doubt = _Runs(), _Runs()

    def add(self, found: NDArray[np.bool_], away: NDArray[np.int32], doubt: NDArray[np.bool_] | None) -> None:
        """Some more rows: what each node depends on, the distances, and what is in doubt. [rows, N]"""
        radius = np.where(found, away, -1).max(axis=1)
        self._radius.append(radius)
        guess = (away >= 0) & (away <= radius[:, None])
        self._wrong.add(guess != found)
        self._doubt.add(np.zeros_like(found) if doubt is None else doubt)

    def encode(self, blob: Blob) -> dict[str, Any]:
        radius = (np.concatenate(self._radius) + 1).astype(np.uint32)  # 0: nothing
        return {"radius": blob.add(radius), "wrong": self._wrong.encode(blob), "doubt": self._doubt.encode(blob)}


class _Runs:
    """True entries of rows, as runs."""

    def __init__(self) -> None:
        self._rows: list[int] = []
        self._bytes: list[bytes] = []
        self._next = 0

    def add(self, table: NDArray[np.bool_]) -> None:
        for i in np.flatnonzero(table.any(axis=1)):
            change = np.flatnonzero(np.diff(table[i].astype(np.int8), prepend=0, append=0))  # starts and ends in turn
            self._rows.append(self._next + int(i))
            self._bytes.append(_seven_bits(np.diff(change, prepend=0)))
        self._next += len(table)

    def encode(self, blob: Blob) -> list[Any]:
        """The rows that have any, where each ends among the bytes, and the bytes."""
        ends = np.cumsum([len(part) for part in self._bytes], dtype=np.uint32)
        content = np.frombuffer(b"".join(self._bytes), dtype=np.uint8)
        return [blob.add(np.array(self._rows, dtype=np.uint32)), blob.add(ends), blob.add(content)]


def _seven_bits(numbers: Integers) -> bytes:
    """Each number in groups of seven bits, the lowest first; the eighth bit says that another follows."""
    if numbers.max(initial=0) < 128:
        return numbers.astype(np.uint8).tobytes()
    groups = []
    for number in numbers.tolist():
        left = number
        while left >= 128:
            groups.append(left & 127 | 128)
            left >>= 7
        groups.append(left)
    return bytes(groups)


class _Influence:
    def __init__(self, field: MeasuredField) -> None:
        self._field = field
        self._row = {int(v): i for i, v in enumerate(field.influence_nodes)}
        positive = field.pair_influence[(field.pair_influence > 0) & np.isfinite(field.pair_influence)]
        ends = (positive.min(), positive.max()) if positive.size else (1.0, 1.0)
        self._low, self._high = (float(np.log10(end)) for end in ends)
        self._nodes: list[int] = []
        self._levels: list[NDArray[np.uint8]] = []
        self._means: list[NDArray[np.float32]] = []

    def add(self, v: int, found: NDArray[np.bool_], hops: NDArray[np.int32]) -> None:
        """A node: which nodes it depends on, and the distance of each, -1 for no pair. [N], [N]"""
        norms = self._field.pair_influence[self._row[v]]
        logs = _logarithms(norms[found])
        known = np.isfinite(logs)
        step = max((self._high - self._low) / (LEVELS - 1), 1e-12)
        levels = np.full(len(logs), NONE, dtype=np.uint8)
        levels[known] = 1 + np.clip(np.rint((logs[known] - self._low) / step), 0, LEVELS - 1).astype(np.uint8)
        at, values = hops[hops >= 0], norms[hops >= 0]
        limit = int(hops[(hops >= 0) & (norms != 0)].max(initial=-1)) + 1  # beyond it all are zero
        count = np.bincount(at, minlength=limit)[:limit]
        total = np.bincount(at, values, minlength=limit)[:limit]
        self._nodes.append(v)
        self._levels.append(levels)
        self._means.append(_logarithms(np.divide(total, count, out=np.full(limit, np.nan), where=count > 0)))

    def encode(self, blob: Blob) -> dict[str, Any]:
        return {
            "low": float(self._low),
            "high": float(self._high),
            "nodes": blob.add(np.array(self._nodes, dtype=np.uint32)),
            "levels": _ragged(self._levels, np.uint8, blob),
            "means": _ragged(self._means, np.float32, blob),
        }


def _ragged(parts: Sequence[NDArray[Any]], kind: Any, blob: Blob) -> list[Any]:
    """Where each part ends, and all parts in one."""
    ends = np.cumsum([len(part) for part in parts], dtype=np.uint32)
    return [blob.add(ends), blob.add(np.concatenate([np.empty(0, dtype=kind), *parts]).astype(kind))]


def _logarithms(values: Reals) -> NDArray[np.float32]:
    """To base 10: -infinity of zero, NaN of what is no number."""
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(np.log10(values), dtype=np.float32)
