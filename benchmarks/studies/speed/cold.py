"""What a process's first float32 sweep takes where nothing is compiled yet: processes with empty caches, in turns."""

import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.provenance import ROOT
from studies.speed.measure import rounded
from studies.speed.results import quartiles

MOST = 9  # rounds: a process takes seconds
SWEEP = """
import time
import torch
from gnnseq.layers import LSTM
from gnnseq.schedule import packed_paths
torch.set_num_threads({threads})
layer, x, schedule = LSTM(64, 64), torch.randn(1000, 64), packed_paths([100] * 10)
begin = time.perf_counter()
layer(x, schedule)
print(time.perf_counter() - begin)
"""


def measure_cold(
    other: Path | None, rounds: int, threads: int, quick: bool, show: Callable[[str], object]
) -> dict[str, Any]:
    """Seconds of each process's first sweep, of this build and of the one that another interpreter has."""
    sides: dict[str, tuple[str, Sequence[Path]]] = {"this": (sys.executable, [ROOT])}
    if other is not None:
        sides["other"] = str(other), []
    seconds: dict[str, list[float]] = {side: [] for side in sides}
    for number in range(1 if quick else min(rounds, MOST)):
        for side in random.Random(number).sample(list(sides), len(sides)):
            seconds[side].append(first_sweep(*sides[side], threads))
        last = ", ".join(f"{side} {found[-1]:.3g} s" for side, found in seconds.items())
        show(f"first sweeps, round {number + 1}: {last}")
    return {"cold": seconds, "times_as_fast": _ratio(seconds)}


def first_sweep(python: str, folders: Sequence[Path], threads: int) -> float:
    """Seconds, in a process that has the given folders of this checkout and an empty cache."""
    with tempfile.TemporaryDirectory() as cache:
        own = {"PYTHONPATH": os.pathsep.join(map(str, folders)), "XDG_CACHE_HOME": cache, "GNNSEQ_NATIVE": "1"}
        command = [python, "-P", "-c", SWEEP.format(threads=threads)]
        found = subprocess.run(command, env=os.environ | own, stdout=subprocess.PIPE, text=True, check=False)
    if found.returncode != 0:
        raise ValueError(f"{python} ended with {found.returncode}; what it said stands above")
    return rounded(float(found.stdout))


def _ratio(seconds: Mapping[str, list[float]]) -> list[float] | None:
    return quartiles(seconds["other"], seconds["this"]) if "other" in seconds else None
