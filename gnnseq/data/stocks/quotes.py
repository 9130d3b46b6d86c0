"""Closes of one file by ticker and day, and how those of several files become one panel.

Letters: R rows of a file, D days, N tickers.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gnnseq.data.stocks.panel import Finding, Panel, examine
from gnnseq.data.stocks.tables import Errors

__all__ = ["Quotes", "assemble"]

ALL = "all"  # whom a finding concerns that is of a whole table
Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Quotes:
    """Rows of a file that share their days.

    Attributes:
        path: The file.
        header: "file:line" of its names.
        tickers: [N]
        days: ISO dates, in the file's order. [R]
        times: By which rows of a day are sorted. [R]
        closes: NaN where there is none. [R, N]
        volumes: NaN where unknown; None if the file has none. [R, N]
        splits: Shares that one became, as the file says, 0 or 1 for no split; None if it says nothing. [R, N]
        adjusted: Whether these are adjusted closes by the column's name.
        named: Whether the file names the tickers; else the file's own name does.
        wide: Whether the tickers share the rows.
    """

    path: Path
    header: str
    tickers: tuple[str, ...]
    days: list[str]
    times: list[str]
    closes: Array
    volumes: Array | None
    splits: Array | None
    adjusted: bool
    named: bool
    wide: bool

    @property
    def label(self) -> str:
        """Whom findings on rows concern."""
        return ALL if self.wide else self.tickers[0]


def assemble(several: Sequence[Quotes], adjusted: bool | None, errors: Errors) -> Panel:
    """One panel of all; days are those of all together.

    Raises:
        ValueError: Files disagree, or it is unknown whether a price split or fell.
    """
    if any(quotes.adjusted for quotes in several):
        for quotes in several:
            if not quotes.adjusted:
                errors.add(quotes.path, f'{quotes.header}: has no "Adj Close" and other files have; expected it in all '
                           "files or in none")  # fmt: skip
        adjusted = True
    several = _joined(several, errors)
    errors.check()
    tickers = tuple(ticker for quotes in several for ticker in quotes.tickers)
    dates = sorted({day for quotes in several for day in quotes.days})
    places = {date: day for day, date in enumerate(dates)}
    closes = np.full((len(dates), len(tickers)), np.nan)
    found: list[Finding] = []
    known: list[bool | None] = []
    for quotes in several:
        days, own, splits = _by_day(quotes, found)
        first = len(known)
        for column, ticker in enumerate(quotes.tickers):
            known.append(adjusted)
            if splits is not None and not (quotes.adjusted or adjusted):
                stated = None if adjusted is None else False
                known[-1] = _apply_splits(own[:, column], splits[:, column], days, ticker, stated, found)
        rows = [places[day] for day in days]
        closes[rows, first : first + len(quotes.tickers)] = own
    return examine(closes, dates, tickers, adjusted=known, found=found)


def _joined(several: Sequence[Quotes], errors: Errors) -> list[Quotes]:
    """Rows of one ticker from several files together, where the files name it."""
    held: dict[str, Quotes] = {}
    small: dict[str, str] = {}
    for quotes in several:
        for ticker in quotes.tickers:
            other = small.setdefault(ticker.casefold(), ticker)
            if other != ticker:
                errors.add(quotes.path, f"{quotes.header}: tickers {other!r} and {ticker!r} differ in case alone; "
                           "expected one spelling of each")  # fmt: skip
            before = held.get(ticker)
            if before is None:
                held[ticker] = quotes
            elif before.named and quotes.named and not (before.wide or quotes.wide):
                held[ticker] = _concatenated(before, quotes)
            else:
                errors.add(quotes.path, f"{quotes.header}: {ticker!r} occurs twice, the other in {before.header}; "
                           "expected each ticker once")  # fmt: skip
    return list({id(quotes): quotes for quotes in held.values()}.values())


def _concatenated(one: Quotes, other: Quotes) -> Quotes:
    def both(name: str) -> Array | None:
        parts = [getattr(one, name), getattr(other, name)]
        if all(part is None for part in parts):
            return None
        shapes = one.closes, other.closes
        filled = [np.full_like(shape, np.nan) if part is None else part
                  for part, shape in zip(parts, shapes, strict=True)]  # fmt: skip
        return np.concatenate(filled)

    closes = np.concatenate([one.closes, other.closes])
    return Quotes(
        one.path, one.header, one.tickers, one.days + other.days, one.times + other.times, closes, both("volumes"),
        both("splits"), one.adjusted and other.adjusted, True, False,
    )  # fmt: skip


def _by_day(quotes: Quotes, found: list[Finding]) -> tuple[list[str], Array, Array | None]:
    """Days in order, with the closes and splits of each: of each ticker the last row of the day that has a price."""
    keys = list(zip(quotes.days, quotes.times, strict=True))
    if any(before > after for before, after in pairwise(keys)):
        found.append(Finding("order", quotes.label, min(quotes.days), "rows not in order of time; sorted"))
    order = sorted(range(len(keys)), key=keys.__getitem__)
    rows_of: dict[str, list[int]] = {}
    for row in order:
        rows_of.setdefault(quotes.days[row], []).append(row)
    chosen = np.empty((len(rows_of), len(quotes.tickers)), dtype=np.int64)
    for day, (date, rows) in enumerate(rows_of.items()):
        chosen[day] = rows[-1]
        if len(rows) > 1:
            priced = ~np.isnan(quotes.closes[rows])
            if quotes.volumes is not None:  # a row without volume has no price beside one that was traded
                bought = priced & (quotes.volumes[rows] > 0)
                priced = np.where(bought.any(0), priced & (quotes.volumes[rows] != 0), priced)
            last = len(rows) - 1 - priced[::-1].argmax(0)
            chosen[day] = np.array(rows)[np.where(priced.any(0), last, len(rows) - 1)]
            detail = f"{len(rows)} rows; the last one with a price counts"
            found.append(Finding("duplicated date", quotes.label, date, detail))
    columns, days = np.arange(len(quotes.tickers)), list(rows_of)
    closes = quotes.closes[chosen, columns]
    missing: list[Finding] = []
    if not quotes.wide:
        missing += [Finding("empty row", quotes.label, days[day], "no number in it; a day without price")
                    for day in np.flatnonzero(np.isnan(closes[:, 0]))]  # fmt: skip
    if quotes.volumes is not None:
        missing += _drop_untraded(closes, quotes.volumes[chosen, columns], days, quotes.tickers)
    found += sorted(missing, key=lambda finding: finding.date)
    if quotes.splits is None:
        return days, closes, None
    # A split may stand in another row of its day than the last price.
    splits = np.stack([np.nanmax(np.nan_to_num(quotes.splits[rows]), axis=0) for rows in rows_of.values()])
    return days, closes, splits


def _drop_untraded(closes: Array, volumes: Array, days: Sequence[str], tickers: Sequence[str]) -> list[Finding]:
    """Take away prices of days without volume.

    A stock without volume on a day was not traded; an index never has any. Which of the two it is may only be learnt
    from the days before: no price may depend on a later volume. Unknown is not zero.
    """
    volumes = np.nan_to_num(volumes, nan=1.0)
    traded = np.logical_or.accumulate(volumes > 0, axis=0)
    untraded = traded & (volumes == 0) & ~np.isnan(closes)
    closes[untraded] = np.nan
    detail = "nothing was traded; a day without price"
    return [Finding("no volume", tickers[column], days[day], detail) for day, column in np.argwhere(untraded)]


def _apply_splits(
    closes: Array, splits: Array, days: Sequence[str], ticker: str, adjusted: bool | None, found: list[Finding]
) -> bool | None:
    """Whether the closes of a file that lists splits are adjusted now; None if its splits do not tell.

    On the day of a split a raw price falls to its share and an adjusted one does not. Where all tell the same, that
    is so; raw prices after a split are multiplied by it.
    """
    present = np.flatnonzero(~np.isnan(closes))
    told: list[bool] = []
    events: list[tuple[int, float]] = []
    for listed in np.flatnonzero((splits > 0) & (splits != 1)):
        before, after = present[present < listed], present[present >= listed]
        if before.size and after.size:
            shares, move = np.log(splits[listed]), np.log(closes[after[0]] / closes[before[-1]])
            if min(abs(move), abs(move + shares)) > abs(shares) / 3:
                return adjusted  # neither is near
            told.append(abs(move) < abs(move + shares))
            events.append((int(after[0]), float(splits[listed])))
    if adjusted is None and len(set(told)) > 1:
        return None
    for (day, shares), is_adjusted in zip(events, told, strict=True):
        if not is_adjusted:
            closes[day:] *= shares
            found.append(Finding("split", ticker, days[day], f"{shares:g} for 1, as listed; later prices times "
                                 f"{shares:g}"))  # fmt: skip
    return True
