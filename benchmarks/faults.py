"""What happens when something goes wrong: how often each promise was tried, and how often it did not hold.

    python benchmarks/faults.py                        every promise, an hour
    python benchmarks/faults.py --promises calls files only these
    python benchmarks/faults.py --calls 10000          as many calls with made-up arguments
    python benchmarks/faults.py --promises kills --scripts palindrome trees

Calls and readers run in child processes, so that a signal is counted and ends nothing else; Linux alone has what that
takes. Ctrl-C is safe: finished promises, and of kills finished scripts, are kept in cache/, and on the same commit no
command tries them again: parts can be tried one after another, and all of them told at the end. Exit code 0: every
promise held whenever it was tried; 1: one did not; 2: an argument is wrong; 130: interrupted.
"""

from dataclasses import dataclass
from typing import Literal

from harness.cli import StudySettings, run_study
from harness.files import fitting
from studies.faults.runs import COMMANDS

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
    scripts: tuple[Literal[tuple(COMMANDS)], ...] = tuple(COMMANDS)  # type: ignore[valid-type]
    """The scripts that are killed."""
    seed: int = 0
    """Of all that is made up."""

    @property
    def name(self) -> str:
        """What the results are called: some promises alone do not overwrite the counts of all."""
        stem = "quick" if self.quick else "counted"
        some = [] if set(self.scripts) == set(COMMANDS) or "kills" not in self.promises else self.scripts
        whole = len(set(self.promises) | {"kills"}) == len(PROMISES) and not some
        return stem if whole else fitting("-".join([stem, *self.promises, *some]))

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("promises", "scripts"):
            if len(set(getattr(self, name))) != max(len(getattr(self, name)), 1):
                given = " ".join(getattr(self, name)) or "of none"
                raise ValueError(f"--{name} {given}: expected some, each once")


if __name__ == "__main__":
    run_study(Settings)
