"""Training scripts that are killed and called again: they end with the numbers of one that nobody killed."""

import json
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from studies.faults.runs import COMMANDS

__all__ = ["try_kills"]

SCRIPTS = Path(__file__).resolve().parents[2]
# What differs between two runs of the same numbers: when, how long and where they were made, and in how much memory.
OTHERWISE = {"provenance", "seconds", "date", "command", "minutes", "time", "commit", "cpu_seconds", "milliseconds",
             "ratios", "epochs_a_minute", "training_seconds", "training_peak_gb", "peak_gb",
             "minibatches"}  # fmt: skip


def _numbers(value: Any) -> Any:
    """A result without what depends on the clock."""
    if isinstance(value, dict):
        return {key: _numbers(each) for key, each in value.items() if key not in OTHERWISE}
    return [_numbers(each) for each in value] if isinstance(value, list) else value


def _result(folder: Path) -> Any:
    (path,) = folder.glob("*.json")
    return _numbers(json.loads(path.read_text(encoding="utf-8")))


def _kill_and_go_on(name: str, times: int, draw: random.Random) -> tuple[int, list[str]]:
    """How often a script was killed, and what fell: each kill is after a random share of the time that it takes."""
    fell: list[str] = []
    killed = 0
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(SCRIPTS / f"{name}.py"), *COMMANDS[name], "--results"]
        whole, again = Path(folder, "whole"), Path(folder, "again")
        begun = time.monotonic()
        subprocess.run([*command, str(whole)], env=environment, capture_output=True, check=True)
        takes = time.monotonic() - begun
        while killed < times:
            with subprocess.Popen(
                [*command, str(again)], env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            ) as process:
                try:
                    process.wait(draw.uniform(0.3, 1.0) * takes)
                except subprocess.TimeoutExpired:
                    process.kill()
                    killed += 1
                    continue
                if process.returncode not in (0, 1):
                    return killed, [*fell, f"{name}: exit code {process.returncode} after {killed} kills"]
            if _result(again) != _result(whole):
                fell.append(f"{name}: other numbers after {killed} kills")
            for path in sorted(again.rglob("*"), reverse=True):
                path.rmdir() if path.is_dir() else path.unlink()
        done = subprocess.run([*command, str(again)], env=environment, capture_output=True, check=False)
        if done.returncode not in (0, 1) or _result(again) != _result(whole):
            fell.append(f"{name}: other numbers after {killed} kills")
    return killed, fell


def try_kills(settings: Any, name: str) -> list[tuple[str, int, list[str]]]:
    """A script's row."""
    draw = random.Random(f"{settings.seed} {name}")
    told = f"{name}.py, killed at random moments, ends with the same numbers"
    return [(told, *_kill_and_go_on(name, settings.kills, draw))]
