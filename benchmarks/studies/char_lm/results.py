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
import pandas as pd

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
class LanguageGroup:
    """Runs that differ in nothing but the seed."""

    settings: dict[str, Any]
    runs: list[dict[str, Any]]
    label: str

    def curve(self, part: str, name: str) -> pd.DataFrame:
        """A curve of ``part``, "curves" or "validation": a row for each step that all runs have, a column a run."""
        curves = [pd.Series(run[part][name], run[part]["step"]) for run in self.runs]
        return pd.concat(curves, axis=1, join="inner").sort_index()

    def minutes(self) -> list[float]:
        """How long each run took."""
        return [max([0.0, *run["curves"]["seconds"], *run["validation"]["seconds"]]) / 60 for run in self.runs]

    def lowest(self) -> list[float]:
        """Each run's lowest validation loss."""
        return [min(run["validation"]["loss"]) for run in self.runs]

    def test(self, name: str) -> list[float]:
        """Of each run, a number of the test part."""
        return [run["test"][name] for run in self.runs]

    def minutes_below(self, threshold: float) -> list[float]:
        """Minutes until validation was first seen below the threshold, for the runs that get there."""
        curves = (zip(run["validation"]["seconds"], run["validation"]["loss"], strict=True) for run in self.runs)
        firsts = (next((seconds for seconds, loss in curve if loss < threshold), None) for curve in curves)
        return [first / 60 for first in firsts if first is not None]

    def logged(self) -> dict[int, list[tuple[float, float]]]:
        """Training loss and accuracy of each run at the steps of the report's log that all runs have reached.

        Means over the interval that ends at the step, or at the last recorded one before it: what is compared is never
        further in training than the log.
        """
        found = {}
        for step in LOGGED:
            curves = [pd.DataFrame(run["curves"]).set_index("step") for run in self.runs]
            if all(curve.index[0] <= step <= curve.index[-1] for curve in curves):
                rows = [curve.loc[:step].iloc[-1] for curve in curves]
                found[step] = [(float(row["loss"]), float(row["accuracy"])) for row in rows]
        return found


def groups(result: dict[str, Any]) -> list[LanguageGroup]:
    """The runs by their settings, in the order in which these first occur.

    A group is called by its preset; if several have the same one, also by what they differ in.
    """
    found: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {}
    for run in result["runs"]:
        settings = {"preset": "custom", **run["settings"]}
        settings.pop("seed", None)
        found.setdefault(json.dumps(settings, sort_keys=True), (settings, []))[1].append(run)
    made = []
    for settings, runs in found.values():
        alike = [other for other, _ in found.values() if other["preset"] == settings["preset"]]
        names = [name for name in settings if any(other.get(name) != settings[name] for other in alike)]
        label = ", ".join([settings["preset"], *(f"{name.replace('_', ' ')} {settings[name]}" for name in names)])
        made.append(LanguageGroup(settings, runs, label))
    return made


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


def corpus(result: dict[str, Any]) -> str:
    """What the text is called."""
    name: str = result["corpus"]["name"]
    return CORPORA.get(name, name)


def published(result: dict[str, Any]) -> dict[str, float]:
    """What others have on this text."""
    return PUBLISHED if result["corpus"]["name"] == SHAKESPEARE else {}


def goals(result: dict[str, Any]) -> dict[float, int]:
    """What validation is to get below on this text, and within how many minutes."""
    return GOALS if result["corpus"]["name"] == SHAKESPEARE else {}


def comparable(result: dict[str, Any], group: LanguageGroup) -> bool:
    """Whether the report's log is about this corpus and these settings."""
    return (result["corpus"]["name"], group.settings["preset"]) == (SOUTH_PARK, "report")


def held_out(result: dict[str, Any], validation: float, test: float) -> float:
    """The loss on validation and test as one text, which is what others publish."""
    _, *lengths = result["corpus"]["split"]
    return float(np.average([validation, test], weights=lengths))


def bits(nats: float) -> float:
    """Bits, of nats."""
    return nats / math.log(2)


def mean_and_range(values: Sequence[float], digits: int = 1) -> str:
    """The mean, and the lowest and the highest unless they look alike."""
    low, mean, high = (f"{value:.{digits}f}" for value in (min(values), statistics.fmean(values), max(values)))
    return mean if low == high else f"{mean} ({low}-{high})"
