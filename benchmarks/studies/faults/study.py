"""Every promise tried, as one JSON value: counts, and what fell."""

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import Any

import torch
from rich.console import Console

from harness.provenance import commit, provenance
from harness.report import PLAIN
from harness.sweep import run_sweep
from studies.faults import calls, memory, mutated, processes
from studies.faults.children import Outcome, attempt_all
from studies.faults.kills import try_kills
from studies.faults.pages import try_pages
from studies.faults.runs import FaultRun

__all__ = ["run"]

SHOWN = 20  # of what fell, in the result
MANY = {"calls": ("calls",), "files": ("files",), "memory": ("stream_steps", "training_steps"), "kills": ("kills",)}
QUICK = {"calls": 30, "files": 30, "stream_steps": 500, "training_steps": 10}
QUICKLY = ("calls", "files", "memory", "pages")


def run(settings: Any, console: Console) -> dict[str, Any]:
    """Try what the settings name; what was finished on this commit is not tried again."""
    if settings.quick:
        settings = replace(settings, **QUICK, promises=tuple(name for name in settings.promises if name in QUICKLY))
    torch.set_num_threads(1)
    made_at, runs = commit(), []
    for name in settings.promises:
        many = tuple(getattr(settings, each) for each in MANY.get(name, ()))
        scripts = settings.scripts if name == "kills" else ("",)
        runs += [FaultRun(name, many, settings.seed, script, made_at) for script in scripts]

    def attempt(each: FaultRun) -> list[dict[str, Any]]:
        begun = time.monotonic()
        made = TRIALS[each.promise](settings, each.script)
        told = f"{each.promise} {each.script}".strip()
        console.print(f"{told}: {sum(row['failed'] for row in made)} failed, {time.monotonic() - begun:.0f} s", **PLAIN)
        return made

    records = run_sweep(attempt, runs, settings.folder / "cache", jobs=1, console=console)  # each forks on its own
    rows = [row for record in records for row in record["result"]]
    return {"experiment": "faults", "provenance": provenance(), "quick": settings.quick, "promises": rows}


def _row(promise: str, outcomes: list[Outcome], right: tuple[str, ...]) -> dict[str, Any]:
    """A promise's counts. What ends a process is not told in a result that is published, but for its number."""
    fell = [outcome for outcome in outcomes if outcome.what not in right]
    told = [{"trial": each.number, "what": each.what, "detail": each.detail[:80]} for each in fell[:SHOWN]]
    kinds = dict(Counter(outcome.what for outcome in outcomes))
    return {"promise": promise, "tried": len(outcomes), "failed": len(fell), "kinds": kinds, "fell": told}


def _calls(settings: Any, _: str) -> list[dict[str, Any]]:
    trials = range(settings.seed, settings.seed + settings.calls)
    import_module("torch.fx.experimental.proxy_tensor")  # which takes seconds, here once for all children
    made = attempt_all(trials, calls.attempt_one, calls.torch_state)
    ends = [replaced._replace(what="signal" if replaced.what in ("signal", "hang") else "none") for replaced in made]
    return [
        _row("a call with made-up arguments ends no process", ends, ("none",)),
        _row("it is right, or raises an error that is meant for callers", made, ("right", *calls.CLEAR)),
    ]


def _files(settings: Any, _: str) -> list[dict[str, Any]]:
    trials = range(settings.seed, settings.seed + settings.files)
    made = attempt_all(trials, mutated.attempt_file)
    return [_row("a mutated file gives what it holds, or an error that names it", made, ("right", "named"))]


def _each(trials: Callable[..., list[tuple[str, int, list[str]]]], settings: Any, script: str) -> list[dict[str, Any]]:
    """Rows of trials that count themselves: promise, how many were tried, what fell."""
    return [
        {
            "promise": promise,
            "tried": tried,
            "failed": len(fell),
            "kinds": {},
            "fell": [{"what": each} for each in fell],
        }
        for promise, tried, fell in (trials(settings, script) if script else trials(settings))
    ]


TRIALS: dict[str, Callable[[Any, str], list[dict[str, Any]]]] = {
    "calls": _calls,
    "files": _files,
    "memory": partial(_each, memory.try_memory),
    "processes": partial(_each, processes.try_processes),
    "kills": partial(_each, try_kills),
    "pages": partial(_each, try_pages),
}
