"""Memory that stays as it is: a stream of many steps, and training on ever new graphs."""

import gc
import resource
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch

from gnnseq.layers import GCN, GRU, LSTM
from gnnseq.schedule import topological
from gnnseq.stream import Stream

__all__ = ["try_memory"]

Trial = tuple[str, int, list[str]]
GROWTH = 8 << 20  # bytes that count as growth: what malloc keeps is given back in larger pieces than these
PARTS = 10


def _held() -> int:
    """Bytes of memory of this process that are its own."""
    gc.collect()
    try:
        return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * resource.getpagesize()
    except OSError:  # other systems tell the most alone
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def _flat(name: str, steps: int, work: Iterator[None]) -> Trial:
    """Memory after each of ten parts, the first of which pays for what is made once."""
    held = []
    for _ in range(PARTS):
        for _ in range(max(1, steps // PARTS)):
            next(work)
        held.append(_held())
    grown = held[-1] - held[PARTS // 2 - 1]
    return name, steps, [f"{grown / 2**20:.1f} MiB more in the second half"] if grown > GROWTH else []


def _follow(layer: Any) -> Iterator[None]:
    stream, x = Stream(layer), torch.randn(1, 4)
    while True:
        stream(x)
        yield


def _train() -> Iterator[None]:
    tree, convolution = LSTM(4, 8), GCN(8, 4)
    optimizer = torch.optim.Adam([*tree.parameters(), *convolution.parameters()])
    while True:
        nodes = int(torch.randint(5, 40, ()))
        edges = torch.randint(nodes, (2, 2 * nodes)).sort(0).values
        edges = edges[:, edges[0] < edges[1]]
        h, _ = tree(torch.randn(nodes, 4), topological(edges, nodes))
        optimizer.zero_grad()
        convolution(h, edges).square().mean().backward()
        optimizer.step()
        yield


def try_memory(settings: Any) -> list[Trial]:
    """A row for each kind of work."""
    return [
        *(_flat(f"a stream of an {type(layer).__name__} holds as much after {settings.stream_steps:,} steps",
                settings.stream_steps, _follow(layer)) for layer in (LSTM(4, 16), GRU(4, 16))),
        _flat(f"training on {settings.training_steps:,} graphs, each another one, holds as much",
              settings.training_steps, _train()),
    ]  # fmt: skip
