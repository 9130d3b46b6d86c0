"""What a network loses on samples with all neighbours, where each is normalised by its own degrees."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from gnnseq.layers import GCN
from gnnseq.loader import NeighborLoader
from gnnseq.normalization import gcn_normalize
from gnnseq.sampler import GraphDegrees, NeighborSampler
from studies.large_graph.fit import whole
from studies.large_graph.graph import LargeGraph

__all__ = ["measure_degrees"]

WAYS: dict[str, Callable[[Data, GraphDegrees], tuple[Tensor, Tensor]]] = {
    "degrees of the graph": lambda batch, degrees: degrees.normalize(batch),
    "own degrees": lambda batch, _: gcn_normalize(batch.edge_index, None, batch.num_nodes),
    "own degrees, GCNConv's": lambda batch, _: gcn_norm(batch.edge_index, None, batch.num_nodes),
}


def measure_degrees(graph: LargeGraph, seeds: int = 512) -> dict[str, dict[str, float]]:
    """Of two layers before training, all neighbours of two hops read: how far seeds' scores are from the whole graph's.

    Returns:
        Of each way to weigh edges the median distance over the scores' own size, and how often another class is first.
    """
    torch.manual_seed(0)
    net = [GCN(graph.x.size(1), 64, normalize=False), GCN(64, graph.about["classes"], normalize=False)]
    degrees = GraphDegrees(graph.csr, graph.num_nodes)
    chosen = torch.randperm(graph.num_nodes)[:seeds]
    sampler = NeighborSampler(graph.csr, [-1, -1])
    found: dict[str, list[Tensor]] = {name: [] for name in WAYS}
    with torch.no_grad():
        h = whole(net, graph)
        for batch in NeighborLoader(Data(x=graph.x), [], chosen, neighbor_sampler=sampler, batch_size=64):
            expected = h[batch.n_id[: batch.batch_size]]
            for name, way in WAYS.items():
                edges = way(batch, degrees)
                out = net[1](net[0](batch.x, *edges).relu(), *edges)[: batch.batch_size]
                off = (out - expected).norm(dim=1) / expected.norm(dim=1)
                found[name].append(torch.stack([off, (out.argmax(1) != expected.argmax(1)).float()]))
    together = {name: torch.cat(parts, 1) for name, parts in found.items()}
    return {name: {"off": float(f"{part[0].median():.3g}"), "other_class": round(float(part[1].mean()), 4)}
            for name, part in together.items()}  # fmt: skip
