"""Training scripts that are killed and called again: they end with the numbers of one that nobody killed."""

import json
import random
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NoReturn

from harness.scripts import fork_server, run_script
from studies.faults.runs import COMMANDS

__all__ = ["try_kills"]

SCRIPTS = Path(__file__).resolve().parents[2]
# What differs between two runs of the same numbers: when, how fast, where and in how much memory they were made.
OTHERWISE = {
    *("provenance", "seconds", "date", "command", "minutes", "time", "commit", "cpu_seconds", "training_seconds"),
    *("epochs_a_minute", "milliseconds", "minibatches", "ratios", "training_peak_gb", "peak_gb"),
}


def _numbers(value: Any) -> Any:
    """A result without what depends on the clock."""
    if isinstance(value, dict):
        return {key: _numbers(each) for key, each in value.items() if key not in OTHERWISE}
    return [_numbers(each) for each in value] if isinstance(value, list) else value


def _result(folder: Path) -> Any:
    (path,) = folder.glob("*.json")
    return _numbers(json.loads(path.read_text(encoding="utf-8")))


def _end_as(script: Path, arguments: tuple[str, ...], said: Path) -> NoReturn:
    """Run a script and end with its exit code."""
    sys.exit(run_script(script, arguments, said))


def _kill_and_go_on(name: str, times: int, draw: random.Random) -> tuple[int, list[str]]:
    """How often a script was killed, and what fell: each kill is after a random share of the time that it takes."""
    fell: list[str] = []
    killed, server = 0, fork_server()
    with tempfile.TemporaryDirectory() as folder:
        whole, again, said = Path(folder, "whole"), Path(folder, "again"), Path(folder, "said.txt")

        def ends(results: Path, within: float | None = None) -> bool:
            """Call the script; whether it came to an end of its own in so many seconds."""
            arguments = (*COMMANDS[name], "--results", str(results))
            process = server.Process(target=_end_as, args=(SCRIPTS / f"{name}.py", arguments, said))
            process.start()
            process.join(within)
            process.kill()  # which does nothing to one that has ended
            process.join()
            if process.exitcode == -signal.SIGKILL:
                return False
            if process.exitcode not in (0, 1):
                last = said.read_text(encoding="utf-8").strip().splitlines()[-1:]
                raise ValueError(f"{name}: exit code {process.exitcode} after {killed} kills: {last}")
            return True

        try:
            server.Process(target=int).start()  # whose start is that of the server
            begun = time.monotonic()
            ends(whole)
            takes = time.monotonic() - begun
            while True:
                if not ends(again, draw.uniform(0.1, 1) * takes if killed < times else None):
                    killed += 1
                    continue
                if _result(again) != _result(whole):
                    fell.append(f"{name}: other numbers after {killed} kills")
                shutil.rmtree(again)
                if killed == times:
                    break
        except ValueError as error:
            fell.append(str(error))
    return killed, fell


def try_kills(settings: Any, name: str) -> list[tuple[str, int, list[str]]]:
    """A script's row."""
    draw = random.Random(f"{settings.seed} {name}")
    told = f"{name}.py, killed at random moments, ends with the same numbers"
    return [(told, *_kill_and_go_on(name, settings.kills, draw))]
