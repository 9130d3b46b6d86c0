"""The market that is known completely is what it claims to be."""

import numpy as np
import pytest
import torch

from gnnseq.data.stocks.market import make_market
from studies.stocks import portfolio


def test_the_oracle_scores_what_the_formula_says_and_own_pasts_say_nothing():
    market = make_market(stocks=400, days=600, leaders=4, seed=1)
    y = market.panel.closes[1:] / market.panel.closes[:-1] - 1
    every = np.ones_like(y, dtype=bool)
    best = portfolio.daily_ic(market.oracle[:-1], y, every)
    standard_error = best.std() / np.sqrt(len(best))
    assert best.mean() == pytest.approx(market.best_ic, abs=4 * standard_error)
    for lag in range(5):
        own = portfolio.daily_ic(y[: len(y) - 1 - lag], y[1 + lag :], every[1 + lag :])
        assert abs(own.mean()) < 4 * own.std() / np.sqrt(len(own))


def test_followers_follow_their_suppliers_alone():
    market = make_market(stocks=16, days=4000, leaders=2, lag=3, strength=0.8)
    returns = market.panel.closes[1:] / market.panel.closes[:-1] - 1
    returns -= returns.mean(1, keepdims=True)
    supplier = market.relations.names.index("supplier")
    for (source, target), types in zip(market.relations.edge_index.t(), market.relations.types, strict=True):
        correlation = np.corrcoef(returns[:-3, source], returns[3:, target])[0, 1]
        assert (correlation > 0.3) == bool(types[supplier])
    degrees = [torch.bincount(market.relations.edge_index[row], minlength=16) for row in (0, 1)]
    assert degrees[0].tolist() == [4] * 8 + [0] * 8
    assert degrees[1].tolist() == [0] * 8 + [4] * 8


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"stocks": 7}, "expected an even number of 8 or more"),
        ({"leaders": 16}, "expected 1 to 15"),
        ({"lag": 0}, "expected 1 to 999"),
        ({"strength": 1.5}, "expected 0 to 1"),
    ],
)
def test_markets_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        make_market(**arguments)
