"""How far back does the gradient reach? The norm of dL/dh_t at every step t of a palindrome of 100 digits.

    python benchmarks/gradients.py

RNN, LSTM and GRU, for each initialisation, before and after a short training; about three minutes on two cores. An LSTM
has two states: h_t, and the cell state c_t along which it remembers.

Ctrl-C is safe: finished runs are kept and the same command continues. Exit code 0: all runs finished; 2: an argument or
a file is wrong; 130: interrupted.
"""

from dataclasses import dataclass

from harness.cli import SweepSettings, run_study
from studies.palindrome.runs import Model, PalindromeRun

GATED = ("torch", "he", "orthogonal", "chrono")
INITS: dict[Model, tuple[str, ...]] = {"RNN": ("torch", "he", "orthogonal"), "LSTM": GATED, "GRU": GATED}


@dataclass(frozen=True)
class Settings(SweepSettings):
    """The norm of dL/dh_t over t, for every cell and initialisation, untrained and trained."""

    study = "gradients"
    least = {"length": 2} | dict.fromkeys(("seeds", "steps", "hidden", "batch"), 1)

    length: int | None = None
    """Digits of a palindrome; 100, or 12 with --quick, where not given."""
    seeds: int | None = None
    """Networks of each kind; 3, or 1 with --quick, where not given."""
    steps: int | None = None
    """Steps of training; 300, or 10 with --quick, where not given."""
    hidden: int = 64
    """Hidden channels."""
    batch: int = 64
    """Palindromes of a training step, and those the norm is averaged over."""
    learning_rate: float = 5e-3
    """Of Adam."""

    def runs(self) -> list[PalindromeRun]:
        """Every network that is trained."""
        plain = (12, 1, 10, 500) if self.quick else (100, 3, 300, 10_000)
        given = (self.length, self.seeds, self.steps, None)
        length, seeds, steps, test_on = (b if a is None else a for a, b in zip(given, plain, strict=True))
        return [
            PalindromeRun(
                cell, length, seed, init=init, hidden=self.hidden, batch=self.batch, steps=steps, test_on=test_on,
                optimizer="adam", learning_rate=self.learning_rate, clip=1.0, evaluate_every=steps,
            )
            for cell, inits in INITS.items() for init in inits for seed in range(seeds)
        ]  # fmt: skip


if __name__ == "__main__":
    run_study(Settings)
