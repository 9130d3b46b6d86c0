"""What a result of the study of optimizers holds, by optimizer and surface."""

import math
from typing import Any

from harness.report import median_and_range
from studies.palindrome.results import Group, groups

__all__ = ["NAMES", "Best", "best_rates", "by_optimizer", "on_surface"]

NAMES = {"sgd": "SGD", "momentum": "momentum 0.9", "rmsprop": "RMSProp", "adam": "Adam"}


def best_rates(validation: dict[str, Any]) -> dict[str, float]:
    """Each optimizer's learning rate of least validation loss."""
    tried = [(g.settings["optimizer"], _loss(g), g.settings["learning_rate"]) for g in groups(validation)]
    best = {name: min(((loss, rate) for of, loss, rate in tried if of == name), default=None) for name in NAMES}
    return {name: found[1] for name, found in best.items() if found is not None}


def _loss(group: Group) -> float:
    """Mean over all steps of training, whose batches are all fresh, and over seeds; infinite where one run diverged."""
    return math.inf if any(run["diverged"] for run in group.runs) else float(group.curves("loss").mean())


def on_surface(result: dict[str, Any], surface: str) -> dict[str, dict[str, Any]]:
    """The descents on a surface by optimizer, settings and result in one."""
    both = [{**record["settings"], **record["result"]} for record in result["descents"]]
    return {descents["optimizer"]: descents for descents in both if descents["surface"] == surface}


def by_optimizer(palindromes: dict[str, Any]) -> dict[str, Group]:
    """The networks, in the order of NAMES."""
    found = {group.settings["optimizer"]: group for group in groups(palindromes)}
    return {name: found[name] for name in NAMES if name in found}


class Best:
    """An optimizer's best learning rate on a surface, told by the starts that did not choose it.

    Attributes:
        rate: The learning rate.
        steps: Until each path has arrived, None where it has not.
        ends: Greatest height at the end of each.
        good: Learning rates with which every path arrives within twice as many steps as with the best.
    """

    def __init__(self, descents: dict[str, Any]) -> None:
        reported = slice(1 + descents["starts"] // 2, None)
        self.rate = descents["best"]
        row = descents["rates"].index(self.rate)
        self.steps = descents["steps"][row][reported]
        self.ends = [math.inf if end is None else end for end in descents["end"][row][reported]]
        limit = 0 if None in self.steps else 2 * max(self.steps)
        slowest = [max(math.inf if s is None else s for s in steps[reported]) for steps in descents["steps"]]
        self.good = sum(steps <= limit for steps in slowest)

    def __str__(self) -> str:
        arrived = [steps for steps in self.steps if steps is not None]
        some = 0 < len(arrived) < len(self.steps)
        return f"{len(arrived)} of {len(self.steps)}" if some else median_and_range(arrived)
