"""Samples for predicting tomorrow's returns: what may be known on day t, and what happens after it.

Two ways to make them. :func:`leak_free` reads the past only: day t's row of ``x`` and ``tradable`` depends on prices up
to day t and on the scale of the training part, so that no price after day t changes a prediction for day t.
:func:`published` does as the papers on relational stock ranking do, leaks included, which :data:`LEAKS` names.

Letters: T days, N stocks, F features.
"""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gnnseq.data.stocks.panel import STALE, Panel

__all__ = ["LEAKS", "Part", "Samples", "leak_free", "published", "training_returns"]

Part = Literal["train", "validation", "test"]

AVERAGES = (5, 10, 20, 30)  # days of the moving averages, those of Feng et al. 2019
HISTORY = max(AVERAGES)  # days that a stock must have been listed before it is traded
CLIP = 5.0  # standard deviations; prices have outliers that no gradient should follow
LOOKBACK = 16  # days that the papers' models see
CLOSE = "close over its maximum"
PAPER_DAYS, PAPER_TRAIN, PAPER_TEST = 1245, 756, 1008  # their days, and where validation and test begin

LEAKS = (
    "features are divided by each stock's highest close of the whole period: low values foretell a rise",
    "training reads labels up to 15 days into validation, because offsets are shuffled before they are cut off",
    "a stock takes part on a day only if it is known to have a price on the next one",
    "no gap separates training, validation and test",
    "the data holds only stocks that were listed to the end (the leak-free protocol can do nothing about that)",
)


@dataclass(frozen=True, eq=False)
class Samples:
    """Inputs and targets by the day t on which the decision is made.

    Attributes:
        x: Features known at the close of day t. [T, N, F]
        feature_names: [F]
        target: Return from the close of day t to the next close that there is; 0 where there is none. [T, N]
        tradable: Whether the stock can be bought on day t. Boolean [T, N]
        known: Whether there is a later close, so that a loss can be taken and a score counted. Boolean [T, N]
        settled: The day of that later close; T where there is none. [T, N]
        train: Days of decisions to learn from.
        validation: Days to choose by.
        test: Days to report.
        lookback: Days before a decision that a model is warmed up on.
        leaks: What looks ahead in these samples, in words.
    """

    x: Tensor
    feature_names: tuple[str, ...]
    target: Tensor
    tradable: Tensor
    known: Tensor
    settled: Tensor
    train: range
    validation: range
    test: range
    lookback: int
    leaks: tuple[str, ...] = ()

    def days(self, part: Part) -> range:
        """The days of decisions of a part."""
        return {"train": self.train, "validation": self.validation, "test": self.test}[part]

    def usable(self, part: Part) -> Tensor:
        """Stocks and days of a part that count. Boolean [days of the part, N]

        They can be traded and have an outcome, and it is known before the next part begins; samples with leaks do not
        ask for the last.
        """
        days = self.days(part)
        chosen = slice(days.start, days.stop)
        usable = self.tradable[chosen] & self.known[chosen]
        following = {"train": self.validation, "validation": self.test}.get(part)
        if following is None or self.leaks:
            return usable
        return usable & (self.settled[chosen] < following.start)


def leak_free(
    panel: Panel, train: float = 0.607, validation: float = 0.203, gap: int = 5, lookback: int = LOOKBACK
) -> Samples:
    """Samples of which nothing looks ahead.

    Features of each stock on each day: its return, its return less the mean of all stocks, the logarithm of each moving
    average (5, 10, 20, 30 days) over the close, the deviation of its last 20 returns, and whether it has a price. A
    missing price is the last one. Features are standardised with the mean and deviation of the training part and
    clipped at 5.

    A stock can be traded on day t if it has a price that day and had its first one 30 days ago or earlier, and if its
    last 5 closes are not all the same. Whether it trades tomorrow is not asked: the target of a stock that is suspended
    is its return to the next close it has, and a training target that settles after the training part is left out.

    Args:
        panel: Prices.
        train: Share of the days to learn from; the default gives the papers' 756 of 1,245.
        validation: Share to choose by; the rest is for the test.
        gap: Days without decisions between the parts.
        lookback: Days that a model is warmed up on.

    Raises:
        ValueError: A part is left without days, or no training target is usable.

    Example:
        >>> from gnnseq.data.stocks.market import make_market
        >>> samples = leak_free(make_market(stocks=8, days=200, leaders=1).panel)
        >>> samples.x.shape, samples.train, samples.validation, samples.test
        (torch.Size([200, 8, 8]), range(45, 121), range(126, 162), range(167, 199))
    """
    if not (train > 0 and validation > 0 and train + validation < 1):
        raise ValueError(
            f"train={train}, validation={validation}; expected positive shares that leave some for the test"
        )
    if gap < 0:
        raise ValueError(f"gap={gap}; expected 0 or more days")
    days = panel.num_days
    first = HISTORY + lookback - 1
    borders = round(train * days), round((train + validation) * days)
    parts = range(first, borders[0]), range(borders[0] + gap, borders[1]), range(borders[1] + gap, days - 1)
    for name, part in zip(("train", "validation", "test"), parts, strict=True):
        if len(part) == 0:
            raise ValueError(
                f"closes has {days} days; the {name} part is left with none after {first} days of history and gaps of "
                f"{gap}; expected more days"
            )
    filled = _fill(panel.closes)
    target, known, settled = _targets(panel.closes)
    tradable = ~np.isnan(panel.closes) & ~_stale(filled) & (_age(filled) >= HISTORY)
    learnt = slice(parts[0].start, parts[0].stop)
    if not (tradable & known)[learnt].any():
        raise ValueError("closes: no stock can be traded in the training part; expected prices on consecutive days")
    features, names = _features(panel.closes, filled)
    return Samples(
        _standardised(features, learnt, tradable),
        names,
        torch.from_numpy(target),
        torch.from_numpy(tradable),
        torch.from_numpy(known),
        torch.from_numpy(settled),
        *parts,
        lookback=lookback,
    )


def published(panel: Panel) -> Samples:
    """Samples as in the papers that introduced relational stock ranking and StockMixer, with their leaks.

    Moving averages of 5, 10, 20 and 30 days and the close, all divided by the stock's highest close of the whole
    period; what is missing is 1.1. 756 days for training, 252 for validation, the rest for the test, no gap. A stock
    takes part where its last 16 closes and the next one are there. The papers' features are used where the panel has
    them. Beside these five stand the features of :func:`leak_free`, which hold the same prices as ratios, because a
    return of one percent is hard to find in a price of 0.7; all are standardised.

    On other than 1,245 days the parts are the same shares of them. Feng et al. 2019, https://arxiv.org/abs/1809.09441;
    Fan and Shen 2024, https://doi.org/10.1609/aaai.v38i8.28681.

    Args:
        panel: Prices.

    Raises:
        ValueError: There are too few days.
    """
    days = panel.num_days
    borders = [round(border / PAPER_DAYS * days) for border in (PAPER_TRAIN, PAPER_TEST)]
    if borders[0] <= LOOKBACK or borders[1] - borders[0] < 1 or days - borders[1] < 1:
        raise ValueError(f"closes has {days} days; expected at least {2 * LOOKBACK + 10} for three parts")
    filled = _fill(panel.closes)
    scaled, names = _published_features(panel, filled)
    own, own_names = _features(panel.closes, filled)
    present = ~np.isnan(panel.closes)
    target = np.zeros_like(panel.closes)
    both = present[1:] & present[:-1]
    target[:-1][both] = panel.closes[1:][both] / panel.closes[:-1][both] - 1
    takes_part = np.zeros_like(present)  # the last 16 closes, and the one that is to be predicted
    takes_part[LOOKBACK - 1 : -1] = np.lib.stride_tricks.sliding_window_view(present, LOOKBACK + 1, axis=0).all(-1)
    # A decision on day t is scored on day t + 1, the day by which the papers count. Their training offsets o < 756 are
    # decisions on day o + 15, and so the first days of validation are learnt from.
    parts = (
        range(LOOKBACK - 1, borders[0] + LOOKBACK - 1),
        range(borders[0] - 1, borders[1] - 1),
        range(borders[1] - 1, days - 1),
    )
    learnt = slice(parts[0].start, parts[0].stop)
    return Samples(
        _standardised(np.concatenate([scaled, own], axis=2), learnt, takes_part),
        (*names, *own_names),
        torch.from_numpy(target),
        torch.from_numpy(takes_part),
        torch.from_numpy(takes_part),
        torch.arange(1, days + 1, device="cpu")[:, None].expand(target.shape),
        *parts,
        lookback=LOOKBACK,
        leaks=LEAKS,
    )


def training_returns(panel: Panel, samples: Samples) -> NDArray[np.float64]:
    """Daily returns before the training part ends, NaN where one is missing: what a graph may be made of. [T', N]"""
    closes = panel.closes[: min(samples.train.stop, samples.validation.start)]
    return closes[1:] / closes[:-1] - 1


def _fill(closes: NDArray[np.float64]) -> NDArray[np.float64]:
    """The last price that there is; NaN before the first."""
    days = np.arange(len(closes))[:, None]
    last = np.maximum.accumulate(np.where(np.isnan(closes), -1, days), axis=0)
    filled = np.take_along_axis(closes, np.maximum(last, 0), axis=0)
    return np.where(last < 0, np.nan, filled)


def _features(closes: NDArray[np.float64], filled: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    present = ~np.isnan(closes)
    returns = np.zeros_like(filled)
    returns[1:] = np.log(filled[1:] / filled[:-1])
    returns = np.nan_to_num(returns)
    count = np.maximum(present.sum(1, keepdims=True), 1)
    market = np.where(present, returns, 0.0).sum(1, keepdims=True) / count
    columns = {"return": returns, "return less the market's": returns - market}
    for k in AVERAGES:
        columns[f"average of {k} days over close"] = np.log(_average(filled, k) / filled)
    columns["deviation of 20 days"] = np.sqrt(np.maximum(_average(returns**2, 20) - _average(returns, 20) ** 2, 0.0))
    columns["price"] = present.astype(np.float64)
    return np.stack([np.nan_to_num(column) for column in columns.values()], axis=2), tuple(columns)


def _published_features(panel: Panel, filled: NDArray[np.float64]) -> tuple[NDArray[np.float64], tuple[str, ...]]:
    """Moving averages and close over the maximum of the whole period, 1.1 where missing. [T, N, 5]"""
    if panel.features is not None:
        return np.where(np.isnan(panel.features), 1.1, panel.features), (*panel.feature_names[:-1], CLOSE)
    highest = np.nanmax(np.where(np.isnan(panel.closes).all(0), 1.0, panel.closes), axis=0)
    columns = [*(_average(filled, k) for k in AVERAGES), panel.closes]
    features = np.stack(columns, axis=2) / highest[:, None]
    return np.where(np.isnan(features), 1.1, features), (
        *(f"average of {k} days over the maximum" for k in AVERAGES),
        CLOSE,
    )


def _standardised(features: NDArray[np.float64], learnt: slice, counted: NDArray[np.bool_]) -> Tensor:
    """Features less the mean over what counts in the training part, over its deviation, clipped."""
    seen = features[learnt][counted[learnt]]
    mean, deviation = seen.mean(0), seen.std(0)
    standardised = (features - mean) / np.where(deviation > 0, deviation, 1.0)
    return torch.from_numpy(np.clip(standardised, -CLIP, CLIP).astype(np.float32))


def _average(values: NDArray[np.float64], k: int) -> NDArray[np.float64]:
    """Mean of the last k days, of fewer where there are no more, and NaN where there is none."""
    padded = np.concatenate([np.full((k - 1, values.shape[1]), np.nan), values])
    windows = np.lib.stride_tricks.sliding_window_view(padded, k, axis=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Mean of empty slice", RuntimeWarning)  # before the first price
        return np.asarray(np.nanmean(windows, axis=-1))


def _stale(filled: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether the last few closes are all the same."""
    same = np.zeros(filled.shape, dtype=bool)
    windows = np.lib.stride_tricks.sliding_window_view(filled, STALE, axis=0)
    same[STALE - 1 :] = (windows == windows[..., :1]).all(-1)
    return same


def _age(filled: NDArray[np.float64]) -> NDArray[np.int64]:
    """Days since the first price, -1 before it."""
    return np.asarray((~np.isnan(filled)).cumsum(0) - 1)


def _targets(closes: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.int64]]:
    """Return to the next close there is, whether there is one, and its day."""
    days = len(closes)
    present = ~np.isnan(closes)
    here = np.where(present, np.arange(days)[:, None], days)
    after = np.minimum.accumulate(here[::-1], axis=0)[::-1]  # the first close on day t or later
    settled = np.concatenate([after[1:], np.full((1, closes.shape[1]), days)])
    known = present & (settled < days)
    later = np.take_along_axis(closes, np.minimum(settled, days - 1), axis=0)
    target = np.where(known, later / np.where(known, closes, 1.0) - 1, 0.0)
    return target, known, settled
