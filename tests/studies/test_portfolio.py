"""Each measure against a slow computation of its own, and in cases that can be done by hand."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import pearsonr, spearmanr

from studies.stocks import portfolio

EVERY = np.ones((2, 4), dtype=bool)


def drawn(seed, days=6, stocks=9, missing=0.3):
    generator = np.random.default_rng(seed)
    p, y = generator.normal(size=(2, days, stocks))
    valid = generator.random((days, stocks)) > missing
    valid[:, :3] = True
    return p, y, valid


@given(st.integers(0, 10**6))
def test_ics_are_scipys_over_the_valid_stocks(seed):
    p, y, valid = drawn(seed)
    ic, rank_ic = portfolio.daily_ic(p, y, valid), portfolio.daily_rank_ic(p, y, valid)
    for t, mask in enumerate(valid):
        assert ic[t] == pytest.approx(pearsonr(p[t, mask], y[t, mask]).statistic, abs=1e-12)
        assert rank_ic[t] == pytest.approx(spearmanr(p[t, mask], y[t, mask]).statistic, abs=1e-12)


@given(st.integers(0, 10**6))
def test_what_is_not_valid_changes_nothing(seed):
    p, y, valid = drawn(seed)
    q, z = np.where(valid, p, 1e6), np.where(valid, y, -1e6)
    for measure in (portfolio.daily_ic, portfolio.daily_rank_ic, portfolio.daily_reciprocal_rank, portfolio.mse):
        # sums in another order differ in their last digit
        np.testing.assert_allclose(measure(p, y, valid), measure(q, z, valid), atol=1e-12)
    for k in (1, 5, None):
        weights = portfolio.weights_of_top(q, valid, k)
        assert np.array_equal(weights, portfolio.weights_of_top(p, valid, k))
        assert not weights[~valid].any()


@given(st.integers(0, 10**6))
def test_the_order_of_predictions_is_all_that_counts_for_picks_and_ranks(seed):
    p, y, valid = drawn(seed)
    for measure in (portfolio.daily_rank_ic, portfolio.daily_reciprocal_rank, portfolio.daily_precision):
        np.testing.assert_allclose(measure(p, y, valid), measure(np.exp(3 * p), y, valid), atol=1e-12)


def test_constant_predictions_score_zero_even_where_their_mean_is_rounded():
    p = np.full((2, 4), 0.1)
    y = np.array([[1.0, 2, 3, 4], [4, 3, 2, 1]])
    assert portfolio.daily_ic(p, y, EVERY).tolist() == [0, 0]
    assert portfolio.icir(np.array([0.5, 0.5])) == 0


def test_a_perfect_forecast_by_hand():
    y = np.array([[0.01, 0.02, -0.01, 0.0], [0.0, -0.02, 0.03, 0.01]])
    assert portfolio.daily_reciprocal_rank(y, y, EVERY).tolist() == [1, 1]
    assert portfolio.daily_precision(y, y, EVERY, k=3).tolist() == [1, 1]
    assert portfolio.daily_precision(y, y, EVERY, k=4).tolist() == [0.75, 0.75]
    weights = portfolio.weights_of_top(y, EVERY, 1)
    gross = portfolio.daily_return(weights, y)
    assert gross.tolist() == [0.02, 0.03]
    assert portfolio.total_return(gross) == pytest.approx(1.02 * 1.03 - 1, abs=1e-15)
    # bought for 1 at first, then one stock sold and another bought
    assert portfolio.turnover(weights).tolist() == [1, 2]
    assert portfolio.daily_return(weights, y, cost=0.001) == pytest.approx([0.019, 0.028], abs=1e-15)
    assert portfolio.sharpe(gross) == pytest.approx(math.sqrt(252) * 0.025 / 0.005, rel=1e-12)
    assert portfolio.maximum_drawdown(gross) == 0
    assert portfolio.maximum_drawdown(np.array([-0.1, 0.5])) == pytest.approx(0.1, abs=1e-15)


def test_a_poor_forecast_by_hand():
    p, y, valid = np.array([[3.0, 2.0, 1.0]]), np.array([[0.2, -0.3, 0.1]]), np.ones((1, 3), dtype=bool)
    assert portfolio.mse(np.array([[0.0, 1.0]]), np.array([[2.0, 9.0]]), np.array([[True, False]])) == 4
    assert portfolio.daily_rank_ic(np.array([[1.0, 2.0, 30.0]]), np.array([[0.1, 0.2, 0.3]]), valid) == pytest.approx(1)
    assert portfolio.daily_reciprocal_rank(p, np.array([[0.2, 0.3, 0.1]]), valid).tolist() == [0.5]
    assert portfolio.daily_precision(p, y, valid, k=2).tolist() == [0.5]
    assert portfolio.weights_of_top(np.array([[1.0, 3.0, 2.0]]), valid, k=2).tolist() == [[0, 0.5, 0.5]]
    assert portfolio.turnover(np.eye(2)).tolist() == [1, 2]
    assert portfolio.total_return(np.array([0.1, 0.1])) == pytest.approx(0.21, abs=1e-9)
    assert portfolio.total_return(np.array([0.1, 0.1]), compound=False) == pytest.approx(0.2, abs=1e-9)
    assert portfolio.icir(np.array([0.0, 0.2])) == 1
    once, returns = np.array([[1.0, 2.0, 3.0], [5.0, 5.0, 5.0]]), np.array([[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]])
    assert portfolio.daily_ic(once, returns, np.ones((2, 3), dtype=bool)) == pytest.approx([1, 0], abs=1e-9)
    kept, rising = np.array([[1.0, 0.0], [1.0, 0.0]]), np.array([[0.1, 0.0], [0.2, 0.0]])
    assert portfolio.daily_return(kept, rising, cost=0.01) == pytest.approx([0.09, 0.2], abs=1e-9)
    assert portfolio.maximum_drawdown(np.array([0.5, -0.2, -0.5, 1.0])) == pytest.approx(0.6, abs=1e-9)
    assert portfolio.sharpe(np.array([0.0, 0.02])) == pytest.approx(15.875, abs=1e-3)


def test_money_without_stocks_stays_idle_and_few_stocks_share_it():
    valid = np.array([[False, False, False, False], [True, False, True, False]])
    weights = portfolio.weights_of_top(np.zeros((2, 4)), valid, 3)
    assert weights.tolist() == [[0, 0, 0, 0], [0.5, 0, 0.5, 0]]
    assert portfolio.daily_reciprocal_rank(np.zeros((2, 4)), np.zeros((2, 4)), valid).tolist() == [0, 1]


@pytest.mark.parametrize("value", [0.1, -3e7, 0.0])
def test_what_does_not_vary_has_a_ratio_of_0(value):
    assert portfolio.icir(np.full(3, value)) == portfolio.sharpe(np.full(3, value)) == 0
