"""The speed benchmark as trained layers are used: without gradients, on a sequence at a time, on ever new graphs.

Letters: T steps, B paths, N nodes, E edges, F input channels, H hidden channels.
"""

from collections.abc import Iterator
from itertools import cycle

import torch
from torch import Tensor, nn
from torch_geometric.nn import GCNConv

from gnnseq.layers import GCN, GRU, LSTM, RNN
from studies.speed.graphs import random_graph
from studies.speed.measure import Case, Peer, Results, Step, layer_step, same_weights, training_step
from studies.speed.roofline import Product, Roofline, aggregation_bytes, linear_products, path_products
from studies.speed.targets import INFERENCE, TRAINING
from studies.speed.temporal import GATES

CELLS = {"LSTM": LSTM, "GRU": GRU, "RNN": RNN}


def inference(name: str, quick: bool, device: torch.device) -> Case:
    """A layer without gradients, called as torch.nn's is: batches of LSTMs, and single paths of each cell."""
    cell, (steps, batch, features, hidden) = INFERENCE[name]
    if quick:
        steps, batch, features, hidden = min(steps, 3), min(batch, 2), 4, 6
    torch.manual_seed(0)
    ours = CELLS[cell](features, hidden).to(device)
    x = torch.randn(steps, batch, features, device=device)

    width = GATES[cell] * hidden
    products = [Product(steps * batch, features, width), *[Product(batch, hidden, width)] * (steps - 1)]

    def step(layer: nn.Module) -> Step:
        @torch.no_grad()
        def run() -> Results:
            return [layer(x)[0]]

        return run

    return Case(
        title=f"{cell}, {'a path' if batch == 1 else 'batches'} without gradients",
        shape=f"T={steps} B={batch} F={features} H={hidden}",
        ours=step(ours),
        peers={
            f"torch.nn.{cell}": Peer("torch", lambda: step(same_weights(getattr(nn, cell)(features, hidden), ours)))
        },
        roofline=lambda: Roofline(products, device),
        is_step=False,
    )


def training(name: str, quick: bool, device: torch.device) -> Case:
    """A training step of an LSTM inside a network on a batch, called as torch.nn's is."""
    steps, batch, features, hidden = TRAINING[name]
    if quick:
        steps, batch, features, hidden = min(steps, 3), min(batch, 2), 4, 6
    torch.manual_seed(0)
    ours = LSTM(features, hidden).to(device)
    x = torch.randn(steps, batch, features, device=device).requires_grad_()
    return Case(
        title="LSTM, batches in training",
        shape=f"T={steps} B={batch} F={features} H={hidden}",
        ours=layer_step(ours, x),
        peers={"torch.nn.LSTM": Peer("torch", lambda: layer_step(same_weights(nn.LSTM(features, hidden), ours), x))},
        roofline=lambda: Roofline(path_products([batch] * steps, features, hidden, GATES["LSTM"], True), device),
    )


def fresh(quick: bool, device: torch.device) -> Case:
    """A training step on a graph that no step before has seen, as mini-batches are."""
    nodes, edges, width = (20, 60, 5) if quick else (2000, 8000, 64)
    torch.manual_seed(0)
    ours = GCN(width, width).to(device)
    x = torch.randn(nodes, width, device=device).requires_grad_()
    graphs = [random_graph(nodes, edges, seed).to(device) for seed in range(3 if quick else 30)]

    def step(layer: nn.Module) -> Step:
        coming: Iterator[Tensor] = cycle(graphs)
        leaves = [parameter for _, parameter in sorted(layer.named_parameters())]
        return training_step(lambda: layer(x, next(coming).clone()), [*leaves, x])

    return Case(
        title="GCN, a new graph each step",
        shape=f"N={nodes} E={edges} F=H={width}",
        ours=step(ours),
        # Each goes through the graphs by itself, and training_step calls it once before: so they meet the same ones.
        peers={"GCNConv": Peer("torch_geometric", lambda: step(same_weights(GCNConv(width, width), ours)))},
        roofline=lambda: Roofline(
            linear_products(nodes, width, width), device, 2 * aggregation_bytes(edges, nodes, width), (nodes, width)
        ),
    )
