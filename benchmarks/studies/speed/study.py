"""A measurement as one JSON value: of all cases, of growth, or of this build against another one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from rich.console import Console
from rich.progress import Progress

from harness.provenance import provenance
from harness.report import PLAIN
from studies.speed.against import compare_builds
from studies.speed.autocast import measure_autocast
from studies.speed.cases import CASES
from studies.speed.measure import measure, silence
from studies.speed.names import NAMES
from studies.speed.scaling import WIDTH, measure_growth, points

__all__ = ["run"]


def run(settings: Any, console: Console) -> dict[str, Any]:
    """Measure what the settings ask for.

    Raises:
        ValueError: There is no such device, or numbers differ that should be equal.
    """
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch sees no GPU here; leave the option away, or install torch for CUDA")
    silence()
    console = Console(stderr=True) if settings.json else console
    threads = settings.threads or torch.get_num_threads()
    torch.set_num_threads(threads)
    device = torch.device(settings.device)
    names = settings.works or NAMES
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
        records = measure_growth(wanted, settings.folder / "cache" / settings.name, console)
        return {**result, "width": WIDTH, "scaling": records}
    if settings.against:
        command = result["provenance"]["command"].replace(str(settings.against), "PYTHON")
        result["provenance"]["command"] = command  # a result must not carry its maker's folders
        given = {name: getattr(settings, name) for name in ("quick", "device", "warm_up")}
        with _shown(console) as show:
            return result | compare_builds(settings.against, names, settings.rounds, show, threads=threads, **given)
    if settings.device == "cuda":  # float32 is to mean float32 for everybody
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    result |= {"rounds": settings.rounds, "works": [], "autocast": []}
    with _shown(console) as show:
        for number, name in enumerate(names, 1):
            show(f"{name}, case {number} of {len(names)}")
            case = CASES[name](settings.quick, device)
            result["works"].append(measure(case, settings.rounds, settings.warm_up, device))
        if not settings.works:
            show("autocast")
            result["autocast"] = list(measure_autocast(settings.quick, settings.rounds, settings.warm_up, device))
    return result


@contextmanager
def _shown(console: Console) -> Iterator[Callable[[str], None]]:
    """What is being measured: a line that changes in a terminal, a line each in a file or a pipe."""
    if not console.is_terminal:
        yield lambda text: console.print(text, **PLAIN)
        return
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("", total=None)
        yield lambda text: progress.update(task, description=text)
