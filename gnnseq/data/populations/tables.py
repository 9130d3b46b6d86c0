"""Tables with a row a person, from text or npz: columns of cells, and where each row stands in its file."""

import csv
import io
import zipfile
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnseq.data.packed import as_utf8, read_arrays, read_unpacked

__all__ = ["ABSENT", "PersonTable", "as_number", "read_person_table"]

ABSENT = ("", "nan", "na", "n/a", "#n/a", "null", "none", "-", "?", "nat", "<na>")
FORMS = ".csv, .tsv or .txt (each also .gz), or .npz"
MATRICES = ("features", "x", "connectivity", "data", "values")
NAMES = ("feature_names", "features_names", "columns", "names")


@dataclass(frozen=True, eq=False)
class PersonTable:
    """A file's rows.

    Attributes:
        path: The file.
        columns: Cells by name: texts as they stand there, without blanks around them. [N] each
        lines: Where each row stands in a text; None of an npz.
        matrix: An npz's numbers [N, F], None of a text, where each column is a feature if its cells are numbers.
        matrix_names: Of its columns. [F]
        decimal_comma: Whether numbers are written as 1,5.
    """

    path: Path
    columns: Mapping[str, Sequence[str]]
    lines: Sequence[int] | None
    matrix: NDArray[np.float64] | None = None
    matrix_names: tuple[str, ...] = ()
    decimal_comma: bool = False

    def where(self, row: int) -> str:
        """What to complain about: "file:line", or the file and its row."""
        return f"{self.path}, row {row}" if self.lines is None else f"{self.path}:{self.lines[row]}"


def as_number(cell: str, decimal_comma: bool = False) -> float:
    """A cell as a number; NaN where it is none.

    Example:
        >>> as_number("1.5"), as_number("1,5", decimal_comma=True), as_number("male")
        (1.5, 1.5, nan)
    """
    if "_" in cell:  # float takes 1_2 for 12
        return float("nan")
    try:
        return float(cell.replace(",", ".") if decimal_comma else cell)
    except ValueError:
        return float("nan")


def read_person_table(path: Path) -> PersonTable:
    """The table in a file.

    Raises:
        ValueError: The file has another form; the message says where and what is legal.
        FileNotFoundError: There is none.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; expected a table with a row a person, {FORMS}")
    packed = path.suffix.lower() == ".gz"
    suffix = (Path(path.stem) if packed else path).suffix.lower()
    if suffix == ".npz":
        return _arrays(path)
    if suffix not in (".csv", ".tsv", ".txt"):
        raise ValueError(f"{path}: expected {FORMS}")
    return _text(path, as_utf8(path, read_unpacked(path)))


def _text(path: Path, text: str) -> PersonTable:
    first = next((line for line in text.splitlines() if line.strip()), "")
    delimiter = max("\t;,|", key=first.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    rows: list[list[str]] = []
    lines: list[int] = []
    begins = 1
    try:
        for row in reader:
            if any(cell.strip() for cell in row):
                rows.append([cell.strip() for cell in row])
                lines.append(begins)
            begins = reader.line_num + 1
    except csv.Error as error:
        raise ValueError(f"{path}:{begins}: not a line of a table ({error})") from error
    if len(rows) < 2:
        raise ValueError(f"{path}: {len(rows)} lines; expected names of columns, then a line a person")
    heading, *rows = rows
    for line, row in zip(lines[1:], rows, strict=True):
        if len(row) == len(heading) + 1 == len(rows[0]):  # as R writes names of rows
            continue
        if len(row) != len(heading):
            raise ValueError(f"{path}:{line}: {len(row)} cells under {len(heading)} names; expected as many")
    heading = ["", *heading] if len(rows[0]) > len(heading) else heading
    name, count = Counter(heading).most_common(1)[0]
    if count > 1:
        raise ValueError(f"{path}:{lines[0]}: {count} columns are called {name!r}; expected a name of its own for each")
    if len(heading) > 1 and all(as_number(cell) == as_number(cell) for cell in heading):
        raise ValueError(f"{path}:{lines[0]}: numbers alone; expected a first line with the names of the columns")
    columns = dict(zip(heading, zip(*rows, strict=True), strict=True))
    return PersonTable(path, columns, lines[1:], decimal_comma=delimiter == ";" and "," in text)


def _arrays(path: Path) -> PersonTable:
    if not zipfile.is_zipfile(path):
        raise ValueError(f"{path}: no npz, or one that is cut off; expected what numpy.savez writes")
    arrays = read_arrays(
        path, "expected arrays of numbers and texts, none of Python objects, as numpy.savez writes them"
    )
    wide = {name: array for name, array in arrays.items() if array.ndim in (2, 3) and array.dtype.kind in "biuf"}
    chosen = list(wide) if len(wide) == 1 else [name for name in wide if name.lower() in MATRICES]
    if wide and len(chosen) != 1:
        raise ValueError(f"{path}: matrices {', '.join(wide)}; expected one, or one called {' or '.join(MATRICES)}")
    matrix = _flat(path, chosen[0], wide[chosen[0]]) if chosen else None
    texts = {name: array for name, array in arrays.items() if array.ndim == 1}
    names = next((texts.pop(name) for name in NAMES if name in texts and matrix is not None
                  and len(texts[name]) == matrix.shape[1]), None)  # fmt: skip
    people = max((len(array) for array in texts.values()), default=0) if matrix is None else len(matrix)
    for name, array in texts.items():
        if len(array) != people:
            raise ValueError(f"{path}: {name} has {len(array)} entries for {people} people; expected one a person")
    columns = {name: tuple(_cell(value) for value in array.tolist()) for name, array in texts.items()}
    width = 0 if matrix is None else matrix.shape[1]
    named = tuple(map(str, range(width))) if names is None else tuple(str(_cell(name)) for name in names.tolist())
    return PersonTable(path, columns, None, matrix, named)


def _flat(path: Path, name: str, array: NDArray[Any]) -> NDArray[np.float64]:
    """A matrix [N, F]; of symmetric matrices [N, P, P] what is above the diagonal."""
    if array.ndim == 3:
        if array.shape[1] != array.shape[2] or not np.allclose(array, array.transpose(0, 2, 1), equal_nan=True):
            raise ValueError(f"{path}: {name} has shape {list(array.shape)}; expected [N, F], or symmetric [N, P, P]")
        array = array[(slice(None), *np.triu_indices(array.shape[1], 1))]
    return array.astype(np.float64)


def _cell(value: Any) -> str:
    """As a text table would have it: whole numbers without a point."""
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()
