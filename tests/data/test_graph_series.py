"""Series with gaps: what is missing counts for nothing, and what comes after a part is not seen in it."""

import numpy as np
import pytest
import torch

from gnnseq.data.epidemics import Epidemic
from gnnseq.data.graph_series import GraphSeries

NOWHERE = ((torch.empty(2, 0, dtype=torch.int64), None),)


def gappy(steps=50, nodes=3, seed=0):
    generator = np.random.default_rng(seed)
    values = generator.standard_normal((steps, nodes)) * [1, 5, 9] + [0, 10, 20]
    values[generator.random((steps, nodes)) < 0.2] = np.nan
    return GraphSeries(values, tuple("abc"[:nodes]), NOWHERE, "hour", lags=4, gaps=True)


def test_the_old_name_is_the_same_class():
    assert Epidemic is GraphSeries


def test_statistics_are_of_the_values_that_are_there_before_the_test_part():
    series = gappy()
    _, start, _ = series.starts
    found = series.standardized("training")
    assert np.array_equal(np.isnan(found.values), np.isnan(series.values))
    for node in range(3):
        known = found.values[:start, node]
        known = known[~np.isnan(known)]
        assert known.mean() == pytest.approx(0, abs=1e-12)
        assert known.std() == pytest.approx(1, abs=1e-12)


def test_missing_values_are_said_or_refused():
    whole = gappy()
    with pytest.raises(ValueError, match=r"NaN or infinite, the first at hour \d+ of '.'.* gaps=True"):
        GraphSeries(whole.values, whole.nodes, NOWHERE, "hour", 4)
    endless = whole.values.copy()
    endless[7, 1] = -np.inf
    with pytest.raises(ValueError, match=r"values: 1 are infinite, the first at hour 7 of 'b'"):
        GraphSeries(endless, whole.nodes, NOWHERE, "hour", 4, gaps=True)


def test_a_node_that_the_training_part_does_not_know_is_named():
    values = gappy().values
    values[:35, 2] = np.nan
    with pytest.raises(ValueError, match=r"values: 'c' has none in the training part, the 32 first hours"):
        GraphSeries(values, tuple("abc"), NOWHERE, "hour", 4, gaps=True)


def test_times_are_one_a_step():
    with pytest.raises(ValueError, match="times: got 2; expected one a step: 50"):
        GraphSeries(gappy().values, tuple("abc"), NOWHERE, "hour", 4, np.zeros(2, "datetime64[s]"), gaps=True)
