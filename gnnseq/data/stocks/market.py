"""A market that is known completely: followers move a few days after their leaders, and nothing else can be predicted.

Letters: T days, N stocks, E edges, K leaders of a follower, L lag in days.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnnseq.data.stocks.panel import Panel
from gnnseq.data.stocks.relations import Relations, from_triples

__all__ = ["Market", "make_market"]


@dataclass(frozen=True, eq=False)
class Market:
    """Prices, relations, and what can be known of the next return.

    Attributes:
        panel: Closes, as a loader returns them.
        relations: Edges of type "supplier", which returns follow, and as many of type "namesake", which mean nothing.
        oracle: The expectation of the return from day t to day t + 1, given everything up to day t. [T, N]
        best_ic: Correlation of that expectation with the return, from the formula: what a perfect model scores.
    """

    panel: Panel
    relations: Relations
    oracle: NDArray[np.float64]
    best_ic: float


def make_market(
    stocks: int = 60,
    days: int = 1000,
    leaders: int = 3,
    lag: int = 3,
    strength: float = 0.6,
    volatility: float = 0.02,
    seed: int = 0,
) -> Market:
    r"""Draw a market in which the first half of the stocks lead and the second half follow.

    With independent e and m, both normal, and :math:`\mathcal N(i)` the K suppliers of follower i:

    .. math::
        r_{t,i} = m_t + \sigma e_{t,i} \quad \text{(leaders)}, \qquad r_{t,i} = m_t + \sigma \Big(
            \tfrac{s}{\sqrt K} \sum_{j \in \mathcal N(i)} e_{t-L,j} + \sqrt{1 - s^2}\, e_{t,i}\Big)

    A stock's own past says nothing about its next return, because leaders' shocks are independent in time and followers
    lead nobody: a model without relations is at chance. One with relations must also remember for L days. The
    expectation is the sum's, of variance :math:`s^2 \sigma^2` for half of the stocks and 0 for the others, so that
    across many stocks the best IC is :math:`s / \sqrt 2`. Every leader has K followers too, and every edge of the
    second type goes from a leader to a follower of others, so that no degree tells the types apart. A model that weighs
    both types alike sees the sum of 2 K shocks of which K count, and finds at most :math:`1 / \sqrt 2` of what is
    possible.

    Args:
        stocks: N, even.
        days: T.
        leaders: K, at most a quarter of N, so that there are others to take namesakes from.
        lag: L, at least 1.
        strength: s, from 0 to 1.
        volatility: :math:`\sigma`, the standard deviation of a day's return; the whole market's is half of it.
        seed: Of the draw.

    Raises:
        ValueError: An argument is out of its range.

    Example:
        >>> market = make_market(stocks=8, days=50, leaders=2)
        >>> market.panel.closes.shape, market.relations.names, market.relations.num_edges
        ((50, 8), ('namesake', 'supplier'), 16)
    """
    if stocks < 8 or stocks % 2:
        raise ValueError(f"stocks={stocks}; expected an even number of 8 or more, half of them leaders")
    if not 1 <= leaders <= stocks // 4:
        raise ValueError(f"leaders={leaders}; expected 1 to {stocks // 4}, a quarter of the stocks")
    if not 1 <= lag < days:
        raise ValueError(f"lag={lag}; expected 1 to {days - 1}, fewer than there are days")
    if not 0 <= strength <= 1:
        raise ValueError(f"strength={strength}; expected 0 to 1, the predictable share of a follower's deviation")
    half = stocks // 2
    generator = np.random.default_rng(seed)
    shocks = generator.normal(size=(days + lag, stocks))
    # Follower i has the leaders i, i + 1, ... of one random circle, and the next ones as namesakes.
    circle = generator.permutation(half)
    places = (np.arange(half)[:, None] + np.arange(2 * leaders)) % half
    chosen = circle[places]  # [N / 2, 2 K]
    predicted = np.zeros((days + lag, stocks))
    predicted[lag:, half:] = strength / math.sqrt(leaders) * shocks[:-lag][:, chosen[:, :leaders]].sum(2)
    own = np.concatenate([np.ones(half), np.full(half, math.sqrt(1 - strength**2))])
    market = volatility / 2 * generator.normal(size=(days + lag, 1))
    returns = (market + volatility * (predicted + own * shocks))[lag:]
    predicted = volatility * predicted[lag:]

    tickers = [f"LEAD{i:02d}" for i in range(half)] + [f"FOLLOW{i:02d}" for i in range(half)]
    relations = from_triples(
        (
            (tickers[source], tickers[half + follower], "supplier" if place < leaders else "namesake")
            for follower in range(half)
            for place, source in enumerate(chosen[follower])
        ),
        tickers,
    )
    dates = np.datetime64("2000-01-03") + np.arange(days)
    closes = 100 * np.cumprod(1 + np.maximum(returns, -0.9), axis=0)
    oracle = np.vstack([predicted[1:], np.full((1, stocks), np.nan)])
    panel = Panel(closes, tuple(str(date) for date in dates), tuple(tickers))
    return Market(panel, relations, oracle, strength / math.sqrt(2))
