"""How far does each layer see? Measured on the whole graph, every pair of nodes, and held against networkx.

    python benchmarks/receptive_field.py                  all four parts, under a minute
    python benchmarks/receptive_field.py --graph FILE     the first part on your own graph (edge list, CSV, GraphML)

1. k graph convolutions reach exactly the k-hop neighbourhoods.
2. A sweep of RNN, LSTM or GRU reaches all ancestors and nothing else, k synchronous rounds k - 1 hops.
3. What torch_geometric's layers reach, beside what its get_num_hops says.
4. How strongly: influence against hops, untrained, at length 100.

Reach is measured by derivatives, never read off the structure. Exit code 0: every pair of parts 1 and 2 is as
networkx has it; 1: one is not, and the table names it; 2: the input could not be read.
"""

import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import torch
import torch_geometric.nn as pyg
import tyro
from receptive_field_report import figures, holds, print_report
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn
from torch_geometric.utils import get_num_hops

from gnnseq import receptive_field, synchronous, topological
from gnnseq.experiments import UnreadableResultError, provenance, read_json, write_json
from gnnseq.graphs import path_graph
from gnnseq.layers import GCN, GRU, LSTM, RNN, GatedGraph

WIDTH = 4  # channels of the networks whose reach is measured: reach does not depend on it
CELLS: dict[str, Callable[..., nn.Module]] = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}


@dataclass(frozen=True)
class Settings:
    """How far each layer sees: reach and influence, measured, against networkx."""

    graph: Path | None = None
    """Run part 1 on this graph instead: GraphML, or one edge a line, separated by blanks or commas."""
    quick: bool = False
    """The form that CI runs: smaller graphs, fewer seeds."""
    report_only: bool = False
    """Rebuild tables and figures from the JSON, measure nothing."""
    results: Path = Path(__file__).resolve().parent / "results" / "receptive_field"
    """Folder of JSON and figures."""
    hops: int = 6
    """Part 1 goes from 1 to this many layers."""
    length: int = 100
    """Nodes of the path in part 4."""
    hidden: int = 64
    """Hidden channels in part 4."""
    seeds: int = 10
    """Networks of each kind in part 4."""

    @property
    def name(self) -> str:
        """What the results are called."""
        if self.graph is not None:
            return self.graph.stem
        return "quick" if self.quick else "receptive_field"


class Stack(nn.Module):
    """Layers one after the other, tanh between them: smooth, so that no unit is off at any input."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, graph: Any) -> Tensor:
        for number, layer in enumerate(self.layers):
            x = layer(x if number == 0 else torch.tanh(x), graph)
        return x


def make_gcn(layers: int, width: int = WIDTH) -> nn.Module:
    """So many graph convolutions."""
    return Stack([GCN(width, width) for _ in range(layers)])


def edges_of(graph: nx.Graph) -> Tensor:
    """The edges of a graph whose nodes are 0 .. N - 1, both ways where it is undirected. [2, E]"""
    edges = torch.tensor(list(graph.to_directed().edges()), dtype=torch.int64)
    return edges.view(-1, 2).t().contiguous()


def within(graph: nx.Graph, hops: int | None) -> np.ndarray:
    """Row v: the nodes from which v is reached in so many steps, or in any number, by networkx. [N, N]"""
    reach = np.zeros((len(graph), len(graph)), dtype=bool)
    for u, distances in nx.all_pairs_shortest_path_length(graph, cutoff=hops):
        reach[list(distances), u] = True
    return reach


def compare(module: nn.Module, graph: nx.Graph, schedule: Any, expected: np.ndarray) -> dict[str, Any]:
    """Measures a module's reach on a graph and finds the first pair at which it is not as expected."""
    x = torch.randn(len(graph), WIDTH, generator=torch.Generator().manual_seed(0))
    nodes = min(8, len(graph))  # influence is not asked here
    field = receptive_field(module, x, schedule, use_structure=False, influence_nodes=nodes)
    wrong = np.argwhere(field.reach.toarray() != expected)
    counterexample = None
    if len(wrong) > 0:
        v, u = (int(node) for node in wrong[0])
        try:
            away = f"{nx.shortest_path_length(graph, u, v)} hops away"
        except nx.NetworkXNoPath:
            away = "no path"
        counterexample = f"node {v} {'misses' if expected[v, u] else 'sees'} node {u}, {away} ({len(wrong)} such pairs)"
    return {"pairs": int(expected.size), "reached": int(field.reach.nnz), "counterexample": counterexample}


def five_graphs(quick: bool) -> dict[str, nx.Graph]:
    """Path, cycle, grid, tree and random graph, nodes 0 .. N - 1."""
    n = 12 if quick else 36
    side = 4 if quick else 6
    graphs = {
        "path": nx.path_graph(n),
        "cycle": nx.cycle_graph(n),
        "grid": nx.grid_2d_graph(side, side),
        "tree": nx.balanced_tree(2, 3 if quick else 4),
        "random": nx.gnp_random_graph(n, 2.5 / n, seed=1),
    }
    return {name: nx.convert_node_labels_to_integers(graph) for name, graph in graphs.items()}


def part_one(graphs: dict[str, nx.Graph], hops: int, tick: Callable[[], None]) -> list[dict[str, Any]]:
    """Reach of 1 .. hops graph convolutions against networkx's neighbourhoods."""
    rows = []
    for name, graph in graphs.items():
        for k in range(1, hops + 1):
            torch.manual_seed(k)
            found = compare(make_gcn(k), graph, edges_of(graph), within(graph, k))
            rows.append({"graph": name, "nodes": len(graph), "edges": graph.number_of_edges(), "layers": k, **found})
            tick()
    return rows


def part_two(quick: bool, tick: Callable[[], None]) -> list[dict[str, Any]]:
    """Reach of sweeps against ancestors, and of synchronous rounds against hops."""
    n = 10 if quick else 24
    random = nx.gnp_random_graph(n, 4 / n, seed=2, directed=True)
    graphs = {
        "path": nx.path_graph(n, create_using=nx.DiGraph),
        "tree": nx.balanced_tree(2, 3, create_using=nx.DiGraph).reverse(),
        "random DAG": nx.DiGraph((u, v) for u, v in random.edges() if u < v),
    }
    graphs["random DAG"].add_nodes_from(range(n))
    graphs = {name: nx.convert_node_labels_to_integers(graph, ordering="sorted") for name, graph in graphs.items()}
    rows = []
    for cell, make in CELLS.items():
        for name, graph in graphs.items():
            edges, size = edges_of(graph), len(graph)
            for schedule, reads, expected in (
                (topological(edges, size), "all ancestors", within(graph, None)),
                (synchronous(edges, size, rounds=3), "2 hops", within(graph, 2)),
            ):
                torch.manual_seed(0)
                found = compare(make(WIDTH, WIDTH), graph, schedule, expected)
                kind = "sweep" if schedule.rounds is None else f"{schedule.rounds} rounds"
                rows.append({"layer": cell, "schedule": kind, "graph": name, "expected": reads, **found})
                tick()
    return rows


def part_three(tick: Callable[[], None]) -> list[dict[str, Any]]:
    """What layers reach on a path, beside what get_num_hops says of them."""
    modules = {
        "GCNConv": pyg.GCNConv(WIDTH, WIDTH),
        "ChebConv(K=4)": pyg.ChebConv(WIDTH, WIDTH, K=4),
        "APPNP(K=10)": pyg.APPNP(K=10, alpha=0.1),
        "GatedGraphConv(5)": pyg.GatedGraphConv(WIDTH, num_layers=5),
        "gnnseq GCN": GCN(WIDTH, WIDTH),
        "gnnseq GatedGraph(5)": GatedGraph(WIDTH, num_rounds=5),
    }
    edges, x = path_graph(25, undirected=True).edge_index, torch.randn(25, WIDTH)
    rows = []
    for name, module in modules.items():
        field = receptive_field(Stack([module]), x, edges, use_structure=False, influence_nodes=2)
        rows.append({"layer": name, "claimed": get_num_hops(Stack([module])), "measured": int(field.hops.max())})
        tick()
    return rows


def part_four(settings: Settings, tick: Callable[[], None]) -> list[dict[str, Any]]:
    """Influence on the last node of a path, by hops, of networks as they are initialised."""
    length, hidden = settings.length, settings.hidden
    forward, both = path_graph(length), path_graph(length, undirected=True).edge_index
    schedule = topological(forward.edge_index, length)
    depths = [2, 4, 8] if settings.quick else [2, 4, 8, 16, 32, 64]
    cases: list[tuple[str, Any, Callable[[], nn.Module]]] = [
        (f"GCN, {k} layers", both, lambda k=k: make_gcn(k, hidden)) for k in depths
    ]
    cases += [
        ("RNN", schedule, lambda: RNN(hidden, hidden)),
        ("LSTM", schedule, lambda: LSTM(hidden, hidden)),
        ("LSTM, chrono", schedule, lambda: LSTM(hidden, hidden, init="chrono", time_scale=float(length))),
    ]
    rows = []
    for name, graph, make in cases:
        curves = []
        for seed in range(2 if settings.quick else settings.seeds):
            torch.manual_seed(seed)
            field = receptive_field(make(), torch.randn(length, hidden), graph, influence_nodes=[length - 1])
            curve = np.zeros(length)
            curve[: len(field.influence)] = field.influence
            curves.append([float(f"{value:.4g}") for value in curve])
            tick()
        rows.append({"network": name, "influence": curves})
    return rows


def read_graph(path: Path) -> nx.Graph:
    """A graph file with its nodes renumbered 0 .. N - 1.

    Raises:
        ValueError: If there is no such file, or it is not a graph.
    """
    if not path.is_file():
        raise ValueError(f"--graph {path}: no such file")
    try:
        if path.suffix.lower() == ".graphml":
            graph = nx.read_graphml(path)
        else:
            lines = (line.replace(",", " ") for line in path.read_text(encoding="utf-8").splitlines())
            graph = nx.parse_edgelist(lines, data=False)
    except (nx.NetworkXError, SyntaxError, TypeError, UnicodeDecodeError, KeyError) as error:
        raise ValueError(
            f"--graph {path}: {error}; expected GraphML, or text with one edge a line: two names, blank or comma"
        ) from error
    if len(graph) == 0:
        raise ValueError(f"--graph {path}: no nodes; expected one edge a line, two names, blank or comma between")
    plain = nx.DiGraph(graph) if graph.is_directed() else nx.Graph(graph)  # several edges between two nodes are one
    return nx.convert_node_labels_to_integers(plain)


def measure(settings: Settings, console: Console) -> dict[str, Any]:
    """All that the settings ask for, as one JSON value."""
    hops = 3 if settings.quick else settings.hops
    with Progress(console=console, transient=True) as progress:

        def parts(title: str, total: int) -> Callable[[], None]:
            task = progress.add_task(title, total=total)
            return lambda: progress.advance(task)

        if settings.graph is not None:
            graphs = {settings.graph.stem: read_graph(settings.graph)}
            return {"gcn": part_one(graphs, hops, parts("k layers, k hops", hops))}
        graphs = five_graphs(settings.quick)
        cases = (3 if settings.quick else 6) + 3
        return {
            "gcn": part_one(graphs, hops, parts("k layers, k hops", hops * len(graphs))),
            "schedules": part_two(settings.quick, parts("sweeps and rounds", 18)),
            "claims": part_three(parts("torch_geometric's layers", 6)),
            "influence": part_four(
                settings, parts("influence by hops", cases * (2 if settings.quick else settings.seeds))
            ),
        }


def main(settings: Settings) -> int:
    """Measures, writes JSON, prints tables, draws figures; gives the exit code."""
    console = Console()
    path = settings.results / f"{settings.name}.json"
    if not settings.report_only:
        found = measure(settings, console)
        write_json(path, {"experiment": "receptive_field", "provenance": provenance(), **found})
    result = read_json(path)
    print_report(result, console)
    for figure in figures(result, settings.results, settings.name):
        console.print(f"wrote {figure}", highlight=False, soft_wrap=True)
    console.print(f"from  {path}", highlight=False, soft_wrap=True)
    return 0 if holds(result) else 1


if __name__ == "__main__":
    try:
        sys.exit(main(tyro.cli(Settings, config=(tyro.conf.FlagCreatePairsOff,))))
    except (UnreadableResultError, FileNotFoundError, ValueError) as error:
        print(f"receptive_field.py: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
