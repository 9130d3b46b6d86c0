"""What the forecasts' script writes, and that its tables and figures come from the JSON alone."""

import dataclasses
import json

import numpy as np
import pytest
import torch

import forecasting as script
from gnnseq.data.epidemics import Epidemic, planted
from harness.cli import publish
from studies.forecasting import fit as forecasting
from studies.forecasting import report, runs, study
from studies.forecasting.results import label, preferred
from studies.forecasting.study import layout


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Settings and result of a run with few epochs, on the planted epidemic."""
    folder = tmp_path_factory.mktemp("forecasting")
    settings = script.Settings(quick=True, results=folder, seeds=2, max_epochs=2, jobs=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(runs, "MODELS", ("LSTM", "GCN"))
        assert publish(settings) == 0
    return settings, json.loads((folder / f"{settings.name}.json").read_text())


def test_the_numbers_are_those_of_the_forecasts(made):
    _, result = made
    (protocol,) = result["protocols"]
    epidemic = planted().standardized("training")
    _, start, stop = epidemic.starts
    y = epidemic.values[start:stop]
    last = epidemic.values[start - 1 : stop - 1]
    assert protocol["baselines"]["persistence"]["by_horizon"][0][0] == pytest.approx(((last - y) ** 2).mean(), rel=1e-4)
    network = protocol["networks"][-1]
    assert [run["seed"] for run in network["runs"]] == [0, 1]
    settings = {**network["settings"], "horizons": (1, 2, 4, 8)}
    forecasts = [
        np.array(forecasting.forecast(runs.ForecastRun(**{**settings, "seed": seed}))["forecasts"]) for seed in (0, 1)
    ]
    squares = np.stack([(values - y[:, None]) ** 2 for values in forecasts])
    # Numbers in the JSON have five digits.
    for name, axes in (("by_horizon", (1, 3)), ("by_step", (0, 3)), ("by_node", (0, 1))):
        expected = squares.mean(axes)
        np.testing.assert_allclose(network[name], expected.T if name == "by_node" else expected, rtol=1e-4)
    together = ((np.mean(forecasts, 0) - y[:, None]) ** 2).mean((0, 2))
    np.testing.assert_allclose(network["together"]["by_horizon"][0], together, rtol=1e-4)


def test_figures_and_table_are_rebuilt_from_the_json_alone(made, monkeypatch, capsys):
    settings, result = made
    pictures = sorted(settings.results.glob("*.png")) + sorted(settings.results.glob("*.svg"))
    assert len(pictures) == 4
    before = [path.read_bytes() for path in pictures]
    monkeypatch.setattr(study, "run_sweep", None)
    monkeypatch.setattr(study, "EPIDEMICS", None)
    assert publish(dataclasses.replace(settings, report_only=True)) == 0
    assert [path.read_bytes() for path in pictures] == before
    shown = capsys.readouterr().out
    assert "AR(4) + neighbours" in shown
    assert "Validation prefers" in shown
    assert "…" not in shown.replace("… ", "")
    assert "| AR + GCN |" in report.TABLES["errors"](result)


def test_a_node_without_links_has_a_place_too():
    edges = torch.tensor([[0, 1, 3], [1, 2, 3]])
    epidemic = Epidemic(np.zeros((9, 4)), tuple("abcd"), ((edges, torch.ones(3)),), "day", lags=4)
    found = layout(epidemic)
    assert found["links"] == [[0, 1], [1, 2]]
    assert len({tuple(place) for place in found["places"]}) == 4


def test_what_is_preferred_is_decided_on_validation():
    networks = [
        {"runs": [{"validation": 0.5}, {"validation": 0.7}], "by_horizon": [[0.1]]},
        {"runs": [{"validation": 0.4}, {"validation": 0.6}], "by_horizon": [[0.9]]},
    ]
    assert preferred(networks) is networks[1]


def test_relations_are_held_against_none_beside_the_same_path(made):
    _, result = made
    (protocol,) = result["protocols"]
    alone, beside = report.relations(protocol)
    assert alone.startswith("GCN alone against LSTM alone: ")
    assert beside.startswith("AR(4)n + GCN against AR(4) + LSTM: ")
    errors = {label(n): np.mean([row[0] for row in n["by_horizon"]]) for n in protocol["networks"]}
    change = 100 * (errors["AR(4)n + GCN"] / errors["AR(4) + LSTM"] - 1)
    assert float(beside.split(": ")[1].split(" %")[0]) == pytest.approx(change, abs=0.06)  # one decimal is shown


def test_data_that_cannot_be_had_are_missed_before_anything_is_trained(tmp_path, monkeypatch):
    def missing():
        raise ConnectionError("set GNNSEQ_DATA to a folder that has it")

    monkeypatch.setitem(study.EPIDEMICS, "chickenpox", missing)
    monkeypatch.setattr(study, "run_sweep", None)
    with pytest.raises(ConnectionError, match="GNNSEQ_DATA"):
        publish(script.Settings(results=tmp_path))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": 0}, "--seeds: got 0; expected at least 1"),
        ({"hidden": -8}, "--hidden: got -8; expected at least 1"),
        ({"max_epochs": 0}, "--max-epochs: got 0; expected at least 1"),
    ],
)
def test_settings_out_of_range_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        script.Settings(**changes)


def test_a_changed_study_does_not_overwrite_the_original():
    assert [script.Settings(**changes).name for changes in ({}, {"quick": True}, {"seeds": 3}, {"jobs": 1})] == [
        "forecasting",
        "quick",
        "custom",
        "forecasting",
    ]
