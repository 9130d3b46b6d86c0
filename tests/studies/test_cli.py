"""What the scripts' commands do alike: one exit code for one thing, reports from the JSON alone."""

import dataclasses
import json
import os
import runpy
import subprocess
import sys
import types
from importlib import import_module
from pathlib import Path

import pytest
import tyro
from rich.console import Console

from harness import cli as command
from harness.files import fitting
from harness.report import show
from studies.faults.runs import COMMANDS
from studies.registry import STUDIES
from studies.speed.targets import NAMES as TIMED

SCRIPTS = Path(command.__file__).parents[1]
NAMES = [study.name for study in STUDIES]
# Which modules a script loads until its arguments are known to be wrong or all to be told; a heavy one ends it with 3.
ANSWERED = """
import runpy, sys
sys.argv = ["script.py", sys.argv[2]]
sys.path.insert(0, {folder!r})
try:
    runpy.run_path({folder!r} + "/" + {name!r} + ".py", run_name="__main__")
except SystemExit as end:
    heavy = {{"torch", "gnnseq", "pandas", "matplotlib", "networkx"}} & set(sys.modules)
    print(*sorted(heavy), file=sys.stderr)
    sys.exit(3 if heavy else end.code)
"""


@dataclasses.dataclass(frozen=True)
class Settings:
    seeds: int | None = None

    def __post_init__(self):
        if self.seeds == 0:
            raise ValueError("--seeds: got 0; expected at least 1")


def exit_code(monkeypatch, main, *arguments):
    monkeypatch.setattr(sys, "argv", ["benchmarks/example.py", *arguments])
    with pytest.raises(SystemExit) as caught:
        command.run(main, Settings)
    return caught.value.code


def raising(error):
    def main(_):
        raise error

    return main


@pytest.mark.parametrize("code", [0, 1])
def test_what_main_finds_is_the_exit_code(monkeypatch, capsys, code):
    assert exit_code(monkeypatch, lambda settings: code + settings.seeds - 3, "--seeds", "3") == code
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "error",
    [ValueError("x"), FileNotFoundError("x"), PermissionError("x"), ConnectionError("x"), ImportError("x")],
    ids=lambda error: type(error).__name__,
)
def test_what_is_wrong_is_said_in_one_line_with_exit_code_2(monkeypatch, capsys, error):
    assert exit_code(monkeypatch, raising(error)) == 2
    assert capsys.readouterr().err == "example.py: x\n"


@pytest.mark.parametrize("arguments", [("--seeds", "0"), ("--seeds", "None"), ("--seed-s", "1")])
def test_arguments_that_cannot_be_have_exit_code_2(monkeypatch, capsys, arguments):
    assert exit_code(monkeypatch, raising(AssertionError("ran")), *arguments) == 2
    assert "--seed" in capsys.readouterr().err


def test_ctrl_c_has_exit_code_130_and_says_how_to_go_on(monkeypatch, capsys):
    assert exit_code(monkeypatch, raising(KeyboardInterrupt)) == 130
    assert "the same command continues from the finished runs" in capsys.readouterr().err


def test_a_mistake_of_ours_is_not_hidden(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["example.py"])
    with pytest.raises(ZeroDivisionError):
        command.run(lambda _: 1 // 0, Settings)


def test_a_report_prints_and_draws_what_the_json_has(tmp_path, capsys):
    path = tmp_path / "kite.v2.json"
    path.write_text(json.dumps({"hops": 3}))
    report = types.SimpleNamespace(
        print_report=lambda result, console: console.print(result),
        figures=lambda result, stem: [stem.with_name(f"{stem.name}_{name}.png") for name in result],
    )
    assert show(path, path, report, Console(width=40)) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["{'hops': 3}", f"wrote {tmp_path / 'kite.v2_hops.png'}", f"from  {path}"]


def test_a_statement_that_does_not_hold_is_the_exit_code(tmp_path, capsys):
    (tmp_path / "kite.json").write_text("{}")
    report = types.SimpleNamespace(
        print_report=lambda result, console: None,
        figures=lambda result, stem: [],
        checks=lambda result: [("one", True), ("two", False)],
    )
    assert show(tmp_path / "kite.json", tmp_path / "kite.json", report, Console(width=40)) == 1
    assert capsys.readouterr().out.splitlines()[:2] == ["holds one", "FAILS two"]


@pytest.mark.parametrize("name", NAMES)
def test_every_script_refuses_a_report_without_whole_results(tmp_path, monkeypatch, capsys, name):
    monkeypatch.setattr(sys, "argv", [f"{name}.py", "--report-only", "--results", str(tmp_path)])

    def refused():
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(str(SCRIPTS / f"{name}.py"), run_name="__main__")
        assert caught.value.code == 2
        return capsys.readouterr().err

    said = refused()
    path = Path(said.removeprefix(f"{name}.py: ").partition(" does not exist")[0])
    assert said == f"{name}.py: {path} does not exist; run the command without --report-only first\n"
    assert path.parent == tmp_path
    path.write_text('{"runs": [')
    assert refused().startswith(f"{name}.py: {path}: 10 bytes that are not complete JSON")


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(("option", "code", "word"), [("--help", 0, "--quick"), ("--no-such", 2, "--no-such")])
def test_every_script_answers_without_loading_torch(name, option, code, word):
    program = ANSWERED.format(folder=str(SCRIPTS), name=name)
    ended = subprocess.run(
        [sys.executable, "-c", program, "--", option], capture_output=True, text=True, check=False, timeout=120
    )
    assert ended.returncode == code, ended.stderr
    assert word in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("gradients", ["--seeds", "0"]),
        ("gradients", ["--length", "1"]),
        ("palindrome", ["--steps", "0"]),
        ("palindrome", ["--lengths", "9", "1"]),
        ("palindrome", ["--jobs", "0"]),
        ("palindrome", ["--cluster", "tcp://head:8786"]),  # of which backend?
        ("palindrome", ["--backend", "spark"]),
        ("forecasting", ["--devices", "0"]),
        ("stocks", ["--nodes", "-1"]),
        ("stocks", ["--devices", "2", "--backend", "ray"]),
        ("receptive_field", ["--hidden", "0"]),
        ("char_lm", ["--hidden", "0"]),
        ("optimizers", ["--record", "--quick"]),
    ],
)
def test_a_number_out_of_range_is_refused_by_its_option(script, arguments, capsys):
    settings = import_module(script).Settings
    with pytest.raises(SystemExit) as caught:
        tyro.cli(settings, args=arguments)
    assert caught.value.code == 2
    assert arguments[0] in " ".join(capsys.readouterr().err.split())


def test_ctrl_c_while_modules_are_imported_is_no_traceback():
    """Before any command can catch it; some modules say that their own import failed."""
    for line in ("raise KeyboardInterrupt", "from harness.cli import run"):
        made = (
            f"import harness\n{line}\n"
            if line.startswith("raise")
            else (
                f"{line}\nimport dataclasses, sys\n"
                "Settings = dataclasses.make_dataclass('Settings', [])\n"
                "def main(settings):\n    try:\n        raise KeyboardInterrupt\n"
                "    except KeyboardInterrupt as error:\n"
                "        raise ImportError('numpy failed to import') from error\n"
                "sys.argv[1:] = []\nrun(main, Settings)\n"
            )
        )
        ended = subprocess.run([sys.executable, "-c", made], cwd=SCRIPTS, capture_output=True, text=True, check=False)
        assert ended.returncode == 130, ended.stderr
        assert "Traceback" not in ended.stderr
        assert "interrupted" in ended.stderr


@pytest.mark.parametrize(
    ("script", "arguments"),
    [
        ("speed", ["--works", *TIMED]),
        ("faults", ["--promises", "kills", "files", "--scripts", *COMMANDS][:-1]),
        ("forecasting", ["--series", "é" * 120 + ".csv"]),
        ("social_graph", ["--contacts", "n" * 240 + ".csv"]),
        ("char_lm", ["--corpus", "n" * 250]),
        ("receptive_field", ["--graph", "n" * 240 + ".csv"]),
        ("social_relations", ["--scenes", "n" * 240 + ".json"]),
    ],
)
def test_every_result_has_a_name_that_a_file_can_have(script, arguments, tmp_path):
    """Whatever is chosen and however long a user's file is called: else hours end with no place to be written to."""
    if not script.startswith(("speed", "faults")):
        arguments[1] = str(tmp_path / arguments[1])
        Path(arguments[1]).touch()
    settings = tyro.cli(runpy.run_path(str(SCRIPTS / f"{script}.py"))["Settings"], args=arguments)
    assert len(settings.name.encode()) < 200


def test_names_that_are_cut_stay_apart():
    assert fitting("a" * 200 + "b") != fitting("a" * 200 + "c")
    assert fitting("é" * 60) == "é" * 60
    latin = [
        os.fsdecode(f"caf{letter}".encode("latin-1")) for letter in "éè"
    ]  # no text, as names of other systems may be
    assert fitting(latin[0]) != fitting(latin[1])
    assert all(fitting(name).isprintable() and fitting(name).startswith("caf-") for name in latin)
