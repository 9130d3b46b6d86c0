"""SGD, momentum, RMSProp and Adam: which way they go, how fast, and how much the learning rate decides.

    python benchmarks/optimizers.py            about four minutes on two idle cores
    python benchmarks/optimizers.py --quick    the same code on little, in seconds

torch's own, on a narrow valley, along the axes and turned, on Rosenbrock's and on Beale's function, and training an
LSTM to tell the last digit of palindromes of length 11. Each optimizer has the learning rate that is best for it on
each task, of a grid that is the same for all; for palindromes it is chosen on seeds, and so on weights and data, that
are not among those reported. On a quadratic, theory says how fast gradient descent and heavy ball are; torch's SGD is
held against it.

Ctrl-C is safe: finished runs are kept and the same command continues. Exit code 0: all runs finished and every
statement checked holds; 1: one does not; 2: an argument or a file is wrong; 130: interrupted.
"""

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

import palindrome
from harness import cli as command
from harness.sweep import provenance, run_sweep, write_json
from studies.optimizers.figures import figures
from studies.optimizers.quadratic import measure
from studies.optimizers.report import best_rates, checks, print_report
from studies.optimizers.runs import ARRIVED, PLANS, VALIDATION_SEED, Plan, descents, slip
from studies.palindrome.fit import OPTIMIZERS, Run, fit
from studies.palindrome.report import compact


@dataclass(frozen=True)
class Settings:
    """SGD, momentum, RMSProp and Adam on surfaces, a quadratic and palindromes; about four minutes."""

    quick: bool = False
    """The form that CI runs: seconds."""
    report_only: bool = False
    """Rebuild tables and figures from the JSON, run nothing."""
    results: Path = Path(__file__).resolve().parent / "results" / "optimizers"
    """Folder of JSON and figures; finished runs are kept in its subfolder cache/."""
    jobs: int = -1
    """Processes, one thread each; -1 means every core."""

    @property
    def name(self) -> str:
        return "quick" if self.quick else "optimizers"


def seconds_at_most(run: Run) -> float:
    """Neither the seed nor the rate changes what a step costs, so one rate is timed for all."""
    return palindrome.seconds_at_most(dataclasses.replace(run, learning_rate=1e-3))


def measure_all(plan: Plan, settings: Settings, console: Console) -> dict[str, Any]:
    """Every run, as one JSON value."""
    sweep = functools.partial(run_sweep, folder=settings.results / "cache", jobs=settings.jobs, console=console)
    on_surfaces = sweep(descents, plan.descents())
    quadratics = sweep(measure, plan.quadratics())
    grid = dict.fromkeys(OPTIMIZERS, plan.run_rates)
    seeds = range(VALIDATION_SEED, VALIDATION_SEED + plan.validation_seeds)
    validation = sweep(fit, plan.runs(grid, seeds), seconds=seconds_at_most)
    chosen = best_rates(compact("validation", "", validation, {}))
    test = sweep(
        fit, plan.runs({name: [rate] for name, rate in chosen.items()}, range(plan.seeds)), seconds=seconds_at_most
    )
    adams = [record for record in on_surfaces if record["settings"]["optimizer"] == "adam"]
    return {
        "experiment": "optimizers",
        "provenance": provenance(),
        "arrived": ARRIVED,
        "descents": on_surfaces,
        "quadratics": quadratics,
        "slips": [slip(r["settings"]["surface"], r["result"]["best"], min(200, plan.steps)) for r in adams],
        "validation": compact("validation", "choosing the learning rate", validation, {}),
        "palindromes": compact("palindromes", "the chosen learning rate", test, {}),
    }


def main(settings: Settings) -> int:
    console = Console()
    path = settings.results / f"{settings.name}.json"
    if not settings.report_only:
        write_json(path, measure_all(PLANS[settings.name], settings, console), indent=None)
    result = command.report(path, print_report, figures, console)
    return 0 if all(holds for _, holds in checks(result)) else 1


if __name__ == "__main__":
    command.run(main, Settings)
