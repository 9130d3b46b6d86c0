"""When the rows of a table are: times as they are written, and equal steps between them.

Letters: T rows, N nodes.
"""

import warnings
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["COUNTERS", "TIME_NAMES", "as_times", "regular", "steps_of_a_day"]

Times = NDArray[np.datetime64]
TIME_NAMES = {"", "time", "times", "timestamp", "date", "datetime", "day", "week", "month", "index", "unnamed: 0",
              "date_time", "date time", "step", "timestep", "time_step", "t", "year", "quarter", "period", "hour",
              "utc", "ds"}  # fmt: skip
COUNTERS = {"id", "row", "rows", "no", "nr", "#"}  # names of a column that counts the rows, if it does
EPOCHS = ((1e8, 1e10, "s"), (1e11, 1e13, "ms"), (1e14, 1e16, "us"), (1e17, 1e19, "ns"))  # a number of what since 1970
MOST_GAPS = 20  # steps a row that a table may leave out


def as_times(path: Path, name: str, column: Any) -> Times:
    """Times of a column: dates and times of the day, or seconds since 1970 and their parts.

    Raises:
        ValueError: A cell is none; the message names it.
    """
    import pandas

    if isinstance(column, np.ndarray) and column.dtype.kind in "iuf":
        for least, most, unit in EPOCHS:
            if ((column > least) & (column < most)).all():
                return column.astype(np.int64).astype(f"datetime64[{unit}]").astype("datetime64[s]")
        raise ValueError(
            f"{path}, column {name!r}: numbers {column.min():g} to {column.max():g}; expected dates, seconds since "
            "1970, or numbers that count the rows"
        )
    cells: Any = column if isinstance(column, pandas.Index) else pandas.Index(column)
    try:
        found = pandas.DatetimeIndex(pandas.to_datetime(cells, errors="coerce", format="ISO8601"))
    except ValueError:  # of several offsets, as where clocks are changed: equal steps are those in UTC
        found = pandas.DatetimeIndex(pandas.to_datetime(cells, errors="coerce", format="ISO8601", utc=True))
    if found.isna().all():
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of the other order of day and month, which is looked at here
            found, other = (
                pandas.DatetimeIndex(pandas.to_datetime(cells, errors="coerce", dayfirst=day)) for day in (False, True)
            )
        if np.sum(found.isna()) > np.sum(other.isna()):
            found = other
        elif not found.isna().any() and not other.isna().any() and (found != other).any():
            row = int((found != other).argmax())
            raise ValueError(
                f"{path}, row {row + 1} below the heading, column {name!r}: {cells[row]!r}, of which day and month "
                "could be either; expected 2012-03-01 00:05"
            )
    if found.tz is not None:
        found = found.tz_localize(None)
    missing = np.flatnonzero(np.asarray(found.isna()))
    if len(missing):
        cell = str(column[missing[0]])[:40]
        raise ValueError(
            f"{path}, row {missing[0] + 1} below the heading, column {name!r}: {cell!r}; expected a time such as "
            "2012-03-01 00:05, or time= another column"
        )
    return np.asarray(found, dtype="datetime64[s]")


def regular(path: Path, values: NDArray[np.float64], times: Times) -> tuple[NDArray[np.float64], Times]:
    """Rows in the order of time and in equal steps: those that are left out are NaN.

    Raises:
        ValueError: Two rows are of one time, or times are not of one step; the message names them.
    """
    order = np.argsort(times, kind="stable")
    values, times = values[order], times[order]
    clock = times.astype(np.int64)
    gaps = np.diff(clock)
    if (gaps == 0).any():
        raise ValueError(
            f"{path}: two rows are of {times[np.argmin(gaps)]}; expected one row a time (where a clock went back, "
            "write times in UTC; where rows are of several nodes, make a column a node)"
        )
    if len(gaps) and gaps.min() >= 28 * 86400:  # months, which are not equal
        clock = times.astype("datetime64[M]").astype(np.int64)
        gaps = np.diff(clock)
        if (gaps == 0).any():
            return values, times
    if not len(gaps) or (gaps == gaps[0]).all():
        return values, times
    kinds, counts = np.unique(gaps, return_counts=True)
    step = int(kinds[counts.argmax()])
    odd = np.flatnonzero(gaps % step)
    if len(odd):
        raise ValueError(
            f"{path}: {gaps[odd[0]]} s from {times[odd[0]]} to the next row, and {step} s between most; expected steps "
            "of one length: resample the table"
        )
    place = (clock - clock[0]) // step
    count = int(place[-1]) + 1
    if count > MOST_GAPS * len(times):
        raise ValueError(
            f"{path}: {len(times)} rows of {count:,} steps from {times[0]} to {times[-1]}; expected fewer gaps"
        )
    whole = np.full((count, values.shape[1]), np.nan)
    whole[place] = values
    if step < 28:  # a step of months: days of the month stay unknown
        return whole, times[0].astype("datetime64[M]") + step * np.arange(count)
    return whole, times[0] + np.arange(count) * np.timedelta64(step, "s")


def steps_of_a_day(times: Times | None) -> int:
    """Steps of a day if times have several of equal length, else of a week of days or a year of months, else 0."""
    if times is None or len(times) < 2:
        return 0
    step = int((times[1] - times[0]).astype("timedelta64[s]").astype(np.int64))
    if step < 86400:
        return 86400 // step if 86400 % step == 0 else 0
    return 7 if step == 86400 else 12 if 28 * 86400 <= step <= 31 * 86400 else 0
