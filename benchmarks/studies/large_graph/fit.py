"""One run: a network is trained in one way, and scored on the whole graph.

Letters: N nodes, E edges, C classes; n nodes of a batch.
"""

import gc
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.nn import GCNConv
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from gnnseq.kernels.spmm import sum_rows
from gnnseq.layers import GCN
from gnnseq.normalization import gcn_normalize
from gnnseq.sampler import GraphDegrees
from harness.lightning_fit import data_parallel
from harness.processes import mean_of_all, share_or_one, size
from studies.large_graph.batches import cluster_batches, peer_loader, sample_loader
from studies.large_graph.graph import LargeGraph
from studies.large_graph.peak import peak, reset_peak
from studies.large_graph.runs import PEER, LargeRun

__all__ = ["fit", "needed", "train", "whole"]

Net = list[Any]
CHUNK = 1 << 16


def needed(method: str, nodes: int, edges: int, hidden: int, features: int) -> float:
    """GB that a method wants, roughly: the full batch holds edges thrice and activations of all nodes."""
    if method == "full batch":
        return (edges * 56 + nodes * 4 * (3 * features + 6 * hidden)) / 1e9
    if method == PEER:
        return (edges * 16 + nodes * 24) / 1e9 + 1
    return (edges * 8 + nodes * (24 + 8 * hidden + 4 * features)) / 1e9 + 0.6


def fit(run: LargeRun, folder: Path) -> dict[str, Any]:
    """Accuracy on validation and test part, time and memory of a run, as JSON values."""
    gc.collect()
    torch.manual_seed(run.seed)
    reset_peak()
    graph = LargeGraph.load(folder)
    start = time.perf_counter()
    note, seconds = "", list[float]()
    if run.method == "label propagation":
        out = _propagate(graph)
    else:
        net, seconds, note = train(run, graph)
    trained = time.perf_counter() - start
    trained_peak = peak()
    if run.method != "label propagation":
        out = _scores(run, graph, net)
    right = (out.argmax(1) == graph.y) & (graph.y >= 0)
    accuracy = [float(right[graph.nodes(part)].double().mean()) for part in (1, 2)]
    middle = sorted(seconds)[len(seconds) // 2] if seconds else None
    return {
        "validation": round(accuracy[0], 5), "test": round(accuracy[1], 5), "note": note,
        "epochs_a_minute": None if middle is None else round(60 / middle, 3), "training_seconds": round(trained, 2),
        "training_peak_gb": None if trained_peak is None else round(trained_peak, 3), "peak_gb": _rounded(peak()),
    }  # fmt: skip


def train(run: LargeRun, graph: LargeGraph) -> tuple[Net, list[float], str]:
    """The trained layers, seconds of each epoch, and a note on how.

    Several processes of :mod:`harness.processes` divide the seeds of every step: gradients are those of one process
    with all of them, where all neighbours are read; of drawn ones, those of another draw.
    """
    net = _network(run, graph)
    way = {"full batch": _full, "no edges": _without_edges, "clusters": _clusters}.get(run.method, _samples)
    optimizer = torch.optim.Adam([p for layer in net for p in layer.parameters()], lr=run.learning_rate)
    return net, *way(run, graph, net, optimizer)


class _Network(nn.Module):
    """Layers as one module, whose gradients DDP can average."""

    def __init__(self, net: Net, forward: Callable[..., Tensor]) -> None:
        super().__init__()
        self.net, self._forward = nn.ModuleList(net), forward

    def forward(self, *inputs: Any) -> Tensor:
        """The layers' output. [., C]"""
        return self._forward(self.net, *inputs)


def _shared(loss: Tensor, own: int, of_all: int) -> Tensor:
    """What to call backward on, of a mean over this process's share of seeds, or one that stands for none."""
    _, weight = share_or_one(of_all)
    return loss if size() == 1 else weight * mean_of_all(loss * own, of_all)


def _rounded(number: float | None) -> float | None:
    return None if number is None else round(number, 3)


def _network(run: LargeRun, graph: LargeGraph) -> Net:
    """A layer a hop, of one kind."""
    widths = [graph.x.size(1), *[run.hidden] * (len(run.neighbors) - 1), graph.about["classes"]]
    pairs = list(pairwise(widths))
    if run.method == "no edges":
        return [nn.Linear(*pair) for pair in pairs]
    if run.method == "full batch":
        return [GCN(*pair) for pair in pairs]
    kind = GCNConv if run.method == PEER else GCN
    return [kind(*pair, normalize=False) for pair in pairs]


def _forward(net: Net, x: Tensor, *edges: Tensor) -> Tensor:
    for number, layer in enumerate(net):
        x = layer(x if number == 0 else x.relu(), *edges)
    return x


def _step(optimizer: torch.optim.Optimizer, loss: Tensor) -> None:
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    optimizer.step()


def _full(run: LargeRun, graph: LargeGraph, net: Net, optimizer: torch.optim.Optimizer) -> tuple[list[float], str]:
    edge_index, nodes = graph.edge_index(), graph.nodes(0)
    seconds = []
    for _ in range(run.epochs):
        start = time.perf_counter()
        _step(optimizer, functional.cross_entropy(_forward(net, graph.x, edge_index)[nodes], graph.y[nodes]))
        seconds.append(time.perf_counter() - start)
    return seconds, ""


def _samples(run: LargeRun, graph: LargeGraph, net: Net, optimizer: torch.optim.Optimizer) -> tuple[list[float], str]:
    loader = peer_loader(graph, run) if run.method == PEER else sample_loader(graph, run)
    degrees = _degrees(graph) if run.method == "samples" else None
    network, optimizer = data_parallel(_Network(net, _trimmed), optimizer)
    count = len(graph.nodes(0))

    def losses() -> Iterator[Tensor]:
        for number, batch in enumerate(loader):
            if degrees is not None:
                edges = degrees.normalize(batch)
            elif run.method == PEER:
                edges = gcn_norm(batch.edge_index, None, batch.num_nodes)
            else:
                edges = gcn_normalize(batch.edge_index, None, batch.num_nodes)
            out = network(batch.x, *edges, batch.num_sampled_nodes)
            loss = functional.cross_entropy(out, batch.y[: batch.batch_size])
            yield _shared(loss, batch.batch_size, min(run.batch, count - number * run.batch))

    return _epochs(run, losses, optimizer), "" if degrees is None else "degrees of the graph"


def _trimmed(net: Net, x: Tensor, edge_index: Tensor, edge_weight: Tensor, sizes: list[int]) -> Tensor:
    """Scores of the seeds; each layer is spared the edges into nodes that no later layer reads."""
    for number, layer in enumerate(net):
        if number > 0:
            x = x[: sum(sizes[: len(net) + 1 - number])].relu()
        kept = edge_index[1] < sum(sizes[: len(net) - number])
        if number > 0:
            kept &= edge_index[0] < len(x)
        edge_index, edge_weight = edge_index[:, kept], edge_weight[kept]
        x = layer(x, edge_index, edge_weight)
    return x[: sizes[0]]


def _clusters(run: LargeRun, graph: LargeGraph, net: Net, optimizer: torch.optim.Optimizer) -> tuple[list[float], str]:
    batches, kind = cluster_batches(graph, run)
    degrees = _degrees(graph)

    def losses() -> Iterator[Tensor]:
        for batch in islice(batches, -(-run.parts // 10)):
            known = batch.part == 0
            if known.any():
                out = _forward(net, batch.x, *degrees.normalize(batch))
                yield functional.cross_entropy(out[known], batch.y[known])

    return _epochs(run, losses, optimizer), kind


def _without_edges(
    run: LargeRun, graph: LargeGraph, net: Net, optimizer: torch.optim.Optimizer
) -> tuple[list[float], str]:
    nodes = graph.nodes(0)
    network, optimizer = data_parallel(_Network(net, _forward), optimizer)

    def losses() -> Iterator[Tensor]:
        for whole in nodes[torch.randperm(len(nodes))].split(run.batch):
            seeds = whole[share_or_one(len(whole))[0]]
            loss = functional.cross_entropy(network(graph.x[seeds]), graph.y[seeds])
            yield _shared(loss, len(seeds), len(whole))

    return _epochs(run, losses, optimizer), ""


def _epochs(run: LargeRun, losses: Callable[[], Iterable[Tensor]], optimizer: torch.optim.Optimizer) -> list[float]:
    seconds = []
    for _ in range(run.epochs):
        start = time.perf_counter()
        for loss in losses():
            _step(optimizer, loss)
        seconds.append(time.perf_counter() - start)
    return seconds


def _degrees(graph: LargeGraph) -> GraphDegrees:
    return GraphDegrees(graph.csr, graph.num_nodes)


def _scores(run: LargeRun, graph: LargeGraph, net: Net) -> Tensor:
    """The network's scores of all nodes, with the graph's own degrees, whatever it was trained on. [N, C]"""
    with torch.no_grad():
        if run.method == "no edges":
            return torch.cat([_forward(net, chunk) for chunk in graph.x.split(CHUNK)])
        return whole(net, graph)


def whole(net: Net, graph: LargeGraph) -> Tensor:
    """What layers of GCN make of the whole graph, of which two outputs are held at a time. [N, C]"""
    degrees, h = _degrees(graph), graph.x
    out_scale, in_scale, own = (
        each.float().unsqueeze(1) for each in (degrees.out_scale, degrees.in_scale, degrees.own)
    )
    for number, layer in enumerate(net):
        weight, bias = layer.lin.weight, layer.bias
        sent = torch.empty(graph.num_nodes, len(weight))
        for first in range(0, graph.num_nodes, CHUNK):
            rows = slice(first, first + CHUNK)
            sent[rows] = (h[rows] if number == 0 else h[rows].relu()) @ weight.t() * out_scale[rows]
        h = torch.empty_like(sent)
        for first in range(0, graph.num_nodes, CHUNK):
            rows = slice(first, first + CHUNK)
            indptr = graph.indptr[first : first + CHUNK + 1]
            begin, end = int(indptr[0]), int(indptr[-1])
            summed = sum_rows(sent, graph.indices[begin:end], indptr - begin, None)
            h[rows] = (summed + own[rows] * sent[rows]) * in_scale[rows] + bias
    return h


def _propagate(graph: LargeGraph, rounds: int = 10) -> Tensor:
    """Label propagation: Zhu and Ghahramani 2002; known labels stay, the others are their neighbours' mean. [N, C]"""
    known = graph.nodes(0)
    labels = functional.one_hot(graph.y[known], graph.about["classes"]).float()
    out = torch.zeros(graph.num_nodes, graph.about["classes"])
    for _ in range(rounds):
        out[known] = labels
        out = sum_rows(out, graph.indices, graph.indptr, None)
        out /= out.sum(1, keepdim=True).clamp(min=1e-12)
    return out
