"""Forecasts of series with gaps: no look ahead, windows in a batch are windows alone, and edges help where they are."""

import dataclasses
import json

import numpy as np
import pytest
import torch

import forecasting as script
from gnnseq.data.sensors import sensor_network
from harness.cli import publish
from studies.forecasting import series_fit
from studies.forecasting.series_baselines import baselines, origins_of, ridge
from studies.forecasting.series_fit import forecast_series
from studies.forecasting.series_networks import own_weighted
from studies.forecasting.series_panel import SeriesPanel
from studies.forecasting.series_runs import SERIES_MODELS, SeriesRun
from studies.forecasting.series_study import scores

HORIZONS = (1, 3)


@pytest.fixture(scope="module")
def series():
    return sensor_network(nodes=6, steps=120, season=12)


def changed_after(series, step):
    values = series.values.copy()
    values[step:] = np.where(np.isnan(values[step:]), 7.0, 3 * values[step:] + 20)
    return dataclasses.replace(series, values=values)


def small(model, **changes):
    return SeriesRun("given", None, (), "", 12, 4, HORIZONS, model, 0, hidden=4, max_epochs=2, **changes)


def test_what_is_known_at_a_step_does_not_depend_on_what_comes_later(series):
    before, after = (SeriesPanel.of(each, 12, 4, 80) for each in (series, changed_after(series, 80)))
    for name in ("usual", "scale", "phase"):
        assert np.array_equal(getattr(before, name), getattr(after, name))
    assert np.array_equal(before.filled[:80], after.filled[:80])


def test_the_season_is_the_mean_of_its_own_steps_and_gaps_are_the_last_seen(series):
    panel = SeriesPanel.of(series, 12, 4, 80)
    np.testing.assert_allclose(panel.usual[5, 2], np.nanmean(series.values[5:80:12, 2]), rtol=1e-12)
    values = series.values.copy()
    values[20:27, 1] = np.nan
    panel = SeriesPanel.of(dataclasses.replace(series, values=values), 12, 4, 80)
    assert (panel.filled[20:23, 1] == panel.filled[19, 1]).all()
    assert (panel.filled[23:27, 1] == 0).all()
    assert not panel.seen[20:27, 1].any()


@pytest.mark.parametrize("season", [0, 12])
def test_no_baseline_sees_what_comes_after_its_origin(series, season):
    _, start, stop = series.starts
    test = origins_of(4, HORIZONS, start, stop)
    before, after = (baselines(each, season, 4, HORIZONS, test) for each in (series, changed_after(series, start + 9)))
    known = test < start + 9
    assert len(before) == (5 if season else 4)
    for name, forecasts in before.items():
        np.testing.assert_array_equal(forecasts[known], after[name][known], err_msg=name)
        assert np.isfinite(forecasts).all()


@pytest.mark.parametrize("model", SERIES_MODELS)
def test_no_network_sees_what_comes_after_its_origin(series, monkeypatch, model):
    _, start, stop = series.starts
    found = []
    for each in (series, changed_after(series, start + 9)):
        monkeypatch.setattr(series_fit, "load", lambda *_, each=each: each)
        found.append(np.array(forecast_series(small(model))["forecasts"]))
    known = origins_of(4, HORIZONS, start, stop) < start + 9
    np.testing.assert_array_equal(found[0][known], found[1][known])
    assert np.isfinite(found[0]).all()
    assert not np.allclose(found[0][~known], found[1][~known])


@pytest.mark.parametrize("own_apart", [True, False])
@pytest.mark.parametrize("model", SERIES_MODELS)
def test_windows_of_a_mini_batch_are_windows_alone(series, model, own_apart):
    fit = series_fit._Fit(small(model, own_apart=own_apart), series, 80)
    for parameter in fit.network.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(1))
    origins = np.array([20, 41, 7])
    with torch.no_grad():
        together, alone = fit._run(origins), torch.cat([fit._run(origins[[place]]) for place in range(3)])
    torch.testing.assert_close(together, alone, rtol=0, atol=1e-5)  # float32


@pytest.mark.parametrize("model", SERIES_MODELS)
def test_training_starts_at_the_autoregression_on_the_deviation(series, model):
    _, start, stop = series.starts
    origins = origins_of(4, HORIZONS, start, stop)
    fit = series_fit._Fit(small(model), series, start)
    found = fit.panel.forecasts(fit.outputs(origins), HORIZONS, origins)
    expected = baselines(series, 12, 4, HORIZONS, origins)["AR(4) on the deviation"]
    np.testing.assert_allclose(found, expected, atol=1e-3)  # speeds of float32


def test_targets_that_are_missing_do_not_count(series):
    fit = series_fit._Fit(small("no edges"), series, 80)
    origins = np.arange(20, 30)
    values = series.values.copy()
    values[23, 0] = np.nan
    fit.panel = dataclasses.replace(fit.panel, values=values)
    losses = []
    for other in (0.0, 1e6):
        values[40:] = other  # after every target
        losses.append(fit._loss(origins, 80).item())
    assert losses[0] == losses[1] < 1e3


def test_ridge_by_hand():
    generator = np.random.default_rng(0)
    x, y = generator.standard_normal((30, 3)), generator.standard_normal((30, 2))
    y[4, 1] = np.nan
    w = ridge([(x[:11], y[:11]), (x[11:], y[11:])], 2.0)
    there = ~np.isnan(y[:, 1])
    one = np.column_stack([x, np.ones(30)])[there]
    expected = np.linalg.solve(one.T @ one + np.diag([2.0, 2.0, 2.0, 0.0]), one.T @ y[there, 1])
    np.testing.assert_allclose(w[:, 1], expected, rtol=1e-10)


def test_scores_by_hand():
    y = np.array([[[2.0, np.nan]], [[0.0, 4.0]]])
    found = scores([np.full((2, 1, 2), 3.0)], y)
    assert found == {"mse": [[3.6667]], "rmse": [[1.9149]], "mae": [[1.6667]], "mape": [[37.5]]}


def test_a_node_keeps_half_of_its_state_whatever_its_degree():
    edges, weight = own_weighted(torch.tensor([[0, 1, 2, 3], [3, 3, 3, 3]]), torch.tensor([1.0, 2.0, 0.5, 9.0]), 4)
    assert weight[edges[1] == 3].tolist() == [1.0, 2.0, 0.5, 3.5]


def test_the_planted_edges_carry_the_jams_and_nothing_else_does():
    for edges, least, most in ((True, 0.15, 0.5), (False, -0.05, 0.05)):
        made = sensor_network(nodes=20, steps=1500, season=100, edges=edges)
        panel = SeriesPanel.of(made, 100, 4, 1500)
        (source, target), weight = made.graphs[0]
        share = np.zeros((20, 20))
        share[target, source] = weight
        share /= np.maximum(share.sum(1, keepdims=True), 1e-9)
        own, ahead, near = panel.filled[:-1], panel.filled[1:], panel.filled[:-1] @ share.T
        w = ridge([(np.stack([own, near], 2), ahead[:, :, None])])
        assert least < w[1, 0] < most
    again = [sensor_network(nodes=9, steps=50, season=10, seed=seed).values for seed in (1, 1, 2)]
    assert np.array_equal(again[0], again[1], equal_nan=True)
    assert not np.array_equal(again[0], again[2], equal_nan=True)


def test_a_file_and_its_graph_give_every_error_of_every_forecast(tmp_path, series, capsys):
    lines = ["time," + ",".join(series.nodes)]
    for when, row in zip(series.times, series.values, strict=True):
        lines.append(",".join([str(when), *("" if np.isnan(value) else str(value) for value in row)]))
    (tmp_path / "speeds.csv").write_text("\n".join(lines) + "\n")
    (source, target), weight = series.graphs[0]
    (tmp_path / "roads.csv").write_text(
        "source,target,weight\n"
        + "".join(
            f"{series.nodes[a]},{series.nodes[b]},{w}\n"
            for a, b, w in zip(source, target, weight.tolist(), strict=True)
        )
    )
    settings = script.Settings(
        series=tmp_path / "speeds.csv", graph=tmp_path / "roads.csv", directed=True, horizons=(1, 3), lags=4,
        max_epochs=1, hidden=4, jobs=1, results=tmp_path / "out",
    )  # fmt: skip
    assert publish(settings) == 0
    result = json.loads(settings.path.read_text())
    assert (result["season"], result["edges"], result["nodes"]) == (12, series.graphs[0][0].size(1), 6)
    assert [each["name"] for each in result["forecasts"]][-4:] == list(SERIES_MODELS)
    for each in result["forecasts"]:
        assert {name: np.shape(rows) for name, rows in each["scores"].items()} == dict.fromkeys(
            ("mse", "rmse", "mae", "mape"), (1, 2)
        )
    first = capsys.readouterr().out
    assert "MAPE" in first
    assert "GCN → GRU against no edges: RMSE" in first
    assert publish(dataclasses.replace(settings, report_only=True, json=True)) == 0
    alone = dataclasses.replace(settings, graph=None, directed=False, json=True)
    assert alone.name != settings.name
    assert publish(alone) == 0
    assert [each["name"] for each in json.loads(alone.path.read_text())["forecasts"]][-1:] == ["no edges"]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"graph": "a.csv"}, "--graph: it is of a series; give --series FILE too, or --twin"),
        (
            {"twin": True, "zeros_missing": True},
            "--zeros-missing and --twin: the made-up sensors are",
        ),
        ({"twin": True, "horizons": (0,)}, r"--horizons \(0,\): expected steps ahead, each at least 1"),
        ({"twin": True, "season": 1}, "--season 1: expected 2 steps or more, or 0 for none"),
        ({"twin": True, "lags": 0}, "--lags: got 0; expected at least 1"),
    ],
)
def test_options_of_a_series_that_are_wrong_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        script.Settings(**changes)


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ValueError, match="no such file"):
        script.Settings(series=tmp_path / "a.csv")


def test_a_series_that_is_too_short_says_so(tmp_path):
    settings = script.Settings(twin=True, quick=True, horizons=(200,), results=tmp_path, jobs=1)
    with pytest.raises(ValueError, match=r"--lags 12, --horizons 200: the 576 steps have parts of 372, 91 and 113"):
        publish(settings)
