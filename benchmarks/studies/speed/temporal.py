"""The speed benchmark on graphs in time: TemporalGCN's orders against PyTorch Geometric Temporal's cells.

Letters: T steps, N nodes, E directed edges, F input channels, H hidden channels.
"""

from importlib import import_module

import torch
from torch import Tensor, nn
from torch_geometric.nn import GCNConv

from gnnseq import topological
from gnnseq.graphs import space_time_graph
from gnnseq.layers import TemporalGCN
from studies.speed.graphs import random_graph
from studies.speed.measure import Case, Peer, Step, layer_step, parameters, same_weights, training_step
from studies.speed.roofline import Product, Roofline, aggregation_bytes, linear_products

__all__ = ["GATES", "temporal"]

DEGREE = 10  # edges a node: a road network's sensors or a market's industries have about as many
STEPS, FEATURES, HIDDEN = 12, 8, 32
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
PACKAGE = "torch_geometric_temporal"


class Unrolled(nn.Module):
    """One of the peers' cells, called once a step as its documentation does; returns the states [T, N, H]."""

    def __init__(self, cell: nn.Module) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        """Step by step."""
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
        """Space, then time."""
        convolved = torch.stack([self.gcn(step, edge_index) for step in x])
        y: Tensor = self.lin(self.recurrence(torch.relu(convolved))[0])
        return y


def temporal(order: str, cell: str, nodes: int, quick: bool, device: torch.device) -> Case:
    """A training step on a static graph, inputs being data that need no gradient."""
    nodes, steps = (12, 3) if quick else (nodes, STEPS)
    edges = min(DEGREE * nodes, nodes * (nodes - 1) // 4 * 2)
    edge_index = random_graph(nodes, edges).to(device)
    x = torch.randn(steps, nodes, FEATURES, generator=torch.Generator().manual_seed(0)).to(device)
    torch.manual_seed(0)
    ours = TemporalGCN(FEATURES, HIDDEN, HIDDEN, order=order, recurrent=cell).to(device)

    def theirs(name: str, **options: int) -> Peer:
        def make() -> Step:
            module = Unrolled(getattr(import_module(f"{PACKAGE}.nn.recurrent"), name)(FEATURES, HIDDEN, **options))
            return layer_step(module.to(device), x, edge_index, torch.ones(edges, device=device))

        return Peer(PACKAGE, make, as_ours=None)  # no order of ours is its equation

    def unrolled() -> Step:
        graph = space_time_graph(edge_index, nodes, steps)
        schedule = topological(graph.edge_index, steps * nodes, graph.edge_weight)

        def forward() -> Tensor:
            y: Tensor = ours.lin(ours.recurrence(x.flatten(0, 1), schedule)[0])
            return y.view(steps, nodes, HIDDEN)

        return training_step(forward, parameters(ours))

    lstm = {"GConvLSTM(K=2)": theirs("GConvLSTM", K=2)}
    if order == "space_time":
        why, peers = "states over edges in all", lstm | {f"our {cell}, unrolled graph": Peer("gnnseq", unrolled)}
        peers |= {"GConvGRU(K=2)": theirs("GConvGRU", K=2)} if cell == "GRU" else {}
    else:
        why = "states along paths in all" if cell == "GRU" else "states along paths, GConvLSTM's over edges"
        own = Peer("torch_geometric", lambda: layer_step(same_weights(Composed(cell), ours), x, edge_index))
        peers = {"TGCN": theirs("TGCN")} if cell == "GRU" else lstm
        peers[f"GCNConv(cached=True), nn.{cell}"] = own
    return Case(
        title=f"TemporalGCN, {order}, {cell}",
        shape=f"T={steps} N={nodes} E={edges} F={FEATURES} H={HIDDEN}, no gradient of x; {why}",
        ours=layer_step(ours, x, edge_index),
        peers=peers,
        roofline=lambda: temporal_roofline(order, GATES[cell], steps, nodes, edges, device),
    )


def temporal_roofline(order: str, gates: int, steps: int, nodes: int, edges: int, device: torch.device) -> Roofline:
    """Bare products, and the bytes of the aggregations: of h forward and backward in each step, or of x once."""
    over_edges = order == "space_time"
    rows, width = steps * nodes, HIDDEN if over_edges else FEATURES
    products = linear_products(rows, FEATURES, gates * HIDDEN if over_edges else HIDDEN, False)
    if not over_edges:
        products += linear_products(rows, HIDDEN, gates * HIDDEN)
    products += [Product(nodes, HIDDEN, gates * HIDDEN), Product(nodes, gates * HIDDEN, HIDDEN)] * (steps - 1)
    products += [Product(gates * HIDDEN, rows - nodes, HIDDEN, over_nodes=True), *linear_products(rows, HIDDEN, HIDDEN)]
    aggregations = 2 * (steps - 1) if over_edges else steps
    return Roofline(products, device, aggregations * aggregation_bytes(edges, nodes, width), (nodes, width))
