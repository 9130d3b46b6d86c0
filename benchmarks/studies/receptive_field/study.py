"""Reach and influence of layers, measured by derivatives, and compared with what networkx says of the graph."""

import dataclasses
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stderr
from functools import lru_cache, partial
from io import StringIO
from typing import Any

import networkx as nx
import numpy as np
import torch
import torch_geometric.nn as pyg
from rich.console import Console
from rich.progress import track
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.utils import get_num_hops
from torch_geometric.utils.influence import total_influence

from gnnseq import doubling, receptive_field, synchronous, topological
from gnnseq.graphs import path_graph
from gnnseq.layers import GCN, GRU, LSTM, RNN, GatedGraph, MinGRU, MinLSTM, TemporalGCN
from harness.provenance import provenance
from harness.report import PLAIN
from harness.sweep import now_and_then, one_thread
from studies.receptive_field.graphs import acyclic_graphs, drawing, five_graphs, focus, read_graph, told, within
from studies.receptive_field.names import file_key, stem_of

WIDTH = 4  # channels of the networks whose reach is measured: reach does not depend on it
ROUNDS: Sequence[int] = (1, 4)  # of cells that run synchronously
DOUBLINGS: Sequence[int] = (1, 3)  # rounds of cells that are linear in the state
DEEP = (10, 5)  # steps of APPNP, rounds of gated graph networks
SAMPLED = 8  # nodes whose influence the quick form takes on a graph of one's own
SIZES = {"hops": 6, "length": 100, "hidden": 64, "seeds": 5}  # where the command line names none
DRAWN = 500  # graphs of more nodes are not

Row = dict[str, Any]


class Stack(nn.Module):
    """Layers one after the other, tanh between them: smooth, so that no unit is off at any input."""

    def __init__(self, layers: list[nn.Module]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, graph: Any) -> Tensor:
        """[N, F] to [N, F]."""
        for number, layer in enumerate(self.layers):
            x = layer(x if number == 0 else torch.tanh(x), graph)
        return x


def make_gcn(layers: int, width: int = WIDTH) -> nn.Module:
    """So many graph convolutions."""
    return Stack([GCN(width, width) for _ in range(layers)])


@lru_cache(maxsize=4)  # networkx copies every attribute on the way
def edges_of(graph: nx.Graph) -> Tensor:
    """The edges of a graph whose nodes are 0 .. N - 1, both ways where it is undirected. [2, E]"""
    edges = torch.tensor(list(graph.to_directed().edges()), dtype=torch.int64)
    return edges.view(-1, 2).t().contiguous()


def compare(
    module: nn.Module,
    graph: nx.Graph,
    schedule: Any,
    expected: np.ndarray,
    call: Callable[..., Tensor] | None = None,
    width: int = WIDTH,
) -> Row:
    """Measure a module's reach on a graph and find the first pair at which it is not as expected."""
    x = torch.randn(len(graph), width, generator=torch.Generator().manual_seed(0))
    nodes = min(2, len(graph))  # influence is not asked here
    field = receptive_field(module, x, schedule, use_structure=False, influence_nodes=nodes, call=call)
    reach = field.reach.toarray()
    wrong = np.argwhere(reach != expected)
    counterexample = None if field.certain else "as networkx has it, but not proven"
    if len(wrong) > 0:
        v, u = wrong[0].tolist()
        away = f"{nx.shortest_path_length(graph, u, v)} hops away" if nx.has_path(graph, u, v) else "no path"
        output, given = (graph.nodes[node].get("name", node) for node in (v, u))
        counterexample = (
            f"output {output} {'misses' if expected[v, u] else 'sees'} input {given}, {away} "
            f"({len(wrong)} of {expected.size} pairs differ)"
        )
    return {
        "pairs": int(expected.size),
        "reached": int(field.reach.nnz),
        "farthest": int(field.hops.max()),
        "counterexample": counterexample,
        "seen": np.flatnonzero(reach[focus(graph)]).tolist(),
    }


def convolutions(graphs: dict[str, nx.Graph], hops: int, width: int = WIDTH) -> Iterator[Row]:
    """Part 1: reach of 1 .. hops graph convolutions against networkx's neighbourhoods."""
    for name, graph in graphs.items():
        for k in range(1, hops + 1):
            torch.manual_seed(k)
            found = compare(make_gcn(k, width), graph, edges_of(graph), within(graph, k), width=width)
            yield {"graph": name, "nodes": len(graph), "edges": graph.number_of_edges(), "layers": k, **found}


def schedules(graphs: dict[str, nx.Graph], width: int = WIDTH, numbers: Sequence[int] = ROUNDS) -> Iterator[Row]:
    """Part 2: reach of sweeps against ancestors, and of synchronous and doubling rounds against hops."""
    for name, graph in graphs.items():
        edges, ancestors = edges_of(graph), within(graph, None)
        torch.manual_seed(0)
        cases: list[tuple[str, str, Any, np.ndarray]] = []
        if nx.is_directed_acyclic_graph(graph):
            sweep = topological(edges, len(graph))
            cases.append(("sweep", "all ancestors", sweep, ancestors))
            cases.append(("both directions", "ancestors, descendants", sweep, ancestors | ancestors.T))
        jumps = [] if cases == [] or not single_file(graph) else [
            (f"doubling, {k} round{'s' * (k > 1)}", f"{2**k - 1} hop{'s' * (k > 1)}", doubling(edges, len(graph), k),
             within(graph, 2**k - 1))
            for k in DOUBLINGS
        ]  # fmt: skip
        for rounds in numbers:
            near, kind = within(graph, rounds - 1), f"{rounds} round{'s' * (rounds > 1)}"
            cases.append((kind, f"{rounds - 1} hops", synchronous(edges, len(graph), rounds), near))
        for cell in (RNN, LSTM, GRU, MinGRU, MinLSTM):
            linear = jumps if cell in (MinGRU, MinLSTM) else []
            for kind, reads, schedule, expected in [*cases, *linear]:
                module = cell(width, width, bidirectional=kind == "both directions")
                found = compare(module, graph, schedule, expected, width=width)
                yield {"layer": cell.__name__, "schedule": kind, "expected": reads, "graph": name, **found}
        rounds = numbers[-1]
        found = compare(GatedGraph(width, num_rounds=rounds), graph, edges, within(graph, rounds), width=width)
        about = {"layer": "GatedGraph", "schedule": f"{rounds} rounds", "expected": f"{rounds} hops"}
        yield {**about, "graph": name, **found}


def single_file(graph: nx.DiGraph) -> bool:
    """Whether every node has one successor at most, or every node one predecessor at most."""
    return any(
        max((degree for _, degree in degrees), default=0) <= 1 for degrees in (graph.out_degree, graph.in_degree)
    )


def claims(graph: nx.Graph, width: int = WIDTH, deep: tuple[int, int] = DEEP) -> Iterator[Row]:
    """Part 3: what layers reach, against what get_num_hops says of them and what their equations say."""
    steps, rounds = deep
    modules = [
        ("GCNConv", [pyg.GCNConv(width, width)], 1),
        ("GCNConv, 3 layers", [pyg.GCNConv(width, width) for _ in range(3)], 3),
        ("ChebConv(K=4)", [pyg.ChebConv(width, width, K=4)], 3),
        (f"APPNP(K={steps})", [pyg.APPNP(K=steps, alpha=0.1)], steps),
        (f"GatedGraphConv({rounds})", [pyg.GatedGraphConv(width, num_layers=rounds)], rounds),
        ("gnnseq GCN, 3 layers", [GCN(width, width) for _ in range(3)], 3),
        (f"gnnseq GatedGraph({rounds})", [GatedGraph(width, num_rounds=rounds)], rounds),
    ]
    for name, layers, hops in modules:
        module = Stack(layers)
        found = compare(module, graph, edges_of(graph), within(graph, hops), width=width)
        yield {"layer": name, "claimed": get_num_hops(module), "equation": hops, **found}


def influences(graph: nx.Graph | None, settings: Any, tell: Callable[[str], None] = lambda line: None) -> Iterator[Row]:
    """Part 4: influence by hops of networks as they are initialised: on the last node of a path, or over a graph."""
    last: list[int] | int | None
    if graph is None:
        length, hidden, last = settings.length, settings.hidden, [settings.length - 1]
        forward, both = path_graph(length).edge_index, path_graph(length, undirected=True).edge_index
    else:
        length, hidden, last = len(graph), 16, sampled(graph, settings)
        forward = both = edges_of(graph)
    cases: list[tuple[str, Any, Callable[[], nn.Module]]] = [
        (f"GCN, {k} layers", both, partial(make_gcn, k, hidden)) for k in settings.depths
    ]
    if graph is None or nx.is_directed_acyclic_graph(graph):
        sweep = topological(forward, length)
        chrono: dict[str, Any] = {"init": "chrono", "time_scale": max(2.0, len(sweep))}
        recurrent: dict[str, Callable[..., nn.Module]] = {
            "RNN": RNN, "LSTM": LSTM, "LSTM, chrono": partial(LSTM, **chrono),
            "MinGRU": MinGRU, "MinGRU, chrono": partial(MinGRU, **chrono),
        }  # fmt: skip
        cases += [(name, sweep, partial(make, hidden, hidden)) for name, make in recurrent.items()]
    for name, schedule, make in cases:
        curves, ranges = [], []
        for seed in range(settings.seeds):
            tell(f"influence by hops: {name}, network {seed + 1} of {settings.seeds}")
            torch.manual_seed(seed)
            field = receptive_field(make(), torch.randn(length, hidden), schedule, influence_nodes=last)
            curves.append([float(f"{value:.4g}") for value in np.nan_to_num(field.influence)])
            ranges.append(float(f"{np.nanmean(field.range):.4g}"))
        yield {"network": name, "influence": curves, "range": ranges}


def estimates(graph: nx.Graph, depths: Sequence[int] = (1, 2, 3, 4)) -> Iterator[Row]:
    """Part 6: the range of GCNConv's stacks, over the whole graph and by torch_geometric's total_influence.

    Of one channel, where its sum of absolute derivatives and our norm of a block are the same number.
    """
    edges, x = edges_of(graph), torch.randn(len(graph), 1, generator=torch.Generator().manual_seed(0))
    for depth in depths:
        torch.manual_seed(depth)
        module = Stack([pyg.GCNConv(1, 1) for _ in range(depth)])
        exact = receptive_field(module, x, edges, influence_nodes=len(graph)).range.mean()
        with redirect_stderr(StringIO()):  # its bar of progress
            _, estimate = total_influence(module, Data(x=x, edge_index=edges), max_hops=depth)
        yield {
            "layer": f"GCNConv, {depth} layer{'s' * (depth > 1)}",
            "exact": float(exact),
            "estimate": float(estimate),
        }


def sampled(graph: nx.Graph, settings: Any) -> int | None:
    """How many nodes' influence is taken on a graph of one's own; None leaves it to what it costs."""
    return min(SAMPLED, len(graph)) if settings.quick else None


def orders(nodes: int, steps: int) -> Iterator[Row]:
    """Part 5: reach of the orders of TemporalGCN on a path's history, node (i, t) being number t * nodes + i."""
    path, history = nx.path_graph(nodes), nx.DiGraph()
    edges = edges_of(path)
    history.add_nodes_from((t * nodes + i, {"name": f"({i}, {t})"}) for t in range(steps) for i in path)
    history.add_edges_from(((t - 1) * nodes + i, t * nodes + i) for t in range(1, steps) for i in path)
    cone = nx.DiGraph(history)  # every edge also goes from each step to the next
    cone.add_edges_from(((t - 1) * nodes + j, t * nodes + i) for t in range(1, steps) for j, i in edges.t().tolist())
    apart = np.kron(np.tril(np.ones((steps, steps), dtype=bool)), within(path, 1))
    now = nodes // 2

    def call(module: nn.Module, x: Tensor, edge_index: Tensor) -> Tensor:
        y: Tensor = module(x.view(steps, nodes, -1), edges)[0]
        return y.flatten(0, 1)

    for order in ("time_then_space", "space_then_time", "space_time"):
        expected = within(cone, None) if order == "space_time" else apart
        torch.manual_seed(0)
        found = compare(TemporalGCN(WIDTH, 2 * WIDTH, WIDTH, order=order), history, edges_of(history), expected, call)
        seen = [] if found["counterexample"] else np.flatnonzero(expected[(steps - 1) * nodes + now]).tolist()
        about = {"layer": "TemporalGCN", "schedule": order, "graph": "path x path", "nodes": nodes, "steps": steps}
        yield {**about, **found, "focus": now, "seen": seen}


def run(settings: Any, console: Console) -> dict[str, Any]:
    """Measure all that the settings ask for."""
    plain = {"hops": 2, "length": 20, "hidden": 8, "seeds": 1} if settings.quick else SIZES
    given = {name: getattr(settings, name) for name in plain if getattr(settings, name) is not None}
    settings = dataclasses.replace(settings, **plain | given)
    sizes = (3, 3) if settings.quick else (9, 6)  # of the path and of its history
    own, graphs, acyclic = None, five_graphs(settings.quick), acyclic_graphs(settings.quick)
    long_path = nx.path_graph(14 if settings.quick else 25)
    if settings.graph is not None:
        heading = {"auto": None, "yes": True, "no": False}[settings.heading]
        own = read_graph(settings.graph, settings.directed, heading)
        graphs = acyclic = {stem_of(settings.graph): own}
        long_path = own.to_undirected()  # ChebConv's Laplacian is not defined for edges one way
    errors = Console(stderr=True)  # stdout has the report alone
    tell = now_and_then(errors)
    width, numbers, deep = WIDTH, ROUNDS, DEEP
    if own is not None:
        errors.print(told(settings.graph, own), **PLAIN)
        if settings.quick:  # a thousand nodes in 20 seconds
            width, numbers, deep = 2, (2,), (2, 2)

    def measured(title: str, rows: Iterable[Row]) -> list[Row]:
        found = []
        if not errors.is_terminal:
            errors.print(f"{title} ...", **PLAIN)
        for row in track(rows, title, console=errors, transient=True, disable=not errors.is_terminal):
            found.append(row)
            tell(f"{title}: {len(found)} measured")
        return found

    about: Row = {"experiment": "receptive_field", "provenance": provenance()}
    subject = f"the last node of a path of {settings.length}"
    if own is not None:
        about["graph_file"], some = file_key(settings.graph), sampled(own, settings)
        subject = (
            settings.graph.name if some in (None, len(own)) else f"{some} of {len(own)} nodes of {settings.graph.name}"
        )
    with one_thread():  # more threads gain nothing on tensors this small
        return {
            **about,
            "graphs": {name: drawing(graph) for name, graph in graphs.items() if len(graph) <= DRAWN},
            "gcn": measured("k layers, k hops", convolutions(graphs, settings.hops, width)),
            "schedules": measured("sweeps and rounds", schedules(acyclic, width, numbers)),
            "claims": measured("torch_geometric's layers", claims(long_path, width, deep)),
            "influence_on": subject,
            "influence": measured("influence by hops", influences(own, settings, tell)),
            "temporal": measured("time and space", orders(*sizes)) if own is None else [],
            "ranges": measured("range", estimates(graphs["random"])) if own is None else [],
        }
