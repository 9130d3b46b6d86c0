"""Which network remembers the first digit of a palindrome until the last?

    python benchmarks/palindrome.py            the story in about three minutes
    python benchmarks/palindrome.py --full     the report's Figure 1: ten seeds, lengths 5 to 23, about an hour
    python benchmarks/palindrome.py --long     lengths 50, 100, 200, 1000 with the initialisations that make them easy

An L-digit palindrome's first L-1 digits are given and the last is asked. It equals the first and is independent of the
others, so 10 % is chance and everything above is memory over L-2 steps, or reach over L-1 hops.

Ctrl-C is safe: finished runs are kept and the same command continues. `--backend dask` or `--backend ray` sends runs to
a cluster, to a running one by `--cluster ADDRESS`. Exit code 0: all runs finished and every statement checked holds;
1: one does not; 2: an argument or a file is wrong, or the cluster is lost; 130: interrupted.
"""

from dataclasses import dataclass
from typing import Any, Literal

from harness.cli import SweepSettings, run_study
from studies.palindrome.runs import PLANS, Encoding, Model, Optimizer, PalindromePlan


@dataclass(frozen=True)
class Settings(SweepSettings):
    """Palindromes: which network remembers the first digit? Without arguments, the story in about three minutes.

    The settings from --models on have a plan's own values unless they are given; the result is then called "custom".
    """

    study = "palindrome"
    least = {"lengths": 2, "grow_from": 2} | dict.fromkeys(("seeds", "layers", "hidden", "batch", "steps"), 1)

    full: bool = False  # The report's Figure 1
    long: bool = False  # Lengths 50, 100, 200 and 1000

    models: tuple[Model, ...] | None = None
    """Only these of the plan's models; --full leaves out its GRU unless it is named here."""
    lengths: tuple[int, ...] | None = None  # Digits of the palindromes
    encodings: tuple[Encoding, ...] | None = None  # A digit as one number, or as ten zeros and ones
    seeds: int | None = None  # Runs of each kind: seeds 0, 1, ...
    hidden: int | None = None  # Hidden channels
    init: Literal["torch", "he", "orthogonal", "identity", "chrono"] | None = None  # Initialisation of recurrent layers
    layers: int | None = None  # Layers of a recurrent network
    time_scale: float | None = None  # Longest dependency that chrono assumes, as a multiple of L
    input_gain: float | None = None  # Factor on the initial input kernel of recurrent layers
    recurrent_gain: float | None = None  # Factor on the initial recurrent kernel
    grow_from: int | None = None  # Digits that training begins with; they double up to L whenever a block is at 99 %
    optimizer: Optimizer | None = None  # torch's, with its defaults; momentum is SGD with a momentum of 0.9
    learning_rate: float | None = None  # Of the optimizer
    clip: float | None = None  # Largest norm of the gradient; longer ones are scaled down
    batch: int | None = None  # Palindromes a step
    steps: int | None = None  # Most steps of a run

    @property
    def plan_name(self) -> str:
        """Which of the plans is run."""
        chosen = [name for name in ("quick", "full", "long") if getattr(self, name)]
        if len(chosen) > 1:
            raise ValueError(f"--{' and --'.join(chosen)}: choose one")
        return chosen[0] if chosen else "story"

    def plan(self) -> PalindromePlan:
        """What is run."""
        given: dict[str, Any] = {name: value for name, value in vars(self).items() if value is not None}
        return PLANS[self.plan_name].changed(given)

    @property
    def name(self) -> str:
        """What the results are called: a changed plan must not overwrite the original's."""
        return self.plan_name if self.plan() == PLANS[self.plan_name] else "custom"


if __name__ == "__main__":
    run_study(Settings)
