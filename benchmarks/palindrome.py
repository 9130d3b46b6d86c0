"""Which network remembers the first digit of a palindrome until the last?

    python benchmarks/palindrome.py            the story in about three minutes
    python benchmarks/palindrome.py --full     the report's Figure 1: ten seeds, lengths 5 to 23, about an hour
    python benchmarks/palindrome.py --long     lengths 50, 100, 200 with the initialisations that make them easy

An L-digit palindrome's first L-1 digits are given and the last is asked. It equals the first and is independent of the
others, so 10 % is chance and everything above is memory over L-2 steps, or reach over L-1 hops.

Ctrl-C is safe: finished runs are kept and the same command continues. On a Ray or Dask cluster, name joblib's backend:
`--backend ray`. Exit code 0: all runs finished and every statement checked holds; 1: one does not; 2: an argument or
a file is wrong; 130: interrupted.
"""

import dataclasses
import functools
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import joblib
from rich.console import Console

from harness import cli as command
from harness.sweep import one_thread, provenance, run_sweep, write_json
from studies.palindrome.fit import Optimizer, Run, fit
from studies.palindrome.report import checks, compact, figures, print_report

ROOT = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Study:
    """The runs behind one figure: every arm at every length, encoding and seed.

    Attributes:
        arms: What an arm sets of a Run; the rest are Run's defaults. "lengths" restricts an arm to some.
    """

    title: str
    arms: tuple[dict[str, Any], ...]
    lengths: tuple[int, ...]
    encodings: tuple[str, ...]
    seeds: int
    models: tuple[str, ...] = ("RNN", "LSTM", "GRU", "GCN")

    def runs(self) -> list[Run]:
        chosen = [
            Run(length=length, encoding=encoding, seed=seed, **{k: v for k, v in arm.items() if k != "lengths"})
            for encoding in self.encodings
            for arm in self.arms
            if arm["model"] in self.models
            for length in self.lengths
            if length in arm.get("lengths", self.lengths)
            for seed in range(self.seeds)
        ]
        if not chosen:
            raise ValueError(f"nothing to run: this study has no {' or '.join(self.models)} with {self.seeds} seeds")
        return chosen


def arms(*models: str, **shared: Any) -> tuple[dict[str, Any], ...]:
    return tuple({"model": model, **shared} for model in models)


LIGHT = {"hidden": 64, "optimizer": "adam", "learning_rate": 5e-3, "steps": 1500}
GCN = {"hidden": 32, "optimizer": "adam", "learning_rate": 5e-3, "steps": 1500, "lengths": (5, 9)}
LONG = {"optimizer": "adam", "clip": 1.0, "evaluate_every": 50, "goal": 0.995}
TINY = {"hidden": 32, "batch": 64, "optimizer": "adam", "learning_rate": 1e-2, "steps": 300, "test_on": 2000}

STUDIES = {
    "quick": Study(
        "the same code on the shortest palindromes",
        arms("RNN", "LSTM", "GRU", **TINY) + arms("GCN", hops_short=1, **TINY) + arms("GCN", **TINY),
        lengths=(3, 5),
        encodings=("one-hot",),
        seeds=2,
    ),
    "story": Study(
        "who remembers the first digit?",
        arms("RNN", "LSTM", "GRU", **LIGHT) + arms("GCN", hops_short=1, **GCN) + arms("GCN", **GCN),
        lengths=(5, 9, 17),
        encodings=("scalar",),
        seeds=3,
    ),
    "full": Study(
        "RNN against LSTM by length",
        arms("RNN", "LSTM", "GRU", steps=3000),
        lengths=tuple(range(5, 24, 2)),
        encodings=("scalar", "one-hot"),
        seeds=10,
        models=("RNN", "LSTM"),
    ),
    "long": Study(
        "past every report",
        arms("LSTM", "GRU", hidden=64, init="chrono", time_scale=3.0, learning_rate=1e-2, steps=10_000, **LONG)
        + arms("RNN", init="orthogonal", input_gain=0.2, steps=2000, **LONG)
        + arms("LSTM", hidden=64, init="torch", learning_rate=1e-2, steps=2000, lengths=(50,), **LONG),
        lengths=(50, 100, 200),
        encodings=("one-hot",),
        seeds=10,
    ),
}


@dataclass(frozen=True)
class Settings:
    """Palindromes: which network remembers the first digit? Without arguments, the story in about three minutes.

    The settings from --models on have a study's own values unless they are given; the result is then called "custom".
    """

    quick: bool = False
    """The form that CI runs: under a minute."""
    full: bool = False
    """The report's Figure 1."""
    long: bool = False
    """Lengths 50, 100 and 200."""
    report_only: bool = False
    """Rebuild table and figures from the JSON, train nothing."""
    results: Path = ROOT / "results" / "palindrome"
    """Folder of JSON and figures; finished runs are kept in its subfolder cache/."""
    jobs: int = -1
    """Processes, one thread each; -1 means every core."""
    backend: str = "loky"
    """joblib's backend: loky for this machine, ray or dask for a running cluster."""

    models: tuple[Literal["RNN", "LSTM", "GRU", "GCN"], ...] | None = None
    """Only these of the study's models; --full leaves out its GRU unless it is named here."""
    lengths: tuple[int, ...] | None = None
    """Digits of the palindromes."""
    encodings: tuple[Literal["scalar", "one-hot"], ...] | None = None
    """A digit as one number, or as ten zeros and ones."""
    seeds: int | None = None
    """Runs of each kind: seeds 0, 1, ..."""
    hidden: int | None = None
    """Hidden channels."""
    init: Literal["torch", "he", "orthogonal", "chrono"] | None = None
    """Initialisation of recurrent layers."""
    time_scale: float | None = None
    """Longest dependency that chrono assumes, as a multiple of L."""
    input_gain: float | None = None
    """Factor on the initial input kernel of recurrent layers."""
    optimizer: Optimizer | None = None
    """torch's, with its defaults; momentum is SGD with a momentum of 0.9."""
    learning_rate: float | None = None
    """Of the optimizer."""
    clip: float | None = None
    """Largest norm of the gradient; longer ones are scaled down."""
    batch: int | None = None
    """Palindromes a step."""
    steps: int | None = None
    """Most steps of a run."""

    @property
    def study_name(self) -> str:
        chosen = [name for name in ("quick", "full", "long") if getattr(self, name)]
        if len(chosen) > 1:
            raise ValueError(f"{' and '.join(f'--{name}' for name in chosen)}: choose one")
        return chosen[0] if chosen else "story"

    def study(self) -> Study:
        study = STUDIES[self.study_name]
        given = {name: value for name, value in vars(self).items() if value is not None}
        of_study = {name: given[name] for name in ("models", "lengths", "encodings", "seeds") if name in given}
        of_run = {name: given[name] for name in given if name in OF_RUN}
        changed = tuple({**arm, **of_run} for arm in study.arms)
        if "lengths" in given:
            changed = tuple({k: v for k, v in arm.items() if k != "lengths"} for arm in changed)
        return dataclasses.replace(study, arms=changed, **of_study)

    @property
    def name(self) -> str:
        """What the results are called: a changed study must not overwrite the original's."""
        return self.study_name if self.study() == STUDIES[self.study_name] else "custom"


OF_RUN = {field.name for field in dataclasses.fields(Run)} - {"model", "length", "encoding", "seed"}


def seconds_at_most(run: Run) -> float:
    """Time of the run if it takes all its steps, from ten steps of it done now."""
    return 1e-3 * _milliseconds(dataclasses.replace(run, seed=0, steps=10, evaluate_every=10**9, test_on=1)) * run.steps


@functools.lru_cache
def _milliseconds(run: Run) -> float:
    with one_thread():
        return float(fit(run)["milliseconds"])


def main(settings: Settings) -> int:
    console = Console()
    path = settings.results / f"{settings.name}.json"
    if not settings.report_only:
        study = settings.study()
        with joblib.parallel_config(backend=settings.backend):
            records = run_sweep(
                fit, study.runs(), settings.results / "cache", settings.jobs, seconds_at_most, console=console
            )
        write_json(path, compact(settings.study_name, study.title, records, provenance()), indent=None)
    result = command.report(path, print_report, figures, console)
    return 0 if all(holds for _, holds in checks(result)) else 1


if __name__ == "__main__":
    command.run(main, Settings)
