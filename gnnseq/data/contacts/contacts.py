"""Contacts of a file, sorted by time, and the snapshots that they make.

Letters: E contacts, N nodes, T snapshots, M edges of a snapshot.
"""

import datetime
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Data

from gnnseq.data.contacts.clock import UNITS, as_text, may_be_dates, unit_of, width_of
from gnnseq.data.contacts.reader import read_contacts
from gnnseq.data.contacts.report import ContactReport

__all__ = ["Contacts", "load_contacts"]

MOST = 2**31  # places of a mask
MOST_SNAPSHOTS = 2**20


@dataclass(frozen=True, eq=False)
class Contacts:
    """Who met whom, when; unpacks to ``snapshots, mask, names``.

    Attributes:
        snapshots: The graph of each stretch of time, a :class:`torch_geometric.data.Data` each: ``edge_index`` [2, M],
            every ordered pair once, ``edge_weight`` [M], the sum of its contacts' weights, ``num_nodes``, and ``time``,
            when it begins. T of them, empty ones too.
        mask: Whether a node has appeared, in this snapshot or one before. Boolean [T, N]
        names: Of the nodes, numbers in their order, then words in theirs. [N]
        source: Of each contact, in order of time. [E]
        target: [E]
        time: Seconds since 1970 (UTC), or since whatever the file counts from. [E]
        weight: 1 where the file has none. [E]
        width: Seconds of a snapshot.
        report: What was found in the file, and what became of it.
    """

    snapshots: list[Data]
    mask: Tensor
    names: tuple[str, ...]
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    time: NDArray[np.float64]
    weight: NDArray[np.float64]
    width: float
    report: ContactReport

    def __iter__(self) -> Iterator[Any]:
        return iter((self.snapshots, self.mask, self.names))


def load_contacts(
    path: str | Path,
    every: str | float | datetime.timedelta | np.timedelta64 = "7D",
    *,
    heading: bool | None = None,
    unit: str | None = None,
) -> Contacts:
    r"""Contacts of a file, a line each, as snapshots of a graph whose nodes come and whose edges change.

    A line is ``source target time [weight]``, between commas, semicolons, tabs or blanks, also gzipped. Under a heading
    columns may be in any order and others beside them, which are not read. Names are words or numbers. Times are
    numbers or dates of ISO 8601: numbers are milliseconds, microseconds or nanoseconds since 1970 where the largest is
    large enough for that, else seconds, since 1970 or any other moment; dates without a zone are UTC. Four numbers
    without a heading of which only the last is a time since 1970 are ``source target weight time``. Lines may be in any
    order. Empty lines and lines that begin with # or % are passed over.

    Snapshot k has the contacts with k = floor((time - first time) / every). A pair's contacts in it are one edge, from
    source to target, whose weight is their sum; self-loops are edges too. What was repeated, merged, empty or out of
    order is counted in ``report``.

    Args:
        path: The file.
        every: Width of a snapshot: "7D", "12h", "30min", a number of seconds or a timedelta.
        heading: Whether the first line is a heading; None for what it says itself.
        unit: Of numbers: "s", "ms", "us" or "ns"; None for what the largest says.

    Returns:
        Contacts, which unpack: ``snapshots, mask, names = load_contacts(path)``.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A line is no contact, times are of several units, or an argument is out of range. The message names
            file and line.

    Example:
        >>> import tempfile
        >>> file = Path(tempfile.mkdtemp(), "contacts.csv")
        >>> _ = file.write_text("ann,bob,2004-04-15\nbob,ann,2004-04-16\nann,bob,2004-04-16\nann,eve,2004-05-02\n")
        >>> snapshots, mask, names = contacts = load_contacts(file, every="7D")
        >>> names, snapshots[0].edge_index.tolist(), snapshots[0].edge_weight.tolist()
        (('ann', 'bob', 'eve'), [[0, 1], [1, 0]], [2.0, 1.0])
        >>> mask.tolist(), contacts.report.gaps
        ([[True, True, False], [True, True, False], [True, True, True]], ((1, 1),))
        >>> from gnnseq.layers import TemporalGCN
        >>> layer, x = TemporalGCN(4, 8, 2), torch.randn(3, 3, 4)
        >>> y, _ = layer(x, [s.edge_index for s in snapshots], [s.edge_weight for s in snapshots], mask=mask)
    """
    width = width_of(every)
    if unit is not None and unit not in UNITS:
        raise ValueError(f"unit={unit!r}; expected one of {', '.join(map(repr, UNITS))}, or None")
    if heading is not None and not isinstance(heading, bool):
        raise ValueError(f"heading={heading!r}; expected True, False or None")
    table = read_contacts(Path(path), heading)
    if unit is not None and table.dates:
        raise ValueError(f"{path}: times are dates, and unit={unit!r}; expected unit=None")
    given = unit or ("s" if table.dates else unit_of(float(np.abs(table.time).max())))
    if unit is None and not table.dates and may_be_dates(table.time):
        raise ValueError(f"{path}, line {table.line[0]}: time {table.time[0]:.15g} may be a date without dashes, as "
                         "all times of the file; expected 2004-04-15 or 2004-04-15 10:56:01, or unit='s' or the like "
                         "if they are numbers of seconds")  # fmt: skip
    if given != "s" and unit is None:
        table.check_unit(given)
    time = table.time / UNITS[given]
    epoch = table.dates or given != "s" or float(np.abs(time).max()) >= 1e8
    order = np.argsort(time, kind="stable")
    highest = np.maximum.accumulate(time)
    out_of_order = int((time < highest).sum())
    source, target, weight, time = table.source[order], table.target[order], table.weight[order], time[order]

    nodes = len(table.names)
    with np.errstate(over="ignore"):
        many = np.floor((time[-1] - time[0]) / width) + 1
    if many * nodes > MOST or many > MOST_SNAPSHOTS:
        steps = int(min(many, 1e18))
        raise ValueError(f"every={every!r} makes {steps:,} snapshots of {nodes:,} nodes from {path}; expected a wider "
                         f"one: the contacts are {time[-1] - time[0]:.6g} s from first to last")  # fmt: skip
    place = np.floor((time - time[0]) / width).astype(np.int64)
    steps = int(place[-1]) + 1
    snapshots, merged = _snapshots(source, target, weight, place, steps, nodes, float(time[0]), width)
    appeared = np.full(nodes, steps)
    np.minimum.at(appeared, source, place)
    np.minimum.at(appeared, target, place)
    mask = torch.from_numpy(appeared[None, :] <= np.arange(steps)[:, None])
    where = "dates" if table.dates else {"s": "seconds", "ms": "milliseconds", "us": "microseconds",
                                         "ns": "nanoseconds"}[given]  # fmt: skip
    report = ContactReport(
        form=f"{table.columns}, times are {where}",
        events=len(time),
        nodes=nodes,
        first=as_text(float(time[0]), epoch),
        last=as_text(float(time[-1]), epoch),
        repeated=_repeated(source, target, time, nodes),
        merged=merged,
        self_loops=int((source == target).sum()),
        out_of_order=out_of_order,
        snapshots=steps,
        gaps=_gaps(place),
        ignored=table.columns.ignored,
        comments=table.comments,
    )
    return Contacts(snapshots, mask, table.names, source, target, time, weight, width, report)


def _snapshots(
    source: NDArray[np.int64],
    target: NDArray[np.int64],
    weight: NDArray[np.float64],
    place: NDArray[np.int64],
    steps: int,
    nodes: int,
    start: float,
    width: float,
) -> tuple[list[Data], int]:
    """The graphs, and how many contacts were merged with others of their pair."""
    cuts = np.searchsorted(place, np.arange(steps + 1))
    made, merged = [], 0
    nothing = torch.empty(2, 0, dtype=torch.int64), torch.empty(0)
    for step, (low, high) in enumerate(pairwise(cuts.tolist())):
        if low == high:
            made.append(Data(edge_index=nothing[0], edge_weight=nothing[1], num_nodes=nodes, time=start + step * width))
            continue
        pairs, which = np.unique(source[low:high] * nodes + target[low:high], return_inverse=True)
        edge_index = torch.from_numpy(np.stack([pairs // nodes, pairs % nodes]))
        sums = np.bincount(which, weight[low:high], len(pairs))
        merged += high - low - len(pairs)
        made.append(Data(edge_index=edge_index, edge_weight=torch.from_numpy(sums).float(), num_nodes=nodes,
                         time=start + step * width))  # fmt: skip
    return made, merged


def _repeated(source: NDArray[np.int64], target: NDArray[np.int64], time: NDArray[np.float64], nodes: int) -> int:
    order = np.lexsort((source * nodes + target, time))
    pair, when = (source * nodes + target)[order], time[order]
    return int(((np.diff(pair) == 0) & (np.diff(when) == 0)).sum())


def _gaps(place: NDArray[np.int64]) -> tuple[tuple[int, int], ...]:
    used = np.unique(place)
    wide = np.flatnonzero(np.diff(used) > 1)
    return tuple((int(used[at]) + 1, int(used[at + 1]) - 1) for at in wide)
