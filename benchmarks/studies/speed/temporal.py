"""The speed benchmark on graphs in time: TemporalGCN's orders against PyTorch Geometric Temporal's cells."""

from importlib import import_module

import torch
from torch import Tensor, nn
from torch_geometric.nn import GCNConv

from gnnseq import layers, topological
from gnnseq.graphs import space_time_graph
from gnnseq.layers import TemporalGCN
from studies.speed.graphs import random_graph
from studies.speed.measure import Case, Peer, Step, layer_step, parameters, same_weights, training_step
from studies.speed.roofline import Product, Roofline, aggregation_bytes, linear_products

DEGREE = 10  # edges a node: a road network's sensors or a market's industries have about as many
STEPS, FEATURES, HIDDEN = 12, 8, 32
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
PACKAGE = "torch_geometric_temporal"


def unrolled_cell(name: str, x: Tensor, edge_index: Tensor, **options: int) -> Step:
    """One of the peers' cells, called once a step as its documentation does, for the states [T, N, H]."""
    cell = getattr(import_module(f"{PACKAGE}.nn.recurrent"), name)(FEATURES, HIDDEN, **options).to(x.device)
    edge_weight = torch.ones(edge_index.size(1), device=x.device)

    def forward() -> Tensor:
        state: tuple[Tensor, ...] = ()
        states = []
        for step in x:
            found = cell(step, edge_index, edge_weight, *state)
            state = found if isinstance(found, tuple) else (found,)
            states.append(state[0])
        return torch.stack(states)

    return training_step(forward, parameters(cell))


def composed(cell: str, ours: nn.Module, x: Tensor, edge_index: Tensor) -> Step:
    """The same equation as space_then_time from torch_geometric's and torch's layers, the graph remembered."""
    gcn, recurrence = GCNConv(FEATURES, HIDDEN, cached=True), getattr(nn, cell)(HIDDEN, HIDDEN)
    lin = nn.Linear(HIDDEN, HIDDEN)
    parts = same_weights(nn.ModuleDict({"gcn": gcn, "recurrence": recurrence, "lin": lin}), ours)

    def forward() -> Tensor:
        convolved = torch.relu(torch.stack([gcn(step, edge_index) for step in x]))
        return lin(recurrence(convolved)[0])  # type: ignore[no-any-return]

    return training_step(forward, parameters(parts))


def temporal(order: str, cell: str, nodes: int, quick: bool, device: torch.device) -> Case:
    """A training step on a static graph, inputs being data that need no gradient."""
    nodes, steps = (12, 3) if quick else (nodes, STEPS)
    edges = min(DEGREE * nodes, nodes * (nodes - 1) // 4 * 2)
    edge_index = random_graph(nodes, edges).to(device)
    x = torch.randn(steps, nodes, FEATURES, generator=torch.Generator().manual_seed(0)).to(device)
    torch.manual_seed(0)
    ours = TemporalGCN(FEATURES, HIDDEN, HIDDEN, order=order, recurrent=cell).to(device)

    def theirs(name: str, **options: int) -> Peer:  # no order of ours is its equation
        return Peer(PACKAGE, lambda: unrolled_cell(name, x, edge_index, **options), as_ours=None)

    def unrolled() -> Step:
        graph = space_time_graph(edge_index, nodes, steps)
        schedule = topological(graph.edge_index, steps * nodes, graph.edge_weight)
        rows = x.flatten(0, 1)
        return training_step(
            lambda: ours.lin(ours.recurrence(rows, schedule)[0]).view(*x.shape[:2], -1), parameters(ours)
        )

    lstm = {"GConvLSTM(K=2)": theirs("GConvLSTM", K=2)}
    if order == "space_time":
        why, peers = "states over edges in all", lstm | {f"our {cell}, unrolled graph": Peer("gnnseq", unrolled)}
        peers |= {"GConvGRU(K=2)": theirs("GConvGRU", K=2)} if cell == "GRU" else {}
    else:
        why = "states along paths in all" if cell == "GRU" else "states along paths, GConvLSTM's over edges"
        peers = {"TGCN": theirs("TGCN")} if cell == "GRU" else lstm
        own = Peer("torch_geometric", lambda: composed(cell, ours, x, edge_index))
        peers |= {f"GCNConv(cached=True), nn.{cell}": own}
    return Case(
        title=f"TemporalGCN, {order}, {cell}",
        shape=f"T={steps} N={nodes} E={edges} F={FEATURES} H={HIDDEN}, no gradient of x; {why}",
        ours=layer_step(ours, x, edge_index),
        peers=peers,
        roofline=lambda: temporal_roofline(order, GATES[cell], steps, nodes, edges, device),
    )


def evolving(quick: bool, device: torch.device) -> Case:
    """EvolveGCN, whose kernel an LSTM sweeps; for autocast alone: the peer's state is its own, older builds lack it."""
    nodes, steps = (12, 3) if quick else (1000, STEPS)
    edge_index = random_graph(nodes, min(DEGREE * nodes, nodes * (nodes - 1) // 4 * 2)).to(device)
    x = torch.randn(steps, nodes, FEATURES, generator=torch.Generator().manual_seed(0)).to(device)
    torch.manual_seed(0)
    ours = layers.EvolveGCN(FEATURES, HIDDEN, recurrent="LSTM").to(device)
    return Case("EvolveGCN, O, LSTM", f"T={steps} N={nodes}", layer_step(ours, x, edge_index))


def temporal_roofline(order: str, gates: int, steps: int, nodes: int, edges: int, device: torch.device) -> Roofline:
    """Bare products, and the bytes of the aggregations: of h forward and backward in each step, or of x once."""
    rows, wide = steps * nodes, gates * HIDDEN
    if order == "space_time":
        aggregations, width, products = 2 * (steps - 1), HIDDEN, linear_products(rows, FEATURES, wide, False)
    else:
        aggregations, width, products = steps, FEATURES, linear_products(rows, FEATURES, HIDDEN, False)
        products += linear_products(rows, HIDDEN, wide)
    products += [Product(nodes, HIDDEN, wide), Product(nodes, wide, HIDDEN)] * (steps - 1)
    products += [Product(wide, rows - nodes, HIDDEN, over_nodes=True), *linear_products(rows, HIDDEN, HIDDEN)]
    return Roofline(products, device, aggregations * aggregation_bytes(edges, nodes, width), (nodes, width))
