"""Times as files write them, as seconds; and widths of time, such as "7D"."""

import datetime
import re
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["CLOCK", "TimeError", "Unit", "as_text", "is_date", "is_number", "is_time", "looks_like_epoch",
           "may_be_dates", "seconds_of", "time_of_day", "unit_of", "width_of"]  # fmt: skip

Unit = str | None  # of numbers, by name; None of dates
UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6, "ns": 1e9}  # parts of a second
LEAST = {"s": 1e8, "ms": 1e11, "us": 1e14, "ns": 1e17}  # since 1970, from 1973 on
DATE = re.compile(r"\d{4}-?\d{2}-?\d{2}(?:[T ].*)?|\d{4}-\d{2}", flags=re.ASCII)
CLOCK = re.compile(r"\d{1,2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?(?:Z|[+-]\d{2}:?\d{2})?", flags=re.ASCII)
WIDTH = re.compile(r"\s*(\d+(?:\.\d*)?|\.\d+)?\s*([A-Za-z]+)\s*", flags=re.ASCII)
LONG = {"w": 604800.0, "week": 604800.0, "d": 86400.0, "day": 86400.0, "h": 3600.0, "hr": 3600.0, "hour": 3600.0,
        "min": 60.0, "t": 60.0, "minute": 60.0, "s": 1.0, "sec": 1.0, "second": 1.0, "ms": 1e-3}  # fmt: skip


class TimeError(ValueError):
    """One of several times cannot be read.

    Attributes:
        place: Which.
    """

    def __init__(self, place: int, problem: str) -> None:
        super().__init__(problem)
        self.place = place


def is_number(cell: str) -> bool:
    """Whether it is a finite number."""
    try:
        return "_" not in cell and bool(np.isfinite(float(cell)))
    except ValueError:
        return False


def is_date(cell: str) -> bool:
    """Whether it is a date of ISO 8601, with or without a time of the day; eight digits alone are a number."""
    return DATE.fullmatch(cell) is not None and not cell.isdigit()


def is_time(cell: str) -> bool:
    """Whether it is a number or a date."""
    return is_number(cell) or is_date(cell)


def looks_like_epoch(cell: str) -> bool:
    """Whether it is a number of seconds since 1970, or of parts of seconds."""
    return is_number(cell) and abs(float(cell)) >= LEAST["s"]


def time_of_day(fields: Sequence[str], place: int) -> bool:
    """Whether a date at a place is followed by its time of the day, in a field of its own."""
    return len(fields) > place + 1 and is_date(fields[place]) and CLOCK.fullmatch(fields[place + 1]) is not None


def unit_of(largest: float) -> str:
    """The unit of a file's numbers, by the largest: seconds since 1970 or since anything, or their parts since 1970."""
    return next((unit for unit in ("ns", "us", "ms") if largest >= LEAST[unit]), "s")


def may_be_dates(numbers: NDArray[np.float64]) -> bool:
    """Whether all numbers read as dates without dashes: 20040415, 200404151056 or 20040415105601."""
    for clock in (1.0, 1e4, 1e6):
        if (np.mod(numbers, 1) == 0).all() and numbers.min() >= 19000101 * clock and numbers.max() < 21010000 * clock:
            month, day = (np.floor(numbers / clock / part) % 100 for part in (100, 1))
            rest = numbers % clock
            minutes = rest // (clock / 1e4) % 100 if clock > 1 else rest
            legal = (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31) & (minutes < 60)
            return bool(legal.all())
    return False


def seconds_of(cells: Sequence[str], dates: bool) -> NDArray[np.float64]:
    """Dates as seconds since 1970, UTC where they name no zone; numbers as they are.

    Raises:
        TimeError: One of them is none.
    """
    if not dates:
        try:
            numbers = np.fromiter(map(float, cells), dtype=np.float64, count=len(cells))
        except ValueError:
            place = next(place for place, cell in enumerate(cells) if not is_number(cell))
            raise TimeError(place, f"time {cells[place][:40]!r}; expected a number, as the lines before") from None
        if not np.isfinite(numbers).all():
            place = int(np.argmin(np.isfinite(numbers)))
            raise TimeError(place, f"time {cells[place][:40]!r}; expected a finite number")
        return numbers
    found = np.empty(len(cells))
    zone = datetime.UTC
    for place, cell in enumerate(cells):
        try:
            when = datetime.datetime.fromisoformat(f"{cell}-01" if len(cell) == 7 else cell)
        except ValueError:
            raise TimeError(place, f"time {cell[:40]!r}; expected a date such as 2004-04-15 10:56:01") from None
        if cell.isdigit():
            raise TimeError(place, f"time {cell[:40]!r}; expected a date such as 2004-04-15, as the lines before")
        found[place] = (when if when.tzinfo else when.replace(tzinfo=zone)).timestamp()
    return found


def width_of(every: str | float | datetime.timedelta | np.timedelta64) -> float:
    """A width of time in seconds.

    Raises:
        ValueError: It is none, or not above zero; months and years have no one length.

    Example:
        >>> width_of("7D"), width_of("90 min"), width_of(3600)
        (604800.0, 5400.0, 3600.0)
    """
    wrong = f"every={every!r}; expected a width of time above 0: '7D', '12h', '30min', or a number of seconds"
    if isinstance(every, datetime.timedelta):
        width = every.total_seconds()
    elif isinstance(every, np.timedelta64):
        width = float(every / np.timedelta64(1, "s"))
    elif isinstance(every, str):
        found = WIDTH.fullmatch(every)
        if found is None and is_number(every):
            width = float(every)
        else:
            word = "" if found is None else found[2]
            unit = word.lower().rstrip("s") or word.lower()
            unit = word.lower() if word.lower() in LONG else unit
            if unit not in LONG or word == "M":
                raise ValueError(f"{wrong}; months and years are not of one length")
            assert found is not None
            width = float(found[1] or 1) * LONG[unit]
    elif isinstance(every, bool) or not isinstance(every, int | float | np.integer | np.floating):
        raise ValueError(wrong)
    else:
        width = float(every)
    if not (np.isfinite(width) and width > 0):
        raise ValueError(wrong)
    return width


def as_text(seconds: float, epoch: bool) -> str:
    """A time for people: a date in UTC, or a number of seconds."""
    if not epoch:
        return f"{seconds:g} s"
    return f"{np.datetime64(int(seconds), 's')}".replace("T", " ")
