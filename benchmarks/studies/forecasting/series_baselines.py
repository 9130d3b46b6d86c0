"""What networks of a series have to beat: persistence, the season, and linear regressions, all with gaps.

Letters: N nodes, L lags, B windows, K horizons, D features.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from gnnseq.data.graph_series import GraphSeries, Values
from studies.forecasting.series_panel import SeriesPanel

__all__ = ["baselines", "origins_of", "ridge"]

Origins = NDArray[np.int64]
PENALTIES = (1.0, 10.0, 100.0, 1000.0, 10000.0)
VAR_LAGS = 2


def origins_of(lags: int, horizons: tuple[int, ...], start: int, stop: int) -> Origins:
    """Last steps of the histories whose targets, at every horizon, are of the steps from start to stop."""
    return np.arange(max(lags - 1, start - horizons[0]), stop - horizons[-1])


def ridge(x: Values, y: Values, penalty: float = 1e-6) -> Values:
    """Coefficients [D + 1, K] of features x [..., D] for targets y [..., K], the constant last and not shrunk.

    Each target's are of the rows where it is there.

    Example:
        >>> ridge(np.array([[1.0], [2.0], [3.0]]), np.array([[3.0], [5.0], [np.nan]]), 0.0).round(6).tolist()
        [[2.0], [1.0]]
    """
    x, y = x.reshape(-1, x.shape[-1]), y.reshape(-1, y.shape[-1])
    features = np.column_stack([x, np.ones(len(x))])
    shrink = penalty * np.eye(features.shape[1])
    shrink[-1, -1] = 0.0
    there = ~np.isnan(y)
    if there.all():
        return np.asarray(np.linalg.lstsq(features.T @ features + shrink, features.T @ y, rcond=None)[0])
    found = []
    for column, kept in zip(y.T, there.T, strict=True):
        own = features[kept]
        found.append(np.linalg.lstsq(own.T @ own + shrink, own.T @ column[kept], rcond=None)[0])
    return np.column_stack(found)


def baselines(
    series: GraphSeries, season: int, lags: int, horizons: tuple[int, ...], test: Origins
) -> dict[str, Values]:
    """Forecasts [B, K, N] of every baseline from the test part's origins, by name."""
    validation, start, _ = series.starts
    known, flat = SeriesPanel.of(series, season, lags, start), SeriesPanel.of(series, 0, lags, start)
    before = SeriesPanel.of(series, season, lags, validation)
    seasonal = f"AR({lags}) on the deviation" if season > 1 else None
    found = {
        "persistence": np.repeat((flat.usual + flat.filled * flat.scale)[test][:, None], len(horizons), 1),
        "seasonal mean" if season > 1 else "mean": known.forecasts(
            np.zeros((len(test), len(horizons), len(series.nodes))), horizons, test
        ),
        f"AR({lags})": autoregression(flat, lags, horizons, test),
    }
    if seasonal:
        found[seasonal] = autoregression(known, lags, horizons, test)
    return found | {f"VAR({VAR_LAGS})": vector_autoregression(before, known, horizons, test, lags)}


def autoregression(panel: SeriesPanel, lags: int, horizons: tuple[int, ...], test: Origins) -> Values:
    """One fit for all nodes: y_{i,t+h} = a + sum_l w_l d_{i,t-l} of deviations d."""
    train = origins_of(lags, horizons, 0, panel.stop)
    w = ridge(
        panel.histories(panel.filled, lags, train).swapaxes(1, 2),
        panel.targets(horizons, train, panel.stop).swapaxes(1, 2),
    )
    outputs = panel.histories(panel.filled, lags, test).swapaxes(1, 2) @ w[:-1] + w[-1]
    return panel.forecasts(outputs.swapaxes(1, 2), horizons, test)


def vector_autoregression(
    before: SeriesPanel, known: SeriesPanel, horizons: tuple[int, ...], test: Origins, lags: int
) -> Values:
    """Every node's deviation from those of all nodes, shrunk as the validation part likes it."""
    split, nodes = before.stop, before.values.shape[1]

    def features(panel: SeriesPanel, origins: Origins) -> Values:
        return panel.histories(panel.filled, VAR_LAGS, origins).reshape(len(origins), -1)

    def fit(panel: SeriesPanel, penalty: float) -> Callable[[SeriesPanel, Origins], Values]:
        train = origins_of(lags, horizons, 0, panel.stop)
        y = panel.targets(horizons, train, panel.stop).reshape(len(train), -1)
        w = ridge(features(panel, train), np.where(np.isnan(y), 0.0, y), penalty)  # the usual value where none is there
        return lambda of, origins: (features(of, origins) @ w[:-1] + w[-1]).reshape(len(origins), -1, nodes)

    valid = origins_of(lags, horizons, split, known.stop)
    y = before.targets(horizons, valid, known.stop)
    errors = [float(np.nanmean((fit(before, penalty)(before, valid) - y) ** 2)) for penalty in PENALTIES]
    best = PENALTIES[int(np.argmin(errors))]
    return known.forecasts(fit(known, best)(known, test), horizons, test)
