"""bfloat16 autocast beside float32: the time of a training step of each layer, and how far its numbers are off.

Letters: N nodes, E directed edges, F input channels, H hidden channels, T steps.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from gnnseq import topological
from gnnseq.graphs import tree_graph
from gnnseq.layers import GCN, LSTM, GatedGraph, RelationalGCN, TemporalGCN
from gnnseq.schedule import packed_paths
from studies.speed.cases import OURS
from studies.speed.graphs import random_graph
from studies.speed.measure import Results, disagreement, interleave, parameters, training_step
from studies.speed.trees import random_forest

Case = tuple[str, str, nn.Module, Callable[[Tensor], Tensor], Tensor]


def cases(quick: bool, device: torch.device) -> Iterator[Case]:
    """Name, shape, layer, how to call it, x.

    TemporalGCN in two of its orders: space_then_time has a convolution, a sweep of paths and a linear map, which is all
    that time_then_space has, and space_time sweeps another graph. RelationalGCN with the strengths that read most.
    """
    width = 8 if quick else 128
    steps, batch = (4, 3) if quick else (100, 64)
    schedule = packed_paths([steps] * batch).to(device)
    for cell, make in OURS.items():
        layer = make(width, width).to(device)
        call = lambda x, layer=layer: layer(x, schedule)[0]  # noqa: E731
        yield cell, f"paths, T={steps} B={batch} F=H={width}", layer, call, _features(device, steps * batch, width)
    parents = torch.from_numpy(random_forest(3 if quick else 256, 5 if quick else 38))
    forest = topological(tree_graph(parents).edge_index.to(device), len(parents))
    lstm = LSTM(width, width).to(device)
    shape = f"trees, N={len(parents)} F=H={width}"
    yield "LSTM", shape, lstm, lambda x: lstm(x, forest)[0], _features(device, len(parents), width)
    nodes, edges = (20, 60) if quick else (20_000, 400_000)
    edge_index = random_graph(nodes, edges).to(device)
    relations = torch.eye(4, device=device)[torch.arange(edges, device=device) % 4]
    on_graph: tuple[tuple[str, nn.Module, tuple[Tensor, ...]], ...] = (
        ("GCN", GCN(width, width), ()),
        ("GatedGraph, 2 rounds", GatedGraph(width, num_rounds=2), ()),
        ("RelationalGCN, implicit, 4 types", RelationalGCN(width, 4, strength="implicit"), (relations,)),
    )
    for name, layer, given in on_graph:
        layer.to(device)
        call = lambda x, layer=layer, given=given: layer(x, edge_index, *given)  # noqa: E731
        yield name, f"N={nodes} E={edges} F=H={width}", layer, call, _features(device, nodes, width)
    steps, nodes, edges, width = (3, 12, 40, 8) if quick else (12, 1000, 10_000, 32)
    links = random_graph(nodes, edges).to(device)
    for order in ("space_then_time", "space_time"):
        layer = TemporalGCN(width, width, width, order=order).to(device)
        call = lambda x, layer=layer: layer(x, links)[0]  # noqa: E731
        shape = f"T={steps} N={nodes} E={edges} F=H={width}"
        yield f"TemporalGCN, {order}, LSTM", shape, layer, call, _features(device, steps, nodes, width)


def measure_autocast(quick: bool, rounds: int, warm_up: int, device: torch.device) -> Iterator[dict[str, Any]]:
    """One record a layer."""
    torch.manual_seed(0)
    for name, shape, layer, call, x in cases(quick, device):

        def mixed(call: Callable[[Tensor], Tensor] = call, x: Tensor = x) -> Tensor:
            with torch.autocast(device.type, dtype=torch.bfloat16):
                return call(x)

        wanted = [*parameters(layer), x]
        steps: dict[str, Callable[[], Results]] = {
            "float32": training_step(lambda call=call, x=x: call(x), wanted),
            "bfloat16": training_step(mixed, wanted),
        }
        exact, rounded = (list(steps[kind]()) for kind in ("float32", "bfloat16"))
        seconds = interleave(steps, rounds, warm_up, device)
        yield {
            "layer": name,
            "shape": shape,
            "milliseconds": {kind: [float(f"{1e3 * s:.5g}") for s in values] for kind, values in seconds.items()},
            "output_error": disagreement(rounded[:1], exact[:1]),
            "gradient_error": disagreement(rounded[1:], exact[1:]),
        }


def _features(device: torch.device, *shape: int) -> Tensor:
    return torch.randn(shape, device=device).requires_grad_()
