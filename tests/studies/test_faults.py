"""Faults are counted as they are, and of a sample of what the study tries nothing falls."""

import dataclasses
import faulthandler
import os
import random
import signal
import sys

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

import faults as script
from gnnseq.data.stocks import load_prices, load_relations
from gnnseq.data.text import load_corpus
from harness.files import UnreadableResultError, read_json
from studies.faults import calls, kills, mutated, processes, report, study
from studies.faults.children import attempt_all
from studies.faults.pages import raw_markup
from studies.faults.runs import COMMANDS
from studies.registry import STUDIES

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="children are forked, and signals counted"),
    pytest.mark.filterwarnings("ignore:Initializing zero-element tensors"),  # torch.nn.Linear's
]


def test_a_signal_is_counted_and_what_comes_after_is_tried():
    def attempt(number):
        if number % 3 == 1:
            faulthandler.disable()
            os.kill(os.getpid(), signal.SIGSEGV)
        return "right", "of\tseveral\nlines"

    outcomes = attempt_all(range(5), attempt)
    assert [outcome.what for outcome in outcomes] == ["right", "signal", "right", "right", "signal"]
    assert outcomes[1].detail == "SIGSEGV"
    assert outcomes[0].detail == "of several lines"


def test_a_trial_that_leaves_another_state_is_the_last_of_its_child():
    kept = []

    def attempt(number):
        kept.extend([number] * (number % 2))
        return str(os.getpid()), ""

    first, second, third, fourth = (outcome.what for outcome in attempt_all(range(4), attempt, lambda: len(kept)))
    assert first == second
    assert third == fourth
    assert second != third


@pytest.mark.parametrize("build", sorted(set(calls.CALLS), key=lambda build: build.__name__))
def test_calls_that_nothing_is_spoilt_of(build):
    function, arguments = build(random.Random(3))
    assert function(**arguments) is not None


@settings(max_examples=8)  # each may have torch import what records
@given(st.integers(0, 2**32))
def test_calls_with_made_up_arguments(seed):
    what, detail = calls.attempt_one(seed)
    assert what in ("right", *calls.CLEAR), detail


@pytest.mark.parametrize("kind", mutated.KINDS)
def test_files_that_nothing_happened_to(kind):
    assert mutated.whole(kind) is not None


@settings(max_examples=40)
@given(st.integers(0, 2**32))
def test_mutated_files_are_read_or_named(seed):
    what, detail = mutated.attempt_file(seed)
    assert what in ("right", "named"), detail


def test_what_was_seen_of_files(tmp_path):
    """Errors that once named no file, or were none of a reader's."""
    text = np.array([["a", "b"], ["c", "d"]])
    packed = {
        "tickers": np.array(["A", "B"]),
        "dates": np.array(["2020-01-01", "2020-01-02"]),
        "features": text[:, :, None],
    }
    np.savez(tmp_path / "prices.npz", **packed)
    edges = {"wiki_edge_index": np.array([[0], [1]]), "wiki_edge_type": np.array(["x"]), "tickers": packed["tickers"]}
    np.savez(tmp_path / "relations.npz", **edges)
    (tmp_path / "empty.txt").touch()
    (tmp_path / "deep.json").write_text("[" * 200_000)
    for read in (
        lambda: load_prices(tmp_path / "prices.npz"),
        lambda: load_relations(tmp_path / "relations.npz", ["A", "B"]),
        lambda: load_relations(tmp_path / "deep.json", ["A", "B"]),
        lambda: load_corpus(tmp_path / "empty.txt"),
    ):
        with pytest.raises(ValueError, match=str(tmp_path)):
            read()
    with pytest.raises(UnreadableResultError, match=r"deep\.json"):
        read_json(tmp_path / "deep.json")


def test_markup_that_is_not_escaped_is_found():
    assert raw_markup("<p>&lt;img src=x onerror=alert(1)&gt;</p>") == []
    assert raw_markup("<p><img src=x onerror=alert(1)></p>") == ["<img src=x"]


def test_what_is_written_on_a_full_disk_is_an_error_with_the_remedy():
    promise, tried, fell = processes._full()
    assert tried == 6
    assert fell == [], promise


def test_what_was_counted_is_kept_and_of_another_commit_counted_again(tmp_path, monkeypatch):
    asked = []

    def trial(settings, script):
        asked.append(script)
        if script == "trees" and asked.count(script) == 1:
            raise KeyboardInterrupt
        return [{"promise": script, "tried": settings.kills, "failed": 0, "kinds": {}, "fell": []}]

    monkeypatch.setitem(study.TRIALS, "kills", trial)
    monkeypatch.setattr(study, "commit", lambda: "one")
    console = Console(quiet=True)
    both = script.Settings(promises=("kills",), scripts=("palindrome", "trees"), kills=3, results=tmp_path)
    with pytest.raises(KeyboardInterrupt):
        study.run(both, console)
    rows = study.run(both, console)["promises"]
    assert [row["promise"] for row in rows] == ["palindrome", "trees"]
    assert asked == ["palindrome", "trees", "trees"]
    monkeypatch.setattr(study, "commit", lambda: "another")
    study.run(dataclasses.replace(both, scripts=("palindrome",)), console)
    assert asked[3:] == ["palindrome"]
    names = {each.name for each in (both, dataclasses.replace(both, scripts=("trees",)), script.Settings())}
    assert names == {"counted-kills-palindrome-trees", "counted-kills-trees", "counted"}


def test_every_script_that_trains_is_killed_and_clocks_are_no_numbers():
    assert {*COMMANDS} == {each.name for each in STUDIES} - {"receptive_field", "speed", "faults"}
    one, other = ({"test": 1, "milliseconds": clock, "runs": [{"peak_gb": clock, "loss": [2.0]}]} for clock in (3, 4))
    assert kills._numbers(one) == kills._numbers(other) == {"test": 1, "runs": [{"loss": [2.0]}]}


def test_a_promise_that_fell_is_a_statement_that_fails():
    row = {"promise": "it holds", "tried": 1000, "failed": 1, "kinds": {}, "fell": [{"what": "signal"}]}
    assert list(report.checks({"promises": [row]})) == [("it holds", False)]
    assert "| it holds | 1,000 | 1 |" in report.promises({"promises": [row]})


def test_calls_are_the_same_for_the_same_seed():
    def arguments(seed):
        torch.manual_seed(0)
        return calls.call_convolution(random.Random(seed))[1]["x"]

    torch.testing.assert_close(arguments(5), arguments(5))
