"""What the tables and figures of the character language models read from the JSON: seeds together, times, references.

Losses are nats per character throughout.
"""

import json
import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

SOUTH_PARK, SHAKESPEARE = "southpark", "tinyshakespeare"
CORPORA = {SOUTH_PARK: "South Park", SHAKESPEARE: "tinyshakespeare", "pydoc": "Python's help topics"}

# Training loss and accuracy by step in the log of the report that this project began with.
LOGGED = {1000: (2.057, 0.39), 4000: (1.635, 0.50)}
# Nats per character of the last tenth of tinyshakespeare, which here is validation and test together:
# https://github.com/karpathy/nanoGPT (both nanoGPTs), and Feng et al. 2024, https://arxiv.org/abs/2410.01201 (minGRU).
PUBLISHED = {"nanoGPT small, CPU": 1.88, "minGRU": 1.548, "nanoGPT 10.7M, GPU": 1.4697}
SMALL = (3, 1.88)  # minutes in which the small nanoGPT gets there, as its authors say
GOALS = {1.88: 3, 1.60: 15}  # minutes within which this study wants to be below


@dataclass(frozen=True)
class Curve:
    """One number of several runs, where all of them have it: steps and minutes [T], values [runs, T]."""

    steps: np.ndarray
    minutes: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Group:
    """Runs that differ in nothing but the seed."""

    settings: dict[str, Any]
    runs: list[dict[str, Any]]
    label: str

    def curve(self, part: str, name: str) -> Curve:
        """A curve of ``part``, "curves" or "validation", at the steps that all runs have; minutes are their mean."""
        steps = sorted(set.intersection(*(set(run[part]["step"]) for run in self.runs)))

        def values(name: str) -> np.ndarray:
            places = [{step: place for place, step in enumerate(run[part]["step"])} for run in self.runs]
            return np.array([
                [run[part][name][at[step]] for step in steps] for run, at in zip(self.runs, places, strict=True)
            ])  # fmt: skip

        return Curve(np.array(steps), values("seconds").mean(0) / 60, values(name))

    def minutes(self) -> list[float]:
        """How long each run took."""
        return [
            max([0.0, *run["curves"]["seconds"][-1:], *run["validation"]["seconds"][-1:]]) / 60 for run in self.runs
        ]

    def lowest(self) -> list[float]:
        """Each run's lowest validation loss."""
        return [min(run["validation"]["loss"]) for run in self.runs]

    def last(self, name: str) -> list[float]:
        """The last number of each run's training curve."""
        return [run["curves"][name][-1] for run in self.runs]

    def test(self, name: str) -> list[float]:
        return [run["test"][name] for run in self.runs]

    def minutes_below(self, threshold: float) -> list[float]:
        """Minutes until validation was first seen below the threshold, for the runs that get there."""
        found = []
        for run in self.runs:
            curve = run["validation"]
            times = zip(curve["seconds"], curve["loss"], strict=True)
            first = next((seconds for seconds, loss in times if loss < threshold), None)
            found += [] if first is None else [first / 60]
        return found

    def logged(self) -> dict[int, list[tuple[float, float]]]:
        """Training loss and accuracy of each run at the steps of the report's log that all runs have reached.

        Means over the interval that ends at the step, or at the last recorded one before it: what is compared is never
        further in training than the log.
        """
        found = {}
        for step in LOGGED:
            rows = []
            for run in self.runs:
                curves = run["curves"]
                reached = [place for place, at in enumerate(curves["step"]) if 0 < at <= step]
                if reached and curves["step"][-1] >= step:
                    rows.append((curves["loss"][reached[-1]], curves["accuracy"][reached[-1]]))
            if len(rows) == len(self.runs):
                found[step] = rows
        return found


def groups(result: dict[str, Any]) -> list[Group]:
    """The runs by their settings, in the order in which these first occur."""
    found: dict[str, list[dict[str, Any]]] = {}
    for run in result["runs"]:
        found.setdefault(json.dumps(_common(run["settings"]), sort_keys=True), []).append(run)
    all_settings = [_common(runs[0]["settings"]) for runs in found.values()]
    return [
        Group(settings, runs, _label(settings, all_settings))
        for settings, runs in zip(all_settings, found.values(), strict=True)
    ]


def together(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several results on one text as one.

    Raises:
        ValueError: They are on different texts.
    """
    first = results[0]
    for other in results[1:]:
        if (other["corpus"], other["baselines"]) != (first["corpus"], first["baselines"]):
            raise ValueError(
                f"results are on {corpus(first)} ({first['corpus']['characters']:,} characters) and on {corpus(other)} "
                f"({other['corpus']['characters']:,}); expected one text and one split of it"
            )
    made = {
        name: "; ".join(dict.fromkeys(str(result["provenance"].get(name)) for result in results))
        for name in ("cpu", "command", "commit", "date")
    }
    return {**first, "provenance": made, "runs": [run for result in results for run in result["runs"]]}


def _common(settings: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in settings.items() if name != "seed"}


def _label(settings: dict[str, Any], others: Sequence[dict[str, Any]]) -> str:
    """The preset; where several settings have the same one, also what they differ in."""
    preset = str(settings.get("preset", "custom"))
    alike = [other for other in others if other.get("preset", "custom") == preset]
    names = [name for name in settings if any(other.get(name) != settings[name] for other in alike)]
    return ", ".join([preset, *(f"{name.replace('_', ' ')} {settings[name]}" for name in names)])


def corpus(result: dict[str, Any]) -> str:
    name = result["corpus"]["name"]
    return CORPORA.get(name, name)


def published(result: dict[str, Any]) -> dict[str, float]:
    return PUBLISHED if result["corpus"]["name"] == SHAKESPEARE else {}


def goals(result: dict[str, Any]) -> dict[float, int]:
    return GOALS if result["corpus"]["name"] == SHAKESPEARE else {}


def comparable(result: dict[str, Any], group: Group) -> bool:
    """Whether the report's log is about this corpus and these settings."""
    return result["corpus"]["name"] == SOUTH_PARK and group.settings.get("preset") == "report"


def held_out(result: dict[str, Any], validation: float, test: float) -> float:
    """The loss on validation and test as one text, which is what others publish."""
    _, *lengths = result["corpus"]["split"]
    return float(np.average([validation, test], weights=lengths))


def bits(nats: float) -> float:
    return nats / math.log(2)


def mean_and_spread(values: Sequence[float], digits: int = 3) -> str:
    """The mean, and the standard deviation where there are several."""
    spread = f" ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.{digits}f}{spread.replace(' 0.', ' .')}"


def mean_and_range(values: Sequence[float], digits: int = 1) -> str:
    low, mean, high = (f"{value:.{digits}f}" for value in (min(values), statistics.fmean(values), max(values)))
    return mean if low == high else f"{mean} ({low}-{high})"
