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
from typing import Any

import torch

import gnnseq
from studies.speed.cases import CASES
from studies.speed.measure import Case, once, prepare


def main() -> None:
    """Say which build this is, then answer requests until there are no more."""
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
            case = CASES[request["case"]](given["quick"], device)
            answer: Any = describe(case, given["warm_up"], device)
        else:
            times = request["times"]
            if times > 1:
                case.ours()  # brings what it reads back into the caches, from which the other's turn drove it
            answer = sum(once(case.ours, device) for _ in range(times)) / times
        print(json.dumps(answer), file=answers, flush=True)


def build() -> dict[str, Any]:
    """What can be told of the build: where it is, its version, its commit if it was installed from one, its sources."""
    folder = Path(gnnseq.__file__).parent
    sources = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in {".py", ".c", ".h"}):
        sources.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    origin = json.loads(importlib.metadata.distribution("gnnseq").read_text("direct_url.json") or "{}")
    commit = origin.get("vcs_info", {}).get("commit_id")
    versions = {"gnnseq": gnnseq.__version__, "python": sys.version.split()[0], "torch": torch.__version__}
    return {"folder": str(folder), "commit": commit, "sources": sources.hexdigest()[:16], **versions}


def describe(case: Case, warm_up: int, device: torch.device) -> dict[str, Any]:
    """What it is, the mean of each of its results, and the seconds of one run."""
    numbers = [float(tensor.detach().double().abs().mean()) for tensor in case.ours()]
    seconds = min(once(case.ours, device) for _ in range(min(warm_up, case.rounds or warm_up)))
    return {"title": case.title, "shape": case.shape, "rounds": case.rounds, "numbers": numbers, "seconds": seconds}


if __name__ == "__main__":
    main()
