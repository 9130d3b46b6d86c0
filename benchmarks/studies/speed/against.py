"""This build of gnnseq against another one: our side of every case, in two processes that take turns.

Each process is this module, run by an interpreter that has the build. A line of its input is a request, a line of its
output the answer, both JSON. It does nothing between two requests, so that the other one has the machine to itself.
"""

import gc
import hashlib
import importlib.metadata
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

import torch

import gnnseq
from harness.provenance import ROOT, commit
from studies.speed.cases import CASES
from studies.speed.measure import TOLERANCE, once, prepare, rounded
from studies.speed.results import quartiles

TURN = 0.05  # seconds that a turn takes at least
SIDES = ("this", "other")


class Worker:
    """A process of another interpreter's; ``folders`` are all of this checkout that it can import from."""

    def __init__(self, python: str, folders: Sequence[Path], **given: Any) -> None:
        self.python = python
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(map(str, folders))}
        command, pipe = [python, "-P", "-m", "studies.speed.against"], subprocess.PIPE
        self.process: Any = subprocess.Popen(command, env=environment, stdin=pipe, stdout=pipe, text=True)
        self.build = self.ask(**given)

    def ask(self, **request: Any) -> Any:
        """The worker's answer; ValueError if it has ended, and why stands on stderr, which is this process's."""
        try:
            print(json.dumps(request), file=self.process.stdin, flush=True)
            return json.loads(self.process.stdout.readline())
        except (BrokenPipeError, json.JSONDecodeError) as error:
            raise ValueError(f"{self.python} ended at {request}; what it said stands above") from error


def compare_builds(
    python: Path, names: Sequence[str], rounds: int, show: Callable[[str], object], **given: Any
) -> dict[str, Any]:
    """Both builds, and a record of each case; ``python`` has the other build, ``given`` is what a worker is told."""
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
            record = compare(name, workers[0], workers[1], rounds)
            if "missing" in record:
                show(f"{name} is left out: a build lacks what it needs: {record['missing']}")
            else:
                records.append(record)
        if not records:
            raise ValueError(f"--against {python}: it has none of {', '.join(names)}; choose others with --works")
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
    """A case's record: both sides' times, and quartiles of the rounds' ratios, other / this; or what a build lacks."""
    sides = {"this": this, "other": other}
    made, before = (side.ask(case=name) for side in sides.values())
    for found in (made, before):
        if "missing" in found:
            return {"case": name, "missing": found["missing"]}
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


def answer() -> None:
    """Say which build this process has, then answer requests until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    given = json.loads(sys.stdin.readline())
    device = torch.device(given["device"])
    prepare(given["threads"], device)
    gc.freeze()
    gc.disable()  # a collection would fall into somebody's turn by chance
    print(json.dumps(build()), file=answers, flush=True)
    case = None
    for line in sys.stdin:
        request = json.loads(line)
        if case is None or "case" in request:
            case = None  # frees the one before
            gc.collect()
            try:
                case = CASES[request["case"]](given["quick"], device)
                numbers = [float(tensor.detach().double().abs().mean()) for tensor in case.ours()]
            except (AttributeError, ImportError, TypeError) as error:  # an older build has fewer layers, or calls
                print(json.dumps({"missing": str(error)}), file=answers, flush=True)
                continue
            runs = min(given["warm_up"], case.rounds or given["warm_up"])
            seconds = min(once(case.ours, device) for _ in range(runs))
            about = {"title": case.title, "shape": case.shape, "rounds": case.rounds}
            reply: Any = {**about, "numbers": numbers, "seconds": seconds}
        else:
            times = request["times"]
            if times > 1:
                case.ours()  # brings what it reads back into the caches, from which the other's turn drove it
            reply = sum(once(case.ours, device) for _ in range(times)) / times
        print(json.dumps(reply), file=answers, flush=True)


def build() -> dict[str, Any]:
    """What can be told of the build: where it is, its version, its commit if it was installed from one, its sources."""
    folder = Path(gnnseq.__file__).parent
    sources = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in {".py", ".c", ".h"}):
        sources.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    origin = json.loads(importlib.metadata.distribution("gnnseq").read_text("direct_url.json") or "{}")
    versions = {"gnnseq": gnnseq.__version__, "python": sys.version.split()[0], "torch": torch.__version__}
    made_at = origin.get("vcs_info", {}).get("commit_id")
    return {"folder": str(folder), "commit": made_at, "sources": sources.hexdigest()[:16], **versions}


if __name__ == "__main__":
    answer()
