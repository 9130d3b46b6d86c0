"""Baselines against least squares done by hand, and no look ahead."""

import numpy as np
import pytest
from scipy import stats

from gnnseq.data.epidemics import Epidemic, planted
from harness.significance import diebold_mariano
from studies.forecasting.autoregression import autoregression, least_squares, mean, persistence

HORIZONS = (1, 3)


def by_hand(epidemic, lags, pooled):
    """AR(L) window by window."""
    values = epidemic.values
    _, start, stop = epidemic.starts
    nodes = values.shape[1]
    forecasts = np.zeros((stop - start, len(HORIZONS), nodes))
    for k, horizon in enumerate(HORIZONS):
        for group in [list(range(nodes))] if pooled else [[node] for node in range(nodes)]:
            pairs = [
                (np.append(values[t - lags + 1 : t + 1, node], 1.0), values[t + horizon, node])
                for node in group
                for t in range(lags - 1, start - horizon)
            ]
            x, y = (np.array(side) for side in zip(*pairs, strict=True))
            w = np.linalg.solve(x.T @ x, x.T @ y)
            for step in range(start, stop):
                t = step - horizon
                for node in group:
                    forecasts[step - start, k, node] = np.append(values[t - lags + 1 : t + 1, node], 1.0) @ w
    return forecasts


@pytest.mark.parametrize("pooled", [True, False])
@pytest.mark.parametrize("lags", [1, 4])
def test_autoregression_is_least_squares_window_by_window(lags, pooled):
    epidemic = planted(nodes=3, steps=50)
    # Two ways to solve the normal equations, of a condition number below 1e2.
    np.testing.assert_allclose(
        autoregression(epidemic, lags, HORIZONS, pooled=pooled), by_hand(epidemic, lags, pooled), atol=1e-11
    )


def test_mean_and_persistence():
    epidemic = planted(nodes=3, steps=50)
    _, start, stop = epidemic.starts
    assert np.array_equal(mean(epidemic, HORIZONS)[4, 1], epidemic.values[:start].mean(0))
    for k, horizon in enumerate(HORIZONS):
        seen = epidemic.values[start - horizon : stop - horizon]
        assert np.array_equal(persistence(epidemic, HORIZONS)[:, k], seen)


@pytest.mark.parametrize(
    "forecaster",
    [
        lambda epidemic: autoregression(epidemic, 4, HORIZONS),
        lambda epidemic: autoregression(epidemic, 4, HORIZONS, pooled=False),
        lambda epidemic: autoregression(epidemic, 4, HORIZONS, neighbours=True),
        lambda epidemic: mean(epidemic, HORIZONS),
        lambda epidemic: persistence(epidemic, HORIZONS),
    ],
)
def test_no_forecast_depends_on_what_comes_after_its_origin(forecaster):
    epidemic = planted(nodes=3, steps=50)
    _, start, _ = epidemic.starts
    changed = Epidemic(epidemic.values.copy(), epidemic.nodes, epidemic.graphs, "step", 4)
    day = start + 5
    changed.values[day:] += 10.0
    before, after = forecaster(epidemic), forecaster(changed)
    for k, horizon in enumerate(HORIZONS):
        assert np.array_equal(before[: 5 + horizon, k], after[: 5 + horizon, k])


def test_neighbours_halve_what_can_be_halved():
    # On the planted ring the neighbours' mean is the rule itself, so only the noise is left.
    epidemic = planted(nodes=10, steps=600)
    _, start, stop = epidemic.starts
    with_neighbours, alone = (
        ((autoregression(epidemic, 4, (1,), neighbours=flag)[:, 0] - epidemic.values[start:stop]) ** 2).mean()
        for flag in (True, False)
    )
    assert with_neighbours == pytest.approx(1.0, abs=0.1)
    assert alone > 1.15 * with_neighbours


def test_least_squares_leaves_out_targets_that_are_missing():
    x = np.array([[1.0], [2.0], [5.0], [7.0]])
    y = np.column_stack([2 * x[:, 0] + 1, [np.nan, 6.0, np.nan, 16.0]])
    np.testing.assert_allclose(least_squares(x, y), [[2.0, 2.0], [1.0, 2.0]], atol=1e-12)


def test_the_paired_test_by_hand():
    # W = 8 steps, so m = 8^(1/3) = 2.
    d = np.array([-1.0, -3, 1, -1, -1, -3, -1, 1])
    centred = d + 1
    variance = centred @ centred / 8
    variance += 2 * (2 / 3) * (centred[1:] @ centred[:-1]) / 8 + 2 * (1 / 3) * (centred[2:] @ centred[:-2]) / 8
    difference, p = diebold_mariano(d, np.zeros(8))
    assert difference == -1.0
    assert p == pytest.approx(2 * stats.t.sf(1 / np.sqrt(variance / 8), 7), rel=1e-12)


def test_the_paired_test_holds_its_level_and_is_antisymmetric():
    generator = np.random.default_rng(0)
    draws = generator.standard_normal((400, 2, 100))
    results = [diebold_mariano(*draw) for draw in draws]
    # 5 % of 400, plus or minus three standard deviations, and the small sample's excess.
    assert 0.02 < np.mean([p < 0.05 for _, p in results]) < 0.1
    for draw, (difference, p) in zip(draws[:5], results, strict=False):
        assert diebold_mariano(draw[1], draw[0]) == (-difference, p)
    assert diebold_mariano(draws[0, 0], draws[0, 0]) == (0.0, 1.0)


def test_nothing_is_concluded_from_a_difference_that_does_not_vary():
    assert diebold_mariano(np.full(5, 0.3), np.full(5, 0.1))[1] == 1


@pytest.mark.parametrize(
    ("losses", "others"),
    [([1.0], [2.0]), ([1.0, 2.0], [1.0]), ([[1.0, 2.0]], [[1.0, 2.0]]), ([1.0, np.nan], [1.0, 2.0])],
)
def test_what_cannot_be_compared(losses, others):
    with pytest.raises(ValueError, match=r"expected .*loss"):
        diebold_mariano(np.array(losses), np.array(others))
