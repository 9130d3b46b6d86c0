"""What a result of the study of optimizers holds, by optimizer and surface."""

import math
from typing import Any

from studies.palindrome.results import Group, groups

NAMES = {"sgd": "SGD", "momentum": "momentum 0.9", "rmsprop": "RMSProp", "adam": "Adam"}


def best_rates(validation: dict[str, Any]) -> dict[str, float]:
    """Each optimizer's learning rate of least mean loss over training, whose batches are all fresh, and over seeds."""
    losses: dict[str, list[tuple[float, float]]] = {}
    for group in groups(validation):
        diverged = any(run["diverged"] for run in group.runs)
        loss = math.inf if diverged else float(group.curves("loss").mean())
        losses.setdefault(group.settings["optimizer"], []).append((loss, group.settings["learning_rate"]))
    return {name: min(losses[name])[1] for name in NAMES if name in losses}


def on_surface(result: dict[str, Any], surface: str) -> dict[str, dict[str, Any]]:
    """The descents on a surface by optimizer, settings and result in one."""
    both = [{**record["settings"], **record["result"]} for record in result["descents"]]
    return {descents["optimizer"]: descents for descents in both if descents["surface"] == surface}


def by_optimizer(palindromes: dict[str, Any]) -> dict[str, Group]:
    """The networks, in the order of NAMES."""
    found = {group.settings["optimizer"]: group for group in groups(palindromes)}
    return {name: found[name] for name in NAMES if name in found}
