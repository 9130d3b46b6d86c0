"""How fast neighbours are drawn: ours, DGL's, and with torch's operations alone, in one process."""

import time
from collections.abc import Callable
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.sampler import NodeSamplerInput

from gnnseq.sampler import NeighborSampler
from harness.peers import import_dgl
from studies.large_graph.batches import has_dgl
from studies.large_graph.planted import rmat

__all__ = ["measure_sampling"]

SEEDS, NEIGHBORS = 1024, (15, 10)


def by_masks(edge_index: Tensor, num_nodes: int, neighbors: tuple[int, ...], seeds: Tensor) -> Tensor:
    """Edges drawn as k_hop_subgraph finds them, by a mask over all edges a hop, a random order and a cut. [m]"""
    source, target = edge_index
    inside = torch.zeros(num_nodes, dtype=torch.bool)
    new, found = seeds, []
    for k in neighbors:
        frontier = torch.zeros(num_nodes, dtype=torch.bool)
        frontier[new] = True
        edges = frontier[target].nonzero().view(-1)
        edges = edges[torch.randperm(len(edges))]
        edges = edges[target[edges].argsort(stable=True)]
        _, counts = target[edges].unique_consecutive(return_counts=True)
        within = torch.arange(len(edges)) - (counts.cumsum(0) - counts).repeat_interleave(counts)
        found.append(edges[within < k])
        inside |= frontier
        reached = source[found[-1]].unique()
        new = reached[~inside[reached]]
    return torch.cat(found)


def measure_sampling(num_nodes: int, num_edges: int, rounds: int = 10) -> dict[str, Any]:
    """CPU seconds a batch of each, in turns on one thread, and the median of the ratios to ours.

    CPU time of one thread, and not the clock's, so that others who share the machine's cores count less.
    """
    torch.manual_seed(0)  # whatever was run before
    edge_index = rmat((num_nodes - 1).bit_length(), num_nodes, num_edges)
    sampler = NeighborSampler(Data(edge_index=edge_index, num_nodes=num_nodes), NEIGHBORS)
    ways: dict[str, Callable[[Tensor], Any]] = {
        "gnnseq": lambda seeds: sampler.sample_from_nodes(NodeSamplerInput(None, seeds)),
        "masks of torch": lambda seeds: by_masks(edge_index, num_nodes, NEIGHBORS, seeds),
    }
    if has_dgl():
        dgl = import_dgl()
        theirs = dgl.graph((edge_index[0].int(), edge_index[1].int()), num_nodes=num_nodes, idtype=torch.int32)
        theirs = theirs.formats("csc")
        theirs.create_formats_()
        drawer = dgl.dataloading.NeighborSampler(list(NEIGHBORS[::-1]))
        ways["DGL"] = lambda seeds: drawer.sample(theirs, seeds.int())
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(rounds + 1):
        seeds = torch.randperm(num_nodes)[:SEEDS]
        for name, way in ways.items():
            start = time.process_time()
            way(seeds)
            if turn > 0:  # the first warms up
                seconds[name].append(time.process_time() - start)
    ours = seconds["gnnseq"]
    out = sampler.sample_from_nodes(NodeSamplerInput(None, torch.randperm(num_nodes)[:SEEDS]))
    return {
        "nodes": num_nodes, "edges": num_edges, "seeds": SEEDS, "neighbors": list(NEIGHBORS),
        "sampled_nodes": out.node.numel(), "sampled_edges": out.row.numel(), "rounds": rounds,
        "milliseconds": {name: round(1e3 * median(times), 3) for name, times in seconds.items()},
        "ratios": {name: round(median(t / o for t, o in zip(times, ours, strict=True)), 2)
                   for name, times in seconds.items()},
    }  # fmt: skip
