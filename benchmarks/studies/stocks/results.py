"""Reading the stock study's JSON."""

from typing import Any

import numpy as np

ENOUGH = 20  # edges from which a type is one that a market has, and not a curiosity
DRAWN = 8  # types that are drawn


def models(result: dict[str, Any]) -> list[str]:
    return list(dict.fromkeys(run["settings"]["model"] for run in result["runs"]))


def runs_of(result: dict[str, Any], model: str) -> list[dict[str, Any]]:
    """The results of a model, by seed."""
    own = [run for run in result["runs"] if run["settings"]["model"] == model]
    return [run["result"] for run in sorted(own, key=lambda run: run["settings"]["seed"])]


def values(result: dict[str, Any], model: str, metric: str) -> list[float]:
    return [run["metrics"][metric] for run in runs_of(result, model)]


def daily(result: dict[str, Any], model: str, series: str) -> np.ndarray:
    """[seeds, days of the test part]"""
    return np.array([run["daily"][series] for run in runs_of(result, model)])


def strengths_of(result: dict[str, Any], key: str = "strengths") -> tuple[str, np.ndarray] | None:
    """The network that learns them and how strong each type is in it [seeds, R], None where no network does.

    "loudness" is that of each stock [seeds, N].
    """
    for model in reversed(models(result)):
        strengths = [run["about"][key] for run in runs_of(result, model) if key in run["about"]]
        if strengths:
            return model, np.array(strengths)
    return None


def ordered_types(result: dict[str, Any], most: int) -> list[int]:
    """Types by mean strength, the strongest first; of too many the strongest and weakest with 20 edges or more."""
    found = strengths_of(result)
    if found is None:
        return []
    order = [int(kind) for kind in np.argsort(-found[1].mean(0), kind="stable")]
    if len(order) > most:
        order = [kind for kind in order if result["data"]["types"][kind][1] >= ENOUGH] or order
    return order if len(order) <= most else order[: most // 2] + order[-(most // 2) :]


def drawn_types(result: dict[str, Any]) -> list[int]:
    """Types whose edges the figure draws."""
    return ordered_types(result, DRAWN)
