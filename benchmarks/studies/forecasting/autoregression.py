"""What every network has to beat: forecasts from least squares, or from nothing at all.

All take the steps before the test part and return forecasts of the test part, each from the steps up to its origin.

Letters: N nodes, L lags, B windows, K horizons, W steps of the test part, C channels: the values, and their means over
each node's neighbourhood or not.
"""

from collections.abc import Sequence

import numpy as np

from gnnseq.data.graph_series import ForecastWindows, GraphSeries, Values


def histories(
    epidemic: GraphSeries, lags: int, horizons: Sequence[int], neighbours: bool, start: int, stop: int
) -> tuple[list[ForecastWindows], Values, Values]:
    """The part's windows of each channel, their features [B, N, C L] and targets [B, N, K]."""
    panels = [epidemic.values, epidemic.neighbours()] if neighbours else [epidemic.values]
    channels = [ForecastWindows.of(panel, lags, horizons, start, stop) for panel in panels]
    return channels, np.concatenate([each.x for each in channels], 1).swapaxes(1, 2), channels[0].y.swapaxes(1, 2)


def least_squares(x: Values, y: Values) -> Values:
    """Coefficients [L + 1, K] of histories x [..., L] for targets y [..., K], NaN where there is none.

    Lags come oldest first, then the constant; each horizon has a fit of its own.

    Example:
        >>> least_squares(np.array([[1.0], [2.0], [3.0]]), np.array([[3.0], [5.0], [np.nan]])).round(6).tolist()
        [[2.0], [1.0]]
    """
    x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
    features = np.column_stack([x, np.ones(len(x))])
    fits = [np.linalg.lstsq(features[~np.isnan(column)], column[~np.isnan(column)], rcond=None) for column in y.T]
    return np.column_stack([coefficients for coefficients, *_ in fits])


def autoregression(
    epidemic: GraphSeries, lags: int, horizons: Sequence[int], pooled: bool = True, neighbours: bool = False
) -> Values:
    """Forecasts [W, K, N] of AR(L): y_{i,t+h} = a + sum_l w_l x_{i,t-l}, one fit a horizon.

    All nodes share a and w if ``pooled``, else each has its own. With ``neighbours`` the L last means over each node's
    neighbourhood are features too: what a graph tells without a network.
    """
    _, start, stop = epidemic.starts
    _, x, y = histories(epidemic, lags, horizons, neighbours, 0, start)
    (windows, *_), x_test, _ = histories(epidemic, lags, horizons, neighbours, start, stop)
    forecasts = []
    for group in [slice(None)] if pooled else [slice(node, node + 1) for node in range(x.shape[1])]:
        w = least_squares(x[:, group], y[:, group])
        forecasts.append(x_test[:, group] @ w[:-1] + w[-1])
    return windows.by_step(np.concatenate(forecasts, 1).swapaxes(1, 2), horizons, start, stop)


def mean(epidemic: GraphSeries, horizons: Sequence[int]) -> Values:
    """Forecasts [W, K, N]: each node's mean before the test part."""
    _, start, stop = epidemic.starts
    return np.tile(epidemic.values[:start].mean(0), (stop - start, len(horizons), 1))


def persistence(epidemic: GraphSeries, horizons: Sequence[int]) -> Values:
    """Forecasts [W, K, N]: what was seen last."""
    _, start, stop = epidemic.starts
    return np.stack([epidemic.values[start - horizon : stop - horizon] for horizon in horizons], 1)
