"""A sweep of palindromes as one JSON value, and its runs by groups that differ in the seed alone."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

CHANCE = 0.1
SOLVED = 0.99


def compact(study: str, title: str, records: Sequence[dict[str, Any]], provenance: dict[str, Any]) -> dict[str, Any]:
    """The whole sweep as one JSON value: settings that all runs share once, then the runs, curves in four digits."""
    first = records[0]["settings"]
    common = {name: value for name, value in first.items() if all(r["settings"][name] == value for r in records)}
    runs = []
    for record in records:
        own = {name: value for name, value in record["settings"].items() if name not in common}
        short = {name: [round(value, 4) for value in record["result"][name]] for name in ("loss", "accuracy")}
        runs.append({"settings": own, "seconds": record["seconds"], **record["result"], **short})
    commits = Counter(record["commit"] or "unknown" for record in records)
    about = {"experiment": "palindrome", "study": study, "title": title}
    return {**about, "provenance": {**provenance, "runs_by_commit": dict(commits)}, "common": common, "runs": runs}


@dataclass
class Group:
    """Runs that differ in nothing but the seed."""

    settings: dict[str, Any]
    runs: list[dict[str, Any]]
    label: str

    def __post_init__(self) -> None:
        self.scores: list[float] = [run["test_accuracy"] for run in self.runs]
        self.solved = sum(score >= SOLVED for score in self.scores)
        # Five standard deviations of the accuracy that a blind guesser measures.
        self.margin = 5 * math.sqrt(CHANCE * (1 - CHANCE) / self.settings["test_on"])
        self.blind = all(abs(score - CHANCE) < self.margin for score in self.scores)

    def steps_to_solve(self) -> list[int]:
        """First step after which a run's training batches, all of them fresh, are at 99 %, for those that get there.

        Of runs whose palindromes grow, the first step at which palindromes of the full length are, in a test.
        """
        if self.settings.get("grow_from") is not None:
            tests = (next((step for step, score in run["tests"] if score >= SOLVED), None) for run in self.runs)
            return [step for step in tests if step is not None]
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
    found: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {}
    for run in result["runs"]:
        settings = {**result["common"], **run["settings"], "seed": None}
        found.setdefault(str(settings), (settings, []))[1].append(run)
    settings_of = [of for of, _ in found.values()]
    inits = Counter(model for model, _ in {(of["model"], of["init"]) for of in settings_of})
    depths = Counter(model for model, _ in {(of["model"], of.get("layers", 1)) for of in settings_of})

    def label(of: dict[str, Any]) -> str:
        if of["model"] == "GCN":
            return f"GCN, k = L-{1 + of['hops_short']}"
        parts = [str(of["model"]), of["init"] if inits[of["model"]] > 1 else ""]
        layers = of.get("layers", 1)
        if layers > 1 or depths[of["model"]] > 1:
            parts.append(f"{layers} layer{'s' * (layers > 1)}")
        return ", ".join(filter(None, parts))

    made = [Group(settings, runs, label(settings)) for settings, runs in found.values()]
    arms = list(dict.fromkeys(group.label for group in made))
    return sorted(made, key=lambda g: (g.settings["encoding"], g.settings["length"], arms.index(g.label)))
