"""A sweep of palindromes as one JSON value, and its runs by groups that differ in the seed alone."""

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

__all__ = ["CHANCE", "Group", "compact", "groups"]

CHANCE = 0.1
SOLVED = 0.99


def compact(study: str, title: str, records: Sequence[dict[str, Any]], provenance: dict[str, Any]) -> dict[str, Any]:
    """The whole sweep as one JSON value: settings that all runs share once, every run with its curves.

    Curves keep four digits: 1e-4 is a third of the resolution of ten batches of 128.
    """
    first = records[0]["settings"]
    common = {name: value for name, value in first.items() if all(r["settings"][name] == value for r in records)}
    runs = []
    for record in records:
        own = {name: value for name, value in record["settings"].items() if name not in common}
        result = {**record["result"]}
        for curve in ("loss", "accuracy"):
            result[curve] = [round(value, 4) for value in result[curve]]
        runs.append({"settings": own, "seconds": record["seconds"], **result})
    commits = Counter(record["commit"] or "unknown" for record in records)
    return {
        "experiment": "palindrome",
        "study": study,
        "title": title,
        "provenance": {**provenance, "runs_by_commit": dict(commits)},
        "common": common,
        "runs": runs,
    }


class Group:
    """Runs that differ in nothing but the seed."""

    def __init__(self, settings: dict[str, Any], runs: list[dict[str, Any]], label: str) -> None:
        self.settings, self.runs, self.label = settings, runs, label
        self.scores = [run["test_accuracy"] for run in runs]
        self.mean = statistics.fmean(self.scores)
        self.spread = statistics.stdev(self.scores) if len(runs) > 1 else 0.0
        self.solved = sum(score >= SOLVED for score in self.scores)

    @property
    def margin(self) -> float:
        """Five standard deviations of the accuracy that a blind guesser measures."""
        return 5 * math.sqrt(CHANCE * (1 - CHANCE) / self.settings["test_on"])

    def steps_to_solve(self) -> list[int]:
        """First step after which a run's training batches, all of them fresh, are at 99 %, for those that get there."""
        every = self.settings["record_every"]
        firsts = (next((i for i, a in enumerate(run["accuracy"]) if a >= SOLVED), None) for run in self.runs)
        return [every * (first + 1) for first in firsts if first is not None]

    def curves(self, name: str, blocks: int) -> np.ndarray:
        """[runs, blocks]; a run that ended continues at its last value."""
        ends = [run[name] or [math.nan] for run in self.runs]
        return np.array([(curve + [curve[-1]] * (blocks - len(curve)))[:blocks] for curve in ends])


def groups(result: dict[str, Any]) -> list[Group]:
    """All groups, by encoding and length, in the order of the study's arms."""
    found: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {}
    for run in result["runs"]:
        settings = {**result["common"], **run["settings"]}
        key = str({name: value for name, value in settings.items() if name != "seed"})
        found.setdefault(key, (settings, []))[1].append(run)
    inits = {}
    for settings, _ in found.values():
        inits.setdefault(settings["model"], set()).add(settings["init"])
    named = [
        Group(settings, runs, _label(settings, len(inits[settings["model"]]) > 1)) for settings, runs in found.values()
    ]
    arms = list(dict.fromkeys(group.label for group in named))
    return sorted(named, key=lambda g: (g.settings["encoding"], g.settings["length"], arms.index(g.label)))


def _label(settings: dict[str, Any], with_init: bool) -> str:
    if settings["model"] == "GCN":
        return f"GCN, k = L-{1 + settings['hops_short']}"
    return f"{settings['model']}, {settings['init']}" if with_init else str(settings["model"])
