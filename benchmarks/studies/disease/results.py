"""Reading a result: scores of models by protocol, means and paired differences."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from harness.significance import corrected_t, weighted_t
from studies.disease import runs as of

__all__ = ["PROTOCOLS", "difference", "kind", "means", "models", "pairs", "scores"]

PROTOCOLS = {"folds": "cross-validation", "sites": "leave one site out"}


def _runs(result: dict[str, Any], protocol: str) -> list[dict[str, Any]]:
    return [run for run in result["runs"] if run["protocol"] == protocol]


def models(result: dict[str, Any], protocol: str) -> list[str]:
    """Those that have scores, in the study's order."""
    runs = _runs(result, protocol)
    return [name for place, name in enumerate(result["models"]) if any(run["auc"][place] is not None for run in runs)]


def scores(result: dict[str, Any], protocol: str, model: str) -> NDArray[np.float64]:
    """AUC, accuracy and number of tested people of every split that the model was in. [splits, 3]"""
    place = result["models"].index(model)
    return np.array([[run["auc"][place], run["accuracy"][place], run["tested"]] for run in _runs(result, protocol)
                     if run["auc"][place] is not None])  # fmt: skip


def means(result: dict[str, Any], protocol: str, model: str) -> tuple[float, float, float]:
    """Mean AUC and accuracy, and the spread of the AUC: over folds and, of their means, over repeats; over people of
    the sites that are left out, and over sites."""  # noqa: D205, D209
    found = scores(result, protocol, model)
    if protocol == "sites":
        auc, accuracy = np.average(found[:, :2], axis=0, weights=found[:, 2])
        return float(auc), float(accuracy), float(found[:, 0].std(ddof=1))
    by_repeat = found[:, 0].reshape(-1, result["data"]["folds"]).mean(1)
    return float(found[:, 0].mean()), float(found[:, 1].mean()), float(by_repeat.std(ddof=len(by_repeat) > 1))


def difference(
    result: dict[str, Any], protocol: str, model: str, other: str, column: int = 0
) -> tuple[float, float, float]:
    """Mean difference of two models on the same splits, its standard error, and p: in AUC, or in accuracy (1)."""
    own, others = scores(result, protocol, model), scores(result, protocol, other)
    d = own[: len(others), column] - others[: len(own), column]  # leaks have the first repeat alone
    if protocol == "sites":
        return weighted_t(d, own[: len(d), 2])
    return corrected_t(d, 1 / result["data"]["folds"])


def pairs(result: dict[str, Any], protocol: str) -> list[tuple[str, str]]:
    """What is compared: graphs with the same without, and everything worth it with a ridge."""
    wanted = [
        (of.SITE_RIDGE, of.RIDGE), (of.OWN_RIDGE, of.RIDGE), (of.ENSEMBLE, of.RIDGE), (of.OWN_ENSEMBLE, of.RIDGE),
        (of.OWN_ENSEMBLE, of.ENSEMBLE), (of.CHEBYSHEV, of.MLP), (of.CHEBYSHEV, of.RIDGE), (of.NEAREST, of.MLP),
        (of.GCNS, of.MLP), (of.ADDED_CHEBYSHEV, of.ADDED_MLP), (of.ADDED_CHEBYSHEV, of.ENSEMBLE),
        (of.MEAN_CHEBYSHEV, of.MEAN_MLP), (of.MEAN_CHEBYSHEV, of.ENSEMBLE), (of.MEAN_CHEBYSHEV, of.RIDGE),
    ]  # fmt: skip
    there = models(result, protocol)
    return [pair for pair in wanted if set(pair) <= set(there)]


def kind(model: str) -> str:
    """What a row may read."""
    return "tested labels" if model in of.LEAKS else "tested features" if model in of.TRANSDUCTIVE else "training"
