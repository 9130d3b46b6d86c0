"""What a table of prices has in its cells: days, prices, volumes, splits; all that is wrong is told.

Letters: R rows, N columns that are read together.
"""

from collections.abc import Sequence
from functools import partial
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from gnnseq.data.stocks.days import read_days
from gnnseq.data.stocks.numbers import decimal_sign, read_numbers
from gnnseq.data.stocks.tables import Errors, Table

__all__ = ["TableCells"]

Array = NDArray[np.float64]
Named = tuple[int, str]  # a column, and what to call it in an error


class TableCells:
    """The cells of a table.

    Args:
        table: With names.
        zone: The exchange's.
        errors: Takes what is wrong.
    """

    def __init__(self, table: Table, zone: ZoneInfo | None, errors: Errors) -> None:
        self.table, self.zone, self.errors = table, zone, errors

    def complain(self, row: int, reason: str) -> None:
        """Tell what is wrong with a row."""
        self.errors.add(self.table.path, f"{self.table.where(row)}: {reason}")

    def _complain_of(self, name: str, row: int, reason: str) -> None:
        self.complain(row, f"{name} {reason}")

    def days(self, place: int) -> tuple[list[str], list[str]]:
        """ISO dates and times of the day in a column. [R]"""
        cells = self.table.columns[place]
        texts = (
            cells if isinstance(cells, list) else [f"{cell:.0f}" if cell.is_integer() else str(cell) for cell in cells]
        )
        path = self.table.path
        return read_days(texts, self.table.where, lambda message: self.errors.add(path, message), self.zone)

    def numbers(self, prices: list[Named], volumes: Sequence[Named] = ()) -> list[Array]:
        """Positive prices and, if there are any, volumes of 0 or more. [R, N] each"""
        columns = self.table.columns
        try:
            decimal = decimal_sign([column for column in columns if isinstance(column, list)])
        except ValueError as error:
            raise ValueError(f"{self.table.header}: {error}") from error
        found = []
        for cells, zero, expected in (
            (prices, False, "a positive number, or nothing for no price"), (volumes, True, "a number of 0 or more")
        ):  # fmt: skip
            arrays = []
            for place, name in cells:
                values = read_numbers(columns[place], partial(self._complain_of, name), decimal, units=zero)
                wrong = ~(np.isnan(values) | (np.isfinite(values) & ((values >= 0) if zero else (values > 0))))
                for row in np.flatnonzero(wrong):
                    cell = columns[place][row]
                    shown = repr(cell if isinstance(cell, str) else float(cell))
                    self.complain(int(row), f"{name} is {shown}; expected {expected}")
                arrays.append(values)
            if arrays:
                found.append(np.stack(arrays, axis=1))
        return found

    def splits(self, places: Sequence[int]) -> Array:
        """Shares that one became, from "2", "2:1" or "2/1"; 0 where there is nothing. [R, N]"""
        arrays = []
        for place in places:
            column = self.table.columns[place]
            shares = column
            if isinstance(column, list):
                halves = [cell.replace("/", ":").partition(":") for cell in column]
                above, below = (read_numbers([half[side].strip() for half in halves], self.complain) for side in (0, 2))
                below[np.isnan(below)] = 1.0
                shares = np.divide(above, below, out=np.full_like(above, np.inf), where=below > 0)
            values = np.nan_to_num(np.asarray(shares, dtype=np.float64), posinf=-1.0)
            for row in np.flatnonzero(values < 0):
                name = " ".join(self.table.names[place])
                self.complain(int(row), f"{name} is {str(column[row])!r}; expected the shares that one became")
            arrays.append(values)
        return np.stack(arrays, axis=1)
