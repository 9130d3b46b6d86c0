"""How fast is gnnseq, beside torch.nn, torch_geometric, DGL and pytorch-tree-lstm, and beside the bare matrix products?

    python benchmarks/speed.py                     every work, about five minutes
    python benchmarks/speed.py --works trees gcn   only these
    python benchmarks/speed.py --scaling           time per node and per edge as paths and graphs grow, as a figure:
                                                   a quarter of an hour; stopped, it goes on
    python benchmarks/speed.py --device cuda       the same on a GPU

Before anything is timed, ours and each peer must give the same output and gradients. Then all run in turns in one
process, so that what slows the machine slows everybody, and the ratio is the median of the rounds' ratios. Peers that
are not installed are named. On a CPU, and not with --quick, ratios, memory and growth are held against speed_goals.py.
Exit code 0: measured, and every statement checked holds; 1: one does not; 2: a peer's numbers differ from ours, or an
argument or a file is wrong; 130: interrupted.
"""

import json
import os
import sys
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

# Read when torch is imported: otherwise its profiler says whenever it starts and stops.
os.environ.setdefault("KINETO_LOG_LEVEL", "6")

import torch
from rich.console import Console
from rich.progress import Progress

from harness import cli as command
from harness.sweep import provenance, write_json
from studies.speed.autocast import measure_autocast
from studies.speed.cases import WORKS
from studies.speed.figures import figures
from studies.speed.measure import measure
from studies.speed.report import checks, print_report
from studies.speed.scaling import WIDTH, measure_growth, points


@dataclass(frozen=True)
class Settings:
    """Speed: ours, each peer's, and the limit's. Without arguments every work, in about five minutes."""

    works: tuple[Literal[tuple(WORKS)], ...] = ()  # type: ignore[valid-type]
    """Only these; all of them and the autocast table if none is named."""
    scaling: bool = False
    """Growth curves instead of the table."""
    quick: bool = False
    """Tiny sizes, to see that everything runs: the times mean nothing."""
    report_only: bool = False
    """Rebuild table and figure from the JSON, measure nothing."""
    json: bool = False
    """Print the result as JSON instead of tables."""
    results: Path = Path(__file__).resolve().parent / "results" / "speed"
    """Folder of JSON and figure."""
    device: Literal["cpu", "cuda"] = "cpu"
    """Where tensors are."""
    threads: int | None = None
    """Threads of torch, for everybody; torch's own number where none is given."""
    rounds: int = 21
    """Interleaved rounds."""
    warm_up: int = 3
    """Runs of each before the first round."""

    @property
    def name(self) -> str:
        """What the results are called."""
        kind = "scaling" if self.scaling else "-".join(self.works) or "speed"
        return "_".join([kind, *["quick"] * self.quick, *["cuda"] * (self.device == "cuda")])

    def check(self) -> None:
        for name in ("rounds", "warm_up", "threads"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"--{name.replace('_', '-')} {value}: expected 1 or more")
        if self.device == "cuda" and not torch.cuda.is_available():
            raise ValueError("--device cuda: torch sees no GPU here; leave the option away, or install torch for CUDA")


def silence() -> None:
    """Leaves out what libraries say of themselves, whatever is measured."""
    warnings.filterwarnings("ignore", "Sparse invariant checks are implicitly disabled", UserWarning)
    warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state", UserWarning)
    warnings.filterwarnings("ignore", "The input graph for the user-defined edge function")  # DGL, of leaves


def measure_all(settings: Settings, console: Console) -> dict[str, Any]:
    """The result as one JSON value."""
    threads = settings.threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    if settings.device == "cuda":  # float32 is to mean float32 for everybody
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    device = torch.device(settings.device)
    result: dict[str, Any] = {
        "experiment": "speed",
        "provenance": {**provenance(), "threads": threads},
        "device": settings.device,
        "gpu": torch.cuda.get_device_name() if settings.device == "cuda" else None,
        "threads": threads,
        "quick": settings.quick,
    }
    if settings.scaling:
        wanted = points(settings.quick, settings.device, threads, result["provenance"]["commit"])
        records = measure_growth(wanted, settings.results / "cache" / settings.name, console)
        return {**result, "width": WIDTH, "scaling": records}
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("")

        def show(title: str) -> Callable[[], None]:
            progress.update(task, description=title)
            return lambda: progress.advance(task)

        names = settings.works or tuple(WORKS)
        progress.update(task, total=len(names) + 1)
        result |= {"rounds": settings.rounds, "works": [], "autocast": []}
        for name in names:
            done = show(name)
            work = WORKS[name](settings.quick, device)
            result["works"].append(measure(work, settings.rounds, settings.warm_up, device))
            done()
        if not settings.works:
            show("autocast")
            found = measure_autocast(settings.quick, settings.rounds, settings.warm_up, device)
            result["autocast"] = list(found)
    return result


def main(settings: Settings) -> int:
    """Measures, writes JSON, prints tables, draws the figure; gives the exit code."""
    settings.check()
    silence()
    console = Console(width=None if sys.stdout.isatty() else 120)
    path = settings.results / f"{settings.name}.json"
    if not settings.report_only:
        write_json(path, measure_all(settings, Console(stderr=True)), indent=None)
    if settings.json:
        result = command.read_result(path)
        print(json.dumps(result))
    else:
        result = command.report(path, print_report, figures, console)
    return 0 if all(holds for _, holds in checks(result)) else 1


if __name__ == "__main__":
    command.run(main, Settings)
