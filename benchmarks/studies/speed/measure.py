"""What is measured of a case, and how: agreement with the peers, interleaved rounds, peak memory."""

import gc
import importlib.metadata
import itertools
import json
import math
import multiprocessing
import os
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from harness.orphans import end_with
from studies.speed.roofline import Roofline

# float32 carries 6e-8; sums over 100 steps and 10,000 nodes in another order bring that near 1e-5 of the largest
# number. Another formula, or a bias in the wrong place, shows at 1e-2.
TOLERANCE = 1e-4

Results = Sequence[Tensor]  # the output, then gradients
Step = Callable[..., Results]
Work = Callable[[], object]


@dataclass(frozen=True)
class Peer:
    """One competitor."""

    package: str  # what to install
    make: Callable[[], Step]  # makes what does the work once
    as_ours: Callable[[Results], Results] | None = lambda results: results  # None if it computes something else
    share: float = 1.0  # how much of the work one run is; the time is divided by it


@dataclass(frozen=True)
class Case:
    """One line of the benchmark. Peers and roofline are made when they are measured."""

    title: str
    shape: str  # the sizes, in words
    ours: Step
    peers: Mapping[str, Peer] = field(default_factory=dict)
    roofline: Callable[[], Roofline] | None = None
    rounds: int | None = None  # most rounds, if one is long
    is_step: bool = True  # a training step, whose peak memory is compared


def prepare(threads: int, device: torch.device) -> None:
    """Set what all are measured under, and leave out what libraries say of themselves."""
    torch.set_num_threads(threads)
    if device.type == "cuda":  # float32 is to mean float32 for everybody
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    for text in ("Sparse invariant checks are implicitly disabled", "Sparse CSR tensor support is in beta state"):
        warnings.filterwarnings("ignore", text, UserWarning)
    warnings.filterwarnings("ignore", "The input graph for the user-defined edge function")  # DGL, of leaves


def apart(work: Callable[..., dict[str, Any]], *given: Any) -> dict[str, Any]:
    """What a function returns, called in a process of its own, which has done nothing before and gives all back."""
    spawned = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, spawned, initializer=end_with, initargs=(os.getpid(),)) as pool:
        return pool.submit(work, *given).result()


def parameters(module: nn.Module) -> list[Tensor]:
    """All of a module's, by name."""
    return [parameter for _, parameter in sorted(module.named_parameters())]


def same_weights(theirs: nn.Module, ours: nn.Module) -> nn.Module:
    """A peer's module with our weights, on our device."""
    theirs.load_state_dict(ours.state_dict())
    return theirs.to(parameters(ours)[0].device)


def training_step(forward: Callable[[], Tensor], wanted: Iterable[Tensor]) -> Step:
    """Forward, in bfloat16 for ``step(autocast=True)``, and backward from fixed gradients of the output to the wanted.

    They are drawn once, and the same for all whose outputs have equally many numbers.
    """
    inputs = list(wanted)
    device = inputs[0].device
    with torch.no_grad():
        shape = forward().shape
    cotangent = torch.randn(shape.numel(), generator=torch.Generator().manual_seed(1)).view(shape).to(device)

    def step(autocast: bool = False) -> Results:
        with torch.autocast(device.type, dtype=torch.bfloat16) if autocast else nullcontext():
            output = forward()
        return [output, *torch.autograd.grad(output, inputs, cotangent.to(output.dtype))]

    return step


def layer_step(layer: nn.Module, x: Any, *given: Any) -> Step:
    """The training step of a layer called with x and what else it needs; x's gradient too, if it requires one."""
    leaf = _first(x)
    return training_step(lambda: _first(layer(x, *given)), [*parameters(layer), *[leaf] * leaf.requires_grad])


def _first(value: Any) -> Tensor:
    """The tensor, the first of a tuple, or the numbers of a PackedSequence."""
    while isinstance(value, tuple):
        value = value[0]
    tensor: Tensor = value
    return tensor


def disagreement(ours: Results, theirs: Results) -> float:
    """The largest difference of any tensor, as a share of that tensor's largest number; infinite for NaN."""
    if len(ours) != len(theirs):
        raise ValueError(f"{len(theirs)} tensors to compare with our {len(ours)}")
    doubles = [(a.detach().double(), b.detach().double().reshape(a.shape)) for a, b in zip(ours, theirs, strict=True)]
    errors = [float((a - b).abs().max() / b.abs().max().clamp_min(1e-30)) for a, b in doubles]
    return max(math.inf if math.isnan(error) else error for error in errors)


def measure(case: Case, rounds: int, warm_up: int, device: torch.device) -> dict[str, Any]:
    """Everything about a case, as a JSON value; ValueError if a peer's numbers differ from ours."""
    ours, contest = case.ours(), {"ours": case.ours}
    peers: dict[str, dict[str, Any]] = {}
    for name, peer in case.peers.items():
        try:
            contest[name] = peer.make()
        except ImportError as error:
            peers[name] = {"missing": f"not installed ({error}): pip install {peer.package}"}
            continue
        except OSError as error:  # a compiled part that does not load
            peers[name] = {"missing": f"{peer.package} is installed and does not load: {str(error).splitlines()[0]}"}
            continue
        peers[name] = {"version": importlib.metadata.version(peer.package), "share": peer.share}
        if peer.as_ours is not None:
            off = disagreement(ours, peer.as_ours(contest[name]()))
            if not off < TOLERANCE:
                raise ValueError(f"{case.title}: {name} and ours differ by {off:.1e}, nothing was timed")
            peers[name]["largest_difference"] = off
    del ours
    memory = {name: peak_memory(run, device) if case.is_step else None for name, run in contest.items()}
    roofline = case.roofline() if case.roofline else None
    timed: dict[str, Work] = {**contest, **({"limit": roofline} if roofline else {})}
    rounds, warm_up = (min(number, case.rounds or number) for number in (rounds, warm_up))
    times = interleave(timed, rounds, warm_up, device)
    for name in contest.keys() & peers.keys():
        milliseconds = [rounded(ms / case.peers[name].share) for ms in times[name]]
        peers[name] |= {"milliseconds": milliseconds, "peak_bytes": memory[name]}
    return {
        "title": case.title,
        "shape": case.shape,
        "ours": {"milliseconds": times["ours"], "peak_bytes": memory["ours"]},
        "peers": peers,
        "limit": {"is": roofline.name, "milliseconds": times["limit"]} if roofline else None,
    }


def interleave(contest: Mapping[str, Work], rounds: int, warm_up: int, device: torch.device) -> dict[str, list[float]]:
    """Milliseconds of every run: each round runs all in an order drawn anew, so that nobody follows another."""
    names = list(contest)
    for name in names * warm_up:
        contest[name]()
    times: dict[str, list[float]] = {name: [] for name in names}
    gc.disable()  # a collection would fall into somebody's run by chance
    try:
        for number in range(rounds):
            for name in random.Random(number).sample(names, len(names)):
                times[name].append(rounded(1e3 * once(contest[name], device)))
    finally:
        gc.enable()
    return times


def rounded(value: float) -> float:
    """To five digits."""
    return float(f"{value:.5g}")


def once(run: Work, device: torch.device) -> float:
    """Seconds of one run; its results are freed after the clock has stopped."""
    _synchronize(device)
    start = time.perf_counter()
    results = run()
    _synchronize(device)
    seconds = time.perf_counter() - start
    del results
    return seconds


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(run: Work, device: torch.device) -> int:
    """Bytes that torch's allocator held at most during a run, beyond what it held before.

    On a CPU the profiler's record is added up; oneDNN's scratch space, past that allocator, is in nobody's number.
    """
    run()  # what is remembered from the first call on, such as a normalised graph, is not a step's
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        return torch.cuda.max_memory_allocated(device) - before
    return max(itertools.accumulate((size for _, size in allocations(run)), initial=0))


def allocations(run: Work) -> list[tuple[int, int]]:
    """Address and bytes of every piece of memory that torch's CPU allocator gave during a run; negative: took back."""
    gc.disable()  # garbage of before is not the run's
    try:
        with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
            results = run()
        del results
    finally:
        gc.enable()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    found = sorted((e for e in events if e.get("name") == "[memory]"), key=lambda e: e["ts"])
    return [(event["args"]["Addr"], event["args"]["Bytes"]) for event in found]
