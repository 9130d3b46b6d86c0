"""One of the two processes of a comparison of builds: it times the gnnseq that its interpreter has.

Each line of its standard input is a request, and each line of its output the answer, both JSON. Nothing is done between
two requests, so that the other process has the machine to itself.
"""

import gc
import hashlib
import importlib.metadata
import json
import os
import sys
from pathlib import Path
from typing import Any, TextIO

import torch

import gnnseq
from studies.speed.cases import CASES
from studies.speed.measure import once, silence

__all__ = ["main"]


def main() -> None:
    """Say which build this is, then answer requests until there are no more."""
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    silence()
    gc.disable()  # a collection would fall into somebody's turn by chance
    given = json.loads(sys.stdin.readline())
    torch.set_num_threads(given["threads"])
    _answer(answers, build())
    device = torch.device(given["device"])
    case: Any = None
    for line in sys.stdin:
        request = json.loads(line)
        if "case" in request:
            case = None  # frees the one before
            gc.collect()
            case = CASES[request["case"]](given["quick"], device)
            numbers = [float(tensor.detach().double().abs().mean()) for tensor in case.ours.run()]
            seconds = [once(case.ours.run, device) for _ in range(min(given["warm_up"], case.rounds or sys.maxsize))]
            _answer(answers, {"title": case.title, "shape": case.shape, "rounds": case.rounds, "numbers": numbers,
                              "seconds": min(seconds)})  # fmt: skip
        else:
            times = request["times"]
            if times > 1:
                case.ours.run()  # brings what it reads back into the caches, from which the other's turn drove it
            _answer(answers, sum(once(case.ours.run, device) for _ in range(times)) / times)


def build() -> dict[str, Any]:
    """What can be told of the build: where it is, its version, its commit if it was installed from one, its sources."""
    folder = Path(gnnseq.__file__).parent
    sources = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in {".py", ".c", ".h"}):
        sources.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    origin = json.loads(importlib.metadata.distribution("gnnseq").read_text("direct_url.json") or "{}")
    return {
        "folder": str(folder),
        "gnnseq": gnnseq.__version__,
        "commit": origin.get("vcs_info", {}).get("commit_id"),
        "sources": sources.hexdigest()[:16],
        "python": sys.version.split()[0],
        "torch": torch.__version__,
    }


def _answer(answers: TextIO, value: Any) -> None:
    answers.write(json.dumps(value) + "\n")
    answers.flush()


if __name__ == "__main__":
    main()
