"""What the scripts' commands do alike: one exit code for one thing, reports from the JSON alone."""

import dataclasses
import json
import runpy
import sys
from pathlib import Path

import pytest
from rich.console import Console

from harness import cli as command

SCRIPTS = Path(command.__file__).parent
RESULTS = {
    "receptive_field": "receptive_field",
    "palindrome": "story",
    "gradients": "gradients",
    "optimizers": "optimizers",
    "stocks": "synthetic",
    "forecasting": "forecasting",
    "speed": "speed",
    "char_lm": "pydoc-fast",
}


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

    def figures(result, stem):
        return [stem.with_name(f"{stem.name}_{name}.png") for name in result]

    found = command.report(path, lambda result, console: console.print(result), figures, Console(width=40))
    assert found == {"hops": 3}
    lines = capsys.readouterr().out.splitlines()
    assert lines == ["{'hops': 3}", f"wrote {tmp_path / 'kite.v2_hops.png'}", f"from  {path}"]


@pytest.mark.parametrize(("script", "result"), RESULTS.items())
def test_every_script_refuses_a_report_without_whole_results(tmp_path, monkeypatch, capsys, script, result):
    monkeypatch.setattr(sys, "argv", [f"{script}.py", "--report-only", "--results", str(tmp_path)])
    path = tmp_path / f"{result}.json"

    def refused():
        with pytest.raises(SystemExit) as caught:
            runpy.run_path(str(SCRIPTS / f"{script}.py"), run_name="__main__")
        assert caught.value.code == 2
        return capsys.readouterr().err

    assert refused() == f"{script}.py: {path} does not exist; run the command without --report-only first\n"
    path.write_text('{"runs": [')
    assert refused().startswith(f"{script}.py: {path}: 10 bytes that are not complete JSON")
