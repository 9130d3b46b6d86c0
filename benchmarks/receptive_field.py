"""How far does each layer see? Measured on the whole graph, every pair of nodes, and held against networkx.

    python benchmarks/receptive_field.py                  five parts in half a minute
    python benchmarks/receptive_field.py --graph FILE     the same on your own graph: edge list or GraphML

1. k graph convolutions reach exactly the k-hop neighbourhoods.
2. A sweep of RNN, LSTM or GRU reaches all ancestors and nothing else, k synchronous rounds k - 1 hops.
3. What torch_geometric's layers reach, beside what its get_num_hops says.
4. How strongly: influence against hops, untrained, at length 100.
5. What a recurrence and a convolution reach together, in three orders: pairs of (node, step).

Reach is measured by derivatives and NaN traces, never read off the structure. Exit code 0: every pair of parts 1 to 3
and 5 is as networkx has it, and proven; 1: one is not, and the table names it; 2: an argument or a file is wrong;
130: interrupted.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np
import torch
import torch_geometric.nn as pyg
from rich.console import Console
from rich.progress import Progress
from torch import Tensor, nn
from torch_geometric.utils import get_num_hops

from gnnseq import receptive_field, synchronous, topological
from gnnseq.graphs import path_graph
from gnnseq.layers import GCN, GRU, LSTM, RNN, GatedGraph, TemporalGCN
from harness import cli as command
from harness.sweep import one_thread, provenance, write_json
from studies.receptive_field.report import figures, holds, print_report

WIDTH = 4  # channels of the networks whose reach is measured: reach does not depend on it
CELLS: dict[str, Callable[..., nn.Module]] = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
ORDERS = ("time_then_space", "space_then_time", "space_time")
# More nodes than this are not drawn.
DRAWN = 500


@dataclass(frozen=True)
class Settings:
    """How far each layer sees: reach and influence, measured, against networkx."""

    graph: Path | None = None
    """Your own graph: GraphML, or one edge a line, two names separated by blanks or a comma, no heading; a third
    column is passed over. Every pair is measured: seconds for a hundred nodes, minutes for a thousand."""
    directed: bool = False
    """Read an edge list's lines as source and target; GraphML says so itself."""
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
    seeds: int = 5
    """Networks of each kind in part 4."""

    @property
    def depths(self) -> tuple[int, ...]:
        """Layers of the graph convolutions in part 4."""
        if self.quick or self.graph is not None:
            return (2, 4, 8)
        return (4, 16, 32)

    @property
    def history(self) -> tuple[int, int]:
        """Nodes and steps of part 5."""
        return (5, 4) if self.quick else (9, 6)

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


def compare(
    module: nn.Module, graph: nx.Graph, schedule: Any, expected: np.ndarray, call: Callable[..., Tensor] | None = None
) -> dict[str, Any]:
    """Measures a module's reach on a graph and finds the first pair at which it is not as expected."""
    x = torch.randn(len(graph), WIDTH, generator=torch.Generator().manual_seed(0))
    nodes = min(2, len(graph))  # influence is not asked here
    field = receptive_field(module, x, schedule, use_structure=False, influence_nodes=nodes, call=call)
    reach = field.reach.toarray()
    wrong = np.argwhere(reach != expected)
    counterexample = None
    if len(wrong) > 0:
        v, u = (int(node) for node in wrong[0])
        try:
            away = f"{nx.shortest_path_length(graph, u, v)} hops away"
        except nx.NetworkXNoPath:
            away = "no path"
        name = [graph.nodes[node].get("name", node) for node in (v, u)]
        counterexample = (
            f"output {name[0]} {'misses' if expected[v, u] else 'sees'} input {name[1]}, {away} "
            f"({len(wrong)} of {expected.size} pairs differ)"
        )
    elif not field.certain:
        counterexample = "as networkx has it, but not proven"
    return {
        "pairs": int(expected.size),
        "reached": int(field.reach.nnz),
        "farthest": int(field.hops.max()),
        "counterexample": counterexample,
        "seen": np.flatnonzero(reach[focus(graph)]).tolist(),
    }


def focus(graph: nx.Graph) -> int:
    """The node that pictures show: of most neighbours, and of these the most central in number."""
    return max(graph, key=lambda node: (graph.degree(node), -abs(node - len(graph) // 2)))


def five_graphs(quick: bool) -> dict[str, nx.Graph]:
    """Path, cycle, grid, tree and random graph, nodes 0 .. N - 1."""
    n, side = (12, 4) if quick else (36, 7)
    grid = nx.grid_2d_graph(side, side)
    nx.set_node_attributes(grid, {at: at for at in grid}, "place")
    path, row = nx.path_graph(n), round(n**0.5)
    winding = {node: (node % row if node // row % 2 == 0 else row - 1 - node % row, -(node // row)) for node in path}
    nx.set_node_attributes(path, winding, "place")
    return {
        "path": path,
        "cycle": nx.cycle_graph(n),
        "grid": nx.convert_node_labels_to_integers(grid),
        "tree": nx.balanced_tree(2, 3 if quick else 4),
        "random": nx.gnp_random_graph(n, 2.5 / n, seed=1),
    }


def acyclic_graphs(quick: bool) -> dict[str, nx.DiGraph]:
    """Path, tree with edges to its root, and random graph, directed and without cycles."""
    n = 10 if quick else 24
    random = nx.gnp_random_graph(n, 4 / n, seed=2)
    return {
        "path": nx.path_graph(n, create_using=nx.DiGraph),
        "tree": nx.balanced_tree(2, 3, create_using=nx.DiGraph).reverse(),
        "random DAG": nx.DiGraph({u: [v for v in random[u] if v > u] for u in random}),
    }


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


def part_two(graphs: dict[str, nx.Graph], tick: Callable[[], None]) -> list[dict[str, Any]]:
    """Reach of sweeps against ancestors, and of synchronous rounds against hops."""
    rows = []

    def add(layer: str, schedule: str, reads: str, name: str, found: dict[str, Any]) -> None:
        rows.append({"layer": layer, "schedule": schedule, "expected": reads, "graph": name, **found})
        tick()

    for name, graph in graphs.items():
        edges, size = edges_of(graph), len(graph)
        torch.manual_seed(0)
        for cell, make in CELLS.items():
            if nx.is_directed_acyclic_graph(graph):
                sweep, ancestors = topological(edges, size), within(graph, None)
                add(cell, "sweep", "all ancestors", name, compare(make(WIDTH, WIDTH), graph, sweep, ancestors))
                both = make(WIDTH, WIDTH, bidirectional=True)
                kin = ancestors | ancestors.T
                add(cell, "both directions", "ancestors, descendants", name, compare(both, graph, sweep, kin))
            for rounds in (1, 4):
                schedule, near = synchronous(edges, size, rounds), within(graph, rounds - 1)
                hops = f"{rounds - 1} hops"
                kind = "1 round" if rounds == 1 else f"{rounds} rounds"
                add(cell, kind, hops, name, compare(make(WIDTH, WIDTH), graph, schedule, near))
        found = compare(GatedGraph(WIDTH, num_rounds=4), graph, edges, within(graph, 4))
        add("GatedGraph", "4 rounds", "4 hops", name, found)
    return rows


def part_three(graph: nx.Graph, tick: Callable[[], None]) -> list[dict[str, Any]]:
    """What layers reach, beside what get_num_hops says of them and what their equations say."""
    modules = [
        ("GCNConv", [pyg.GCNConv(WIDTH, WIDTH)], 1),
        ("GCNConv, 3 layers", [pyg.GCNConv(WIDTH, WIDTH) for _ in range(3)], 3),
        ("ChebConv(K=4)", [pyg.ChebConv(WIDTH, WIDTH, K=4)], 3),
        ("APPNP(K=10)", [pyg.APPNP(K=10, alpha=0.1)], 10),
        ("GatedGraphConv(5)", [pyg.GatedGraphConv(WIDTH, num_layers=5)], 5),
        ("gnnseq GCN, 3 layers", [GCN(WIDTH, WIDTH) for _ in range(3)], 3),
        ("gnnseq GatedGraph(5)", [GatedGraph(WIDTH, num_rounds=5)], 5),
    ]
    rows = []
    for name, layers, hops in modules:
        module = Stack(layers)
        found = compare(module, graph, edges_of(graph), within(graph, hops))
        rows.append({"layer": name, "claimed": get_num_hops(module), "equation": hops, **found})
        tick()
    return rows


def part_four(graph: nx.Graph | None, settings: Settings, tick: Callable[[], None]) -> list[dict[str, Any]]:
    """Influence by hops of networks as they are initialised: on the last node of a path, or over a graph."""
    length, hidden, last = settings.length, settings.hidden, None
    if graph is None:
        forward, both = path_graph(length).edge_index, path_graph(length, undirected=True).edge_index
        last = [length - 1]
    else:
        length, hidden, forward, both = len(graph), 16, edges_of(graph), edges_of(graph)
    cases: list[tuple[str, Any, Callable[[], nn.Module]]] = [
        (f"GCN, {k} layers", both, lambda k=k: make_gcn(k, hidden)) for k in settings.depths
    ]
    if graph is None or nx.is_directed_acyclic_graph(graph):
        sweep = topological(forward, length)
        cases += [
            ("RNN", sweep, lambda: RNN(hidden, hidden)),
            ("LSTM", sweep, lambda: LSTM(hidden, hidden)),
            ("LSTM, chrono", sweep, lambda: LSTM(hidden, hidden, init="chrono", time_scale=max(2.0, len(sweep)))),
        ]
    rows = []
    for name, schedule, make in cases:
        curves = []
        for seed in range(settings.seeds):
            torch.manual_seed(seed)
            field = receptive_field(make(), torch.randn(length, hidden), schedule, influence_nodes=last)
            curves.append([float(f"{value:.4g}") for value in np.nan_to_num(field.influence)])
            tick()
        rows.append({"network": name, "influence": curves})
    return rows


def part_five(nodes: int, steps: int, tick: Callable[[], None]) -> list[dict[str, Any]]:
    """Reach of the orders of TemporalGCN on the history of a path, node (i, t) being number t * nodes + i."""
    path = nx.path_graph(nodes)
    edges = edges_of(path)
    history = nx.DiGraph()
    history.add_nodes_from(range(steps * nodes))
    for t in range(steps):
        nx.set_node_attributes(history, {t * nodes + i: f"({i}, {t})" for i in path}, "name")
    history.add_edges_from(((t - 1) * nodes + i, t * nodes + i) for t in range(1, steps) for i in path)
    same, before = np.tril(np.ones((steps, steps), dtype=bool)), within(path, 1)
    cone = nx.DiGraph(history)  # every edge also goes from each step to the next
    cone.add_edges_from(((t - 1) * nodes + j, t * nodes + i) for t in range(1, steps) for j, i in edges.t().tolist())
    rows = []
    for order in ORDERS:
        expected = within(cone, None) if order == "space_time" else np.kron(same, before)
        torch.manual_seed(0)
        module = TemporalGCN(WIDTH, 2 * WIDTH, WIDTH, order=order)

        def call(module: nn.Module, x: Tensor, edge_index: Tensor) -> Tensor:
            y: Tensor = module(x.view(steps, nodes, -1), edges)[0]
            return y.flatten(0, 1)

        found = compare(module, history, edges_of(history), expected, call)
        now = nodes // 2
        field = np.flatnonzero(expected[(steps - 1) * nodes + now]) if found["counterexample"] is None else []
        rows.append({"layer": "TemporalGCN", "schedule": order, "graph": "path x path", "nodes": nodes, "steps": steps,
                     **found, "focus": now, "seen": [int(node) for node in field]})  # fmt: skip
        tick()
    return rows


def read_graph(path: Path, directed: bool) -> nx.Graph:
    """A graph file with its nodes renumbered 0 .. N - 1; their names are kept as "name".

    Raises:
        ValueError: If there is no such file, or it is not a graph.
    """
    if not path.is_file():
        raise ValueError(f"--graph {path}: no such file")
    if path.suffix.lower() == ".graphml":
        try:
            graph = nx.read_graphml(path)
        except Exception as error:  # the XML parser's, networkx's and a dozen of Python's
            raise ValueError(f"--graph {path}: {error or type(error).__name__}; expected GraphML") from error
    else:
        graph = nx.DiGraph() if directed else nx.Graph()
        graph.add_edges_from(_pairs(path))
    if len(graph) == 0:
        raise ValueError(f"--graph {path}: no nodes; expected one edge a line: two names, blank or comma between")
    plain = nx.DiGraph(graph) if graph.is_directed() else nx.Graph(graph)  # several edges between two nodes are one
    return nx.convert_node_labels_to_integers(plain, label_attribute="name")


def _pairs(path: Path) -> list[tuple[str, str]]:
    """The edges of a text file; a third column, a weight, is passed over."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"--graph {path}: not text ({error}); name a GraphML file .graphml") from error
    pairs = []
    for number, line in enumerate(lines, start=1):
        fields = line.partition("#")[0].replace(",", " ").split()
        if len(fields) == 1 or len(fields) > 3:
            raise ValueError(
                f"--graph {path}, line {number}: {line.strip()[:60]!r} is no edge; expected two names, blank or comma "
                "between, then a weight or nothing"
            )
        if fields:
            pairs.append((fields[0], fields[1]))
    return pairs


def measure(settings: Settings, console: Console) -> dict[str, Any]:
    """All that the settings ask for, as one JSON value."""
    hops = 3 if settings.quick else settings.hops
    if settings.graph is None:
        undirected, acyclic = five_graphs(settings.quick), acyclic_graphs(settings.quick)
        long_path, own = nx.path_graph(25), None
    else:
        own = read_graph(settings.graph, settings.directed)
        undirected = acyclic = {settings.graph.stem: own}
        long_path = own.to_undirected()  # ChebConv's Laplacian is not defined for edges one way
    with Progress(console=console, transient=True) as progress:

        def part(title: str, total: int) -> Callable[[], None]:
            task = progress.add_task(title, total=total)
            return lambda: progress.advance(task)

        swept = sum(nx.is_directed_acyclic_graph(graph) for graph in acyclic.values())
        influences = len(settings.depths) + (3 if own is None or swept else 0)
        return {
            "graphs": {name: _drawing(graph) for name, graph in undirected.items() if len(graph) <= DRAWN},
            "gcn": part_one(undirected, hops, part("k layers, k hops", hops * len(undirected))),
            "schedules": part_two(acyclic, part("sweeps and rounds", 7 * len(acyclic) + 6 * swept)),
            "claims": part_three(long_path, part("torch_geometric's layers", 7)),
            "influence_on": f"the last node of a path of {settings.length}" if own is None else settings.graph.name,
            "influence": part_four(own, settings, part("influence by hops", influences * settings.seeds)),
            "temporal": part_five(*((5, 4) if settings.quick else (9, 6)), part("time and space", 3))
            if own is None
            else [],
        }


def _drawing(graph: nx.Graph) -> dict[str, Any]:
    """What a picture of the graph needs: where its nodes are, its edges, and the node in focus."""
    place = nx.get_node_attributes(graph, "place")
    if len(place) < len(graph):
        plain, far = graph.to_undirected(), len(graph) ** 0.5
        away = {u: dict.fromkeys(graph, far) | to for u, to in nx.all_pairs_shortest_path_length(plain)}
        place = nx.kamada_kawai_layout(plain, dist=away)
    return {
        "places": [[round(float(at), 4) for at in place[node]] for node in graph],
        "edges": [list(edge) for edge in graph.edges()],
        "focus": focus(graph),
    }


def main(settings: Settings) -> int:
    """Measures, writes JSON, prints tables, draws figures; gives the exit code."""
    console = Console()
    path = settings.results / f"{settings.name}.json"
    if not settings.report_only:
        with one_thread():  # more gain nothing on tensors this small
            found = measure(settings, console)
        write_json(path, {"experiment": "receptive_field", "provenance": provenance(), **found})
    result = command.report(path, print_report, figures, console)
    return 0 if holds(result) else 1


if __name__ == "__main__":
    command.run(main, Settings)
