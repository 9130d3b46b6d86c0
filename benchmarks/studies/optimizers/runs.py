"""What is run: descents on surfaces and quadratics, and networks on palindromes.

Letters: R learning rates.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from studies.optimizers.quadratic import Quadratic, best_gradient_descent, best_heavy_ball
from studies.optimizers.surfaces import SURFACES, descend, heights, sign_error_adam, starts
from studies.palindrome.fit import OPTIMIZERS
from studies.palindrome.runs import Optimizer, PalindromeRun

__all__ = ["ARRIVED", "PLANS", "VALIDATION_SEED", "Descents", "OptimizerPlan", "descents", "sign_error"]

RISE = 10  # times the height of its start: a path that gets there is lost, wherever it ends
ARRIVED = 1e-4  # a descent has arrived where it stays below this height
STARTS = 8  # that choose a learning rate on a surface, and as many that tell how good it is
VALIDATION_SEED = 100  # the first one; the reported seeds count from 0


def _significant(values: Iterable[float], digits: int = 3) -> tuple[float, ...]:
    return tuple(float(f"{value:.{digits}g}") for value in values)


@dataclass(frozen=True)
class Descents:
    """Paths of one optimizer on one surface, for every learning rate, from many starts."""

    surface: str
    optimizer: Optimizer
    rates: tuple[float, ...]
    steps: int
    starts: int = 2 * STARTS


@dataclass(frozen=True)
class OptimizerPlan:
    """What is run."""

    rates: tuple[float, ...]  # of descents
    steps: int  # of a descent
    kappas: tuple[int, ...]  # ratios of eigenvalues of the quadratics
    run: dict[str, Any]  # what the networks' runs share apart from optimizer, learning rate and seed
    run_rates: tuple[float, ...]  # learning rates of networks
    validation_seeds: int  # that choose one
    seeds: int  # others, that report it

    def descents(self) -> list[Descents]:
        """Every optimizer on every surface."""
        return [Descents(surface, name, self.rates, self.steps) for surface in SURFACES for name in OPTIMIZERS]

    def quadratics(self) -> list[Quadratic]:
        """At every kappa both methods at their best; at the middle one three momenta at many learning rates."""
        found = []
        for kappa in self.kappas:
            rate, momentum = best_heavy_ball(kappa)
            enough = _long_enough(kappa)
            found.append(Quadratic(kappa, 0.0, (best_gradient_descent(kappa),), enough + 5 * kappa))
            found.append(Quadratic(kappa, momentum, (rate,), enough))
        middle = self.kappas[len(self.kappas) // 2]
        enough = _long_enough(middle)
        for momentum, steps in ((0.0, enough), (best_heavy_ball(middle)[1], enough), (0.9, 1500)):
            rates = _significant(np.geomspace(0.02, 1.02 * 2 * (1 + momentum), 31))  # to a little past the stable ones
            found.append(Quadratic(middle, momentum, rates, steps))
        return found

    def runs(self, rates: Mapping[Optimizer, Iterable[float]], seeds: range) -> list[PalindromeRun]:
        """A network for every optimizer, rate of its own and seed."""
        return [
            PalindromeRun(optimizer=optimizer, learning_rate=rate, seed=seed, **self.run)
            for optimizer in OPTIMIZERS
            for rate in rates[optimizer]
            for seed in seeds
        ]


def _long_enough(kappa: int) -> int:
    """Steps until only the slowest part of heavy ball's error is left, and is not yet too small for a float."""
    return 300 + round(100 * math.sqrt(kappa))


LSTM = {"model": "LSTM", "length": 11, "hidden": 32, "batch": 64, "steps": 600, "evaluate_every": 50, "goal": 0.995}
PLANS = {
    "optimizers": OptimizerPlan(
        rates=_significant(10 ** (np.arange(-24, 7) / 6)),
        steps=2000,
        kappas=(3, 10, 30, 100, 300, 1000),
        run=LSTM,
        run_rates=_significant(10 ** (np.arange(-6, 2) / 2)),
        validation_seeds=2,
        seeds=10,
    ),
    "quick": OptimizerPlan(
        rates=_significant(10 ** (np.arange(-8, 3) / 2)),
        steps=100,
        kappas=(3, 10, 30),
        run={**LSTM, "length": 3, "hidden": 16, "steps": 100, "test_on": 1000},
        run_rates=_significant(10 ** np.arange(-4.0, 3.0)),
        validation_seeds=1,
        seeds=2,
    ),
}


def descents(settings: Descents) -> dict[str, Any]:
    """How the paths end, and the best learning rate's from the surface's own start. JSON values.

    A path is lost that rises to ``RISE`` times its start. That is more than taste: in the valley along the axes RMSProp
    gets down in four steps with any rate that is large enough. Its first step, of ten times the rate, leaves in
    the root of v each axis' curvature times the rate, and from the third on every step is Newton's.

    The surface's own start and half of the others choose the rate: the one whose slowest path is quickest, or, where no
    rate brings all of them down, the one whose highest end is lowest. The other half tells how good it is.

    Returns:
        ``steps``: after how many a path stays below ``ARRIVED``, None where it does not, or is lost; ``end``: its
        greatest height in the last tenth of the steps, None where it is lost, both [R, 1 + starts], the surface's own
        start first; ``best``: the learning rate; ``path`` and ``heights`` of it from the own start.
    """
    surface = SURFACES[settings.surface]
    paths = descend(surface, settings.optimizer, settings.rates, settings.steps, starts(surface, settings.starts))
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
    right = descend(where, "adam", [learning_rate], steps, starts(where, 0))[:, 0, 0]
    both = sign_error_adam(where, learning_rate, 1, both=True)
    return {
        "surface": surface,
        "learning_rate": learning_rate,
        "adam": _significant(heights(where, right), 4),
        "slipped": _significant(heights(where, sign_error_adam(where, learning_rate, steps)), 4),
        "as_printed_is_a_number": bool(np.isfinite(both[1]).all()),
    }
