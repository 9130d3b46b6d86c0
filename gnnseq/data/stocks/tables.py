"""Tables from files: texts in columns with the names above them, and what is wrong with them, all together."""

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnseq.data.packed import as_utf8
from gnnseq.data.stocks.column_names import FIELDS, LABELS, is_date, role, squeezed

__all__ = ["Errors", "Table", "read_table", "read_utf8"]

Column = list[str] | NDArray[np.float64]
SHOWN = 3  # lines of a file that are shown; every wrong file is
DELIMITERS = ",;\t|"
TUPLE = re.compile(r"""\(\s*(['"])(.*?)\1\s*,\s*(['"])(.*?)\3\s*\)""")  # how pandas writes a name of two levels as one


class Errors:
    """What is wrong with several files, to be said at once."""

    def __init__(self) -> None:
        self._messages: dict[str, list[str]] = {}

    def add(self, path: Path, message: str) -> None:
        """Keep a message, which begins with file and line."""
        self._messages.setdefault(str(path), []).append(message)

    def __bool__(self) -> bool:
        return bool(self._messages)

    def __contains__(self, path: Path) -> bool:
        return str(path) in self._messages

    def check(self) -> None:
        """Raise a ValueError if there is any message.

        Example:
            >>> errors = Errors()
            >>> errors.add(Path("A.csv"), "A.csv:3: the date is 'x'; expected YYYY-MM-DD")
            >>> errors.check()
            Traceback (most recent call last):
            ...
            ValueError: A.csv:3: the date is 'x'; expected YYYY-MM-DD
        """
        lines = []
        for path, messages in self._messages.items():
            lines += messages[:SHOWN]
            if len(messages) > SHOWN:
                lines.append(f"{path}: {len(messages) - SHOWN} more like these")
        if len(lines) == 1:
            raise ValueError(lines[0])
        if lines:
            count = sum(map(len, self._messages.values()))
            files = f" in {len(self._messages)} files" if len(self._messages) > 1 else ""
            raise ValueError("\n".join([f"{count} errors{files}:", *lines]))


@dataclass(frozen=True, eq=False)
class Table:
    """Columns under names, as a file has them.

    Attributes:
        path: The file.
        names: One a column, of one level, or of two (field and ticker, in either order); empty without a header.
        columns: Texts without spaces around them, or numbers.
        lines: Where each row begins in a CSV; a Parquet file's rows are counted from 0.
        header: "file:line" of the names.
    """

    path: Path
    names: tuple[tuple[str, ...], ...]
    columns: tuple[Column, ...]
    lines: Sequence[int]
    header: str

    def where(self, row: int) -> str:
        """What to complain about: "file:line"."""
        return f"{self.path}:{self.lines[row]}" if self.header != str(self.path) else f"{self.path}: row {row}"

    def __len__(self) -> int:
        return len(self.lines)


def read_utf8(path: Path) -> str:
    """The text of a file, without a byte order mark.

    Raises:
        ValueError: It is not UTF-8; with file and line.
    """
    return as_utf8(path, path.read_bytes())


def read_table(path: Path, errors: Errors) -> Table:
    """A CSV's or a Parquet file's table; lines with too few or too many cells are errors and left out.

    Cells are separated by what separates most of the first line's: comma, semicolon, tab or bar. Lines without
    anything in them count for nothing. A second and third line of names are those of pandas for names of two levels.

    Raises:
        ValueError: The file cannot be read at all.
        ImportError: The file is Parquet and pyarrow is missing.
    """
    return _parquet(path) if path.suffix.lower() in (".parquet", ".pq") else _csv(path, errors)


def _rows(path: Path) -> tuple[list[int], list[list[str]]]:
    """Where the rows of a CSV begin, and their cells; those that may be names without spaces around them."""
    text = read_utf8(path)
    first = next((line for line in text.splitlines() if line.strip()), "")
    declared = re.fullmatch(r"sep=(.)", first.strip())  # as Excel writes it
    unquoted = re.sub(r'"[^"]*"', "", first)
    delimiter = declared[1] if declared else max(DELIMITERS, key=unquoted.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    lines: list[int] = []
    rows: list[list[str]] = []
    line = 1  # where the row begins: a quotation mark that is never closed makes it end far below
    try:
        for row in reader:
            if any(map(str.strip, row)) and not (declared and not rows and row[0].startswith("sep=")):
                lines.append(line)
                rows.append(row if len(rows) > 2 else list(map(str.strip, row)))
            line = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path}:{line}: not a line of CSV ({error})") from error
    return lines, rows


def _csv(path: Path, errors: Errors) -> Table:
    lines, rows = _rows(path)
    if not rows:
        raise ValueError(f"{path}:1: nothing is in this file; expected a header and rows")
    where, headers = f"{path}:{lines[0]}", _headers(rows)
    width = len(rows[0])
    kept_lines, kept = [], []
    for line, row in zip(lines[headers:], rows[headers:], strict=True):
        while len(row) > width and not row[-1].strip():  # a separator at the end of the line
            row.pop()
        if len(row) == width:
            kept_lines.append(line)
            kept.append(row)
        else:
            errors.add(path, f"{path}:{line}: {len(row)} cells; expected {width}, as in the header")
    cells = zip(*kept, strict=True) if kept else [()] * width
    columns: list[Column] = [list(map(str.strip, column)) for column in cells]
    if not headers:
        return Table(path, (), tuple(columns), kept_lines, where)
    if headers == 1:
        names = _levels(rows[0])
    else:
        first = rows[2][0] if headers == 3 else rows[0][0]
        names = [(first if is_date(first) else "Date",), *zip(rows[0][1:], rows[1][1:], strict=False)]
    named = [index for index, name in enumerate(names) if any(name) or any(columns[index])]  # not an empty last column
    return Table(path, tuple(names[i] for i in named), tuple(columns[i] for i in named), kept_lines, where)


def _headers(rows: list[list[str]]) -> int:
    """How many rows are names: none where the first holds numbers alone."""
    if all(map(_is_number, rows[0])):
        return 0
    if len(rows) < 2 or len(rows[1]) != len(rows[0]) or len(rows[0]) < 2:
        return 1
    fields = [all(role(name) in FIELDS for name in row[1:]) for row in rows[:2]]
    labels = squeezed(rows[1][0]) in LABELS or not (rows[1][0] or any(map(_is_number, rows[1][1:])))
    if not (any(fields) and labels and all(rows[1][1:])):
        return 1
    return 3 if len(rows) > 2 and is_date(rows[2][0]) and not any(rows[2][1:]) else 2


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _levels(names: Sequence[Any]) -> list[tuple[str, ...]]:
    """Names as tuples; "('Close', 'A')" is one of two levels."""
    found = [TUPLE.fullmatch(str(name).strip()) for name in names]
    return [(match[2], match[4]) if match else (str(name).strip(),) for match, name in zip(found, names, strict=True)]


def _parquet(path: Path) -> Table:
    try:
        import pandas as pd

        frame = pd.read_parquet(path)
    except ImportError as error:
        raise ImportError(
            f"{path}: reading Parquet needs pandas and pyarrow; run `pip install pandas pyarrow`, or save the table as "
            "CSV"
        ) from error
    names: list[tuple[str, ...]] = []
    columns: list[Column] = []
    if not isinstance(frame.index, pd.RangeIndex):  # dates, or dates and tickers
        for level in range(frame.index.nlevels):
            values = frame.index.get_level_values(level)
            name = frame.index.names[level]
            kind = "Date" if pd.api.types.is_datetime64_any_dtype(values.dtype) else ""
            names.append((kind if name is None else str(name),))
            columns.append(_cells(pd.Series(values)))
        if frame.index.nlevels == 2 and ("",) in names:
            names[names.index(("",))] = ("Ticker",)
    many = isinstance(frame.columns, pd.MultiIndex)
    for place, name in enumerate(frame.columns):
        names += [tuple(str(part).strip() for part in name)] if many else _levels([name])
        columns.append(_cells(frame.iloc[:, place]))
    names = [(name[0],) if len(name) == 2 and not name[1] and is_date(name[0]) else name for name in names]
    return Table(path, tuple(names), tuple(columns), range(len(frame)), str(path))


def _cells(column: Any) -> Column:
    """Numbers as they are; days, and all else, as texts."""
    import pandas as pd

    if isinstance(column.dtype, pd.DatetimeTZDtype) and re.match(r"(?!Etc/)\w+/", str(column.dt.tz)):
        column = column.dt.tz_localize(None)  # a place's own day
    if pd.api.types.is_float_dtype(column.dtype):
        return np.array(column.to_numpy(dtype=np.float64, na_value=np.nan))
    return ["" if missing else str(value).strip() for missing, value in zip(column.isna(), column, strict=True)]
