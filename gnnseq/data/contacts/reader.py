"""Lines of a file to arrays, some thousands at a time, so that memory holds the arrays and one such piece.

Letters: E contacts, N nodes.
"""

import gzip
import zlib
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from gnnseq.data.contacts.clock import LEAST, TimeError, is_date, is_number, looks_like_epoch, seconds_of
from gnnseq.data.contacts.columns import BETWEEN, Columns, columns_of, split, split_all
from gnnseq.data.packed import is_gzip

__all__ = ["Table", "read_contacts"]

PIECE = 65536  # lines at once
COMMENT = ("#", "%")
ODD = frozenset("#% \t\r\n\f\v")  # a line that begins so may be a comment or empty


@dataclass(frozen=True, eq=False)
class Table:
    """What a file holds, in the order of its lines.

    Attributes:
        path: Of the file.
        names: Numbers in their order, then words in theirs. [N]
        source: [E]
        target: [E]
        time: Seconds of dates, numbers as they are. [E]
        weight: [E]
        line: Of each contact, from 1. [E]
        dates: Whether times are dates.
        columns: Where what was found.
        comments: Lines that were passed over as comments.
    """

    path: Path
    names: tuple[str, ...]
    source: NDArray[np.int64]
    target: NDArray[np.int64]
    time: NDArray[np.float64]
    weight: NDArray[np.float64]
    line: NDArray[np.int64]
    dates: bool
    columns: Columns
    comments: int

    def check_unit(self, unit: str) -> None:
        """A ValueError, if the largest time says that all are parts of seconds, and another is too small for that."""
        size = np.abs(self.time)
        if size.min() < LEAST[unit] / 10:  # some months after 1970 are left to smaller numbers
            least, most = int(size.argmin()), int(size.argmax())
            raise ValueError(
                f"{self.path}, line {self.line[least]}: time {self.time[least]:.15g}, and {self.time[most]:.15g} in "
                f"line {self.line[most]}; expected one unit of time: seconds, or {unit} since 1970; unit= says which"
            )


def read_contacts(path: Path, heading: bool | None) -> Table:
    """All contacts of a file.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It holds none, or a line is none; the message names it.
    """
    if not path.is_file():
        problem = "a folder" if path.is_dir() else "no such file"
        raise FileNotFoundError(f"path={str(path)!r}: {problem}; expected a file of contacts: source, target, time")
    try:
        with gzip.open(path, "rt", encoding="utf-8-sig") if is_gzip(path) else path.open(encoding="utf-8-sig") as lines:
            return _read(path, lines, heading)
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: not text in UTF-8 ({error.reason}); expected a list of contacts as text") from error
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: a gzipped file that is cut off or damaged ({error})") from error


def _pieces(lines: IO[str], comments: list[int]) -> Iterator[tuple[list[str], Sequence[int]]]:
    """Lines that say something, with their numbers; those of comments go to a list."""
    first = 1
    while piece := list(islice(lines, PIECE)):
        numbers: Sequence[int] = range(first, first + len(piece))
        first += len(piece)
        if any(line[0] in ODD for line in piece):
            comments += [number for number, line in zip(numbers, piece, strict=True)
                         if line.lstrip().startswith(COMMENT)]  # fmt: skip
            kept = [(line, number) for number, line in zip(numbers, piece, strict=True)
                    if (begin := line.lstrip()) and begin[0] not in COMMENT]  # fmt: skip
            piece, numbers = [line for line, _ in kept], [number for _, number in kept]
        if piece:
            yield piece, numbers


def _read(path: Path, lines: IO[str], heading: bool | None) -> Table:
    ids: dict[str, int] = {}
    source, target = array("q"), array("q")
    times: list[NDArray[np.float64]] = []
    weights: list[NDArray[np.float64]] = []
    places: list[NDArray[np.int64]] = []
    columns: Columns | None = None
    dates, comments = False, list[int]()
    for texts, numbers in _pieces(lines, comments):
        if columns is None:
            try:
                columns = columns_of(texts[0], texts[1] if len(texts) > 1 else None, heading)
            except ValueError as error:
                raise ValueError(f"{path}, line {numbers[0]}: {error}") from None
            if columns.heading is not None:
                texts, numbers = texts[1:], numbers[1:]
                if not texts:
                    continue
            dates = is_date(_fields(path, texts[0], numbers[0], columns)[columns.time])
        try:
            rows = split_all(texts, columns.delimiter)
        except ValueError:  # quotes; line by line tells where
            rows = []
        if len(rows) != len(texts) or any(len(row) != columns.width for row in rows):
            rows = [_fields(path, line, number, columns) for line, number in zip(texts, numbers, strict=True)]
        fields = list(zip(*rows, strict=True))
        ends = fields[columns.source], fields[columns.target]
        for cells, found in zip(ends, (source, target), strict=True):
            if "" in cells:
                raise _wrong(path, numbers[cells.index("")], "a name is missing", "source, target, time")
            found.extend([ids.setdefault(name, len(ids)) for name in cells])
        cells = fields[columns.time]
        if columns.clock is not None:
            cells = tuple(f"{day} {clock}" for day, clock in zip(cells, fields[columns.clock], strict=True))
        try:
            times.append(seconds_of(cells, dates))
        except TimeError as error:
            raise ValueError(f"{path}, line {numbers[error.place]}: {error}") from None
        weights.append(np.ones(len(rows)) if columns.weight is None else
                       _weights(path, fields[columns.weight], numbers))  # fmt: skip
        places.append(np.array(numbers))
        if columns.heading is None and columns.unread and any(fields[-1]):
            row = next(row for row, cell in enumerate(fields[-1]) if cell)
            raise _wrong(path, numbers[row], f"weight {fields[-1][row][:40]!r}, and none in the first line",
                         "one in every line, or in none")  # fmt: skip
        if columns.swapped:
            _check_swapped(path, columns, rows, numbers)
    if columns is None or not times:
        raise ValueError(f"{path}: holds no contact; expected lines of source, target, time and perhaps a weight")
    names = sorted(ids, key=_rank)
    order = np.empty(len(ids), dtype=np.int64)
    order[[ids[name] for name in names]] = np.arange(len(ids))
    return Table(path, tuple(names), order[np.frombuffer(source, dtype=np.int64)],
                 order[np.frombuffer(target, dtype=np.int64)], np.concatenate(times), np.concatenate(weights),
                 np.concatenate(places), dates, columns, len(comments))  # fmt: skip


def _rank(name: str) -> tuple[bool, float, str]:
    number = is_number(name)
    return not number, float(name) if number else 0.0, name


def _fields(path: Path, line: str, number: int, columns: Columns) -> list[str]:
    """The fields of one line, as many as there are columns."""
    try:
        fields = split(line, columns.delimiter)
    except ValueError as error:
        raise ValueError(f"{path}, line {number}: {error}") from None
    if len(fields) != columns.width:
        raise _wrong(path, number, f"{len(fields)} columns, {line.strip()[:60]!r}",
                     f"{columns.width}, {BETWEEN[columns.delimiter]} between, as in the lines before")  # fmt: skip
    return fields


def _weights(path: Path, cells: tuple[str, ...], numbers: Sequence[int]) -> NDArray[np.float64]:
    try:
        weights = np.array(cells, dtype=np.float64)
    except ValueError:
        weights = np.array([float(cell) if is_number(cell) else np.nan for cell in cells])
    if not (np.isfinite(weights) & (weights >= 0)).all():
        place = int(np.argmin(np.isfinite(weights) & (weights >= 0)))
        raise _wrong(path, numbers[place], f"weight {cells[place][:40]!r}", "a finite number, not below 0")
    return weights


def _check_swapped(path: Path, columns: Columns, rows: list[list[str]], numbers: Sequence[int]) -> None:
    for row, number in zip(rows, numbers, strict=True):
        if not (looks_like_epoch(row[columns.time]) or is_date(row[columns.time])):
            raise _wrong(path, number, f"time {row[columns.time][:40]!r} in the fourth column",
                         "a time since 1970 there, as in the lines before, or a heading")  # fmt: skip


def _wrong(path: Path, line: int, problem: str, remedy: str) -> ValueError:
    return ValueError(f"{path}, line {line}: {problem}; expected {remedy}")
