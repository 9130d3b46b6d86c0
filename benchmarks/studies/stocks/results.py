"""Reading the stock study's JSON."""

from typing import Any

import numpy as np


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
