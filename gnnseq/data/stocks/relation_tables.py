"""Tables of relations: a group a ticker, or an edge a row; by the names of their columns."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gnnseq.data.stocks.column_names import role, squeezed
from gnnseq.data.stocks.forms import column_named
from gnnseq.data.stocks.numbers import decimal_sign, read_numbers
from gnnseq.data.stocks.tables import Errors, Table, read_table

__all__ = ["GIVEN", "RelationTable", "read_relation_table"]

GIVEN = ("ticker", "group", "source", "target", "type", "weight")  # columns that a caller may name
NAMES = {
    "ticker": {"ticker", "symbol"},
    "source": {"source", "src", "from"},
    "target": {"target", "dst", "to"},
    "type": {"type", "relation", "relationtype", "edgetype", "kind"},
    "weight": {
        "weight",
        "weights",
        "edgeweight",
        "strength",
        "correlation",
        "corr",
        "score",
        "value",
        "values",
        "w",
        "similarity",
        "probability",
        "prob",
        "confidence",
    },
}
GROUPS = ("sector", "industry", "group")  # words in the name of a column of groups


@dataclass(frozen=True)
class RelationTable:
    """What a table relates.

    Attributes:
        groups: Tickers by group.
        triples: Edges as (source, target, type); None if the table has groups.
        weights: One an edge, 0 or more; None without such a column.
    """

    groups: dict[str, list[str]]
    triples: list[tuple[str, str, str]] | None = None
    weights: list[float] | None = None


def read_relation_table(path: Path, columns: Mapping[str, str]) -> RelationTable:
    """The groups or edges of a table.

    Args:
        path: CSV, TSV or Parquet.
        columns: Names of columns by what they hold, some of :data:`GIVEN`.

    Raises:
        ValueError: Names leave it open which column is which, or lines are wrong.
    """
    errors = Errors()
    table = read_table(path, errors)
    given = {what: column_named(table, name, what) for what, name in columns.items()}
    source, target = (_place(table, what, given) for what in ("source", "target"))
    if source is not None and target is not None:
        kind, weight = (_place(table, what, given) for what in ("type", "weight"))
        ends = [_texts(table, place, what, errors) for place, what in ((source, "source"), (target, "target"))]
        names = ["related"] * len(table) if kind is None else _texts(table, kind)
        weights = None if weight is None else _weights(table, weight, errors)
        errors.check()
        return RelationTable({}, list(zip(*ends, names, strict=True)), weights)
    ticker, group = (_place(table, what, given) for what in ("ticker", "group"))
    if ticker is None or group is None:
        header = ", ".join(" ".join(name) for name in table.names).lower()
        raise ValueError(
            f"{table.header}: the header is {header!r}; expected a ticker (or symbol) and a sector (or industry, "
            "group), or source, target and type"
        )
    members = _texts(table, ticker, "ticker", errors)
    errors.check()
    groups: dict[str, list[str]] = {}
    for member, name in zip(members, _texts(table, group), strict=True):
        groups.setdefault(name, []).append(member)
    return RelationTable(groups)


def _place(table: Table, what: str, given: Mapping[str, int]) -> int | None:
    """The column that is what its name says; an error if there are several."""
    if what in given:
        return given[what]
    names = {place: " ".join(levels) for place, levels in enumerate(table.names) if place not in given.values()}
    if what == "group":
        found = [place for place, name in names.items() if any(word in squeezed(name) for word in GROUPS)]
    else:
        found = [place for place, name in names.items() if squeezed(name) in NAMES[what]]
    if what == "ticker" and not found:
        found = [place for place, name in names.items() if role(name) == "ticker" and squeezed(name) != "name"]
    if len(found) > 1:
        raise ValueError(
            f"{table.header}: {' and '.join(names[place] for place in found)} may both be the {what}; expected one: "
            f"columns={{{what!r}: {names[found[0]]!r}}}"
        )
    return found[0] if found else None


def _texts(table: Table, place: int, what: str | None = None, errors: Errors | None = None) -> list[str]:
    """A column's texts; if it holds tickers, none may be empty."""
    column = table.columns[place]
    if not isinstance(column, list):
        column = ["" if np.isnan(cell) else f"{cell:.0f}" if cell.is_integer() else str(cell) for cell in column]
    texts = [cell.strip().lstrip("$") for cell in column]
    if errors is not None:
        for row in (row for row, text in enumerate(texts) if not text):
            errors.add(table.path, f"{table.where(row)}: the {what} is empty; expected a ticker")
    return texts


def _weights(table: Table, place: int, errors: Errors) -> list[float]:
    column, name = table.columns[place], " ".join(table.names[place])
    try:
        decimal = decimal_sign([column]) if isinstance(column, list) else "."
    except ValueError as error:
        raise ValueError(f"{table.header}: {name}: {error}") from error
    weights = read_numbers(column, lambda _, __: None, decimal)
    for row in np.flatnonzero(~(np.isfinite(weights) & (weights >= 0))):
        cell = str(column[row])
        errors.add(table.path, f"{table.where(int(row))}: {name} is {cell!r}; expected a number of 0 or more")
    return [float(weight) for weight in weights]
