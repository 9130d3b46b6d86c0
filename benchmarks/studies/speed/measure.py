"""What is measured of a piece of work, and how: rounds, agreement, peak memory, bare matrix products.

Letters: N nodes, E edges, F input channels, H hidden channels, T steps, B paths.
"""

import gc
import importlib.metadata
import json
import math
import random
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

# float32 carries 6e-8; sums over 100 steps and 10,000 nodes in another order bring that near 1e-5 of the largest
# number. Another formula, or a bias in the wrong place, shows at 1e-2.
TOLERANCE = 1e-4

Results = Sequence[Tensor]


class MissingError(Exception):
    """Why a competitor does not run here, in words for the table."""


@dataclass(frozen=True)
class Runner:
    """One competitor.

    Attributes:
        run: Does the work once and gives its numbers: the output, then gradients.
        as_ours: Brings these into our shapes and order; None where it computes something else.
        share: How much of the work one run is; the time is divided by it.
        version: Of the peer's package.
    """

    run: Callable[[], Results]
    as_ours: Callable[[Results], Results] | None = lambda results: results
    share: float = 1.0
    version: str | None = None


@dataclass(frozen=True)
class Work:
    """One line of the benchmark: our runner, the peers' or why they are missing, and the bare products.

    Attributes:
        shape: The sizes, in words.
        limit_is: What the limit is the time of.
        rounds: Most rounds, where one is long.
        is_step: Whether it is a training step, whose peak memory is compared.
    """

    title: str
    shape: str
    ours: Runner
    peers: dict[str, Runner | MissingError]
    limit: Callable[[], object] | None = None
    limit_is: str = "products"
    rounds: int | None = None
    is_step: bool = True


def silence() -> None:
    """Leave out what libraries say of themselves, whatever is measured."""
    warnings.filterwarnings("ignore", "Sparse invariant checks are implicitly disabled", UserWarning)
    warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta state", UserWarning)
    warnings.filterwarnings("ignore", "The input graph for the user-defined edge function")  # DGL, of leaves


def peer(package: str, make: Callable[[], Runner]) -> Runner | MissingError:
    """A competitor from another package, or why it is missing."""
    try:
        runner = make()
    except ImportError as error:
        return MissingError(f"not installed ({error}): pip install {package}")
    except OSError as error:  # a compiled part that does not load
        return MissingError(f"{package} is installed and does not load: {str(error).splitlines()[0]}")
    except MissingError as missing:
        return missing
    return Runner(runner.run, runner.as_ours, runner.share, importlib.metadata.version(package))


def parameters(module: nn.Module) -> list[Tensor]:
    """All of a module's, by name."""
    return [parameter for _, parameter in sorted(module.named_parameters())]


def training_step(forward: Callable[[], Tensor], wanted: Iterable[Tensor]) -> Callable[[], Results]:
    """Forward and backward: gives the output and the gradients of what is wanted, from fixed gradients of the output.

    The output's gradients are drawn once, and the same for all whose outputs have equally many numbers.
    """
    inputs = list(wanted)
    with torch.no_grad():
        shape = forward().shape
    generator = torch.Generator().manual_seed(1)
    cotangent = torch.randn(shape.numel(), generator=generator).view(shape).to(inputs[0].device)

    def step() -> Results:
        output = forward()
        return [output, *torch.autograd.grad(output, inputs, cotangent.to(output.dtype))]

    return step


def disagreement(ours: Results, theirs: Results) -> float:
    """The largest difference of any tensor, as a share of that tensor's largest number."""
    if len(ours) != len(theirs):
        raise ValueError(f"{len(theirs)} tensors to compare with our {len(ours)}")
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        a, b = a.detach().double(), b.detach().double().reshape(a.shape)
        error = float((a - b).abs().max() / b.abs().max().clamp_min(1e-30))
        worst = max(worst, math.inf if math.isnan(error) else error)
    return worst


def measure(work: Work, rounds: int, warm_up: int, device: torch.device) -> dict[str, Any]:
    """Everything about a piece of work, as a JSON value.

    Raises:
        ValueError: If a peer's numbers differ from ours.
    """
    peers = {name: runner for name, runner in work.peers.items() if isinstance(runner, Runner)}
    ours = work.ours.run()
    errors = {}
    for name, runner in peers.items():
        if runner.as_ours is not None:
            errors[name] = disagreement(ours, runner.as_ours(runner.run()))
            if not errors[name] < TOLERANCE:
                raise ValueError(f"{work.title}: {name} and ours differ by {errors[name]:.1e}, nothing was timed")
    del ours
    contest = {"ours": work.ours.run, **{name: runner.run for name, runner in peers.items()}}
    memory = {name: peak_memory(run, device) if work.is_step else None for name, run in contest.items()}
    if work.limit is not None:
        contest["limit"] = work.limit
    rounds, warm_up = (min(number, work.rounds or number) for number in (rounds, warm_up))
    seconds = interleave(contest, rounds, warm_up, device)

    def milliseconds(name: str, share: float = 1.0) -> list[float]:
        return [float(f"{1e3 * value / share:.5g}") for value in seconds[name]]

    found: dict[str, Any] = {
        "title": work.title,
        "shape": work.shape,
        "ours": {"milliseconds": milliseconds("ours"), "peak_bytes": memory["ours"]},
        "peers": {},
        "limit": None,
    }
    for name, runner in work.peers.items():
        if isinstance(runner, MissingError):
            found["peers"][name] = {"missing": str(runner)}
            continue
        found["peers"][name] = {
            "version": runner.version or torch.__version__,
            "milliseconds": milliseconds(name, runner.share),
            "share": runner.share,
            "peak_bytes": memory[name],
            "largest_difference": errors.get(name),
        }
    if work.limit is not None:
        found["limit"] = {"is": work.limit_is, "milliseconds": milliseconds("limit")}
    return found


def interleave(
    contest: dict[str, Callable[[], object]], rounds: int, warm_up: int, device: torch.device
) -> dict[str, list[float]]:
    """Seconds of every run: each round runs all competitors, in an order drawn anew, so that nobody follows another."""
    names = list(contest)
    for _ in range(warm_up):
        for name in names:
            contest[name]()
    seconds: dict[str, list[float]] = {name: [] for name in names}
    collecting = gc.isenabled()
    gc.collect()
    gc.disable()  # a collection would fall into somebody's run by chance
    try:
        for number in range(rounds):
            for name in random.Random(number).sample(names, len(names)):
                seconds[name].append(once(contest[name], device))
    finally:
        if collecting:
            gc.enable()
    return seconds


def once(run: Callable[[], object], device: torch.device) -> float:
    """Seconds of one run; its results are freed after the clock has stopped."""
    synchronize(device)
    start = time.perf_counter()
    results = run()
    synchronize(device)
    seconds = time.perf_counter() - start
    del results
    return seconds


def synchronize(device: torch.device) -> None:
    """Waits for what a GPU still has to do."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def peak_memory(run: Callable[[], object], device: torch.device) -> int:
    """Bytes that torch's allocator held at most during a run, beyond what it held before.

    On a CPU the profiler's record of every allocation is added up; what libraries allocate past torch's allocator
    (oneDNN's scratch space) is in nobody's number.
    """
    run()  # what is remembered from the first call on, such as a normalised graph, is not a step's
    gc.collect()
    if device.type == "cuda":
        before = torch.cuda.memory_allocated(device)
        torch.cuda.reset_peak_memory_stats(device)
        run()
        synchronize(device)
        return torch.cuda.max_memory_allocated(device) - before
    held = peak = 0
    for _, size in allocations(run):
        held += size
        peak = max(peak, held)
    return peak


def allocations(run: Callable[[], object]) -> list[tuple[int, int]]:
    """Address and bytes of every piece of memory that torch's CPU allocator gave during a run; negative: took back."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        results = run()
    del results
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "trace.json"
        profiler.export_chrome_trace(str(path))
        events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    found = sorted((e for e in events if e.get("name") == "[memory]"), key=lambda e: e["ts"])
    return [(event["args"]["Addr"], event["args"]["Bytes"]) for event in found]


class Product(NamedTuple):
    """The shape of a matrix product [m, k] x [k, n]; over_nodes where k counts nodes, as in a weight's gradient."""

    m: int
    k: int
    n: int
    over_nodes: bool = False


def linear_products(nodes: int, inner: int, outer: int, x_grad: bool = True) -> list[Product]:
    """Those of a linear map inner -> outer of so many nodes: forward, the weight's gradient, the input's."""
    if nodes == 0:
        return []
    products = [Product(nodes, inner, outer), Product(outer, nodes, inner, over_nodes=True)]
    return [*products, Product(nodes, outer, inner)] if x_grad else products


@dataclass
class BareProducts:
    """Nothing but matrix products, into memory that is there already; those of one shape share their weight."""

    products: Sequence[Product]
    device: torch.device
    _operands: list[tuple[Tensor, Tensor, Tensor]] = field(init=False, default_factory=list)

    def __post_init__(self) -> None:
        weights: dict[tuple[int, int], Tensor] = {}
        for m, k, n, over_nodes in self.products:
            left = torch.randn(k, m, device=self.device).t() if over_nodes else torch.randn(m, k, device=self.device)
            right = torch.randn(k, n, device=self.device)
            right = right if over_nodes else weights.setdefault((k, n), right)
            self._operands.append((left, right, torch.empty(m, n, device=self.device)))

    def __call__(self) -> None:
        for left, right, result in self._operands:
            torch.mm(left, right, out=result)
