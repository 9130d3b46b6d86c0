"""The files of Feng et al. 2019, Temporal Relational Ranking for Stock Prediction: one a ticker, numbers alone.

A row holds the number of the day, averages of the last 5, 10, 20 and 30 closes, and the close, each divided by the
stock's highest close of the period; -1234 is none. A file beside the folder may list the days. Letters: T days, N
stocks, F features.
"""

import re
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gnnseq.data.stocks.days import read_days
from gnnseq.data.stocks.numbers import read_numbers
from gnnseq.data.stocks.panel import Finding, Panel, examine
from gnnseq.data.stocks.tables import Errors, Table, read_utf8

__all__ = ["is_calendar", "ranking_panel"]

MISSING = -1234.0
FEATURES = ("average of 5 days", "average of 10 days", "average of 20 days", "average of 30 days", "close")
NAME = re.compile(r"(?:(?P<market>NASDAQ|NYSE|AMEX)_)?(?P<ticker>.+?)(?:_\d+)?")  # NASDAQ_AAPL_1: a step of one day
CALENDAR = "_aver_line_dates.csv"
FIRST = np.datetime64("0001-01-01")  # no day of a market's: where nothing lists the days, they are only numbered


def is_calendar(file: Path) -> bool:
    """Whether a file lists a market's days."""
    return file.name.endswith(CALENDAR)


def ranking_panel(path: Path, tables: list[Table], errors: Errors) -> Panel:
    """The panel of such files, with the averages and close as its features.

    Args:
        path: Their folder, or the one file.
        tables: One a file.
        errors: What was wrong before.

    Raises:
        ValueError: A file is none of these; every such file is named.
    """
    series: dict[str, dict[int, NDArray[np.float64]]] = {}
    markets = set()
    for table in tables:
        match = NAME.fullmatch(table.path.stem)
        assert match is not None
        markets.add(match["market"] or "")
        rows = _rows(table, errors)
        if match["ticker"] in series:
            errors.add(table.path, f"{table.path}: another file of {match['ticker']!r}; expected one a ticker")
        series[match["ticker"]] = rows
    errors.check()
    days = 1 + max(day for rows in series.values() for day in rows)
    features = np.full((days, len(series), len(FEATURES)), np.nan)
    for stock, rows in enumerate(series.values()):
        features[list(rows), stock] = list(rows.values())
    dates = _calendar(path if path.is_dir() else path.parent, markets, days)
    found = []
    if dates is None:
        dates = [str(FIRST + day) for day in range(days)]
        found = [Finding("no calendar", "all", dates[0], "no file lists the days; they are numbered from year 1")]
    if days > 1 and np.isnan(features[-1, :, -1]).mean() > 0.5:  # the authors' program drops NASDAQ's last day, too
        found.append(Finding("last day", "all", dates[-1], "most stocks have no price; left out"))
        features, dates = features[:-1], dates[:-1]
    return examine(
        features[..., -1], dates, tuple(series), adjusted=True, found=found, features=features, feature_names=FEATURES
    )


def _rows(table: Table, errors: Errors) -> dict[int, NDArray[np.float64]]:
    """Features by number of the day."""
    width = len(FEATURES) + 1
    if len(table.columns) != width:
        errors.add(table.path, f"{table.header}: {len(table.columns)} numbers and no header; expected names such as "
                   f"Date and Close above them, or the {width} columns of a ranking file: day, 5-, 10-, 20- and 30-day "
                   "averages, close")  # fmt: skip
        return {}
    values = np.stack([read_numbers(column, lambda _, __: None) for column in table.columns], axis=1)
    number, values = values[:, 0], np.where(values[:, 1:] == MISSING, np.nan, values[:, 1:])
    rows = {}
    for row, day in enumerate(number):
        if not (np.isfinite(day) and day == round(day) >= 0) or day in rows or day > 100_000:
            cell = table.columns[0][row]
            errors.add(table.path, f"{table.where(row)}: the day is {cell!r}; expected a whole number, each once")
        elif not np.all(np.isnan(values[row]) | (np.isfinite(values[row]) & (values[row] > 0))):
            errors.add(table.path, f"{table.where(row)}: expected positive averages and close, or -1234 for none")
        else:
            rows[int(day)] = values[row]
    return rows


def _calendar(folder: Path, markets: set[str], days: int) -> list[str] | None:
    """The last days that the market's list has: those before began its longest average."""
    places = [place / f"{market}{CALENDAR}" for place in (folder, folder.parent) for market in markets]
    path = next((place for place in places if place.exists()), None)
    if path is None or len(markets) != 1:
        return None
    errors = Errors()
    lines = [line.strip() for line in read_utf8(path).splitlines() if line.strip()]
    listed = sorted(set(read_days(lines, lambda row: f"{path}:{row + 1}", lambda reason: errors.add(path, reason))[0]))
    errors.check()
    if len(listed) < days:
        raise ValueError(f"{path}: lists {len(listed)} days; expected {days} or more, as the files count")
    return listed[-days:]
