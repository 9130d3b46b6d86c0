"""Wide tables: a row a step, a column a node, and perhaps a column that says when.

Letters: T rows, N nodes, F numbers a node.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnseq.data.packed import as_utf8, read_arrays, read_unpacked
from gnnseq.data.series_files.clock import COUNTERS, TIME_NAMES, as_times, regular

__all__ = ["SeriesTable", "read_table"]

FORMS = ".csv, .tsv, .txt (each also .gz), .npz, .npy, .parquet or .h5"
ABSENT = ("", "nan", "na", "n/a", "null", "none", "-", "nat", "#n/a")
ENGINES = {".parquet": "pyarrow", ".pq": "pyarrow", ".h5": "tables", ".hdf5": "tables", ".hdf": "tables"}
ARRAYS = {"values": ("values", "data", "x", "series"), "names": ("names", "nodes", "columns", "sensors", "node_ids"),
          "times": ("times", "time", "timestamps", "index", "dates")}  # fmt: skip


@dataclass(frozen=True)
class SeriesTable:
    """What a file of series has.

    Attributes:
        values: NaN where nothing stands. [T, N]
        names: Of the columns, "0", "1", ... where the file has none. [N]
        times: When each row is, in equal steps, or None. [T]
    """

    values: NDArray[np.float64]
    names: tuple[str, ...]
    times: NDArray[np.datetime64] | None


def read_table(
    path: str | Path, time: str | None = None, heading: bool | None = None, feature: int | None = None
) -> SeriesTable:
    r"""The series in a wide table, in the order of time; steps that the table leaves out are rows of NaN.

    Args:
        path: .csv, .tsv or .txt, with commas, semicolons, tabs or blanks between; .npz or .npy of an array [T, N], or
            [T, N, F] with ``feature``; .parquet and .h5 where pandas has an engine for them.
        time: The column of times; None takes the first column if it is called so or has dates in it, else one of dates
            that is called so.
        heading: Whether a text's first line is a heading; None decides by the file.
        feature: Which of F numbers a node has.

    Raises:
        ValueError: The file is not what it should be; the message says where, what stands there and what is legal.
        FileNotFoundError: There is no such file.
        ImportError: A module is missing that reads this form; the message says which.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "speeds.csv"
        >>> _ = path.write_text("time,a,b\n2012-03-01 00:00,64.5,\n2012-03-01 00:10,0,61\n2012-03-01 00:05,1,60\n")
        >>> table = read_table(path)
        >>> table.names, table.values.tolist()
        (('a', 'b'), [[64.5, nan], [1.0, 60.0], [0.0, 61.0]])
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected series in {FORMS}")
    packed = path.suffix.lower() == ".gz"
    suffix = (Path(path.stem) if packed else path).suffix.lower()
    if suffix in (".npz", ".npy"):
        names, columns, times = _arrays(path, feature)
    else:
        names, columns, times = _engine(path, suffix) if suffix in ENGINES else _text(path, heading)
        if feature is not None:
            raise ValueError(f"feature={feature} and {path}: only arrays [T, N, F] have several numbers a node")
    if times is None:
        names, columns, times = _times(path, names, columns, time)
    elif time is not None:
        raise ValueError(f"time={time!r} and {path}, which has its times beside its columns; leave time out")
    if not names:
        raise ValueError(f"{path}: no column of numbers; expected one a node")
    twice, count = Counter(names).most_common(1)[0]
    if count > 1:
        raise ValueError(f"{path}: {count} columns are called {twice!r}; expected a name of its own for each node")
    values = np.column_stack([_numbers(path, name, column) for name, column in zip(names, columns, strict=True)])
    if times is not None:
        values, times = regular(path, values, times)
    return SeriesTable(values, tuple(names), times)


def pandas_for(path: Path) -> ModuleType:
    """Pandas, or an ImportError that says how to get it."""
    try:
        import pandas
    except ImportError as error:
        raise ImportError(f"{path}: pandas reads this form; pip install pandas, or save it as .npz") from error
    return pandas


def _engine(path: Path, suffix: str) -> tuple[list[str], list[Any], Any]:
    """What pandas reads of Parquet and HDF5: names, columns, and the index if it is of times."""
    pandas, package = pandas_for(path), ENGINES[suffix]
    try:
        frame = (pandas.read_parquet if package == "pyarrow" else pandas.read_hdf)(path)
    except ImportError as error:
        raise ImportError(
            f"{path}: pandas needs {package} to read {suffix}; pip install {package}, or save it as .csv or .npz"
        ) from error
    index = frame.index
    times = as_times(path, "index", index) if isinstance(index, pandas.DatetimeIndex) else None
    columns = [frame.iloc[:, place].to_numpy() for place in range(frame.shape[1])]
    return [str(name).strip() for name in frame.columns], columns, times


def _arrays(path: Path, feature: int | None) -> tuple[list[str], list[Any], Any]:
    """NumPy's files, of which nothing is unpickled."""
    arrays = read_arrays(path, "expected arrays of numbers, none of Python objects")
    found = {name.lower() or "values": array for name, array in arrays.items()}
    parts = {part: next((found[name] for name in names if name in found), None) for part, names in ARRAYS.items()}
    values, names, times = parts["values"], parts["names"], parts["times"]
    several = [name for name in ARRAYS["values"] if name in found]
    if len(several) > 1:
        raise ValueError(f"{path}: arrays {' and '.join(several)} may both be the series; expected one of them")
    if values is None and len(found) == 1:
        (values,) = found.values()
    if values is None or values.ndim not in (2, 3) or values.dtype.kind not in "biuf":
        shapes = ", ".join(f"{name} {list(array.shape)}" for name, array in found.items())
        raise ValueError(
            f"{path}: arrays {shapes or 'none'}; expected numbers [T, N] or [T, N, F] called values or data"
        )
    if values.ndim == 3:
        count = values.shape[2]
        if (feature is None and count > 1) or (feature is not None and not 0 <= feature < count):
            raise ValueError(
                f"{path}: shape {list(values.shape)}, {count} numbers a node, and feature={feature}; expected feature "
                f"to be one of 0..{count - 1}"
            )
        values = values[:, :, feature or 0]
    elif feature is not None:
        raise ValueError(f"feature={feature} and {path} of shape {list(values.shape)}; only [T, N, F] has several")
    labels = [str(place) for place in range(values.shape[1])] if names is None else [str(name) for name in names]
    if len(labels) != values.shape[1]:
        raise ValueError(f"{path}: {len(labels)} names for {values.shape[1]} columns; expected a name a column")
    if times is not None and len(times) != len(values):
        raise ValueError(f"{path}: {len(times)} times for {len(values)} rows; expected a time a row")
    return labels, list(values.T), None if times is None else as_times(path, "times", times)


def _text(path: Path, heading: bool | None) -> tuple[list[str], list[Any], None]:
    """A table of text, through pandas, with the first line read here."""
    content = read_unpacked(path)
    with io.StringIO(as_utf8(path, content), newline=None) as file:
        lines = [line for line in (file.readline().rstrip("\r\n") for _ in range(50)) if line.strip()]
    if not lines:
        raise ValueError(f"{path}: empty; expected a row a step and a column a node")
    between = next((sign for sign in "\t;|," if sign in lines[0]), None)
    try:
        first, *others = [_split(line, between) for line in lines[:20]]
    except csv.Error as error:
        raise ValueError(f"{path}: {error}; expected a heading and rows of as many cells") from error
    headed = _is_heading(first, others) if heading is None else heading
    try:
        frame = pandas_for(path).read_csv(
            io.BytesIO(content), sep=r"\s+" if between is None else between, header=None, skiprows=int(headed),
            encoding="utf-8-sig", keep_default_na=False, na_values=list(ABSENT), skipinitialspace=True,
            low_memory=False,
            decimal="," if between == ";" and any("," in cell for row in others for cell in row) else ".",
            on_bad_lines="error",
        )  # fmt: skip
    except ValueError as error:
        raise ValueError(
            f"{path}: {str(error).strip()}; expected a heading and rows of as many cells, no lines before"
        ) from error
    width = frame.shape[1]
    if headed and len(first) == width - 1:  # as R writes row names
        first = ["", *first]
    names = [cell.strip() for cell in first] if headed else [str(place) for place in range(width)]
    if len(names) != width:
        raise ValueError(f"{path}: {len(names)} names in the heading and {width} columns below; expected as many")
    columns = [frame[place].to_numpy() for place in range(width)]
    if width > 1 and frame[width - 1].isna().all() and (not headed or not names[-1]):  # a separator ends each line
        names, columns = names[:-1], columns[:-1]
    if not headed and columns[0].dtype.kind not in "biuf":  # of times: nodes are numbered without it
        names = ["", *names[:-1]]
    if "" in names[1:]:
        raise ValueError(f"{path}: column {names.index('', 1) + 1} has no name; expected one for each node")
    return names, columns, None


def _split(line: str, between: str | None) -> list[str]:
    return line.split() if between is None else next(csv.reader([line], delimiter=between))


def _is_heading(first: Sequence[str], others: Sequence[Sequence[str]]) -> bool:
    """Names and not a first step: words, no name for the times, or whole numbers unlike what is below."""
    cells = [cell.strip() for cell in first]
    if cells[0].lower() in TIME_NAMES and len(cells) > 1 and (not cells[0] or any(cells[1:])):
        return bool(cells[0]) or all(row and row[0].strip() for row in others)
    numbers = [_number(cell) for cell in cells]
    if any(number is None and cell.lower() not in ABSENT for number, cell in zip(numbers[1:], cells[1:], strict=True)):
        return True
    if len(cells) == 1 or not others:
        return numbers[0] is None and cells[0].lower() not in ABSENT
    ids = [number for number in numbers if number is not None]
    if len(ids) < len(cells) or len(set(ids)) < len(ids) or any(n % 1 for n in ids):
        return False
    below = [n for row in others for n in map(_number, row) if n is not None and n == n]
    return bool(below) and not any(min(below) <= n <= max(below) for n in ids) and any(n % 1 for n in below)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _times(path: Path, names: list[str], columns: list[Any], time: str | None) -> tuple[list[str], list[Any], Any]:
    """Names and columns of the nodes, and the times if a column has them; numbers of rows are passed over."""
    if time is not None:
        if time not in names:
            raise ValueError(f"time={time!r}: {path} has no such column; expected one of {', '.join(names[:6])}, ...")
        place = names.index(time)
    elif (
        names[0].lower() in TIME_NAMES
        or columns[0].dtype.kind not in "biuf"
        or (names[0].lower() in COUNTERS and len(names) > 1 and _counts(columns[0]))
    ):
        place = 0
    else:
        called = [place for place, name in enumerate(names) if name.lower() in TIME_NAMES
                  and columns[place].dtype.kind not in "biuf"]  # fmt: skip
        if len(called) != 1:
            return names, columns, None
        (place,) = called
    column, rest = columns[place], slice(place + 1, None)
    nodes, others = names[:place] + names[rest], columns[:place] + columns[rest]
    if _counts(column):
        return nodes, others, None
    return nodes, others, as_times(path, names[place], column)


def _counts(column: Any) -> bool:
    """Whether a column only counts the rows."""
    if column.dtype.kind not in "iuf" or (column % 1).any():
        return False
    return np.array_equal(np.diff(column), np.ones(len(column) - 1))


def _numbers(path: Path, name: str, column: Any) -> NDArray[np.float64]:
    """A column as numbers, NaN where it has nothing."""
    if column.dtype.kind in "biuf":
        found: NDArray[np.float64] = column.astype(np.float64)
    else:
        found = np.full(len(column), np.nan)
        for row, cell in enumerate(column):
            number = _number(str(cell))
            if number is None and str(cell).strip().lower() not in (*ABSENT, "<na>"):
                timed = re.search(r"\d[-/:.T ]\d", str(cell)) and f", or time={name!r} (--time) if it says when"
                raise ValueError(
                    f"{path}, row {row + 1} below the heading, column {name!r}: {str(cell)[:40]!r}; expected a number, "
                    f"or nothing where it is missing{timed or ''}"
                )
            found[row] = np.nan if number is None else number
    if np.isinf(found).any():
        raise ValueError(
            f"{path}, column {name!r}: {int(np.isinf(found).sum())} infinite; expected finite numbers or nothing"
        )
    return found
