"""The command of the character language models: trains, is stopped and goes on, rebuilds, writes."""

import dataclasses
import json
import math
import os
import runpy
import signal
import sys
import threading

import pytest
import tyro

import char_lm as script
from gnnseq.data.text import TextWindows
from studies.char_lm import report, study
from studies.char_lm import sample as sampling
from studies.char_lm.runs import PRESETS

TEXT = "The quick brown fox jumps over the lazy dog, and the dog does not mind.\n" * 40


def run(arguments):
    """The script's exit code."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", [script.__file__, *arguments])
        with pytest.raises(SystemExit) as ended:
            runpy.run_path(script.__file__, run_name="__main__")
    return ended.value.code


@pytest.fixture
def undrawn(monkeypatch):
    """Drawing takes longer than such a training; other tests look at the pictures."""
    monkeypatch.setattr(report, "figures", lambda result, stem: [])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """Arguments and result of a quick training on a text file."""
    folder = tmp_path_factory.mktemp("char_lm")
    (folder / "dog.txt").write_text(TEXT)
    arguments = ["--quick", "--corpus", str(folder / "dog.txt"), "--results", str(folder)]
    assert run(arguments) == 0
    return arguments, folder, json.loads((folder / "dog-quick.json").read_text())


def test_the_json_has_what_tables_and_figures_need(made):
    _, folder, result = made
    assert result["corpus"] == {
        "name": "dog.txt", "characters": len(TEXT), "vocabulary": len(set(TEXT)) + 1, "split": [2592, 144, 144],
    }  # fmt: skip
    (run,) = result["runs"]
    assert run["settings"]["preset"] == "quick"
    assert run["curves"].keys() == {"step", "seconds", "cpu_seconds", "loss", "accuracy", "learning_rate"}
    assert run["validation"]["step"] == [20, 40, 60]
    assert run["test"]["bits_per_character"] == pytest.approx(run["test"]["loss"] / math.log(2), rel=1e-4)
    assert {(each["step"], each["temperature"], each["length"]) for each in run["samples"]} == {
        (step, temperature, length)
        for step in (0, 60)
        for temperature in (0, 0.5, 1, 2)
        for length in (20, 30, 50, 120)
    }  # fmt: skip
    baselines = [result["baselines"][name]["test"] for name in ("5-gram, Kneser-Ney", "unigram", "uniform")]
    assert baselines == sorted(baselines)
    assert baselines[2] == pytest.approx(math.log(result["corpus"]["vocabulary"]), rel=1e-4)
    assert (folder / result["checkpoints"][0]).exists()


def test_a_folder_that_is_named_from_here_is_one(made, undrawn, tmp_path, monkeypatch):
    """As the one without --results is."""
    arguments, *_ = made
    monkeypatch.chdir(tmp_path)
    assert run([*arguments[:-1], "here", "--steps", "20"]) == 0
    (checkpoint,) = json.loads((tmp_path / "here" / "dog-quick.json").read_text())["checkpoints"]
    assert (tmp_path / "here" / checkpoint).exists()


def test_figures_and_tables_are_rebuilt_from_the_json_alone(made, monkeypatch, capsys):
    arguments, folder, _ = made
    pictures = sorted([*folder.glob("*.png"), *folder.glob("*.svg"), *folder.glob("*.txt")])
    assert len(pictures) > 4
    before = [path.read_bytes() for path in pictures]
    monkeypatch.setattr(study, "run", None)
    assert run([*arguments, "--report-only"]) == 0
    assert [path.read_bytes() for path in pictures] == before
    assert "5-gram, Kneser-Ney" in capsys.readouterr().out


def test_a_finished_run_is_kept_and_a_seed_is_one_run(made, undrawn, monkeypatch):
    arguments, folder, result = made
    monkeypatch.setattr(study, "train", None)
    assert run(arguments) == 0
    assert json.loads((folder / "dog-quick.json").read_text())["runs"] == result["runs"]


def test_stopped_it_says_how_to_go_on_and_goes_on(made, undrawn, tmp_path, monkeypatch, capsys):
    arguments, _, result = made
    command = [*arguments[:-1], str(tmp_path), "--save-every", "1"]
    read = TextWindows.__getitem__

    def item(windows, number):
        if number == 4:  # the fifth step's window is read after the fourth step
            os.kill(os.getpid(), signal.SIGTERM)
        return read(windows, number)

    with monkeypatch.context() as patch:
        patch.setattr(TextWindows, "__getitem__", item)
        assert run(command) == 128 + signal.SIGTERM
    said = capsys.readouterr().err
    assert "stopped by SIGTERM after step 5; saved " in said
    assert said.rstrip().endswith("--save-every 1 --resume")
    assert "Traceback" not in said
    assert run([*command, "--resume"]) == 0
    assert "step 60 of 60: held-out " in capsys.readouterr().err
    again = json.loads((tmp_path / "dog-quick.json").read_text())["runs"][0]
    assert again["samples"] == result["runs"][0]["samples"]
    assert again["curves"]["loss"] == result["runs"][0]["curves"]["loss"]


def test_samples_stream_and_depend_on_the_seed(made, capsys, monkeypatch):
    _, folder, result = made
    checkpoint = str(folder / result["checkpoints"][0])

    def written(*options):
        assert run(["sample", checkpoint, "--length", "30", *options]) == 0
        return capsys.readouterr()

    first = written("--prompt", "The", "--seed", "3")
    assert first.out.startswith("The")
    assert len(first.out) == 3 + 30 + 1
    assert "30 characters, " in first.err
    assert written("--prompt", "The", "--seed", "3").out == first.out
    assert written("--prompt", "The", "--seed", "4").out != first.out
    greedy = written("--prompt", "The", "--temperature", "0").out
    assert written("--prompt", "The", "--top-k", "1").out == greedy
    assert written("--prompt", "The", "--nucleus", "0.001").out == greedy
    assert written("--prompt", "The", "--beams", "1").out.startswith(greedy.removesuffix("\n"))
    assert len(written().out) == 31

    flushed = []
    monkeypatch.setattr(sampling, "print", lambda *text, **how: flushed.append((text, how.get("flush"))), raising=False)
    assert run(["sample", checkpoint, "--length", "4"]) == 0
    assert [how for text, how in flushed if text and len(text[0]) == 1] == [True] * 4


def test_who_reads_may_leave_early(made, monkeypatch, capsys):
    """As `head` does; 100,000 characters are more than a pipe holds."""
    _, folder, result = made
    reading, writing = os.pipe()
    reader = threading.Thread(target=lambda: (os.read(reading, 10), os.close(reading)))
    reader.start()
    with os.fdopen(writing, "w") as pipe:  # which writes the rest when it is closed, as at the end of a process
        monkeypatch.setattr(sys, "stdout", pipe)
        assert run(["sample", str(folder / result["checkpoints"][0]), "--length", "100000"]) == 0
        reader.join()
    assert capsys.readouterr().err == ""


def test_what_is_wrong_is_said_in_one_line_with_exit_code_2(made, tmp_path, capsys):
    _, folder, result = made
    checkpoint = str(folder / result["checkpoints"][0])
    (tmp_path / "short.txt").write_text("abc")
    (tmp_path / "foreign.ckpt").write_text("abc")
    for arguments, message in (
        (["--corpus", "nowhere"], "source='nowhere': no such file or folder"),
        (["--corpus", str(tmp_path / "short.txt")], "text has 3 characters"),
        (["--steps", "0"], "steps=0; expected an integer of 1"),
        (["sample", str(tmp_path / "foreign.ckpt")], "3 bytes that are no checkpoint"),
        (["sample", checkpoint, "--prompt", "Zoë"], "--prompt: the model has not met 'Z' 'ë'; it knows"),
        (["sample", checkpoint, "--beams", "3"], "prompt is empty"),
        (["sample", checkpoint, "--temperature", "-1"], "temperature=-1.0; expected"),
    ):
        assert run(arguments) == 2
        found = capsys.readouterr()
        assert message in found.err
        assert found.err.startswith("char_lm.py: ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seeds": (1, 1)}, r"--seeds: got \(1, 1\); expected different numbers"),
        ({"seeds": ()}, r"--seeds: got \(\); expected different numbers, at least one"),
        ({"seeds": (1, 2), "devices": 2}, "--devices 2 --nodes 1: expected a single seed"),
        ({"together": True}, "--together: expected it with --report-only"),
    ],
)
def test_settings_that_do_not_fit_are_named(changes, message):
    with pytest.raises(ValueError, match=message):
        script.Settings(**changes)


def test_presets_are_the_reports_and_changes_have_a_name_of_their_own():
    report = script.Settings(preset="report").training(0)
    assert (report.kind, report.hidden, report.layers, report.dropout) == ("LSTM", 128, 2, 0.05)
    assert (report.window, report.batch, report.embedding, report.learning_rate) == (30, 64, 0, 2e-3)
    assert report.schedule == "decay"
    names = [script.Settings(**changes).name for changes in (
        {}, {"preset": "best"}, {"kind": "GRU"}, {"quick": True}, {"corpus": "a/b.txt"}, {"seeds": (1, 2)},
    )]  # fmt: skip
    assert names == ["pydoc-fast", "pydoc-best", "pydoc-custom", "pydoc-quick", "b-fast", "pydoc-fast"]
    for preset in PRESETS.values():
        assert dataclasses.replace(preset, kind="GRU").kind == "GRU"
    assert script.Settings(quick=True, steps=7).training(0).steps == 7
    assert tyro.cli(script.Settings, args=["--kind", "RNN", "--embedding", "0"]).training(3).kind == "RNN"


def test_three_texts_are_trained_on_as_they_are_split(undrawn, tmp_path, capsys):
    """And each validation of each seed is a line where output is no terminal."""
    parts = {"train": TEXT, "valid": TEXT[:100] + "€", "test": TEXT[:200]}
    for name, text in parts.items():
        (tmp_path / f"{name}.txt").write_text(text)
    files = [word for name in parts for word in (f"--{name}", str(tmp_path / f"{name}.txt"))]
    command = [
        "--quick",
        *files,
        "--results",
        str(tmp_path),
        "--steps",
        "20",
        "--seeds",
        "0",
        "1",
        "--jobs",
        "1",
        "--json",
    ]
    assert run(command) == 0
    said = capsys.readouterr()
    result = json.loads(said.out)
    assert result["corpus"] == {
        "name": "train.txt+valid.txt+test.txt", "characters": len(TEXT) + 301,
        "vocabulary": len(set(TEXT)) + 1, "split": [len(TEXT), 101, 200],
    }  # fmt: skip
    lines = [line for line in said.err.splitlines() if ": held-out " in line]
    starts = [line.partition(" of 20")[0] for line in lines]
    assert starts == ["seed 0, step 20", "seed 1, step 20"]
    (path,) = tmp_path.glob("*-quick.json")
    assert path.name.startswith("train-")
    one = script.Settings(train=tmp_path / "train.txt", valid=tmp_path / "valid.txt", test=tmp_path / "test.txt")
    other = dataclasses.replace(one, test=tmp_path / "b" / "test.txt")
    corpus = script.Settings(corpus=str(tmp_path / "train.txt"))
    assert len({one.name, other.name, corpus.name}) == 3


@pytest.mark.parametrize(
    ("given", "message"),
    [(["--train", "a"], "--valid and --test: expected all three of --train, --valid, --test"),
     (["--valid", "a", "--test", "b"], "--train: expected all three"),
     (["--train", "a", "--valid", "b", "--test", "c", "--corpus", "d"], "choose one text, or three"),
     (["--train", "a", "--valid", "b", "--test", "./a"], "expected three texts, of which none is another"),
     (["--train", "a", "--valid", "b", "--test", "c"], "source='a': no such file")],
)  # fmt: skip
def test_three_texts_are_all_given_or_none(given, message, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert run(["--quick", *given]) == 2
    assert message in " ".join(capsys.readouterr().err.split())
