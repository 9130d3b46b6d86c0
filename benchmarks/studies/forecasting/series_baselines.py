"""What networks of a series have to beat: persistence, the season, and linear regressions, all with gaps.

Letters: N nodes, L lags, B windows, K horizons, D features.
"""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from gnnseq.data.graph_series import GraphSeries, Values
from studies.forecasting.series_panel import SeriesPanel

__all__ = ["baselines", "linear_path", "origins_of", "ridge"]

Origins = NDArray[np.int64]
PENALTIES = (1.0, 10.0, 100.0, 1000.0, 10000.0)
VAR_LAGS = 2


def origins_of(lags: int, horizons: tuple[int, ...], start: int, stop: int) -> Origins:
    """Last steps of the histories whose targets, at every horizon, are of the steps from start to stop."""
    return np.arange(max(lags - 1, start - horizons[0]), stop - horizons[-1])


def ridge(parts: Iterable[tuple[Values, Values]], penalty: float = 1e-6) -> Values:
    """Coefficients [D + 1, K] of features x [..., D] for targets y [..., K], the constant last and not shrunk.

    Each target's are of the rows where it is there. Rows come in parts, of which sums of products alone are kept.

    Example:
        >>> ridge([(np.array([[1.0], [2.0], [3.0]]), np.array([[3.0], [5.0], [np.nan]]))], 0.0).round(6).tolist()
        [[2.0], [1.0]]
    """
    gram: Values = np.zeros(())  # [K, D + 1, D + 1]
    moment: Values = np.zeros(())  # [K, D + 1]
    for x, y in parts:
        features, targets = _rows(x), y.reshape(-1, y.shape[-1])
        kept = [~np.isnan(column) for column in targets.T]
        gram = gram + np.stack([features[rows].T @ features[rows] for rows in kept])
        moment = moment + np.stack(
            [features[rows].T @ column[rows] for rows, column in zip(kept, targets.T, strict=True)]
        )
    return np.column_stack([_shrunk(*sums, penalty) for sums in zip(gram, moment, strict=True)])


def _rows(x: Values) -> Values:
    """Rows of features, and of the constant. [rows, D + 1]"""
    return np.column_stack([x.reshape(-1, x.shape[-1]), np.ones(x[..., 0].size)])


def _shrunk(gram: Values, moment: Values, penalty: float) -> Values:
    """The solution of shrunk normal equations, the shortest where there are several."""
    shrink = penalty * np.eye(len(gram))
    shrink[-1, -1] = 0.0
    try:
        return np.asarray(np.linalg.solve(gram + shrink, moment))
    except np.linalg.LinAlgError:
        return np.asarray(np.linalg.lstsq(gram + shrink, moment, rcond=None)[0])


def linear_path(panel: SeriesPanel, lags: int, horizons: tuple[int, ...]) -> Values:
    """Coefficients [L + 1, K] of y_{i,t+h} = a + sum_l w_l d_{i,t-l}, one fit for all nodes; d are deviations."""
    train = origins_of(lags, horizons, 0, panel.stop)
    return ridge(
        (
            panel.histories(panel.filled, lags, part).swapaxes(1, 2),
            panel.targets(horizons, part, panel.stop).swapaxes(1, 2),
        )
        for part in np.array_split(train, max(1, len(train) // 128))
    )


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
    """Forecasts of :func:`linear_path`."""
    w = linear_path(panel, lags, horizons)
    outputs = panel.histories(panel.filled, lags, test).swapaxes(1, 2) @ w[:-1] + w[-1]
    return panel.forecasts(outputs.swapaxes(1, 2), horizons, test)


def vector_autoregression(
    before: SeriesPanel, known: SeriesPanel, horizons: tuple[int, ...], test: Origins, lags: int
) -> Values:
    """Every node's deviation from those of all nodes, shrunk as the validation part likes it."""
    nodes = before.values.shape[1]

    def features(panel: SeriesPanel, origins: Origins) -> Values:
        return _rows(panel.histories(panel.filled, VAR_LAGS, origins).reshape(len(origins), -1))

    def fits(panel: SeriesPanel, penalties: Sequence[float]) -> list[Values]:
        train = origins_of(lags, horizons, 0, panel.stop)
        y = panel.targets(horizons, train, panel.stop).reshape(len(train), -1)
        x, y = features(panel, train), np.where(np.isnan(y), 0.0, y)  # the usual value where none is there
        return [_shrunk(x.T @ x, x.T @ y, penalty) for penalty in penalties]

    def outputs(panel: SeriesPanel, w: Values, origins: Origins) -> Values:
        return np.asarray((features(panel, origins) @ w).reshape(len(origins), -1, nodes))

    valid = origins_of(lags, horizons, before.stop, known.stop)
    y = before.targets(horizons, valid, known.stop)
    errors = [float(np.nanmean((outputs(before, w, valid) - y) ** 2)) for w in fits(before, PENALTIES)]
    (w,) = fits(known, [PENALTIES[int(np.argmin(errors))]])
    return known.forecasts(outputs(known, w, test), horizons, test)
