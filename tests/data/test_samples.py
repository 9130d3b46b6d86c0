"""Samples know nothing of later prices, and published ones know what their leaks say."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gnnseq.data.stocks.market import make_market
from gnnseq.data.stocks.panel import Panel, examine
from gnnseq.data.stocks.samples import LEAKS, leak_free, published, training_returns

DAYS = 200


def panel(seed=0, days=DAYS, stocks=6, missing=0.03):
    generator = np.random.default_rng(seed)
    closes = 50 * np.exp(np.cumsum(generator.normal(scale=0.02, size=(days, stocks)), axis=0))
    closes[generator.random(closes.shape) < missing] = np.nan
    closes[:40, 1] = np.nan  # listed late
    closes[120:132, 2] = np.nan  # suspended
    closes[150:, 3] = closes[150, 4]  # frozen
    dates = [str(np.datetime64("2020-01-01") + t) for t in range(days)]
    return examine(closes, dates, [f"S{i}" for i in range(stocks)], adjusted=True)


def changed_after(given_panel, day, seed):
    """The same panel with other prices, other gaps and a stock's end after a day."""
    generator = np.random.default_rng(seed)
    closes = given_panel.closes.copy()
    later = closes[day + 1 :]
    later *= np.exp(generator.normal(scale=0.3, size=later.shape))
    later[generator.random(later.shape) < 0.3] = np.nan
    later[:, 0] = np.nan
    return Panel(closes, given_panel.dates, given_panel.tickers)


@given(st.integers(0, 1000))
def test_no_later_price_changes_what_is_known_on_a_day(seed):
    before = panel()
    samples = leak_free(before)
    day = samples.train.stop - 1 + seed % (DAYS - samples.train.stop)  # the scale is the training part's
    after = leak_free(changed_after(before, day, seed))
    assert torch.equal(samples.x[: day + 1], after.x[: day + 1])
    assert torch.equal(samples.tradable[: day + 1], after.tradable[: day + 1])


def test_the_published_samples_do_know_later_prices():
    before = panel()
    day = published(before).test.start
    assert not torch.equal(published(before).x[:day], published(changed_after(before, day, 0)).x[:day])
    assert published(before).leaks == LEAKS
    assert leak_free(before).leaks == ()


def test_parts_follow_each_other_with_a_gap_and_their_targets_settle_in_between():
    samples = leak_free(panel(), gap=7)
    assert samples.validation.start - samples.train.stop == 7
    assert samples.test.start - samples.validation.stop == 7
    assert samples.test.stop == DAYS - 1
    for part, following in (("train", samples.validation), ("validation", samples.test)):
        days = samples.days(part)
        settled = samples.settled[days.start : days.stop][samples.usable(part)]
        assert settled.max() < following.start
    # the suspension of stock 2 begins in the training part and ends in the gap after it or later
    suspended = leak_free(panel(missing=0), train=0.62, gap=1)
    assert suspended.known[119, 2]
    assert suspended.settled[119, 2] == 132
    assert not suspended.usable("train")[119 - suspended.train.start, 2]
    assert training_returns(panel(), samples).shape == (samples.train.stop - 1, 6)


def test_the_papers_days_give_the_papers_parts():
    whole = panel(days=1245, stocks=5)
    samples = published(whole)
    assert (len(samples.train), len(samples.validation), len(samples.test)) == (756, 252, 237)
    assert samples.validation.start + 1 == 756  # the day that is predicted, by which the papers count
    assert samples.test.start + 1 == 1008
    assert samples.train.stop + 1 == 756 + 16
    # and the leak-free ones begin and end with them
    assert (leak_free(whole).train.stop, leak_free(whole).validation.stop) == (756, 1008)


def test_published_features_targets_and_universe_by_hand():
    closes = panel(missing=0)
    samples = published(closes)
    prices = closes.closes
    level = prices[:, 0] / prices[:, 0].max()
    x = samples.x[:, 0, samples.feature_names.index("close over its maximum")].numpy()
    assert np.corrcoef(x, level)[0, 1] == pytest.approx(1, abs=1e-6)  # standardised, in float32
    assert samples.target[100, 0] == pytest.approx(prices[101, 0] / prices[100, 0] - 1, abs=1e-15)
    takes_part = samples.tradable[:, 2].numpy()  # suspended from day 120 to 131
    assert takes_part[15:119].all()
    assert not takes_part[119:147].any()
    assert takes_part[147:-1].all()
    assert not takes_part[:15].any()
    assert not takes_part[-1]


def test_what_can_be_traded_and_what_it_returns():
    samples = leak_free(panel(missing=0))
    tradable, target = samples.tradable.numpy(), samples.target.numpy()
    closes = panel(missing=0).closes
    assert not tradable[:70, 1].any()  # listed on day 40
    assert tradable[70:, 1].all()
    assert tradable[119, 2]  # nobody knows yet that it will be suspended
    assert not tradable[120:132, 2].any()
    assert target[119, 2] == pytest.approx(closes[132, 2] / closes[119, 2] - 1, abs=1e-15)
    assert tradable[153, 3]
    assert not tradable[154:, 3].any()  # the fifth equal close
    assert not samples.known[-1].any()


def test_features_by_hand():
    prices = panel(missing=0)
    samples = leak_free(prices)
    closes, learnt = prices.closes[:, 0], slice(samples.train.start, samples.train.stop)
    for name, raw in {
        "return": np.log(closes[1:] / closes[:-1])[29:],
        "average of 5 days over close": np.log(np.convolve(closes, np.ones(5) / 5, "valid") / closes[4:])[26:],
    }.items():
        x = samples.x[30:, 0, samples.feature_names.index(name)].numpy()
        inside = np.abs(x) < 5
        assert np.corrcoef(x[inside], raw[inside])[0, 1] == pytest.approx(1, abs=1e-6)  # float32
    counted = samples.x[learnt][samples.tradable[learnt]]
    assert counted.mean(0).abs().max() < 0.1  # clipping moves it
    assert counted.abs().max() <= 5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"train": 0.9, "validation": 0.2}, "expected positive shares that leave some for the test"),
        ({"gap": -1}, "gap=-1; expected 0 or more"),
        ({"gap": 60}, "the validation part is left with none"),
    ],
)
def test_parts_that_cannot_be_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        leak_free(panel(), **arguments)


def test_too_few_days_are_refused():
    with pytest.raises(ValueError, match="the train part is left with none"):
        leak_free(make_market(stocks=8, days=60, leaders=1).panel)
    with pytest.raises(ValueError, match="closes has 20 days"):
        published(Panel(np.ones((20, 1)), tuple(f"2020-01-{day:02d}" for day in range(1, 21)), ("A",)))
