"""What happens when something goes wrong: how often each promise was tried, and how often it did not hold.

    python benchmarks/faults.py                        every promise, an hour
    python benchmarks/faults.py --promises calls files only these
    python benchmarks/faults.py --calls 10000          as many calls with made-up arguments

Calls and readers run in child processes, so that a signal is counted and ends nothing else; Linux alone has what that
takes. Exit code 0: every promise held whenever it was tried; 1: one did not; 2: an argument is wrong; 130: interrupted.
"""

from dataclasses import dataclass
from typing import Literal

from harness.cli import StudySettings, run_study

PROMISES = ("calls", "files", "memory", "processes", "kills", "pages")


@dataclass(frozen=True)
class Settings(StudySettings):
    """Faults and bad input, counted."""

    study = "faults"
    least = dict.fromkeys(("calls", "files", "stream_steps", "training_steps", "kills"), 1)

    promises: tuple[Literal[PROMISES], ...] = PROMISES  # type: ignore[valid-type]
    """Only these promises."""
    calls: int = 10_000
    """Calls of public functions with made-up arguments."""
    files: int = 1_000
    """Mutated files of every kind together."""
    stream_steps: int = 1_000_000
    """Steps of a stream, whose memory must stay as it is."""
    training_steps: int = 10_000
    """Training steps, each on another graph."""
    kills: int = 20
    """SIGKILLs of each training script, each at a random moment."""
    seed: int = 0
    """Of all that is made up."""

    @property
    def name(self) -> str:
        """What the results are called: some promises alone do not overwrite the counts of all."""
        stem = "quick" if self.quick else "counted"
        return stem if len(set(self.promises) | {"kills"}) == len(PROMISES) else "-".join([stem, *self.promises])


if __name__ == "__main__":
    run_study(Settings)
