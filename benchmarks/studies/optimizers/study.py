"""The study of optimizers: descents on surfaces and quadratics, and networks on palindromes; R learning rates."""

import functools
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from rich.console import Console

from harness.provenance import provenance
from harness.sweep import run_sweep
from studies.optimizers import surfaces
from studies.optimizers.results import best_rates
from studies.optimizers.surfaces import SURFACES, Quadratic, descend, heights, measure, starts
from studies.palindrome.fit import OPTIMIZERS, fit, seconds_at_most
from studies.palindrome.results import compact
from studies.palindrome.runs import Optimizer, PalindromeRun

RISE = 10  # times the height of its start: a path that gets there is lost, wherever it ends
ARRIVED = 1e-4  # a descent has arrived where it stays below this height
VALIDATION_SEED = 100  # the first one; the reported seeds count from 0
LSTM = {"model": "LSTM", "length": 11, "hidden": 32, "batch": 64, "steps": 600, "evaluate_every": 50, "goal": 0.995}


def _significant(values: Iterable[float], digits: int = 3) -> tuple[float, ...]:
    return tuple(float(f"{value:.{digits}g}") for value in values)


@dataclass(frozen=True)
class Descents:
    """Paths of one optimizer on one surface, for every learning rate, from many starts."""

    surface: str
    optimizer: Optimizer
    rates: tuple[float, ...]
    steps: int
    starts: int = 16  # half of them choose a learning rate, the others tell how good it is


@dataclass(frozen=True)
class OptimizerPlan:
    """What is run."""

    rates: tuple[float, ...] = _significant(10 ** (np.arange(-24, 7) / 6))  # of descents
    steps: int = 2000  # of a descent
    kappas: tuple[int, ...] = (3, 10, 30, 100, 300, 1000)  # ratios of eigenvalues of the quadratics
    tried: int = 31  # learning rates at the middle kappa
    run: dict[str, Any] = field(default_factory=lambda: LSTM)  # what the networks' runs share
    run_rates: tuple[float, ...] = _significant(10 ** (np.arange(-6, 2) / 2))  # learning rates of networks
    validation_seeds: int = 2  # that choose one
    seeds: int = 10  # others, that report it

    def descents(self) -> list[Descents]:
        """Every optimizer on every surface."""
        return [Descents(surface, name, self.rates, self.steps) for surface in SURFACES for name in OPTIMIZERS]

    def quadratics(self) -> list[Quadratic]:
        """At every kappa both methods at their best; at the middle one three momenta at many learning rates."""
        # Steps until only the slowest part of heavy ball's error is left, and is not yet too small for a float.
        enough = {kappa: 300 + round(100 * math.sqrt(kappa)) for kappa in self.kappas}
        heavy_ball = {kappa: surfaces.best_heavy_ball(kappa) for kappa in self.kappas}  # learning rate, momentum
        found = []
        for kappa, (rate, momentum) in heavy_ball.items():
            found.append(Quadratic(kappa, 0.0, (surfaces.best_gradient_descent(kappa),), enough[kappa] + 5 * kappa))
            found.append(Quadratic(kappa, momentum, (rate,), enough[kappa]))
        middle = self.kappas[len(self.kappas) // 2]
        for momentum in (0.0, heavy_ball[middle][1], 0.9):
            rates = _significant(np.geomspace(0.02, 1.02 * 2 * (1 + momentum), self.tried))  # to past the stable ones
            found.append(Quadratic(middle, momentum, rates, 1500 if momentum == 0.9 else enough[middle]))
        return found

    def runs(self, rates: Mapping[Optimizer, Iterable[float]], seeds: range) -> list[PalindromeRun]:
        """A network for every optimizer, rate of its own and seed."""
        return [
            PalindromeRun(optimizer=name, learning_rate=rate, seed=seed, **self.run)
            for name in OPTIMIZERS for rate in rates[name] for seed in seeds
        ]  # fmt: skip


QUICK_RUN = {**LSTM, "length": 3, "hidden": 8, "batch": 32, "steps": 40, "evaluate_every": 20, "test_on": 500}
PLANS = {
    "optimizers": OptimizerPlan(),
    "quick": OptimizerPlan(
        rates=_significant(10 ** np.arange(-5.0, 2.0)), steps=60, kappas=(3, 10), tried=4,
        run=QUICK_RUN, run_rates=_significant(10 ** np.arange(-3.0, 2.0)), validation_seeds=1, seeds=2,
    ),
}  # fmt: skip


def descents(settings: Descents) -> dict[str, Any]:
    """How the paths end, and the best learning rate's from the surface's own start. JSON values.

    A path is lost that rises to ``RISE`` times its start: else, in the valley along the axes, RMSProp would arrive in
    four steps with any giant rate, whose first step leaves each axis' curvature in the root of v and makes the others
    Newton's. "steps" until a path stays below ``ARRIVED``, and "end", its greatest height in the last tenth of the
    steps, are [R, 1 + starts] and None where it is lost. The surface's own start, the first, and half of the others
    choose the best rate: that of the quickest slowest path, or, where not all arrive, of the lowest highest end.
    """
    surface, begin = SURFACES[settings.surface], starts(SURFACES[settings.surface], settings.starts)
    paths = descend(surface.f, OPTIMIZERS[settings.optimizer], settings.rates, settings.steps, begin)
    raw = heights(surface, paths)
    found = np.where(raw.max(0) < RISE * raw[0], raw, np.inf)
    ends = found[-(settings.steps // 10) :].max(0)
    late = found >= ARRIVED
    steps = np.where(late.any(0), len(found) - late[::-1].argmax(0), 0)  # one after the last that is too high
    choosing = slice(1 + settings.starts // 2)
    best = min(range(len(settings.rates)), key=lambda r: (steps[r, choosing].max(), ends[r, choosing].max()))
    kept = int(np.isfinite(raw[:, best, 0]).sum())  # all but where every rate is too large
    return {
        "steps": [[int(count) if count <= settings.steps else None for count in row] for row in steps],
        "end": [[float(f"{end:.3g}") if np.isfinite(end) else None for end in row] for row in ends],
        "best": settings.rates[best],
        "path": [_significant(point, 5) for point in paths[:kept, best, 0]],
        "heights": _significant(raw[:kept, best, 0], 4),
    }


def sign_error(surface: str, learning_rate: float, steps: int) -> dict[str, Any]:
    """Heights along Adam's path, torch's and the report's, and whether both its equations as printed give a number."""
    where = SURFACES[surface]
    right = descend(where.f, OPTIMIZERS["adam"], [learning_rate], steps, starts(where, 0))[:, 0, 0]
    both = surfaces.sign_error_adam(where, learning_rate, 1, both=True)[1]
    return {
        "surface": surface,
        "learning_rate": learning_rate,
        "adam": _significant(heights(where, right), 4),
        "slipped": _significant(heights(where, surfaces.sign_error_adam(where, learning_rate, steps)), 4),
        "as_printed_is_a_number": bool(np.isfinite(both).all()),
    }


def run(settings: Any, console: Console) -> dict[str, Any]:
    """Descend and train; the validation seeds choose the learning rates of the networks that are reported."""
    plan = PLANS[settings.name]
    sweep = functools.partial(run_sweep, folder=settings.folder / "cache", jobs=settings.jobs, console=console)
    on_surfaces = sweep(descents, plan.descents())
    quadratics = sweep(measure, plan.quadratics())
    seeds = range(VALIDATION_SEED, VALIDATION_SEED + plan.validation_seeds)
    choosing = sweep(fit, plan.runs(dict.fromkeys(OPTIMIZERS, plan.run_rates), seeds), seconds=seconds_at_most)
    validation = compact("validation", "choosing the learning rate", choosing, {})
    chosen: Any = {name: [rate] for name, rate in best_rates(validation).items()}
    test = sweep(fit, plan.runs(chosen, range(plan.seeds)), seconds=seconds_at_most)
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
