"""The speed benchmark on graphs in time: TemporalGCN's orders against PyTorch Geometric Temporal's cells.

Letters: T steps, N nodes, E directed edges, F input channels, H hidden channels.
"""

from collections.abc import Callable, Iterator
from functools import partial
from importlib import import_module

import torch
from torch import Tensor, nn
from torch_geometric.nn import GCNConv

import gnnseq
from gnnseq import topological
from gnnseq.graphs import space_time_graph
from gnnseq.layers import TemporalGCN
from studies.speed.graphs import products_and_bytes, random_graph
from studies.speed.measure import (
    MissingError,
    Product,
    Runner,
    Work,
    linear_products,
    parameters,
    peer,
    training_step,
)

SIZES = (200, 1000)
DEGREE = 10  # edges a node: a road network's sensors or a market's industries have about as many
STEPS, FEATURES, HIDDEN = 12, 8, 32
GATES = {"GRU": 3, "LSTM": 4}
PACKAGE = "torch_geometric_temporal"


class Unrolled(nn.Module):
    """One of the peers' cells, called once a step as its documentation does; gives the states [T, N, H]."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        state: tuple[Tensor, ...] = ()
        states = []
        for step in x:
            found = self.cell(step, edge_index, edge_weight, *state)
            state = found if isinstance(found, tuple) else (found,)
            states.append(state[0])
        return torch.stack(states)


class Composed(nn.Module):
    """The same equation as space_then_time from torch_geometric's and torch's layers, the graph remembered."""

    def __init__(self, cell: str) -> None:
        super().__init__()
        self.gcn = GCNConv(FEATURES, HIDDEN, cached=True)
        self.recurrence = getattr(nn, cell)(HIDDEN, HIDDEN)
        self.lin = nn.Linear(HIDDEN, HIDDEN)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        convolved = torch.stack([self.gcn(step, edge_index) for step in x])
        y: Tensor = self.lin(self.recurrence(torch.relu(convolved))[0])
        return y


def temporal(order: str, cell: str, nodes: int, quick: bool, device: torch.device) -> Work:
    """A training step on a static graph, inputs being data that need no gradient."""
    nodes, steps = (12, 3) if quick else (nodes, STEPS)
    edges = min(DEGREE * nodes, nodes * (nodes - 1) // 4 * 2)
    edge_index = random_graph(nodes, edges).to(device)
    edge_weight = torch.ones(edges, device=device)
    x = torch.randn(steps, nodes, FEATURES, generator=torch.Generator().manual_seed(0)).to(device)
    torch.manual_seed(0)
    ours = TemporalGCN(FEATURES, HIDDEN, HIDDEN, order=order, recurrent=cell).to(device)

    def theirs(name: str, **options: int) -> Runner | MissingError:
        def make() -> Runner:
            module = Unrolled(getattr(import_module(f"{PACKAGE}.nn.recurrent"), name)(FEATURES, HIDDEN, **options))
            module.to(device)
            step = training_step(lambda: module(x, edge_index, edge_weight), parameters(module))
            return Runner(step, as_ours=None)  # no order of ours is its equation

        return peer(PACKAGE, make)

    def composed() -> Runner:
        module = Composed(cell).to(device)
        module.load_state_dict(ours.state_dict())
        return Runner(training_step(lambda: module(x, edge_index), parameters(module)))

    def unrolled() -> Runner:
        graph = space_time_graph(edge_index, nodes, steps)
        schedule = topological(graph.edge_index, steps * nodes, graph.edge_weight)

        def forward() -> Tensor:
            y: Tensor = ours.lin(ours.recurrence(x.flatten(0, 1), schedule)[0])
            return y.view(steps, nodes, HIDDEN)

        return Runner(training_step(forward, parameters(ours)), version=gnnseq.__version__)

    peers: dict[str, Runner | MissingError]
    if order == "space_time":
        why = "states over edges in all"
        peers = {"GConvLSTM(K=2)": theirs("GConvLSTM", K=2), f"our {cell}, unrolled graph": unrolled()}
        if cell == "GRU":
            peers["GConvGRU(K=2)"] = theirs("GConvGRU", K=2)
    else:
        own = f"GCNConv(cached=True), nn.{cell}"
        if cell == "GRU":
            why, name, options = "states along paths in all", "TGCN", {}
        else:
            why, name, options = "states along paths, GConvLSTM's over edges", "GConvLSTM", {"K": 2}
        label = f"{name}(K=2)" if options else name
        peers = {label: theirs(name, **options), own: peer("torch_geometric", composed)}
    return Work(
        title=f"TemporalGCN, {order}, {cell}",
        shape=f"T={steps} N={nodes} E={edges} F={FEATURES} H={HIDDEN}, no gradient of x; {why}",
        ours=Runner(training_step(lambda: ours(x, edge_index)[0], parameters(ours))),
        peers=peers,
        limit=limit(order, GATES[cell], steps, nodes, edges, device),
        limit_is="products and bytes",
    )


def limit(order: str, gates: int, steps: int, nodes: int, edges: int, device: torch.device) -> Callable[[], None]:
    """Bare products, and the bytes of the aggregations: of h forward and backward in each step, or of x once."""
    over_edges = order == "space_time"
    rows, width = steps * nodes, HIDDEN if over_edges else FEATURES
    products = linear_products(rows, FEATURES, gates * HIDDEN if over_edges else HIDDEN, False)
    if not over_edges:
        products += linear_products(rows, HIDDEN, gates * HIDDEN)
    products += [Product(nodes, HIDDEN, gates * HIDDEN), Product(nodes, gates * HIDDEN, HIDDEN)] * (steps - 1)
    products += [Product(gates * HIDDEN, rows - nodes, HIDDEN, over_nodes=True), *linear_products(rows, HIDDEN, HIDDEN)]
    return products_and_bytes(products, 2 * (steps - 1) if over_edges else steps, edges, nodes, width, device)


def _named() -> Iterator[tuple[str, Callable[[bool, torch.device], Work]]]:
    for order, cell in (
        ("space_time", "LSTM"),
        ("space_time", "GRU"),
        ("space_then_time", "LSTM"),
        ("space_then_time", "GRU"),
    ):
        for nodes in SIZES:
            name = f"{order.replace('_', '-')}-{cell.lower()}-{nodes}"
            yield name, partial(temporal, order, cell, nodes)


TEMPORAL_WORKS: dict[str, Callable[[bool, torch.device], Work]] = dict(_named())
