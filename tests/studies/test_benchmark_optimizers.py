"""The study of optimizers end to end on little: fair choices, honest checks, figures from the JSON alone."""

import copy
import dataclasses
import io
import json

import numpy as np
import pytest
from rich.console import Console

import optimizers
from harness.cli import publish
from harness.report import print_checks
from studies.optimizers import report as optimizers_report
from studies.optimizers import results as optimizers_results
from studies.optimizers import study as optimizers_study
from studies.optimizers.study import ARRIVED, PLANS, VALIDATION_SEED, Descents, descents, sign_error
from studies.palindrome.fit import OPTIMIZERS
from studies.palindrome.runs import PalindromeRun

RATES = (1e-3, 1e-2, 1e-1)
TINY = dataclasses.replace(
    PLANS["quick"],
    rates=RATES,
    steps=40,
    kappas=(3, 10),
    run={**PLANS["quick"].run, "hidden": 4, "batch": 4, "steps": 20, "test_on": 50, "evaluate_every": 10},
    run_rates=RATES,
)
FIGURES = ("paths", "rates", "palindromes")


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished tiny study and its exit code."""
    settings = optimizers.Settings(quick=True, results=tmp_path_factory.mktemp("results"), jobs=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(PLANS, "quick", TINY)
        return settings, publish(settings)


@pytest.fixture
def result(finished):
    return json.loads((finished[0].results / "quick.json").read_text())


def statements(result):
    return {text.split(":")[0]: holds for text, holds in optimizers_report.checks(result)}


def printed(result):
    console = Console(file=io.StringIO(), width=80)
    optimizers_report.print_report(result, console)
    print_checks(optimizers_report.checks(result), console)
    return console.file.getvalue()


def test_a_study_leaves_json_and_figures_and_says_by_its_code_whether_all_holds(finished, result):
    settings, code = finished
    assert code == int(not all(statements(result).values()))
    drawn = {f"quick_{name}.{kind}" for name in FIGURES for kind in ("png", "svg")}
    assert {path.name for path in settings.results.iterdir()} == {"cache", "quick.json", *drawn}
    assert {"commit", "versions", "cpu", "command"} <= result["provenance"].keys()


def test_the_json_has_every_run(result):
    kinds = {(r["settings"]["surface"], r["settings"]["optimizer"]) for r in result["descents"]}
    assert len(kinds) == len(result["descents"]) == 4 * 4
    for record in result["descents"]:
        assert np.shape(record["result"]["end"]) == np.shape(record["result"]["steps"]) == (3, 17)
        assert len(record["result"]["path"]) == len(record["result"]["heights"]) == 41
    assert len(result["validation"]["runs"]) == 4 * 3 * 1
    assert len(result["palindromes"]["runs"]) == 4 * 1 * 2


def test_a_second_call_and_a_report_run_nothing_and_draw_the_same(finished, monkeypatch, capsys):
    settings, code = finished
    before = {path: path.read_bytes() for path in settings.results.glob("*.*g")}
    for name in ("fit", "descents", "measure"):
        monkeypatch.setattr(optimizers_study, name, None)
    monkeypatch.setitem(PLANS, "quick", TINY)
    with monkeypatch.context() as undrawn:  # drawn below, from the JSON that this call writes
        undrawn.setattr(optimizers_report, "figures", lambda result, stem: [])
        assert publish(settings) == code
    assert capsys.readouterr().out.count("runs were finished before") == 4
    monkeypatch.setattr(optimizers_study, "run_sweep", None)
    assert publish(dataclasses.replace(settings, report_only=True)) == code
    assert {path: path.read_bytes() for path in settings.results.glob("*.*g")} == before


@pytest.mark.parametrize("plan", PLANS.values(), ids=PLANS)
def test_all_optimizers_have_one_grid_and_choose_on_seeds_that_are_not_reported(plan):
    assert {d.rates for d in plan.descents()} == {plan.rates}
    seeds = range(VALIDATION_SEED, VALIDATION_SEED + plan.validation_seeds)
    choosing = plan.runs(dict.fromkeys(OPTIMIZERS, plan.run_rates), seeds)
    grids = {name: {run.learning_rate for run in choosing if run.optimizer == name} for name in OPTIMIZERS}
    assert all(grid == set(plan.run_rates) for grid in grids.values())
    reported = plan.runs(dict.fromkeys(OPTIMIZERS, plan.run_rates[:1]), range(plan.seeds))
    assert not {run.seed for run in choosing} & {run.seed for run in reported}


def test_palindromes_of_length_11_have_ten_seeds():
    plan = PLANS["optimizers"]
    assert plan.seeds == 10
    assert plan.run["length"] == PalindromeRun("LSTM", 11, 0).length


def test_a_learning_rate_is_chosen_by_the_starts_that_do_not_report_it(monkeypatch):
    settings = Descents("valley", "momentum", RATES[:2], 200, starts=4)
    before = descents(settings)
    real = optimizers_study.heights

    def without(hidden):
        def altered(surface, paths):
            found = real(surface, paths)
            if found.ndim == 3:
                found[:, :, hidden] = np.where(np.array(RATES[:2]) == before["best"], np.inf, 0.0)[:, None]
            return found

        return altered

    monkeypatch.setattr(optimizers_study, "heights", without(slice(3, None)))
    assert descents(settings)["best"] == before["best"]
    monkeypatch.setattr(optimizers_study, "heights", without(slice(1, 3)))
    assert descents(settings)["best"] != before["best"]


def test_a_descent_has_arrived_when_it_stays_down_and_is_lost_when_it_rises_tenfold(monkeypatch):
    curves = {
        0.1: [1, 1e-5, 1, 1e-5, 1e-5],  # comes back up once
        0.2: [1, 1, 1, 1, 1],
        0.3: [1, 11, 1e-9, 1e-9, 1e-9],
        0.4: [1e-5, 1e-6, 1e-6, 1e-6, 1e-6],  # down from the start
    }
    found = np.repeat(np.array(list(curves.values()), dtype=float).T[:, :, None], 3, axis=2)
    found = np.concatenate([found] + [found[-1:]] * 8)  # 12 steps
    monkeypatch.setattr(optimizers_study, "heights", lambda surface, paths: found)
    result = descents(Descents("valley", "sgd", tuple(curves), 12, starts=2))
    assert result["steps"] == [[3] * 3, [None] * 3, [None] * 3, [0] * 3]
    assert result["end"] == [[1e-5] * 3, [1.0] * 3, [None] * 3, [1e-6] * 3]
    assert result["best"] == 0.4
    assert max(curves[0.4]) < ARRIVED


def test_the_best_rate_of_networks_is_of_least_loss_and_never_one_that_diverged(result):
    validation = result["validation"]
    for run in validation["runs"]:
        rate = {**validation["common"], **run["settings"]}["learning_rate"]
        run["diverged"] = rate == RATES[0]
        run["loss"] = [{RATES[0]: 0.0, RATES[1]: 0.5, RATES[2]: 1.0}[rate]] * 2
    assert optimizers_results.best_rates(validation) == dict.fromkeys(OPTIMIZERS, RATES[1])


def test_a_curve_that_ended_early_counts_with_its_last_loss(result):
    validation = result["validation"]
    for run in validation["runs"]:
        rate = {**validation["common"], **run["settings"]}["learning_rate"]
        run["loss"] = {RATES[0]: [1.0, 1.0], RATES[1]: [0.9], RATES[2]: [1.2, 0.2]}[rate]
    assert optimizers_results.best_rates(validation) == dict.fromkeys(OPTIMIZERS, RATES[2])


def test_checks_fail_where_they_should(result):
    assert len(statements(result)) == 5
    for record in result["descents"]:
        record["result"]["best"] = RATES[1]
    for run in result["validation"]["runs"]:
        run["loss"] = [float({**result["validation"]["common"], **run["settings"]}["learning_rate"] != RATES[1])]
    good = statements(result)
    assert all(good.values()), printed(result)
    for name, change in {
        "no best learning rate is at an end of its grid": lambda r: r["descents"][3]["result"].update(best=RATES[2]),
        "the rate of gradient descent is as in theory": lambda r: r["quadratics"][0]["result"].update(measured=[0.9]),
        "the rate of heavy ball is as in theory": lambda r: r["quadratics"][1]["result"].update(measured=[0.9]),
        "with the minus of equation 21 Adam goes up": lambda r: r["slips"][1].update(slipped=[2.0, 1.0]),
        "with that of 22 too its first step is no number": lambda r: r["slips"][2].update(as_printed_is_a_number=True),
    }.items():
        changed = copy.deepcopy(result)
        change(changed)
        assert statements(changed) == {**good, name: False}


def test_tables_have_mean_spread_and_guessing(result):
    for run in result["palindromes"]["runs"]:
        first = {**result["palindromes"]["common"], **run["settings"]}["seed"] == 0
        run["test_accuracy"], run["accuracy"] = (1.0, [0.2, 0.99]) if first else (0.98, [0.99])
    for record in result["descents"]:
        row = record["settings"]["rates"].index(record["result"]["best"])
        record["result"]["steps"][row] = [1] * 9 + [10, 20, 30, 40, 50, 60, 70, 80]
    text = printed(result)
    assert "99.0 ± 1.4" in text
    assert "45 (10-80)" in text
    assert "…" not in text  # nothing is cut off in a terminal of 80 columns
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in optimizers_report.steps(result).splitlines()]
    assert [row[0] for row in rows[2:]] == ["SGD", "momentum 0.9", "RMSProp", "Adam", "guessing"]
    assert {len(row) for row in rows} == {7}
    assert rows[2][1].startswith("45 (10-80), at ")
    assert rows[2][-2:] == [
        f"15 (10-20), at {optimizers_results.best_rates(result['validation'])['sgd']:g}",
        "99.0 ± 1.4",
    ]
    assert rows[-1][-1] == "10"
    some = copy.deepcopy(result["descents"][0])
    some["result"]["steps"][some["settings"]["rates"].index(some["result"]["best"])][-1] = None
    best = optimizers_report.Best({**some["settings"], **some["result"]})
    assert (str(best), best.good) == ("7 of 8", 0)


def test_where_every_rate_is_too_large_the_path_is_kept_as_far_as_it_is_finite():
    result = descents(Descents("beale", "sgd", (1.0, 2.0), 30, starts=2))
    assert result["end"] == [[None] * 3] * 2
    assert 1 < len(result["path"]) == len(result["heights"]) < 31
    assert np.isfinite(result["heights"]).all()


def test_a_sign_error_is_held_against_torchs_adam():
    found = sign_error("valley", 0.1, 60)
    assert found["adam"][0] == found["slipped"][0] == 14.5
    assert found["adam"][-1] < 1 < 14.5 < found["slipped"][-1]
    assert found["as_printed_is_a_number"] is False
