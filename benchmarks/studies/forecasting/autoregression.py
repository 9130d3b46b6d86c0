"""What every network has to beat: forecasts from least squares, or from nothing at all.

All take the steps before the test part and return forecasts of the test part, each from the steps up to its origin.

Letters: N nodes, L lags, B windows, K horizons, W steps of the test part.
"""

from collections.abc import Sequence

import numpy as np

from gnnseq.data.epidemics import Epidemic, ForecastWindows, Values

__all__ = ["autoregression", "least_squares", "mean", "persistence"]


def least_squares(x: Values, y: Values) -> Values:
    """Coefficients [L + 1, K] of the lags, oldest first, and the constant, for each horizon apart.

    From histories x [S, L] and targets y [S, K], NaN where there is none.

    Example:
        >>> least_squares(np.array([[1.0], [2.0], [3.0]]), np.array([[3.0], [5.0], [np.nan]])).round(6).tolist()
        [[2.0], [1.0]]
    """
    features = np.column_stack([x, np.ones(len(x))])
    there = ~np.isnan(y)
    return np.column_stack([
        np.linalg.lstsq(features[kept], column[kept], rcond=None)[0] for column, kept in zip(y.T, there.T, strict=True)
    ])  # fmt: skip


def autoregression(
    epidemic: Epidemic, lags: int, horizons: Sequence[int], pooled: bool = True, neighbours: bool = False
) -> Values:
    """Forecasts [W, K, N] of AR(L): y_{i,t+h} = a + sum_l w_l x_{i,t-l}, one fit a horizon.

    All nodes share a and w if ``pooled``, else each has its own. With ``neighbours`` the L last means over each node's
    neighbourhood are features too: what a graph tells without a network.
    """
    _, start, stop = epidemic.starts
    panels = [epidemic.values, epidemic.neighbours()] if neighbours else [epidemic.values]

    def sides(first: int, last: int) -> tuple[ForecastWindows, Values, Values]:
        """Features [B, N, L or 2 L] and targets [B, N, K] of a part."""
        parts = [ForecastWindows.of(panel, lags, horizons, first, last) for panel in panels]
        return parts[0], np.concatenate([part.x for part in parts], 1).swapaxes(1, 2), parts[0].y.swapaxes(1, 2)

    _, x, y = sides(0, start)
    windows, x_test, _ = sides(start, stop)
    nodes, features = x.shape[1:]
    forecasts = np.empty((*x_test.shape[:2], len(horizons)))  # [B, N, K]
    for group in [slice(None)] if pooled else [slice(node, node + 1) for node in range(nodes)]:
        w = least_squares(x[:, group].reshape(-1, features), y[:, group].reshape(-1, len(horizons)))
        forecasts[:, group] = x_test[:, group] @ w[:-1] + w[-1]
    return windows.by_step(forecasts.swapaxes(1, 2), horizons, start, stop)


def mean(epidemic: Epidemic, horizons: Sequence[int]) -> Values:
    """Forecasts [W, K, N]: each node's mean before the test part."""
    _, start, stop = epidemic.starts
    shape = stop - start, len(horizons), epidemic.values.shape[1]
    return np.broadcast_to(epidemic.values[:start].mean(0), shape)


def persistence(epidemic: Epidemic, horizons: Sequence[int]) -> Values:
    """Forecasts [W, K, N]: what was seen last."""
    _, start, stop = epidemic.starts
    windows = ForecastWindows.of(epidemic.values, 1, horizons, start, stop)
    return windows.by_step(np.repeat(windows.x, len(horizons), 1), horizons, start, stop)
