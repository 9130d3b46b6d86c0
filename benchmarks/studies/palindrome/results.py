"""A sweep of palindromes as one JSON value, and its runs by groups that differ in the seed alone."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
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
    runs = [
        {
            "settings": {name: value for name, value in record["settings"].items() if name not in common},
            "seconds": record["seconds"],
            **record["result"],
            **{name: [round(value, 4) for value in record["result"][name]] for name in ("loss", "accuracy")},
        }
        for record in records
    ]
    commits = Counter(record["commit"] or "unknown" for record in records)
    return {
        "experiment": "palindrome",
        "study": study,
        "title": title,
        "provenance": {**provenance, "runs_by_commit": dict(commits)},
        "common": common,
        "runs": runs,
    }


@dataclass
class Group:
    """Runs that differ in nothing but the seed."""

    settings: dict[str, Any]
    runs: list[dict[str, Any]]
    label: str = ""

    @property
    def scores(self) -> list[float]:
        """Test accuracies."""
        return [run["test_accuracy"] for run in self.runs]

    @property
    def solved(self) -> int:
        """Runs at 99 % or better."""
        return sum(score >= SOLVED for score in self.scores)

    @property
    def margin(self) -> float:
        """Five standard deviations of the accuracy that a blind guesser measures."""
        return 5 * math.sqrt(CHANCE * (1 - CHANCE) / self.settings["test_on"])

    @property
    def blind(self) -> bool:
        """Whether all runs are at chance."""
        return all(abs(score - CHANCE) < self.margin for score in self.scores)

    def steps_to_solve(self) -> list[int]:
        """First step after which a run's training batches, all of them fresh, are at 99 %, for those that get there."""
        every = self.settings["record_every"]
        firsts = (next((i for i, a in enumerate(run["accuracy"]) if a >= SOLVED), None) for run in self.runs)
        return [every * (first + 1) for first in firsts if first is not None]

    def curves(self, name: str) -> np.ndarray:
        """[runs, blocks]; a run that ended continues at its last value."""
        blocks = self.settings["steps"] // self.settings["record_every"]
        ends = [run[name] or [math.nan] for run in self.runs]
        return np.array([(curve + [curve[-1]] * (blocks - len(curve)))[:blocks] for curve in ends])


def groups(result: dict[str, Any]) -> list[Group]:
    """All groups, by encoding and length, in the order of the plan's arms."""
    found: dict[str, Group] = {}
    for run in result["runs"]:
        settings = {**result["common"], **run["settings"], "seed": None}
        found.setdefault(str(settings), Group(settings, [])).runs.append(run)
    inits = Counter(model for model, _ in {(g.settings["model"], g.settings["init"]) for g in found.values()})
    for group in found.values():
        model, init = group.settings["model"], group.settings["init"]
        of_recurrent = f"{model}, {init}" if inits[model] > 1 else model
        group.label = f"GCN, k = L-{1 + group.settings['hops_short']}" if model == "GCN" else of_recurrent
    arms = list(dict.fromkeys(group.label for group in found.values()))
    return sorted(found.values(), key=lambda g: (g.settings["encoding"], g.settings["length"], arms.index(g.label)))
