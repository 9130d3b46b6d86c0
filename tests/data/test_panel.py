"""What is found in a panel of prices, and what a panel refuses."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gnnseq.data.stocks.panel import Panel, examine


def kinds(panel):
    return [(finding.kind, finding.ticker, finding.date) for finding in panel.findings]


def test_suspensions_frozen_prices_and_jumps_are_found():
    closes = np.array([[1.0, 5], [1, 5], [1, 5], [1, 5], [1, 5], *[[np.nan, 6]] * 6, [1.6, 5.5]])
    dates = [f"2024-01-{day:02d}" for day in range(1, 13)]
    panel = examine(closes, dates, ["A", "B"], adjusted=True)
    assert kinds(panel) == [
        ("frozen", "A", "2024-01-01"),
        ("suspension", "A", "2024-01-06"),
        ("jump", "A", "2024-01-12"),
        ("frozen", "B", "2024-01-01"),
        ("frozen", "B", "2024-01-06"),
    ]
    assert str(panel.findings[1]) == "suspension: A 2024-01-06, 6 days without a price"


@given(st.integers(1, 20), st.integers(0, 1000))
def test_examining_later_prices_never_changes_earlier_ones(day, seed):
    generator = np.random.default_rng(seed)
    closes = 10 * np.exp(np.cumsum(generator.normal(scale=0.4, size=(21, 3)), axis=0))
    closes[generator.random(closes.shape) < 0.1] = np.nan
    dates = [str(np.datetime64("2024-01-01") + t) for t in range(21)]
    whole = examine(closes, dates, ["A", "B", "C"], adjusted=False)
    early = examine(closes[:day], dates[:day], ["A", "B", "C"], adjusted=False)
    assert np.array_equal(whole.closes[:day], early.closes, equal_nan=True)


def test_a_panel_refuses_what_is_none():
    closes = np.ones((2, 1))
    with pytest.raises(ValueError, match="expected increasing days"):
        Panel(closes, ("2024-01-02", "2024-01-02"), ("A",))
    with pytest.raises(ValueError, match=r"closes has shape \(2, 1\); expected \(2, 2\)"):
        Panel(closes, ("2024-01-01", "2024-01-02"), ("A", "B"))
    with pytest.raises(ValueError, match="'A' occurs twice"):
        Panel(np.ones((1, 2)), ("2024-01-01",), ("A", "A"))
    with pytest.raises(ValueError, match=r"A 2024-01-01 is -1.0; expected a positive price"):
        Panel(np.array([[-1.0]]), ("2024-01-01",), ("A",))
