"""The speed benchmark on synchronous rounds: recurrent layers as graph networks.

Letters: N nodes, E edges, F input channels, H hidden channels.
"""

import torch

from gnnseq import synchronous
from gnnseq.layers import GRU, LSTM, RNN
from studies.speed.graphs import random_graph
from studies.speed.measure import Case, Peer, Step, layer_step, same_weights
from studies.speed.roofline import Product, Roofline, aggregation_bytes, linear_products
from studies.speed.targets import ROUNDS
from studies.speed.temporal import GATES

CELLS = {"RNN": RNN, "GRU": GRU, "LSTM": LSTM}
NUMBER = 4  # rounds


def rounds(name: str, quick: bool, device: torch.device) -> Case:
    """Four rounds from zeros, inside a network; the peer is the layer's loop, which makes a message of every edge."""
    cell = ROUNDS[name]
    nodes, edges, width = (20, 60, 5) if quick else (5000, 50_000, 64)
    torch.manual_seed(0)
    ours = CELLS[cell](width, width).to(device)
    x = torch.randn(nodes, width, device=device).requires_grad_()
    schedule = synchronous(random_graph(nodes, edges).to(device), nodes, rounds=NUMBER)

    def loop() -> Step:
        layer = same_weights(CELLS[cell](width, width), ours)
        layer.register_message_forward_hook(lambda *_: None)  # type: ignore[operator] # who watches messages sees them
        return layer_step(layer, x, schedule)

    # The first round reads zeros, and its states are the first that edges carry: h, and an LSTM's c.
    over, gates, carried = NUMBER - 1, GATES[cell] * width, (2 if cell == "LSTM" else 1) * width
    products: list[Product] = NUMBER * linear_products(nodes, width, gates)
    return Case(
        title=f"{cell}, synchronous rounds",
        shape=f"{NUMBER} rounds, N={nodes} E={edges} F=H={width}",
        ours=layer_step(ours, x, schedule),
        peers={"our loop": Peer("torch", loop)},
        roofline=lambda: Roofline(
            products, device, 2 * over * aggregation_bytes(edges, nodes, carried), (nodes, width)
        ),
    )
