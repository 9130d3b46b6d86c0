"""How fast is gnnseq, against torch.nn, torch_geometric, DGL and pytorch-tree-lstm, and against the bare work?

    python benchmarks/speed.py                     every case, about eight minutes
    python benchmarks/speed.py --works trees gcn   only these
    python benchmarks/speed.py --scaling           time per node and per edge as paths and graphs grow, as a figure:
                                                   a quarter of an hour; stopped, it goes on
    python benchmarks/speed.py --against PYTHON    this build against the one installed for another interpreter
    python benchmarks/speed.py --cold              the first sweep of a process that finds nothing compiled;
                                                   with --against beside the other build's
    python benchmarks/speed.py --device cuda       the same on a GPU

Before anything is timed, ours and each peer must give the same output and gradients. Then all run in turns in one
process, so that what slows the machine slows everybody, and the ratio is the median of the rounds' ratios. Without
--quick each case has a process of its own. Peers that are not installed are named. On a CPU, and not with --quick,
ratios, memory and growth are held against studies/speed/targets.py; another build everywhere. Two builds run in turns
in a process each:
`git worktree add /tmp/before COMMIT && python -m venv /tmp/venv && /tmp/venv/bin/pip install /tmp/before`, with rich,
joblib and tyro, makes another.
Exit code 0: measured, and every statement checked holds; 1: one does not; 2: a peer's numbers differ from ours, or an
argument or a file is wrong; 130: interrupted.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.cli import StudySettings, run_study
from harness.files import fitting
from studies.speed.targets import NAMES


@dataclass(frozen=True)
class Settings(StudySettings):
    """Speed: ours, each peer's, and the roofline. Without arguments every case, in about eight minutes."""

    study = "speed"
    least = dict.fromkeys(("rounds", "warm_up", "threads"), 1)

    works: tuple[Literal[NAMES], ...] = ()  # type: ignore[valid-type]
    """Only these cases; all of them and the autocast table if none is named."""
    scaling: bool = False
    """Growth curves instead of the table."""
    cold: bool = False
    """First sweeps of processes with empty caches instead of the table."""
    against: Path | None = None
    """An interpreter whose environment has another build of gnnseq (not editable), which is timed instead of peers."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where tensors are."""
    threads: int | None = None
    """Threads of torch, for everybody; torch's own number where none is given."""
    rounds: int = 21
    """Interleaved rounds."""
    warm_up: int = 3
    """Runs of each before the first round."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scaling and (self.against or self.cold):
            raise ValueError(f"--scaling and {'--against' if self.against else '--cold'}: choose one")
        if self.against and not self.against.is_file():
            raise ValueError(f"--against {self.against}: no such file; expected a Python interpreter")

    @property
    def name(self) -> str:
        """What the results are called."""
        modes = ["cold"] * self.cold + ["against"] * bool(self.against)
        kind = "scaling" if self.scaling else fitting("-".join([*modes, *self.works])) or "speed"
        return "_".join([kind, *["quick"] * self.quick, *["cuda"] * (self.device == "cuda")])


if __name__ == "__main__":
    run_study(Settings)
