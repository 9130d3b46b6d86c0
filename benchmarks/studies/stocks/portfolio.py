"""How good predictions of tomorrow's returns are: each measure defined once, with its formula.

Functions take predictions p [T, N], returns y [T, N] and ``valid`` [T, N], which stocks take part on which day, and
return one value a day [T] where their name begins with "daily", else one number. Sorting is stable, so that ties go to
the stock that is listed first. Letters: T days, N stocks, k stocks held.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from gnnseq.data.stocks.samples import Samples

PERIODS = 252  # trading days of a year
TOPS, SHOWN = (1, 5, 10), 5  # picks a day, and those whose Sharpe ratio, drawdown and curve are shown

Values = NDArray[np.float64]
Mask = NDArray[np.bool_]


def score(p: Values, samples: Samples, cost: float, everything: bool = False) -> dict[str, Any]:
    """Measures of predictions p for the test part: ``metrics``, and ``daily``, their series for the figures.

    ``cost`` is the share of a trade's value that is lost; with ``everything`` all stocks are held whatever p says.
    """
    y, valid = samples.target[samples.test.start : samples.test.stop].numpy(), samples.usable("test").numpy()
    # The papers correlate all stocks, with 0 for both where one does not take part.
    ic = daily_ic(*((p * valid, y * valid, np.ones_like(valid)) if samples.leaks else (p, y, valid)))
    metrics = {
        "mse": mse(p, y, valid),
        "ic": ic.mean(),
        "rank_ic": daily_rank_ic(p, y, valid).mean(),
        "icir": icir(ic),
        "mrr": daily_reciprocal_rank(p, y, valid).mean(),
        "precision10": daily_precision(p, y, valid, k=10).mean(),
    }
    daily = {"ic": ic}
    for k in TOPS:
        weights = weights_of_top(p, valid, None if everything else k)
        gross, net = daily_return(weights, y), daily_return(weights, y, cost)
        metrics |= {f"return{k}": total_return(gross), f"net{k}": total_return(net)}
        metrics[f"irr{k}"] = total_return(gross, compound=False)
        if k == SHOWN:
            metrics |= {"sharpe": sharpe(gross), "sharpe_net": sharpe(net), "drawdown": maximum_drawdown(gross)}
            metrics["turnover"] = turnover(weights).mean()
            daily |= {"gross": gross, "net": net}
    return {
        "metrics": {name: float(value) for name, value in metrics.items()},
        "daily": {name: [float(f"{value:.4g}") for value in series] for name, series in daily.items()},
    }


def mse(p: Values, y: Values, valid: Mask) -> float:
    r"""Mean squared error, :math:`\frac{1}{|V|} \sum_{(t, i) \in V} (p_{ti} - y_{ti})^2`."""
    return float(np.square(p - y)[valid].mean())


def daily_ic(p: Values, y: Values, valid: Mask) -> Values:
    """Information coefficient of each day: Pearson's correlation of p and y across the valid stocks.

    0 on a day when either is the same for all stocks: who predicts nothing is right by nothing. "The IC" is its mean.
    """
    count = np.maximum(valid.sum(1, keepdims=True), 1)
    product, scale, constant = np.ones_like(p), np.ones(len(p)), np.zeros(len(p), dtype=bool)
    for values in (p, y):
        known = np.where(valid, values, 0.0)
        centred = np.where(valid, known - known.sum(1, keepdims=True) / count, 0.0)
        squares = np.square(centred).sum(1)
        # Equal numbers differ from their mean by rounding, so that "constant" means next to nothing of their own size.
        constant |= squares <= 1e-24 * np.square(known).sum(1)
        product *= centred
        scale *= np.sqrt(squares)
    return np.where(constant, 0.0, product.sum(1) / np.where(constant, 1.0, scale))


def daily_rank_ic(p: Values, y: Values, valid: Mask) -> Values:
    """The IC of ranks, Spearman's correlation: ties share their mean rank."""
    ranks = np.zeros((2, *p.shape))
    for t, mask in enumerate(valid):
        ranks[:, t, mask] = rankdata([p[t, mask], y[t, mask]], axis=1)
    return daily_ic(ranks[0], ranks[1], valid)


def icir(ic: Values) -> float:
    r"""Mean of the daily ICs over their deviation :math:`\sigma`, which is over T, not T - 1; 0 if they do not vary."""
    varies = ic.std() > 1e-12 * np.abs(ic).max()  # equal numbers differ from their mean by rounding
    return float(ic.mean() / ic.std()) if varies else 0.0


def daily_reciprocal_rank(p: Values, y: Values, valid: Mask) -> Values:
    r""":math:`1 / (1 + |\{i: y_{ti} > y_{tj}\}|)` for the stock j of the highest prediction; its mean is the MRR."""
    picked = np.take_along_axis(y, np.where(valid, p, -np.inf).argmax(1, keepdims=True), axis=1)
    return np.where(valid.any(1), 1 / (1 + ((y > picked) & valid).sum(1)), 0.0)


def daily_precision(p: Values, y: Values, valid: Mask, k: int = 10) -> Values:
    """Share of the k stocks with the highest predictions, or of all valid ones if they are fewer, that do not fall."""
    return np.asarray((weights_of_top(p, valid, k) * (y >= 0)).sum(1))


def weights_of_top(p: Values, valid: Mask, k: int | None) -> Values:
    """Equal weights on the k valid stocks with the highest predictions, or on all; idle where none is valid. [T, N]"""
    held = np.zeros(p.shape)
    order = np.argsort(np.where(valid, -p, np.inf), axis=1, kind="stable")[:, :k]
    np.put_along_axis(held, order, 1.0, axis=1)
    held *= valid
    return np.asarray(held / np.maximum(held.sum(1, keepdims=True), 1))


def daily_return(weights: Values, y: Values, cost: float = 0.0) -> Values:
    r"""Buy at the close of day t, sell at the next: :math:`\sum_i w_{ti} y_{ti} - c \sum_i |w_{ti} - w_{t-1,i}|`.

    What stays among the picks is not traded, so that holding everything costs next to nothing. ``cost`` is c, the share
    of a trade's value that is lost: 0.001 for ten basis points. :math:`w_{-1} = 0`.
    """
    return np.asarray((weights * y).sum(1) - cost * turnover(weights))


def turnover(weights: Values) -> Values:
    r"""What is bought and sold each day as a share of the money, :math:`\sum_i |w_{ti} - w_{t-1,i}|`; at most 2. [T]"""
    return np.asarray(np.abs(np.diff(weights, axis=0, prepend=0.0)).sum(1))


def total_return(daily: Values, compound: bool = True) -> float:
    r""":math:`\prod_t (1 + r_t) - 1`; the papers' "IRR" is the plain sum :math:`\sum_t r_t`."""
    return float(np.prod(1 + daily) - 1) if compound else float(daily.sum())


def sharpe(daily: Values) -> float:
    r"""Sharpe ratio of a year of 252 days, :math:`\sqrt{252}\, \bar r / \sigma_r`, of money that else earns nothing."""
    return math.sqrt(PERIODS) * icir(daily)


def maximum_drawdown(daily: Values) -> float:
    r"""Greatest loss of wealth :math:`\prod_{s \le t} (1 + r_s)` from a peak, as a share of it; 1 to begin with."""
    wealth = np.concatenate([[1.0], np.cumprod(1 + daily)])
    return float((1 - wealth / np.maximum.accumulate(wealth)).max())
