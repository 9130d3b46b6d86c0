"""Growth: the time of a training step per node of a path, and per edge of a graph."""

from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from gnnseq import topological
from gnnseq.graphs import path_graph
from gnnseq.layers import GCN
from studies.speed.cases import OURS
from studies.speed.graphs import random_graph
from studies.speed.measure import Step, Work, allocations, apart, layer_step, once, prepare

WIDTH = 32
DEGREE = 20
FEW = {"RNN": 128, "GRU": 128, "LSTM": 128, "GCN": 1000}  # nodes or edges: a step's calls, and compiled already
ROUNDS = 3  # in which all points are measured: a processor may be slow for seconds
SECONDS, REPETITIONS = 0.4, 50  # in which a point is repeated in a round, and how often at most


@dataclass(frozen=True)
class Point:
    """One measurement: a cell on a path of so many nodes, or a GCN on a graph of so many directed edges."""

    layer: str
    size: int
    device: str
    threads: int
    commit: str  # whose points are not another's
    round: int = 0


def points(quick: bool, device: str, threads: int, commit: str) -> list[Point]:
    """From 10^3 to 10^6 nodes and from 10^5 to 10^7 edges, two a decade, round after round."""
    lengths = [200, 400] if quick else [round(10**e) for e in (3, 3.5, 4, 4.5, 5, 5.5, 6)]
    edges = [2000, 4000] if quick else [2 * round(10**e / 2) for e in (5, 5.5, 6, 6.5, 7)]
    sizes = [*((cell, length) for cell in OURS for length in lengths), *(("GCN", size) for size in edges)]
    rounds = range(1 if quick else ROUNDS)
    return [Point(*size, device, threads, commit, round) for round in rounds for size in sizes]


def measure_apart(point: Point) -> dict[str, Any]:
    """:func:`measure_point` in a process of its own, which gives all its memory back when it ends."""
    return apart(measure_point, point)


def measure_point(point: Point) -> dict[str, Any]:
    """Seconds of building the schedule or adjacency, of a step, of one on few nodes or edges, and of memory alone."""
    device = torch.device(point.device)
    prepare(point.threads, device)
    torch.manual_seed(0)
    parts = (_convolution if point.layer == "GCN" else _sweep)(point.layer, point.size, device)
    record: dict[str, Any] = {"layer": point.layer, "size": point.size, "few_size": FEW[point.layer]}
    for name, run in parts.items():
        run()  # pays for new memory
        seconds = [once(run, device)]  # a run that is long itself is an average
        while sum(seconds) < SECONDS and len(seconds) < REPETITIONS:
            seconds.append(once(run, device))
        record[name] = seconds
    return record


def _sweep(layer: str, nodes: int, device: torch.device) -> dict[str, Work]:
    """Memory alone: what a step takes of it, filled once and given back."""
    module = OURS[layer](WIDTH, WIDTH).to(device)

    def step(length: int) -> Step:
        schedule = topological(path_graph(length).edge_index.to(device), length)
        return layer_step(module, torch.randn(length, WIDTH, device=device), schedule)

    building = partial(topological, path_graph(nodes).edge_index.to(device), nodes)
    taken = allocations(step(nodes)) if device.type == "cpu" else []

    def fill() -> None:
        held = {}
        for address, size in taken:
            held[address] = torch.empty(size, dtype=torch.uint8).fill_(1) if size > 0 else None

    return {"building": building, "steps": step(nodes), "few": step(FEW[layer]), "memory": fill}


def _convolution(layer: str, edges: int, device: torch.device) -> dict[str, Work]:
    """The adjacency is built in a layer's first call, here over features of one column.

    Memory alone: a sum over runs of edges of their sources' rows, unweighted, and a comparison of all edges with last
    time's, as a layer makes it.
    """

    def graph(edges: int) -> tuple[Tensor, Tensor]:
        return torch.randn(edges // DEGREE, WIDTH, device=device), random_graph(edges // DEGREE, edges).to(device)

    def step(x: Tensor, edge_index: Tensor) -> Step:
        return layer_step(GCN(WIDTH, WIDTH).to(device), x, edge_index)  # a layer remembers one graph

    def read() -> tuple[Tensor, bool]:
        return functional.embedding_bag(source, x, runs, mode="sum"), torch.equal(edge_index, known)

    x, edge_index = graph(edges)
    source, runs = edge_index[0].int(), torch.arange(0, edges, DEGREE, dtype=torch.int32, device=device)
    known = edge_index.clone()
    build = torch.no_grad()(lambda: GCN(1, 1).to(device)(x[:, :1], edge_index))
    return {"building": build, "steps": step(x, edge_index), "few": step(*graph(FEW[layer])), "memory": read}
