"""A panel of closing prices: one column a stock, one row a trading day, and what was found wrong with them.

Nothing here looks ahead: a repair changes the prices after it, never those before.

Letters: T trading days, N stocks, F published features.
"""

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["Finding", "Panel", "examine"]

LONG_GAP = 5  # days without a price that are still a gap; more are a suspension
STALE = 5  # equal closes in a row after which a price counts as frozen
UNCLEAR = 10  # moves that may be splits which an error lists
JUMP = 0.4  # a return beyond this is listed; a biotech's trial is one, and so is a wrong price
SPLITS = (2, 3, 4, 5, 6, 7, 8, 10, 15, 20, 25, 50)  # shares for one; a 3:2 split looks like a bad day
SPLIT_TOLERANCE = 0.03  # that the market moves on the day of a split
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


@dataclass(frozen=True)
class Finding:
    """One thing that was found or repaired.

    Attributes:
        kind: What, for example "gap" or "split"; findings are counted by it.
        ticker: Whose price.
        date: The first day that it concerns.
        detail: What exactly, and what was done.
    """

    kind: str
    ticker: str
    date: str
    detail: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.ticker} {self.date}, {self.detail}"


@dataclass(frozen=True, eq=False)
class Panel:
    """Closing prices of stocks on common trading days.

    Attributes:
        closes: Prices; NaN on days without one. [T, N]
        dates: ISO dates, increasing. [T]
        tickers: One a stock. [N]
        findings: What :func:`examine` and the loader found.
        features: Features as a paper published them, if the panel has any; NaN where missing. [T, N, F]
        feature_names: Their names. [F]

    Raises:
        ValueError: Shapes disagree, dates do not increase, a ticker occurs twice, or a price is not positive.

    Example:
        >>> panel = Panel(np.array([[1.0, 2.0], [1.1, np.nan]]), ("2024-01-02", "2024-01-03"), ("A", "B"))
        >>> panel.num_days, panel.num_stocks
        (2, 2)
    """

    closes: NDArray[np.float64]
    dates: tuple[str, ...]
    tickers: tuple[str, ...]
    findings: tuple[Finding, ...] = ()
    features: NDArray[np.float64] | None = None
    feature_names: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        expected = (len(self.dates), len(self.tickers))
        if self.closes.shape != expected:
            raise ValueError(f"closes has shape {self.closes.shape}; expected {expected}, days and tickers")
        if self.features is not None and self.features.shape != (*expected, len(self.feature_names)):
            raise ValueError(
                f"features has shape {self.features.shape}; expected {(*expected, len(self.feature_names))}"
            )
        for date in self.dates:
            if not DATE.fullmatch(date):
                raise ValueError(f"dates: got {date!r}; expected YYYY-MM-DD")
        for before, after in zip(self.dates, self.dates[1:], strict=False):
            if before >= after:
                raise ValueError(f"dates: {after} follows {before}; expected increasing days, each once")
        twice = [ticker for ticker, count in Counter(self.tickers).items() if count > 1]
        if twice:
            raise ValueError(f"tickers: {twice[0]!r} occurs twice; every column needs its own")
        wrong = ~np.isnan(self.closes) & ~(np.isfinite(self.closes) & (self.closes > 0))
        if wrong.any():
            day, stock = np.argwhere(wrong)[0]
            raise ValueError(
                f"closes: {self.tickers[stock]} {self.dates[day]} is {self.closes[day, stock]}; expected a positive "
                "price, or NaN for none"
            )

    @property
    def num_days(self) -> int:
        """T."""
        return len(self.dates)

    @property
    def num_stocks(self) -> int:
        """N."""
        return len(self.tickers)

    def counts(self) -> dict[str, int]:
        """How many findings there are of each kind, the most frequent first."""
        return dict(Counter(finding.kind for finding in self.findings).most_common())


def examine(
    closes: NDArray[np.float64],
    dates: Sequence[str],
    tickers: Sequence[str],
    *,
    adjusted: bool | Sequence[bool | None] | None,
    found: Iterable[Finding] = (),
    features: NDArray[np.float64] | None = None,
    feature_names: Sequence[str] = (),
) -> Panel:
    """Make a panel; look for late listings, gaps, suspensions, ends, frozen prices, jumps and splits.

    Only splits are repaired: where prices are not adjusted and one is 1/k or k times the day before's, for a usual k
    and within 3 %, all **later** prices are scaled by it, so that nothing before that day changes. Everything else
    stays as it is, NaN where there was no price; what a model may use of it is decided where samples are made.
    A price that halves in adjusted closes did fall by half, and numbers do not tell which closes they are: where it is
    unknown whether prices are adjusted, such a move is an error.

    Args:
        closes: Prices; NaN on days without one. [T, N]
        dates: ISO dates. [T]
        tickers: One a stock. [N]
        adjusted: Whether prices are adjusted for splits already, None if that is unknown; of all, or one a stock.
        found: What the loader found before.
        features: As in :class:`Panel`.
        feature_names: As in :class:`Panel`.

    Raises:
        ValueError: A price moves as in a split, and it is unknown whether prices are adjusted.

    Example:
        >>> closes = np.array([[100.0], [102.0], [51.5], [np.nan], [52.0]])
        >>> days = [f"2024-01-0{day}" for day in range(1, 6)]
        >>> panel = examine(closes, days, ["A"], adjusted=False)
        >>> panel.closes[:, 0].tolist()
        [100.0, 102.0, 103.0, nan, 104.0]
        >>> [str(finding) for finding in panel.findings]
        ['split: A 2024-01-03, 2 for 1; later prices times 2', 'gap: A 2024-01-04, 1 day without a price']
    """
    closes = np.array(closes, dtype=np.float64)
    findings = list(found)
    known = [adjusted] * len(tickers) if adjusted is None or isinstance(adjusted, bool) else list(adjusted)
    unclear: list[str] = []
    for stock, ticker in enumerate(tickers):
        own: list[tuple[int, str, str]] = []
        present = np.flatnonzero(~np.isnan(closes[:, stock]))
        if present.size == 0:
            findings.append(Finding("no price", ticker, dates[0], "not one price; it is never traded"))
            continue
        own += _missing(present, len(dates))
        if known[stock] is None:
            ratios = closes[present[1:], stock] / closes[present[:-1], stock]
            unclear += [
                f"{ticker} {dates[present[index + 1]]} {ratios[index] - 1:+.0%}"
                for index in np.flatnonzero(np.abs(ratios - 1) > JUMP)
                if _split(float(ratios[index])) is not None
            ]
        own += _moves(closes, stock, present, adjusted=known[stock] is not False)
        own += _frozen(closes[present, stock], present)
        findings += [Finding(kind, ticker, dates[day], detail) for day, kind, detail in sorted(own)]
    if unclear:
        more = f" and {len(unclear) - UNCLEAR} more" if len(unclear) > UNCLEAR else ""
        raise ValueError(
            f"closes move as in a split, or did move so: {', '.join(unclear[:UNCLEAR])}{more}; expected to be told "
            "which: adjusted=True, they are adjusted for splits, these moves are kept; adjusted=False, they are not, "
            "these are repaired"
        )
    return Panel(closes, tuple(dates), tuple(tickers), tuple(findings), features, tuple(feature_names))


def _missing(present: NDArray[np.int64], days: int) -> list[tuple[int, str, str]]:
    """Days without a price, as (first day, kind, detail)."""
    own = []
    if present[0] > 0:
        own.append((int(present[0]), "late listing", f"first price after {_days(present[0])}"))
    for index in np.flatnonzero(np.diff(present) > 1):
        length = int(present[index + 1] - present[index] - 1)
        kind = "gap" if length <= LONG_GAP else "suspension"
        own.append((int(present[index]) + 1, kind, f"{_days(length)} without a price"))
    if present[-1] < days - 1:
        own.append((int(present[-1]), "early end", f"last price; {_days(days - 1 - present[-1])} follow without one"))
    return own


def _moves(
    closes: NDArray[np.float64], stock: int, present: NDArray[np.int64], adjusted: bool
) -> list[tuple[int, str, str]]:
    """Splits, repaired in place, and other large moves."""
    own = []
    prices = closes[present, stock]
    ratios = prices[1:] / prices[:-1]
    for index in np.flatnonzero(np.abs(ratios - 1) > JUMP):
        day, ratio = int(present[index + 1]), float(ratios[index])
        split = None if adjusted else _split(ratio)
        if split is None:
            own.append((day, "jump", f"{ratio - 1:+.0%} in a day; kept"))
        elif split > 1:
            closes[day:, stock] *= split
            own.append((day, "split", f"{split} for 1; later prices times {split}"))
        else:
            closes[day:, stock] *= split
            own.append((day, "split", f"1 for {round(1 / split)}; later prices divided by {round(1 / split)}"))
    return own


def _split(ratio: float) -> float | None:
    """What to multiply later prices by if a price that is ``ratio`` times the last one is a split's."""
    for shares in SPLITS:
        for factor in (float(shares), 1 / shares):
            if abs(ratio * factor - 1) <= SPLIT_TOLERANCE:
                return int(factor) if factor > 1 else factor
    return None


def _frozen(prices: NDArray[np.float64], present: NDArray[np.int64]) -> list[tuple[int, str, str]]:
    """Runs of equal closes."""
    changes = np.flatnonzero(np.diff(prices) != 0) + 1
    starts = np.concatenate([[0], changes])
    lengths = np.diff(np.concatenate([starts, [prices.size]]))
    return [
        (int(present[start]), "frozen", f"{length} equal closes in a row")
        for start, length in zip(starts, lengths, strict=True)
        if length >= STALE
    ]


def _days(count: int) -> str:
    return f"{count} day" if count == 1 else f"{count} days"
