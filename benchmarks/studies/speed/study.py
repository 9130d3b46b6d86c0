"""A measurement as one JSON value: of all cases, of growth, or of this build against another one."""

import gc
from functools import partial
from typing import Any

import torch
from rich.console import Console

from gnnseq.kernels.native import compiled, runs_compiled
from gnnseq.kernels.native.functions import LEAST_SIZE
from harness.provenance import provenance
from harness.report import PLAIN
from harness.sweep import run_sweep
from studies.speed import scaling
from studies.speed.against import compare_builds
from studies.speed.cases import CASES
from studies.speed.cold import measure_cold
from studies.speed.graphs import relational
from studies.speed.linear import minlstm
from studies.speed.measure import Case, Step, apart, disagreement, interleave, measure, prepare
from studies.speed.targets import NAMES
from studies.speed.temporal import evolving

# TemporalGCN in two of its orders: space_then_time has a convolution, a sweep of paths and a linear map, which is all
# that time_then_space has, and space_time sweeps another graph.
ORDERS = ("space-then-time-lstm-1000", "space-time-lstm-1000")
LAYERS = (
    "paths-rnn",
    "paths-gru",
    "paths-lstm",
    "mingru",
    "minlstm",
    "trees",
    "gcn",
    "gated",
    "relational",
    "evolving",
    *ORDERS,
)


def run(settings: Any, console: Console) -> dict[str, Any]:
    """Measure what the settings ask for; ValueError if there is no such device, or numbers differ."""
    if settings.device == "cuda" and not torch.cuda.is_available():
        raise ValueError("--device cuda: torch sees no GPU here; leave the option away, or install torch for CUDA")
    threads, device = settings.threads or torch.get_num_threads(), torch.device(settings.device)
    prepare(threads, device)
    console = Console(stderr=True)  # stdout is the report's alone
    show = partial(console.print, **PLAIN)
    names, rounds = settings.works or NAMES, {"rounds": settings.rounds, "warm_up": settings.warm_up}
    result: dict[str, Any] = {
        "experiment": "speed",
        "provenance": provenance(),
        "device": settings.device,
        "gpu": torch.cuda.get_device_name() if settings.device == "cuda" else None,
        "threads": threads,
        "quick": settings.quick,
    }
    if settings.against:
        command = result["provenance"]["command"].replace(str(settings.against), "PYTHON")
        result["provenance"]["command"] = command  # a result must not carry its maker's folders
    if settings.scaling:
        wanted = scaling.points(settings.quick, settings.device, threads, result["provenance"]["commit"])
        folder = settings.folder / "cache" / settings.name  # what an interrupted call has left there is not done again
        runs = run_sweep(scaling.measure_apart, wanted, folder, jobs=1, console=console)
        records = [{**run["result"], "commit": run["commit"]} for run in runs]
        return {**result, "width": scaling.WIDTH, "scaling": records}
    if settings.cold:
        return result | measure_cold(settings.against, settings.rounds, threads, settings.quick, show)
    if settings.against:
        given = {"quick": settings.quick, "device": settings.device, "threads": threads, **rounds}
        return result | compare_builds(settings.against, names, show=show, **given)
    result |= {"rounds": settings.rounds, "works": [], "autocast": []}
    # A case after fifty others is not as fast as alone: not every competitor to the same degree.
    run = (lambda work, *given: work(*given)) if settings.quick else apart
    for number, name in enumerate(names, 1):
        show(f"{name}, case {number} of {len(names)}")
        result["works"].append(run(measure_case, name, settings.quick, threads, device, rounds))
    for name in [] if settings.works else LAYERS:
        show(f"{name} under autocast")
        result["autocast"].append(run(measure_autocast, name, settings.quick, threads, device, rounds))
    return result


def measure_case(name: str, quick: bool, threads: int, device: torch.device, rounds: dict[str, int]) -> dict[str, Any]:
    """A case's record, in a process that may have done nothing before."""
    return measure(_case(name, quick, threads, device), **rounds, device=device)


def measure_autocast(
    name: str, quick: bool, threads: int, device: torch.device, rounds: dict[str, int]
) -> dict[str, Any]:
    """bfloat16 autocast against float32: a training step's time, and how far its numbers are off."""
    case = _case(name, quick, threads, device)
    mixed_step: Step = partial(case.ours, autocast=True)
    exact, mixed = case.ours(), mixed_step()
    return {
        "layer": case.title,
        "shape": case.shape,
        "rounds_products": rounds_products(),
        "milliseconds": interleave({"float32": case.ours, "bfloat16": mixed_step}, **rounds, device=device),
        "output_error": disagreement(mixed[:1], exact[:1]),
        "gradient_error": disagreement(mixed[1:], exact[1:]),
    }


def _case(name: str, quick: bool, threads: int, device: torch.device) -> Case:
    prepare(threads, device)
    gc.freeze()  # or a collection passes over the million of objects that torch's import made, for half a second
    cases = CASES | {"minlstm": minlstm, "relational": relational, "evolving": evolving}
    return cases[name](quick, device)


def rounds_products() -> bool:
    """Whether recurrences under autocast multiply in bfloat16 here."""
    return runs_compiled(torch.zeros(1), LEAST_SIZE, "rounded") and bool(compiled("has_rounded")())
