"""Which form a table of prices has, and its closes by ticker and day.

The form is told by the names of the columns: one ticker's, one row a ticker and day, one column a ticker, or one column
a field and ticker. What names leave open is an error that says how to name the columns.
"""

import re
from collections.abc import Mapping, Sequence
from zoneinfo import ZoneInfo

import numpy as np

from gnnseq.data.stocks.column_names import FIELDS, SECOND, is_factor, role, split_names, squeezed
from gnnseq.data.stocks.numbers import read_numbers
from gnnseq.data.stocks.quotes import Quotes
from gnnseq.data.stocks.table_cells import Array, Named, TableCells
from gnnseq.data.stocks.tables import Errors, Table

__all__ = ["GIVEN", "column_named", "quotes_of"]

GIVEN = ("date", "ticker", "close", "volume")  # columns that a caller may name
UNNAMED = {"", "index", "unnamed0", "level0"}  # how pandas calls an index


def quotes_of(
    table: Table, given: Mapping[str, str], zone: ZoneInfo | None, errors: Errors, alone: bool
) -> list[Quotes]:
    """The quotes of a table; nothing if the table is wrong, and then errors say how.

    Args:
        table: With names.
        given: Names of columns by what they hold, where their names do not tell.
        zone: The exchange's.
        errors: Takes what is wrong.
        alone: Whether the file is all there is, and so may have one column a ticker.

    Raises:
        ValueError: The form is unknown.
    """
    if not len(table):
        raise ValueError(f"{table.path}:2: no prices follow the header")
    return _Form(table, given, zone, errors, alone).quotes()


def column_named(table: Table, name: str, what: str) -> int:
    """The column that a caller names.

    Raises:
        ValueError: There is none, or there are two.
    """
    names = [" ".join(levels) for levels in table.names]
    found = [index for index, own in enumerate(names) if own == name] or [
        index for index, own in enumerate(names) if squeezed(own) == squeezed(name)
    ]
    if len(found) != 1:
        raise ValueError(f"{table.header}: columns: {what}={name!r}, and the header is {','.join(names)!r}; expected "
                         "one of its names")  # fmt: skip
    return found[0]


class _Form:
    """A table while it is read."""

    def __init__(
        self, table: Table, given: Mapping[str, str], zone: ZoneInfo | None, errors: Errors, alone: bool
    ) -> None:
        self.table, self.errors, self.alone = table, errors, alone
        self.cells = TableCells(table, zone, errors)
        self.names = [" ".join(levels) for levels in table.names]
        self.given = {what: column_named(table, name, what) for what, name in given.items()}
        self.days_in = self._date()
        taken = {self.days_in, *self.given.values()}
        self.others = [index for index in range(len(self.names)) if index not in taken and not self._is_index(index)]
        self.roles = {index: role(self.names[index]) for index in self.others}

    def wrong(self, reason: str) -> ValueError:
        """An error on the header."""
        return ValueError(f"{self.table.header}: {reason}")

    def quotes(self) -> list[Quotes]:
        """By the form that the names tell."""
        if any(len(levels) > 1 for levels in self.table.names):
            return self._field_and_ticker([self.table.names[index] for index in self.others])
        closes, adjusted = self._one("close"), self._one("adjusted")
        if adjusted is not None and closes is not None and self._is_empty(adjusted) and not self._is_empty(closes):
            adjusted = None
        ticker = self._one("ticker")
        beside = ticker is not None or "open" in self.roles.values()
        if closes is None and adjusted is None and beside:
            closes = self._one("price")
        price = self.given.get("close", adjusted if adjusted is not None else closes)
        is_adjusted = (adjusted is not None and price == adjusted) or role(self.names[price or 0]) == "adjusted"
        if price is None:
            return self._by_column(ticker)
        strange = [self.names[index] for index in self.others if self.roles[index] is None]
        perhaps = [name for name in strange if re.search(r"(?<![a-z])adj", name, flags=re.IGNORECASE)]
        if perhaps and not is_adjusted and "close" not in self.given:
            raise self.wrong(f"{perhaps[0]!r} may be the adjusted close; expected one name: columns={{'close': "
                             f"{perhaps[0]!r}}}, or {self.names[price]!r}")  # fmt: skip
        factors = [index for index in self.others if is_factor(self.names[index]) and not self._is_constant(index)]
        if factors and not is_adjusted and "close" not in self.given:
            raise self.wrong(f"{self.names[factors[0]]!r} is not applied, and {self.names[price]!r} is not adjusted; "
                             "expected a column of adjusted closes, the product of both, or to take them as they are: "
                             f"columns={{'close': {self.names[price]!r}}}")  # fmt: skip
        if ticker is not None:
            return self._long(price, ticker, is_adjusted)
        known = [index for index in self.others if self.roles[index] is not None and index != price]
        if self.alone and not known and "close" not in self.given and strange:
            raise self.wrong(f"has {self.names[price]!r} and {strange[0]!r}, which may be a ticker; expected closes of "
                             f"one ticker, or of one a column: columns={{'close': {self.names[price]!r}}} says that it "
                             "is the first")  # fmt: skip
        days, times, (close, volume, splits) = self._read(price)
        return self._kept([Quotes(
            self.table.path, self.table.header, (self.table.path.stem,), days, times, close, volume, splits,
            is_adjusted, named=False, wide=False,
        )])  # fmt: skip

    def _kept(self, quotes: list[Quotes]) -> list[Quotes]:
        return [] if self.table.path in self.errors else quotes

    def _date(self) -> int:
        if "date" in self.given:
            return self.given["date"]
        found = [index for index, name in enumerate(self.names) if role(name) == "date"]
        exact = [index for index in found if squeezed(self.names[index]) == "date"]
        if len(found) > 1 and len(exact) != 1:
            if len(exact) > 1:
                raise self.wrong(f"the header has 'date' {len(exact)} times; expected it once")
            several = ", ".join(self.names[index] for index in found)
            raise self.wrong(
                f"{several} may all be the day; expected one: columns={{'date': {self.names[found[0]]!r}}}"
            )
        if found:
            return (exact or found)[0]
        if self.names and squeezed(self.names[0]) in UNNAMED:
            return 0
        raise self._no_close()

    def _no_close(self) -> ValueError:
        if not self.alone:
            return self.wrong(f"the header is {','.join(self.names)!r}; expected Date and Close among the columns")
        return self.wrong(f"the header begins {self.names[:3]}; expected Date and then one column a ticker, each with "
                          "its name; or Date and Close, and Ticker if there are several; or their names: "
                          "columns={'date': ..., 'close': ...}")  # fmt: skip

    def _is_index(self, index: int) -> bool:
        """Whether a column only counts the rows."""
        if squeezed(self.names[index]) not in UNNAMED:
            return False
        return [str(cell).removesuffix(".0") for cell in self.table.columns[index]] == list(
            map(str, range(len(self.table)))
        )

    def _is_empty(self, index: int) -> bool:
        return bool(np.isnan(read_numbers(self.table.columns[index], lambda _, __: None)).all())

    def _is_constant(self, index: int) -> bool:
        return len({str(cell) for cell in self.table.columns[index]}) < 2

    def _one(self, what: str) -> int | None:
        """The column of a role; an error if there are several."""
        if what in self.given:
            return self.given[what]
        found = [index for index in self.others if self.roles[index] == what]
        if what == "ticker":  # an id that is another in every row numbers rows
            rows = len(self.table)
            found = [index for index in found if squeezed(self.names[index]) != "id" or rows < 2
                     or len(set(self.table.columns[index])) < rows]  # fmt: skip
        if what == "ticker" and len(found) > 1:
            found = [index for index in found if squeezed(self.names[index]) in ("ticker", "symbol")] or found
        small = [self.names[index].lower() for index in found]
        if len(found) > 1 and len(set(small)) == 1:
            raise self.wrong(f"the header has {small[0]!r} {len(found)} times; expected it once")
        if len(found) > 1 and not (what == "close" and self._one("adjusted") is not None):
            several = " and ".join(self.names[index] for index in found)
            key = "close" if what in ("adjusted", "price") else what
            raise self.wrong(f"{several} may both be the {key}; expected one: "
                             f"columns={{{key!r}: {self.names[found[0]]!r}}}")  # fmt: skip
        return found[0] if found else None

    def _read(self, price: int) -> tuple[list[str], list[str], tuple[Array, Array | None, Array | None]]:
        """Days, and what a table of single columns has, as columns. [R, 1]"""
        days, times = self.cells.days(self.days_in)
        volume, splits = self._one("volume"), self._one("splits")
        traded = [] if volume is None else [(volume, self.names[volume])]
        close, *volumes = self.cells.numbers([(price, self.names[price])], traded)
        return (
            days,
            times,
            (close, volumes[0] if traded else None, None if splits is None else self.cells.splits([splits])),
        )

    def _long(self, price: int, ticker: int, adjusted: bool) -> list[Quotes]:
        """One row a ticker and day."""
        days, times, (close, volume, splits) = self._read(price)
        rows_of: dict[str, list[int]] = {}
        for row, cell in enumerate(self.table.columns[ticker]):
            text = f"{cell:.0f}" if isinstance(cell, float) and cell.is_integer() else str(cell).lstrip("$")
            if text.lower() in ("", "nan"):
                self.cells.complain(row, f"{self.names[ticker]} is empty; expected a ticker")
            rows_of.setdefault(text, []).append(row)
        return self._kept([
            Quotes(
                self.table.path, self.table.header, (name,), [days[row] for row in rows], [times[row] for row in rows],
                close[rows], None if volume is None else volume[rows], None if splits is None else splits[rows],
                adjusted, named=True, wide=False,
            ) for name, rows in sorted(rows_of.items())
        ])  # fmt: skip

    def _by_column(self, ticker: int | None) -> list[Quotes]:
        """One column a ticker, or a field and a ticker."""
        names = [self.names[index] for index in self.others]
        pairs = split_names(names)
        if pairs is not None:
            return self._field_and_ticker(pairs)
        if not self.alone:
            raise self._no_close()
        if not names or not all(names) or any(squeezed(name) in ("", "unnamed") for name in names):
            raise self._no_close()
        found = set(self.roles.values())
        if ticker is not None and not (
            self.names[ticker].isupper() and len(set(self.table.columns[self.days_in])) == len(self.table)
        ):
            raise self.wrong(f"has {self.names[ticker]!r} and no close; expected one, or its name: columns={{'close': "
                             "...}")  # fmt: skip
        fields = [name for name in names if role(name) in ("volume", "splits", "other")]
        if fields or None not in found | {"ticker"}:
            raise self.wrong(f"has {(fields or names)[0]!r}, which is no ticker, and no close; expected Date and "
                             "Close, or closes of one ticker a column")  # fmt: skip
        twice = [
            name for name in names if names.count(name) > 1 or (SECOND.search(name) and SECOND.sub("", name) in names)
        ]
        if twice:
            raise self.wrong(f"{twice[0]!r} occurs twice; expected each ticker once")
        days, times = self.cells.days(self.days_in)
        closes = self.cells.numbers([(index, self.names[index]) for index in self.others])[0]
        return self._kept([Quotes(
            self.table.path, self.table.header, tuple(names), days, times, closes, None, None, False, named=True,
            wide=True,
        )])  # fmt: skip

    def _field_and_ticker(self, names: Sequence[tuple[str, ...]]) -> list[Quotes]:
        """One column a field and ticker, whichever comes first."""
        if any(len(levels) != 2 for levels in names):
            raise self.wrong(f"names have {sorted({len(levels) for levels in names})} levels; expected two, field and "
                             "ticker")  # fmt: skip
        held: dict[str, dict[str, int]] = {}
        for level in (0, 1):
            roles = [role(levels[level]) for levels in names]
            if all(what in FIELDS for what in roles) and {"close", "adjusted"} & set(roles):
                break
        else:
            raise self.wrong(f"names of two levels begin {names[:3]}; expected a field such as Close and a ticker")
        for index, levels, what in zip(self.others, names, roles, strict=True):
            own = held.setdefault(levels[1 - level] or self.table.path.stem, {})
            if what in own and what not in ("open", "other"):
                raise self.wrong(f"{' '.join(levels)!r} is there twice; expected it once")
            own[str(what)] = index
        adjusted = any("adjusted" in own for own in held.values())
        price = "adjusted" if adjusted else "close"
        for ticker, own in held.items():
            if price not in own:
                raise self.wrong(f"{ticker!r} has no {'adjusted close' if adjusted else 'close'}; expected one of each "
                                 "ticker")  # fmt: skip
        days, times = self.cells.days(self.days_in)

        def columns(what: str) -> list[Named] | None:
            return [(own[what], f"{what} of {ticker}") for ticker, own in held.items()] if all(
                what in own for own in held.values()) else None  # fmt: skip

        splits = columns("splits")
        close, *volumes = self.cells.numbers(columns(price) or [], columns("volume") or [])
        return self._kept([Quotes(
            self.table.path, self.table.header, tuple(held), days, times, close, volumes[0] if volumes else None,
            self.cells.splits([place for place, _ in splits]) if splits else None, adjusted,
            named=True, wide=len(held) > 1,
        )])  # fmt: skip
