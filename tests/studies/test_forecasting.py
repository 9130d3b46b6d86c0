"""Forecasts start at the autoregression, see no future, and are the same for a window alone or among others."""

import dataclasses

import numpy as np
import pytest
import torch
from rich.console import Console

from gnnseq.data.epidemics import EPIDEMICS, Epidemic, ForecastWindows, planted
from harness.sweep import run_sweep
from studies.forecasting.autoregression import autoregression, least_squares
from studies.forecasting.fit import batch, forecast, select
from studies.forecasting.networks import EpidemicNetwork
from studies.forecasting.runs import MODELS, QUICK, ForecastRun

SMALL = {"hidden": 4, "max_epochs": 3, "horizons": (1, 3)}


def changing(steps=60):
    """An epidemic whose directed, weighted edges are other ones every step."""
    still = planted(nodes=5, steps=steps)
    generator = torch.Generator().manual_seed(0)
    graphs = tuple(
        (torch.randint(5, (2, 7), generator=generator), torch.rand(7, generator=generator)) for _ in range(steps)
    )
    return dataclasses.replace(still, graphs=graphs)


@pytest.fixture
def small(monkeypatch):
    """Epidemics of one name each, read anew in every test."""
    known = {"still": planted(nodes=5, steps=60), "changing": changing()}
    for name, epidemic in known.items():
        monkeypatch.setitem(EPIDEMICS, name, lambda epidemic=epidemic: epidemic)
    return known


@pytest.mark.parametrize("make", [lambda: planted(nodes=5, steps=60), changing])
@pytest.mark.parametrize("model", MODELS)
def test_windows_side_by_side_are_windows_alone(model, make):
    epidemic = make()
    windows = ForecastWindows.of(epidemic.values, 6, (1, 2), 20, 24)
    network = EpidemicNetwork(model, lags=4, hidden_channels=3, horizons=2).double()
    together = [batch(epidemic, [windows], lags=4)]
    single = [
        batch(epidemic, [ForecastWindows(windows.origins[[b]], windows.x[[b]], windows.y[[b]])], 4)
        for b in range(len(windows.origins))
    ]
    outputs = [
        torch.cat([network(x.double(), edges, _double(weight)) for x, edges, weight in parts])
        for parts in (together, single)
    ]
    torch.testing.assert_close(*outputs, rtol=0, atol=1e-12)


def _double(weight):
    if isinstance(weight, list):
        return [each if each is None else each.double() for each in weight]
    return weight if weight is None else weight.double()


@pytest.mark.parametrize("model", MODELS)
def test_training_starts_at_the_autoregression(model):
    epidemic = planted(nodes=5, steps=60)
    _, start, stop = epidemic.starts
    past = ForecastWindows.of(epidemic.values, 6, (1, 3), 0, start)
    w = least_squares(past.x.swapaxes(1, 2).reshape(-1, 6), past.y.swapaxes(1, 2).reshape(-1, 2))
    network = EpidemicNetwork(model, lags=4, hidden_channels=3, horizons=2, linear=torch.from_numpy(w).float())
    windows = ForecastWindows.of(epidemic.values, 6, (1, 3), start, stop)
    y = network(*batch(epidemic, [windows], lags=4)).detach().numpy().reshape(-1, 5, 2).swapaxes(1, 2)
    expected = autoregression(epidemic, 6, (1, 3))
    # The network computes in float32.
    np.testing.assert_allclose(windows.by_step(y, (1, 3), start, stop), expected, atol=1e-5)


@pytest.mark.parametrize("name", ["still", "changing"])
@pytest.mark.parametrize("model", MODELS)
def test_no_forecast_depends_on_what_comes_after_its_origin(small, monkeypatch, model, name):
    epidemic = small[name]
    _, start, _ = epidemic.starts
    run = ForecastRun(name, model, seed=0, **SMALL)
    before = np.array(forecast(run)["forecasts"])
    graphs = epidemic.graphs
    if len(graphs) > 1:
        graphs = tuple((edges if t < start + 5 else edges.flip(0), weight) for t, (edges, weight) in enumerate(graphs))
    changed = Epidemic(epidemic.values.copy(), epidemic.nodes, graphs, "step", 4)
    changed.values[start + 5 :] += 10.0
    monkeypatch.setitem(EPIDEMICS, name, lambda: changed)
    after = np.array(forecast(run)["forecasts"])
    for k, horizon in enumerate(run.horizons):
        # Equal settings, equal history: equal to the rounding of sums that a longer batch orders differently.
        np.testing.assert_allclose(before[: 5 + horizon, k], after[: 5 + horizon, k], atol=2e-5)
        assert not np.allclose(before[5 + horizon :, k], after[5 + horizon :, k])


def test_choosing_does_not_look_at_the_test_part(small, monkeypatch):
    run = ForecastRun("still", "space_then_time", seed=0, **SMALL)
    before = select(run)
    changed = dataclasses.replace(small["still"], values=small["still"].values.copy())
    changed.values[changed.starts[1] :] = 1e6
    monkeypatch.setitem(EPIDEMICS, "still", lambda: changed)
    assert select(run) == before


def test_other_data_under_an_old_name_are_not_forecast_from_what_was_kept(small, monkeypatch, tmp_path):
    def forecasts():
        protocol = dataclasses.replace(QUICK[0], epidemic="still", paths=(0,))
        (run,) = protocol.networks(EPIDEMICS["still"]().standardized("training").digest, 1, 2, 2)[0]
        return run_sweep(forecast, [run], tmp_path, jobs=1, console=Console(quiet=True))[0]["result"]

    before = forecasts()
    assert forecasts() == before
    changed = dataclasses.replace(small["still"], values=small["still"].values[::-1].copy())
    monkeypatch.setitem(EPIDEMICS, "still", lambda: changed)
    assert forecasts() != before
    digests = {
        epidemic.digest
        for epidemic in (
            small["still"], changed, small["changing"], dataclasses.replace(changed, lags=3),
            dataclasses.replace(changed, graphs=((changed.graphs[0][0].flip(0), None),)),
        )
    }  # fmt: skip
    assert len(digests) == 5


@pytest.mark.usefixtures("small")
def test_equal_settings_give_equal_numbers_and_the_random_state_stays():
    run = ForecastRun("still", "time_then_space", seed=3, path=0, **SMALL)
    state = torch.get_rng_state()
    assert forecast(run) == forecast(run)
    assert forecast(run) != forecast(dataclasses.replace(run, seed=4))
    assert torch.equal(torch.get_rng_state(), state)


def test_a_graph_tells_what_a_node_alone_cannot_know():
    truth = EPIDEMICS["planted"]().standardized("training")
    _, start, stop = truth.starts
    errors = {
        model: ((np.array(forecast(ForecastRun("planted", model, seed=0, path=0, max_epochs=60))["forecasts"])
                 - truth.values[start:stop, None]) ** 2)[:, 0].mean()
        for model in ("LSTM", "space_then_time")
    }  # fmt: skip
    assert errors["space_then_time"] < 0.9 * errors["LSTM"]
