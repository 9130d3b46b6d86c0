"""This build of gnnseq against another one: our side of every case, in two processes that take turns."""

import json
import math
import os
import random
import statistics
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from harness.provenance import ROOT, commit
from studies.speed.measure import TOLERANCE, rounded
from studies.speed.results import quartiles

TURN = 0.05  # seconds that a turn takes at least
SIDES = ("this", "other")


class Worker:
    """A process of another interpreter's; ``folders`` are all of this checkout that it can import from."""

    def __init__(self, python: str, folders: Sequence[Path], **given: Any) -> None:
        self.python = python
        path = {"PYTHONPATH": os.pathsep.join(map(str, folders))}
        command = [python, "-P", "-m", "studies.speed.worker"]
        self.process = subprocess.Popen(
            command, env=os.environ | path, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.build = self.ask(**given)

    def ask(self, **request: Any) -> Any:
        """The worker's answer; ValueError if it has ended, and why stands on stderr, which is this process's."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
            return json.loads(self.process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError) as error:
            raise ValueError(f"{self.python} ended at {request}; what it said stands above") from error


def compare_builds(
    python: Path, names: Sequence[str], rounds: int, show: Callable[[str], object], **given: Any
) -> dict[str, Any]:
    """Both builds, and a record of each case; ``python`` has the other build, ``given`` is what a worker is told.

    ValueError if both builds are the same, one fails, or their numbers differ.
    """
    benchmarks = ROOT / "benchmarks"
    workers: list[Worker] = []
    try:
        for interpreter, folders in ((sys.executable, [benchmarks, ROOT]), (str(python), [benchmarks])):
            workers.append(Worker(interpreter, folders, **given))
            show(f"{interpreter} has gnnseq in {workers[-1].build['folder']}")
        builds = {side: worker.build for side, worker in zip(SIDES, workers, strict=True)}
        check_builds(**builds)
        records = []
        for number, name in enumerate(names, 1):
            show(f"{name}, case {number} of {len(names)}")
            records.append(compare(name, workers[0], workers[1], rounds))
    finally:
        for worker in workers:
            worker.process.kill()
            worker.process.communicate()
    builds["this"]["commit"] = commit()
    for build in builds.values():
        del build["folder"]  # a result must not carry its maker's
    mean = statistics.geometric_mean(record["ratio"][1] for record in records)
    return {"builds": builds, "rounds": rounds, "against": records, "geometric_mean": mean}


def check_builds(this: dict[str, Any], other: dict[str, Any]) -> None:
    """Refuse to compare a build with itself: one in this checkout, or of equal sources."""
    if Path(other["folder"]).is_relative_to(ROOT):
        raise ValueError(f"--against: both builds are in {other['folder']}; install the other one, not editable")
    if other["sources"] == this["sources"]:
        raise ValueError(f"--against: {this['folder']} and {other['folder']} hold the same sources")


def compare(name: str, this: Any, other: Any, rounds: int) -> dict[str, Any]:
    """A case's record: times of both sides, and quartiles of the rounds' ratios, other / this."""
    sides = dict(zip(SIDES, (this, other), strict=True))
    made, before = (side.ask(case=name) for side in sides.values())
    pairs = zip(made["numbers"], before["numbers"], strict=True)
    if not all(math.isclose(a, b, rel_tol=TOLERANCE) for a, b in pairs):
        raise ValueError(f"{name}: the numbers of both builds differ, nothing was timed")
    times = math.ceil(TURN / min(made["seconds"], before["seconds"]))
    milliseconds: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(min(rounds, made["rounds"] or rounds)):
        for side in random.Random(number).sample(SIDES, 2):
            milliseconds[side].append(rounded(1e3 * sides[side].ask(times=times)))
    return {
        "case": name,
        "title": made["title"],
        "shape": made["shape"],
        "steps_a_turn": times,
        "milliseconds": milliseconds,
        "median": {side: statistics.median(values) for side, values in milliseconds.items()},
        "ratio": quartiles(milliseconds["other"], milliseconds["this"]),
    }
