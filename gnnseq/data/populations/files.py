"""A population from a file of features and a file of phenotypes, whose people are matched by their names."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gnnseq.data.populations.population import Population
from gnnseq.data.populations.tables import ABSENT, PersonTable, as_number, read_person_table

__all__ = ["load_population"]

IDS = ("id", "subject", "subject_id", "subjectid", "sub_id", "participant", "participant_id", "patient", "patient_id",
       "person", "eid", "rid")  # fmt: skip
SHOWN = 3  # of what is wrong alike


def load_population(
    features: str | Path,
    phenotypes: str | Path,
    label: str,
    *,
    id: str | None = None,
    missing: Sequence[str] = (),
    positive: str | None = None,
    leave_out: Sequence[str] = (),
    only_shared: bool = False,
) -> Population:
    r"""The people of two tables, a row a person each: numbers that are measured of them, and what else is known.

    People are matched by their names, in the order of the features. Features that are the same for all, or that
    somebody lacks, are left out, and ``notes`` say so, as they do of people who share all their features with another.
    A column of phenotypes is numbers if all its cells are, else texts; cells without anything are missing.

    Args:
        features: .csv, .tsv or .txt, with tabs, semicolons, commas or bars between, also .gz: the first line has names,
            and every column but the ids is a feature. Or .npz: a matrix [N, F], or symmetric ones [N, P, P] of which
            the upper triangle is taken, beside the ids.
        phenotypes: The same forms; of an npz the arrays [N]. May be the same npz.
        label: The column of phenotypes with two classes, as texts or numbers.
        id: The column with names of people in both files; by default the one called id, subject, sub_id, participant or
            the like, or one without a name before all others.
        missing: Cells that mean that nothing is known, besides empty ones, NA, nan and the like: ABIDE has -9999.
        positive: The class to be predicted; by default the larger number, or the later text.
        leave_out: Columns of phenotypes that are not to be read.
        only_shared: Whether people who are in one file alone are left out; they are an error otherwise.

    Raises:
        ValueError: A file is not what it should be; the message says where, what stands there and what is legal. So is
            a phenotype that tells everybody's label: it is the diagnosis under another name.
        FileNotFoundError: There is no such file.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "f.csv").write_text("id,thickness,volume\na,1.5,3\nb,2.5,4\nc,0.5,4\n")
        >>> _ = (folder / "p.tsv").write_text("id\tgroup\tage\nc\till\t31\na\twell\t30\nb\till\tNA\n")
        >>> found = load_population(folder / "f.csv", folder / "p.tsv", "group", positive="ill")
        >>> found.ids, found.labels.tolist(), found.phenotypes["age"].tolist()
        (('a', 'b', 'c'), [False, True, True], [30.0, nan, 31.0])
    """
    measured, known = (read_person_table(Path(path)) for path in (features, phenotypes))
    if measured.path == known.path and measured.matrix is None:
        raise ValueError(
            f"{known.path}: features and phenotypes in one text; expected two files, or an npz with a matrix"
        )
    absent = {*ABSENT, *(cell.strip().lower() for cell in missing)}
    notes: list[str] = []
    names, people = _people(measured, known, id, absent, only_shared, notes)
    if label not in known.columns or label in names:
        raise ValueError(f"label={label!r}: {known.path} has {_some(known.columns)}; expected one of these")
    unknown = [name for name in leave_out if name not in known.columns]
    if unknown:
        raise ValueError(f"leave_out: {known.path} has no column {unknown[0]!r}; it has {_some(known.columns)}")
    labels, classes = _labels(known, label, [row for _, row in people], absent, positive)
    left_out = {label, *names, *leave_out}
    phenotype = {name: column for name in known.columns if name not in left_out
                 and (column := _phenotype(known, name, [row for _, row in people], absent)) is not None}  # fmt: skip
    for name, column in phenotype.items():
        _check_is_no_label(known.path, name, column, label, labels)
    values, kept = _features(measured, names[0], label, [row for row, _ in people], absent, notes)
    if len(labels) >= 12:
        ends = values.min(0), values.max(0)
        high = values == ends[1]
        two = (high | (values == ends[0])).all(0)
        same = two & ((high == labels[:, None]).all(0) | (high != labels[:, None]).all(0))
        if same.any():
            raise ValueError(f"{measured.path}: feature {kept[int(same.argmax())]!r} tells everybody's {label!r}: the "
                             "diagnosis under another name; take it out of the features")  # fmt: skip
    ids = tuple(measured.columns[names[0]][row] for row, _ in people)
    copies = len(values) - len(np.unique(values, axis=0))
    if copies:
        notes.append(f"{copies} people have all their features in common with another: the same person twice?")
    return Population(ids, values, kept, labels, classes, phenotype, tuple(notes))


def _some(names: Any) -> str:
    names = list(names)
    return ", ".join(map(repr, names[:8])) + (f" and {len(names) - 8} more" if len(names) > 8 else "")


def _id_column(table: PersonTable, id: str | None) -> str:
    if id is not None:
        if id not in table.columns:
            raise ValueError(f"id={id!r}: {table.path} has {_some(table.columns)}; expected one of these")
        return id
    found = [name for name in table.columns if name.lower() in IDS]
    if not found and next(iter(table.columns), None) == "":
        found = [""]
    if len(found) != 1:
        which = f"{len(found)} columns that may be" if found else "no column that is known to be"
        raise ValueError(
            f"{table.path}: {which} the names of people, in {_some(found or table.columns)}; name it by id="
        )
    return found[0]


def _rows(table: PersonTable, name: str, absent: set[str]) -> dict[str, int]:
    """Row by person."""
    rows: dict[str, int] = {}
    for row, person in enumerate(table.columns[name]):
        if person.lower() in absent:
            raise ValueError(f"{table.where(row)}: nobody's name in column {name!r}; expected one in every row")
        if person in rows:
            raise ValueError(
                f"{table.where(row)}: {person!r} again, who is at {table.where(rows[person])}; expected a row a person"
            )
        rows[person] = row
    return rows


def _people(
    measured: PersonTable,
    known: PersonTable,
    id: str | None,
    absent: set[str],
    only_shared: bool,
    notes: list[str],
) -> tuple[tuple[str, str], list[tuple[int, int]]]:
    """Names of the columns of ids, and each person's row in both files."""
    names = _id_column(measured, id), _id_column(known, id)
    own, others = _rows(measured, names[0], absent), _rows(known, names[1], absent)
    shared = [(row, others[person]) for person, row in own.items() if person in others]
    for table, rows, other, there in ((measured, own, known, others), (known, others, measured, own)):
        alone = [(person, row) for person, row in rows.items() if person not in there]
        if alone and (not only_shared or not shared):
            person, row = alone[0]
            more = f", and so are {len(alone) - 1} more" if len(alone) > 1 else ""
            raise ValueError(
                f"{table.where(row)}: {person!r} is not in {other.path}{more}, whose people are "
                f"{_some(there)}; expected the same people, or only_shared=True"
            )
        if alone:
            notes.append(f"{len(alone)} people of {table.path.name} are not in {other.path.name}, and left out")
    return names, shared


def _labels(
    table: PersonTable, label: str, rows: list[int], absent: set[str], positive: str | None
) -> tuple[NDArray[np.bool_], tuple[str, str]]:
    cells = [table.columns[label][row] for row in rows]
    for row, cell in zip(rows, cells, strict=True):
        if cell.lower() in absent:
            raise ValueError(f"{table.where(row)}: no label in column {label!r}; expected one for everybody")
    numbers = [as_number(cell, table.decimal_comma) for cell in cells]
    are_numbers = all(number == number for number in numbers)
    keys: list[Any] = numbers if are_numbers else cells
    found = sorted(set(keys))
    text = {key: next(cell for cell, other in zip(cells, keys, strict=True) if other == key) for key in found}
    if len(found) != 2:
        counts = ", ".join(f"{text[key]!r} ({count})" for key, count in Counter(keys).most_common(6))
        raise ValueError(f"{table.path}: column {label!r} has {len(found)} classes, {counts}; expected exactly two")
    if positive is not None:
        chosen = [key for key in found if text[key] == positive or (are_numbers and key == as_number(positive))]
        if not chosen:
            raise ValueError(
                f"positive={positive!r}: column {label!r} has {_some(text.values())}; expected one of these"
            )
        found = sorted(found, key=lambda key: bool(key == chosen[0]))
    return np.array([key == found[1] for key in keys]), (text[found[0]], text[found[1]])


def _phenotype(table: PersonTable, name: str, rows: list[int], absent: set[str]) -> NDArray[Any] | None:
    """A column, None if nothing stands in it."""
    cells = [table.columns[name][row] for row in rows]
    there = [cell.lower() not in absent for cell in cells]
    numbers = np.array([as_number(cell, table.decimal_comma) if has else np.nan
                        for cell, has in zip(cells, there, strict=True)])  # fmt: skip
    if not any(there):
        return None
    if np.isnan(numbers[there]).any():
        return np.array([cell if has else "" for cell, has in zip(cells, there, strict=True)])
    if np.isinf(numbers).any():
        row = rows[int(np.flatnonzero(np.isinf(numbers))[0])]
        raise ValueError(f"{table.where(row)}: column {name!r} is infinite; expected finite numbers or nothing")
    return numbers


def _check_is_no_label(path: Path, name: str, column: NDArray[Any], label: str, labels: NDArray[np.bool_]) -> None:
    """Refuse a column of few values, missing or not, each of which only people of one class have.

    Among fewer than a dozen people that is often chance.
    """
    values, inverse = np.unique(column, return_inverse=True)
    is_missing = np.isnan(column) if column.dtype.kind == "f" else column == ""
    told = []
    if 1 < len(values) <= max(2, len(column) // 10):
        ill, count = np.bincount(inverse, labels), np.bincount(inverse)
        told.append(bool(((ill == 0) | (ill == count)).all()))
    told.append(bool((is_missing == labels).all() or (is_missing == ~labels).all()))
    if any(told) and len(column) >= 12:
        raise ValueError(
            f"{path}: phenotype {name!r} tells everybody's {label!r}, in what stands there or in whether anything "
            f"does: the diagnosis under another name; leave it out by leave_out=[{name!r}]"
        )


def _features(
    table: PersonTable,
    id: str,
    label: str,
    rows: list[int],
    absent: set[str],
    notes: list[str],
) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Features without those that are constant or that somebody lacks, and their names."""
    if table.matrix is None:
        names = [name for name in table.columns if name != id]
        if label in names:
            raise ValueError(f"{table.path}: a feature is called {label!r}, as the label is; expected features alone")
        if not names:
            raise ValueError(f"{table.path}: no column but {id!r}; expected features")
        values = np.column_stack([_numbers(table, name, absent) for name in names])
    else:
        names, values = list(table.matrix_names), table.matrix
    if len(values) != len(table.columns[id]):
        raise ValueError(f"{table.path}: {len(values)} rows of features for {len(table.columns[id])} people")
    values = values[rows]
    wrong = np.argwhere(np.isinf(values))
    if len(wrong):
        person, place = wrong[0]
        raise ValueError(
            f"{table.where(rows[person])}: feature {names[place]!r} is infinite; expected finite numbers or nothing"
        )
    lacking = np.isnan(values)
    for person in np.flatnonzero(lacking.all(1)):
        raise ValueError(f"{table.where(rows[person])}: no feature at all; leave this person out of both files")
    is_lacking: NDArray[np.bool_] = np.asarray(lacking.any(0))
    constant: NDArray[np.bool_] = ~is_lacking & np.asarray((values == values[:1]).all(0))
    for which, why in ((is_lacking, "which somebody lacks"), (constant, "which are the same for all")):
        if which.any():
            first = [name for name, has in zip(names, which, strict=True) if has][:SHOWN]
            notes.append(
                f"{int(which.sum())} features left out, {why}: {_some(first)}{', ...' * int(which.sum() > SHOWN)}"
            )
    keep = ~(is_lacking | constant)
    if not keep.any():
        raise ValueError(f"{table.path}: no feature that everybody has and that differs; {'; '.join(notes)}")
    return values[:, keep], tuple(name for name, kept in zip(names, keep, strict=True) if kept)


def _numbers(table: PersonTable, name: str, absent: set[str]) -> NDArray[np.float64]:
    cells = table.columns[name]
    numbers = np.array([as_number(cell, table.decimal_comma) for cell in cells])
    for row in np.flatnonzero(np.isnan(numbers)).tolist():
        if cells[row].lower() not in absent:
            raise ValueError(
                f"{table.where(row)}: feature {name!r} is {cells[row][:40]!r}; expected a number, or nothing"
            )
    numbers[[cell.lower() in absent for cell in cells]] = np.nan
    return numbers
