"""Parts lie in the order of time, windows see no future, and the published files are read as they are."""

import json

import numpy as np
import pytest
import torch

from gnnseq.data import epidemics
from gnnseq.data.epidemics import Epidemic, ForecastWindows, chickenpox, england_covid, planted


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Files of the published forms with 3 nodes, and where they come from made this folder."""
    generator = np.random.default_rng(0)
    days = 20
    (tmp_path / "chickenpox.json").write_text(json.dumps({
        "edges": [[0, 1], [1, 0], [2, 2]],
        "node_ids": {"ZALA": 2, "BACS": 0, "PEST": 1},
        "FX": generator.standard_normal((30, 3)).tolist(),
    }))  # fmt: skip
    (tmp_path / "england_covid.json").write_text(json.dumps({
        "edge_mapping": {
            "edge_index": {str(day): [[0, 1], [2, day % 3]] for day in range(days)},
            "edge_weight": {str(day): [10.0 + day, 5.0] for day in range(days)},
        },
        "time_periods": days,
        "y": generator.poisson(5, (days, 3)).tolist(),
    }))  # fmt: skip
    monkeypatch.setattr(epidemics, "fetch", lambda name: tmp_path / name.removeprefix("epidemics/"))


@pytest.mark.usefixtures("published")
def test_published_files_become_panels_on_graphs():
    pox = chickenpox()
    assert (pox.values.shape, pox.nodes, pox.step, pox.lags) == ((30, 3), ("Bacs", "Pest", "Zala"), "week", 4)
    edge_index, edge_weight = pox.graph(17)
    assert edge_index.tolist() == [[0, 1, 2], [1, 0, 2]]
    assert edge_weight is None
    covid = england_covid()
    assert (covid.values.shape, covid.step, covid.lags) == ((20, 3), "day", 8)
    for day in (0, 7):
        edge_index, edge_weight = covid.graph(day)
        assert edge_index.tolist() == [[0, 2], [1, day % 3]]
        assert edge_weight.tolist() == [10.0 + day, 5.0]


def test_parts_are_those_of_the_published_protocol():
    # 521 weeks give 517 windows of 4; the first int(0.8 * 517) = 413 train, so the first test target is week 417.
    assert Epidemic(np.zeros((521, 1)), ("a",), planted(1, 5).graphs, "week", lags=4).starts == (334, 417, 521)


def test_statistics_of_the_training_part_do_not_see_the_test_part():
    epidemic = planted(nodes=4, steps=60)
    _, start, _ = epidemic.starts
    changed = Epidemic(epidemic.values.copy(), epidemic.nodes, epidemic.graphs, "step", 4)
    changed.values[start:] += 100.0
    known = [each.standardized("training").values[:start] for each in (epidemic, changed)]
    np.testing.assert_array_equal(*known)
    np.testing.assert_allclose(known[0].mean(0), 0, atol=1e-12)
    np.testing.assert_allclose(known[0].std(0), 1, atol=1e-12)
    everything = changed.standardized("all").values
    np.testing.assert_allclose(everything.std(0), 1, atol=1e-12)
    assert not np.allclose(everything[:start], known[0])


def test_a_node_that_never_changes_is_not_divided_by_zero():
    epidemic = Epidemic(np.full((20, 2), 3.0), ("a", "b"), planted(2, 5).graphs, "step", 4)
    assert np.array_equal(epidemic.standardized("training").values, np.zeros((20, 2)))


def test_windows_end_at_their_origin_and_targets_are_of_the_part_asked_for():
    values = np.arange(40.0)[:, None]
    windows = ForecastWindows.of(values, lags=3, horizons=(1, 2, 4), start=20, stop=26)
    for origin, x, y in zip(windows.origins, windows.x, windows.y, strict=True):
        assert x.ravel().tolist() == [origin - 2, origin - 1, origin]
        for horizon, target in zip((1, 2, 4), y.ravel(), strict=True):
            step = origin + horizon
            assert np.isnan(target) if not 20 <= step < 26 else target == step
    by_step = windows.by_step(windows.y, (1, 2, 4), 20, 26)
    # Every step of the part is forecast at every horizon.
    assert by_step[..., 0].tolist() == [[step] * 3 for step in range(20, 26)]


def test_the_longest_history_and_horizon_that_fit_leave_one_window():
    assert ForecastWindows.of(np.zeros((40, 1)), 18, (1, 2), 0, 20).y[-2:].shape == (2, 2, 1)
    assert not np.isnan(ForecastWindows.of(np.zeros((40, 1)), 18, (2,), 0, 20).y).any()


@pytest.mark.parametrize(
    ("lags", "horizons", "message"),
    [
        (19, (1, 2), r"got 19 and \(1, 2\); a history and its farthest target take 21 steps, and only 20 of 40"),
        (4, (1, 600), r"got 4 and \(1, 600\); .* take 604 steps"),
        (0, (1,), r"got 0 and \(1,\); expected numbers of at least 1"),
        (4, (0, 1), r"got 4 and \(0, 1\); expected numbers of at least 1"),
    ],
)
def test_what_does_not_fit_is_named(lags, horizons, message):
    with pytest.raises(ValueError, match=f"lags, horizons: {message}"):
        ForecastWindows.of(np.zeros((40, 1)), lags, horizons, 0, 20)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": np.zeros((9, 3))}, r"values: got shape \[9, 3\]; expected \[T, N\] for 2 nodes"),
        ({"values": np.where(np.arange(18).reshape(9, 2) > 14, np.nan, 0)},
         "values: 3 are NaN or infinite, the first at week 7 of 'b'; fill them in"),
        ({"graphs": planted(2, 5).graphs * 3}, "graphs: got 3; expected one, or one a step: 9"),
        ({"graphs": ((torch.tensor([[0], [7]]), None),)}, "edge_index"),
    ],
)  # fmt: skip
def test_an_epidemic_that_is_not_whole_is_named(changes, message):
    whole = {"values": np.zeros((9, 2)), "nodes": ("a", "b"), "graphs": planted(2, 5).graphs, "step": "week", "lags": 4}
    Epidemic(**whole)
    with pytest.raises(ValueError, match=message):
        Epidemic(**{**whole, **changes})


def test_neighbours_are_what_a_graph_convolution_gives():
    epidemic = planted(nodes=5, steps=12)
    ring = np.eye(5) + np.roll(np.eye(5), 1, 0) + np.roll(np.eye(5), -1, 0)
    # torch normalises in float32.
    np.testing.assert_allclose(epidemic.neighbours(), epidemic.values @ ring / 3, atol=1e-6)


def test_the_planted_epidemic_needs_its_neighbours():
    # With both neighbours known, what is left over is the noise; alone, a node's past leaves more.
    values = planted(nodes=8, steps=4000).values
    now, ahead = values[:-1], values[1:]
    best = 0.3 * (now + np.roll(now, 1, 1) + np.roll(now, -1, 1))
    assert ((ahead - best) ** 2).mean() == pytest.approx(1.0, abs=0.03)  # 32,000 squares of standard normals
    alone = (now * ahead).sum() / (now**2).sum()
    assert ((ahead - alone * now) ** 2).mean() > 1.15


def test_graphs_of_steps_are_torch_tensors():
    edge_index, edge_weight = planted(nodes=3, steps=5).graph(4)
    assert edge_index.dtype == torch.int64
    assert edge_weight is None
