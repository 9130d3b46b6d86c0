"""Reading the study's JSON: scores by model, paired by week, and who is whose reference."""

import statistics
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from studies.social_graph.runs import HEURISTICS, LEARNT, NETWORKS

__all__ = ["best_heuristic", "by_week", "interval", "models", "of", "spread"]


def of(result: dict[str, Any], protocol: str, model: str) -> list[dict[str, Any]]:
    """What each seed of a model gave."""
    return [run["result"] for run in result["runs"]
            if (run["settings"]["protocol"], run["settings"]["model"]) == (protocol, model)]  # fmt: skip


def models(result: dict[str, Any], protocol: str) -> list[str]:
    """The models of a protocol, in the order of the study."""
    there = {run["settings"]["model"] for run in result["runs"] if run["settings"]["protocol"] == protocol}
    return [model for model in (*HEURISTICS, *LEARNT, *NETWORKS) if model in there]


def by_week(result: dict[str, Any], model: str, score: str) -> NDArray[np.float64]:
    """Scores of live update, NaN where a week has no such positives. [seeds, weeks]"""
    runs = of(result, "live", model)
    return np.array([run["scores"][score] for run in runs], dtype=np.float64)


def spread(result: dict[str, Any], protocol: str, model: str, score: str) -> list[float]:
    """One number of each seed: the mean over weeks, or streaming's score. Empty where there is none."""
    found = [run["scores"][score] for run in of(result, protocol, model)]
    lines = [value if isinstance(value, list) else [value] for value in found]
    kept = [[value for value in line if value is not None] for line in lines]
    return [statistics.fmean(line) for line in kept if line]


def best_heuristic(result: dict[str, Any], score: str = "edge MRR") -> str | None:
    """The best of what nobody trained, by live update."""
    there = [model for model in models(result, "live") if model in HEURISTICS]
    return max(there, key=lambda model: statistics.fmean(spread(result, "live", model, score)), default=None)


def interval(result: dict[str, Any], model: str, other: str, score: str) -> tuple[float, float, float]:
    """The mean difference of two models paired by week, seeds averaged, half its 95 % interval, and Student's p."""
    d = by_week(result, model, score).mean(0) - by_week(result, other, score).mean(0)
    d = d[~np.isnan(d)]
    if len(d) < 2 or d.std() == 0:
        return float(d.mean()) if len(d) else 0.0, 0.0, 1.0
    error = d.std(ddof=1) / np.sqrt(len(d))
    half = float(stats.t.ppf(0.975, len(d) - 1) * error)
    return float(d.mean()), half, float(stats.ttest_1samp(d, 0.0).pvalue)
