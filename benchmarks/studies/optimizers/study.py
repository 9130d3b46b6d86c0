"""All runs of the study of optimizers, as one JSON value."""

import functools
from typing import Any

from rich.console import Console

from harness.provenance import provenance
from harness.sweep import run_sweep
from studies.optimizers.quadratic import measure
from studies.optimizers.results import best_rates
from studies.optimizers.runs import ARRIVED, PLANS, VALIDATION_SEED, descents, sign_error
from studies.palindrome.fit import OPTIMIZERS, fit, seconds_at_most
from studies.palindrome.results import compact

__all__ = ["run"]


def run(settings: Any, console: Console) -> dict[str, Any]:
    """Descend and train; the validation seeds choose the learning rates of the networks that are reported."""
    plan = PLANS[settings.name]
    sweep = functools.partial(run_sweep, folder=settings.folder / "cache", jobs=settings.jobs, console=console)
    train = functools.partial(sweep, fit, seconds=seconds_at_most)
    on_surfaces = sweep(descents, plan.descents())
    quadratics = sweep(measure, plan.quadratics())
    seeds = range(VALIDATION_SEED, VALIDATION_SEED + plan.validation_seeds)
    validation = compact(
        "validation",
        "choosing the learning rate",
        train(plan.runs(dict.fromkeys(OPTIMIZERS, plan.run_rates), seeds)),
        {},
    )
    chosen: dict[Any, list[float]] = {name: [rate] for name, rate in best_rates(validation).items()}
    test = train(plan.runs(chosen, range(plan.seeds)))
    adams = [record for record in on_surfaces if record["settings"]["optimizer"] == "adam"]
    return {
        "experiment": "optimizers",
        "provenance": provenance(),
        "arrived": ARRIVED,
        "descents": on_surfaces,
        "quadratics": quadratics,
        "slips": [sign_error(r["settings"]["surface"], r["result"]["best"], min(200, plan.steps)) for r in adams],
        "validation": validation,
        "palindromes": compact("palindromes", "the chosen learning rate", test, {}),
    }
