"""What layers cost, counted: operations and bytes by node, edge and step; `python -m studies.speed.cost` measures them.

Letters: N nodes, E edges, T steps, F channels in, H channels out. A multiplication and an addition are two operations.
float32 throughout. On paths a node is a sequence's step, so a batch of B sequences of T steps has N = B T.
"""

import statistics
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch

from gnnseq.layers import GCN, GRU, LSTM
from gnnseq.schedule import packed_paths
from studies.speed.roofline import aggregation_bytes

__all__ = ["Cost", "Rates", "gcn", "rates", "recurrent", "reduction_bytes"]

GATES = {"RNN": 1, "LSTM": 4, "GRU": 3}
KEPT = {"RNN": 1, "LSTM": 7, "GRU": 5}  # activations of H channels that wait for the backward pass
FLOAT = 4  # bytes


Case = tuple[Callable[[bool], None], Callable[[bool], "Cost"]]


class Cost(NamedTuple):
    """Of one layer once."""

    products: float  # operations of matrix products
    moved: float  # bytes of rows that edges fetch, which no product has: each at another place
    kept: float  # bytes that the backward pass waits for; nothing of it without training

    def seconds(self, rates: "Rates") -> float:
        """On a machine that does so much a second; the parts one after the other."""
        return self.products / rates.products + self.moved / rates.moved


class Rates(NamedTuple):
    """What one thread of a machine does in a second."""

    products: float  # operations
    moved: float  # bytes


def gcn(nodes: float, edges: float, inner: int, outer: int, training: bool) -> Cost:
    """A graph convolution: a product of all nodes, then a row of H channels for each edge and self-loop.

    Training has two more products and the edges a second time. The smaller of F and H is what edges fetch.

    Example:
        >>> gcn(1e8, 1e9, 64, 64, training=False)
        Cost(products=819200000000.0, moved=316000000000.0, kept=0.0)
    """
    products = 2.0 * nodes * inner * outer
    moved = float(aggregation_bytes(int(edges), int(nodes), min(inner, outer)))
    kept = FLOAT * nodes * inner  # and H channels more where a nonlinearity follows
    return Cost(3 * products, 2 * moved, kept) if training else Cost(products, moved, 0.0)


def recurrent(cell: str, nodes: float, inner: int, outer: int, training: bool) -> Cost:
    """RNN, LSTM or GRU: so many gates of F + H channels each, at every node; one step needs the step before.

    Example:
        >>> recurrent("LSTM", 1, 64, 64, training=False)
        Cost(products=65536.0, moved=0.0, kept=0.0)
    """
    products = 2.0 * nodes * GATES[cell] * outer * (inner + outer)
    kept = FLOAT * nodes * (inner + KEPT[cell] * outer)
    return Cost(3 * products, 0.0, kept) if training else Cost(products, 0.0, 0.0)


def reduction_bytes(parameters: float, processes: int) -> float:
    """What a process sends in a step of DDP: gradients, in a ring.

    Example:
        >>> reduction_bytes(1e6, 2)
        4000000.0
    """
    return 2 * FLOAT * parameters * (processes - 1) / processes


def rates(width: int = 64, rows: int = 200_000) -> Rates:
    """Of this thread, measured: a product of many rows, and rows gathered from anywhere."""
    x, weight = torch.randn(rows, width), torch.randn(width, width)
    index = torch.randint(rows, (rows,))
    product = _median(lambda: x @ weight)
    fetched = torch.empty_like(x)
    gather = _median(lambda: torch.index_select(x, 0, index, out=fetched))
    return Rates(2.0 * rows * width * width / product, 2.0 * FLOAT * rows * width / gather)


def _median(call: Callable[[], Any], repeats: int = 7) -> float:
    call()
    return statistics.median(_timed(call) for _ in range(repeats))


def _timed(call: Callable[[], Any]) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def cases(nodes: int = 50_000, steps: int = 100, width: int = 64) -> dict[str, Case]:
    """A call, in training or not, and its cost, by name."""
    edge_index = torch.randint(nodes, (2, 10 * nodes))
    x = torch.randn(nodes, width, requires_grad=True)
    paths = packed_paths([steps] * (nodes // steps))
    layer, recurrences = GCN(width, width), {"LSTM": LSTM(width, width), "GRU": GRU(width, width)}
    made: dict[str, Case] = {
        "GCN": (_call(lambda: layer(x, edge_index)), partial(gcn, nodes, 10 * nodes, width, width))
    }
    for name, cell in recurrences.items():
        made[name] = _call(partial(_states, cell, x, paths)), partial(recurrent, name, nodes, width, width)
    return made


def _states(cell: Any, x: torch.Tensor, paths: Any) -> torch.Tensor:
    h: torch.Tensor = cell(x, paths)[0]
    return h


def _call(forward: Callable[[], torch.Tensor]) -> Callable[[bool], None]:
    def call(training: bool) -> None:
        with torch.set_grad_enabled(training):
            y = forward()
        if training:
            y.sum().backward()

    return call


def main() -> None:
    """Print what was counted beside what was measured, on one thread; measured in turn, medians."""
    torch.set_num_threads(1)
    found = rates()
    print(f"one thread: {found.products / 1e9:.1f} G operations/s in products, {found.moved / 1e9:.1f} GB/s gathered\n")
    print("| layer | | G operations | MB moved | s by the model | s measured | measured / model |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for name, (call, cost) in cases().items():
        for training in (False, True):
            counted = cost(training)
            measured = _median(partial(call, training))
            seconds = counted.seconds(found)
            row = [f"{counted.products / 1e9:.2f}", f"{counted.moved / 1e6:.0f}", f"{seconds:.3f}", f"{measured:.3f}",
                   f"{measured / seconds:.1f}"]  # fmt: skip
            print(f"| {name} | {'training' if training else 'forward'} | {' | '.join(row)} |")


if __name__ == "__main__":
    main()
