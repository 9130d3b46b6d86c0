"""Reading the stock study's JSON."""

from typing import Any

import numpy as np

from studies.stocks.runs import LSTM_RSR

ENOUGH = 20  # edges from which a type is one that a market has, and not a curiosity
DRAWN = 8  # types that are drawn


def models(result: dict[str, Any]) -> list[str]:
    """All forecasters, in order."""
    return list(dict.fromkeys(run["settings"]["model"] for run in result["runs"]))


def runs_of(result: dict[str, Any], model: str) -> list[dict[str, Any]]:
    """The results of a model, by seed."""
    own = [run for run in result["runs"] if run["settings"]["model"] == model]
    return [run["result"] for run in sorted(own, key=lambda run: run["settings"]["seed"])]


def values(result: dict[str, Any], model: str, metric: str) -> list[float]:
    """A metric of a model, by seed."""
    return [run["metrics"][metric] for run in runs_of(result, model)]


def daily(result: dict[str, Any], model: str, series: str) -> np.ndarray:
    """A series of a model. [seeds, days of the test part]"""
    return np.array([run["daily"][series] for run in runs_of(result, model)])


def strengths(result: dict[str, Any], key: str = "strengths") -> np.ndarray:
    """How strong each type of relation is in the network that learns it; "loudness" of each stock. [seeds, R or N]

    Without such a network there are no seeds.
    """
    return np.array([run["about"][key] for run in runs_of(result, LSTM_RSR)])


def ordered_types(result: dict[str, Any], most: int = DRAWN) -> list[int]:
    """Types by mean strength, the strongest first; of too many the strongest and weakest with 20 edges or more."""
    found = strengths(result)
    if not len(found):
        return []
    order = [int(kind) for kind in np.argsort(-found.mean(0), kind="stable")]
    if len(order) > most:
        order = [kind for kind in order if result["data"]["types"][kind][1] >= ENOUGH] or order
    return order if len(order) <= most else order[: most // 2] + order[-(most // 2) :]
