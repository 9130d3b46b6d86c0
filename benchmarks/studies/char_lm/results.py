"""What tables and figures of the character models read from the JSON: seeds together, times, samples, references.

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
MARKS = {"\n": "↵", "\t": "⇥"}


@dataclass
class LanguageGroup:
    """Runs that differ in nothing but the seed."""

    settings: dict[str, Any]
    runs: list[dict[str, Any]]
    label: str

    def curve(self, part: str, name: str) -> pd.DataFrame:
        """A curve of ``part``, "curves" or "validation": a row for each step that all runs have, a column a run."""
        curves = [pd.Series(run[part][name], run[part]["step"]) for run in self.runs]
        return pd.concat(curves, axis=1, join="inner").sort_index()

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
        curves = [pd.DataFrame(run["curves"]).set_index("step")[["loss", "accuracy"]] for run in self.runs]
        return {
            step: [tuple(curve.loc[:step].iloc[-1].tolist()) for curve in curves]
            for step in LOGGED
            if all(curve.index[0] <= step <= curve.index[-1] for curve in curves)
        }


def groups(result: dict[str, Any]) -> list[LanguageGroup]:
    """The runs by their settings, in order, called by their preset and by what groups of the same preset differ in."""
    found: dict[str, LanguageGroup] = {}
    for run in result["runs"]:
        settings = {"preset": "custom", **run["settings"], "seed": None}
        key = json.dumps(settings, sort_keys=True)
        found.setdefault(key, LanguageGroup(settings, [], settings["preset"])).runs.append(run)
    for group in found.values():
        alike = [other.settings for other in found.values() if other.settings["preset"] == group.settings["preset"]]
        for name, value in group.settings.items():
            if any(other.get(name) != value for other in alike):
                group.label += f", {name.replace('_', ' ')} {value}"
    return list(found.values())


def scores(result: dict[str, Any], group: LanguageGroup) -> pd.DataFrame:
    """A row a run: nats of the last training steps, the lowest of validation, the test's, both; more of the test."""
    rows = []
    for run in group.runs:
        lowest, test = min(run["validation"]["loss"]), run["test"]["loss"]
        rows.append({
            "train": run["curves"]["loss"][-1], "validation": lowest, "test": test,
            "both": held_out(result, lowest, test), "bits": test / math.log(2), "ppl": math.exp(test),
            "acc %": 100 * run["test"]["accuracy"],
            "min": max([0.0, *run["curves"]["seconds"], *run["validation"]["seconds"]]) / 60,
        })  # fmt: skip
    return pd.DataFrame(rows)


def together(results: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Several results as one, unless they are on different texts."""
    first = results[0]
    for other in results[1:]:
        if (other["corpus"], other["baselines"]) != (first["corpus"], first["baselines"]):
            one, two = (f"on {corpus(each)} ({each['corpus']['characters']:,} characters)" for each in (first, other))
            raise ValueError(f"results are {one} and {two}; expected one text and one split of it")
    names = ("cpu", "command", "commit", "date")
    made = {name: "; ".join(dict.fromkeys(str(each["provenance"].get(name)) for each in results)) for name in names}
    return {**first, "provenance": made, "runs": [run for result in results for run in result["runs"]]}


def visible(text: str) -> str:
    """The text with a mark for whatever has no glyph of its own; spaces stay spaces."""
    return "".join(MARKS.get(character) or (character if character.isprintable() else "□") for character in text)


def blocks(samples: Sequence[dict[str, Any]]) -> list[tuple[int, list[tuple[float, list[tuple[int, str]]]]]]:
    """By step, then temperature, lengths and texts, each in rising order; of samples alike in all each is kept."""
    tree: dict[int, dict[float, list[tuple[int, str]]]] = {}
    for sample in sorted(samples, key=lambda sample: (sample["step"], sample["temperature"], sample["length"])):
        of_step = tree.setdefault(sample["step"], {})
        of_step.setdefault(float(sample["temperature"]), []).append((sample["length"], sample["text"]))
    return [(step, list(of_step.items())) for step, of_step in tree.items()]


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
    return float(np.average([validation, test], weights=result["corpus"]["split"][1:]))


def mean_and_range(values: Sequence[float], digits: int = 1) -> str:
    """The mean, and the lowest and the highest unless they look alike."""
    low, mean, high = (f"{value:.{digits}f}" for value in (min(values), statistics.fmean(values), max(values)))
    return mean if low == high else f"{mean} ({low}-{high})"
