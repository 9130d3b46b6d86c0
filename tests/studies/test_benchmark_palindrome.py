"""The palindrome study end to end on tiny runs: results on disk, figures from JSON alone, honest exit codes."""

import copy
import dataclasses
import io
import json
import math

import pytest
import tyro
from rich.console import Console

import palindrome
from gnnseq.data.palindromes import Palindromes
from harness.cli import publish
from harness.report import print_checks
from studies.palindrome import figures as palindrome_figures
from studies.palindrome import fit as fit_module
from studies.palindrome import report as palindrome_report
from studies.palindrome import study as palindrome_study
from studies.palindrome.fit import OPTIMIZERS
from studies.palindrome.results import Group
from studies.palindrome.runs import PLANS, PalindromeRun

TINY = palindrome.Settings(quick=True, jobs=1, lengths=(3,), seeds=2, hidden=8, steps=20)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A finished tiny study and its exit code."""
    settings = dataclasses.replace(TINY, results=tmp_path_factory.mktemp("results"))
    return settings, publish(settings)


@pytest.fixture
def result(finished):
    return json.loads((finished[0].results / "custom.json").read_text())


def printed(result):
    console = Console(file=io.StringIO(), width=120)
    palindrome_report.print_report(result, console)
    print_checks(palindrome_report.checks(result), console)
    return console.file.getvalue()


def test_a_study_leaves_json_and_figures(finished):
    settings, code = finished
    assert code == 0
    written = {path.name for path in settings.results.iterdir()}
    assert written == {"cache", "custom.json", "custom.png", "custom.svg"}
    assert len(list((settings.results / "cache").iterdir())) == 2 * 5


def test_the_json_has_every_run_its_curves_and_where_it_came_from(result):
    assert len(result["runs"]) == 2 * 5
    for run in result["runs"]:
        assert len(run["loss"]) == len(run["accuracy"]) == run["steps"] / result["common"]["record_every"]
        assert {**result["common"], **run["settings"]}.keys() == {
            field.name for field in dataclasses.fields(PalindromeRun)
        }
    assert {"commit", "versions", "cpu", "command", "runs_by_commit"} <= result["provenance"].keys()


def test_a_second_call_trains_nothing_and_draws_the_same(finished, monkeypatch, capsys):
    settings, _ = finished
    before = {path: path.read_bytes() for path in settings.results.glob("custom.*g")}

    def never(run):
        raise AssertionError(f"trained {run}")

    monkeypatch.setattr(palindrome_study, "fit", never)
    assert publish(settings) == 0
    assert "10 of 10 runs were finished before" in capsys.readouterr().out
    assert {path: path.read_bytes() for path in settings.results.glob("custom.*g")} == before


def test_the_report_needs_nothing_but_the_json(finished, result, tmp_path, monkeypatch):
    settings, _ = finished
    (tmp_path / "custom.json").write_text(json.dumps(result))
    monkeypatch.setattr(palindrome_study, "run_sweep", None)
    assert publish(dataclasses.replace(settings, results=tmp_path, report_only=True)) == 0
    for name in ("custom.png", "custom.svg"):
        assert (tmp_path / name).read_bytes() == (settings.results / name).read_bytes()


def test_the_table_has_mean_spread_and_chance(result):
    for run in result["runs"]:
        run["test_accuracy"] = 0.1
    solved = [run for run in result["runs"] if run["settings"]["model"] == "LSTM"]
    for run, accuracy, curve in zip(solved, (1.0, 0.98), ([0.2, 0.99], [0.2, 0.9]), strict=True):
        run["test_accuracy"], run["accuracy"] = accuracy, curve
    row = next(line.split() for line in printed(result).splitlines() if "LSTM" in line)
    assert row[:7] == ["LSTM", "99.0", "±", "1.4", "98.0", "1/2", "20"]
    row = next(line.split() for line in printed(result).splitlines() if "GRU" in line)
    assert row[:7] == ["GRU", "10.0", "±", "0.0", "10.0", "0/2", "chance"]


def test_a_graph_network_that_sees_too_much_fails_the_study(finished, result, tmp_path, monkeypatch):
    monkeypatch.setattr(palindrome_report, "figures", lambda result, stem: [])  # drawn in other tests
    assert palindrome_report.checks(result)[0][1]
    seen = copy.deepcopy(result)
    blind = next(r for r in seen["runs"] if r["settings"]["model"] == "GCN" and r["settings"]["hops_short"] == 1)
    blind["test_accuracy"] = 0.2
    assert "FAILS GCNs of fewer than L-1 layers are at chance" in printed(seen)
    (tmp_path / "custom.json").write_text(json.dumps(seen))
    assert publish(dataclasses.replace(finished[0], results=tmp_path, report_only=True)) == 1


def test_the_long_study_holds_only_if_every_seed_is_solved(result):
    result["study"] = "long"
    for run in result["runs"]:
        run["settings"] |= {"init": "chrono"}
        run["test_accuracy"] = 0.995
    result["common"].pop("init", None)
    text, holds = palindrome_report.checks(result)[-1]
    assert holds
    assert text == "LSTM at L = 3: 2 of 2 seeds at 99 % or better, 99.5 to 99.5 %"
    next(run for run in result["runs"] if run["settings"]["model"] == "LSTM")["test_accuracy"] = 0.9899
    text, holds = palindrome_report.checks(result)[-1]
    assert not holds
    assert text == "LSTM at L = 3: 1 of 2 seeds at 99 % or better, 99.0 to 99.5 %"


def test_a_curve_that_ended_goes_on_at_its_last_value():
    settings = {"test_on": 100, "record_every": 10, "steps": 40}
    runs = [{"loss": [2.0, 1.0], "test_accuracy": 1.0}, {"loss": [], "test_accuracy": 0.1}]
    curves = Group(settings, runs, "RNN").curves("loss")
    assert curves[0].tolist() == [2.0, 1.0, 1.0, 1.0]
    assert all(math.isnan(value) for value in curves[1])  # diverged at once: there is nothing to draw


@pytest.mark.parametrize("study", ["full", "long"])
def test_many_lengths_are_drawn_model_by_model(result, study, tmp_path, monkeypatch):
    result["study"] = study
    for length in (5, 7, 9, 11):
        more = copy.deepcopy(result["runs"][:10])
        for run in more:
            run["settings"]["length"] = length
        result["runs"] += more
    result["common"].pop("length")
    for run in result["runs"]:
        run["settings"].setdefault("length", 3)
    drawn = []
    monkeypatch.setattr(palindrome_figures, "save_figure", lambda figure, stem: drawn.append((figure, stem)) or [])
    palindrome_report.figures(result, tmp_path / study)
    ((figure, stem),) = drawn
    assert stem == tmp_path / study
    panels = figure.axes
    assert [panel.get_title("left") for panel in panels[:5]] == ["RNN", "LSTM", "GRU", "GCN, k = L-2", "GCN, k = L-1"]
    assert all(len(panel.lines) == 5 + 1 for panel in panels)  # a curve a length, and chance


def test_full_is_the_reports_figure_1():
    runs = PLANS["full"].runs()
    assert len(runs) == len(set(runs)) == 2 * 2 * 10 * 10
    assert {run.length for run in runs} == set(range(5, 24, 2))
    assert {run.encoding for run in runs} == {"scalar", "one-hot"}
    assert {(run.hidden, run.learning_rate, run.batch, run.init, run.optimizer) for run in runs} == {
        (128, 1e-3, 128, "he", "rmsprop")
    }


def test_long_has_ten_seeds_at_every_length_within_ten_thousand_steps():
    runs = [run for run in PLANS["long"].runs() if run.model == "LSTM" and run.init == "chrono"]
    assert sorted((run.length, run.seed) for run in runs) == [(n, s) for n in (50, 100, 200, 1000) for s in range(10)]
    assert {run.steps for run in runs if run.length < 1000} == {10_000}


def test_a_changed_study_has_results_of_its_own():
    assert palindrome.Settings(full=True).name == "full"
    assert palindrome.Settings(full=True, jobs=4).name == "full"
    assert palindrome.Settings(full=True, seeds=2).name == "custom"
    changed = palindrome.Settings(full=True, models=("LSTM",), lengths=(7,), encodings=("one-hot",), learning_rate=0.01)
    assert changed.plan().runs() == [
        PalindromeRun("LSTM", 7, seed, "one-hot", learning_rate=0.01, steps=PLANS["full"].arms[0]["steps"])
        for seed in range(10)
    ]


def test_a_study_without_runs_is_refused():
    with pytest.raises(ValueError, match="nothing to run: this study has no GCN"):
        palindrome.Settings(full=True, models=("GCN",)).plan().runs()


def test_two_studies_at_once_are_refused():
    with pytest.raises(ValueError, match="--quick and --full: choose one"):
        publish(palindrome.Settings(quick=True, full=True))


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_can_be_named_on_the_command_line(name):
    settings = tyro.cli(palindrome.Settings, args=["--quick", "--optimizer", name])
    assert {run.optimizer for run in settings.plan().runs()} == {name}
    assert settings.name == ("quick" if name == "adam" else "custom")


def test_palindromes_grow_when_a_block_is_solved():
    """A run that begins with short ones gets to the full length, which it is tested on from then on."""
    lengths = []

    class Counted(Palindromes):
        def __init__(self, length, encoding, seed=0, split=None):
            super().__init__(length, encoding, seed, split or "train")
            lengths.extend([length] if split == "train" else [])

    given = {"hidden": 16, "init": "chrono", "time_scale": 3.0, "optimizer": "adam", "learning_rate": 2e-2}
    run = PalindromeRun("LSTM", 20, 0, grow_from=5, batch=64, steps=400, evaluate_every=10, test_on=200, **given)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(fit_module, "Palindromes", Counted)
        result = fit_module.fit(run)
    assert lengths == [5, 10, 20]
    assert result["converged"]
    assert result["test_accuracy"] > 0.98
