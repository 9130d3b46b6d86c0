"""A page that answers clicks: what layers, rounds and sweeps see of one graph, side by side."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import torch
from rich.console import Console
from rich.progress import track
from torch import nn

from gnnseq import receptive_field, synchronous, topological
from gnnseq.layers import GRU, LSTM, RNN
from gnnseq.reach import ReceptiveField, write_page
from harness.report import PLAIN
from harness.sweep import now_and_then, one_thread
from studies.receptive_field.graphs import read_graph, told
from studies.receptive_field.study import edges_of, make_gcn

__all__ = ["make_page"]

SIDE = 6  # of the grid, where no graph is given
WIDTH = 4  # channels: reach does not depend on it
LAYERS = 6  # most layers and rounds, of graphs that are not large
MEASURED = 400  # up to so many nodes, reach is measured at every one
LARGE = 1500  # more nodes: fewer layers, and influence of few nodes
CELLS = (RNN, LSTM, GRU)


def lattice(side: int) -> nx.DiGraph:
    """Edges to the right and down, as a two-dimensional LSTM reads a picture."""
    graph = nx.DiGraph(nx.convert_node_labels_to_integers(nx.grid_2d_graph(side, side), ordering="sorted"))
    graph.remove_edges_from([(u, v) for u, v in graph.edges() if u > v])
    nx.set_node_attributes(graph, {v: f"row {v // side + 1}, column {v % side + 1}" for v in graph}, "name")
    nx.set_node_attributes(graph, {v: (v % side, -(v // side)) for v in graph}, "place")
    return graph


def networks(graph: nx.Graph, depth: int) -> list[tuple[str, Any, Callable[[], nn.Module]]]:
    """Name, schedule and module of each network: of 1 to ``depth`` layers or rounds, and sweeps where there are any."""
    edges, nodes = edges_of(graph), len(graph)
    found: list[tuple[str, Any, Callable[[], nn.Module]]] = []
    found += [("GCN", edges, partial(make_gcn, k, WIDTH)) for k in range(1, depth + 1)]
    for cell in CELLS:
        make = partial(cell, WIDTH, WIDTH)
        found += [(f"{cell.__name__}, rounds", synchronous(edges, nodes, k), make) for k in range(1, depth + 1)]
    if nx.is_directed_acyclic_graph(graph):
        sweep = topological(edges, nodes)
        found += [(f"{cell.__name__}, sweep", sweep, partial(cell, WIDTH, WIDTH)) for cell in CELLS]
    return found


def influence_nodes(nodes: int) -> list[int]:
    """The outputs whose influence is taken: all, or some that lie evenly among the numbers, the last among them."""
    some = nodes if nodes <= 100 else 60 if nodes <= LARGE else 12
    return sorted({int(v) for v in np.linspace(nodes - 1, 0, some).round()})


def make_page(settings: Any, console: Console) -> Path:
    """Measure the networks on the grid, or on the graph that is given, and write the page; the path."""
    errors = Console(stderr=True)
    if settings.graph is None:
        graph, title = lattice(3 if settings.quick else SIDE), "What an output sees of a grid"
    else:
        heading = {"auto": None, "yes": True, "no": False}[settings.heading]
        graph, title = (
            read_graph(settings.graph, settings.directed, heading),
            f"What an output sees of {settings.graph.name}",
        )
        errors.print(told(settings.graph, graph), **PLAIN)
    nodes = len(graph)
    depth = settings.hops or (2 if settings.quick else LAYERS if nodes <= LARGE else LAYERS // 2)
    tell, found = now_and_then(errors), networks(graph, depth)
    fields: dict[str, list[ReceptiveField]] = {}
    with one_thread():
        for name, schedule, make in track(
            found, "fields", console=errors, transient=True, disable=not errors.is_terminal
        ):
            torch.manual_seed(len(fields.get(name, [])))
            x = torch.randn(nodes, WIDTH, generator=torch.Generator().manual_seed(0))
            measured = receptive_field(
                make(), x, schedule, influence_nodes=influence_nodes(nodes), use_structure=nodes > MEASURED
            )
            fields.setdefault(name, []).append(measured)
            tell(f"{name}: {len(fields[name])} measured")
    names = [graph.nodes[v].get("name", v) for v in graph]
    places = [graph.nodes[v]["place"] for v in graph] if settings.graph is None else None
    path = write_page(fields, settings.path.with_suffix(".html"), title=title, names=names, positions=places)
    console.print(f"wrote {path}: open it in a browser", **PLAIN)
    return path
