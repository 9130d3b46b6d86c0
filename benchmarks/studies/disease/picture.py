"""Receptive fields on a graph of people: how far, and how strongly, others act on a person's score."""

from functools import lru_cache

import numpy as np
import torch
from torch import Tensor, nn

from gnnseq import receptive_field
from gnnseq.data.populations import planted_population, population_graph
from gnnseq.layers import GCN
from studies.disease.filters import site_edges
from studies.disease.networks import PopulationNetwork, shift

__all__ = ["HighPass", "LowPass", "influences"]


class LowPass(nn.Module):
    """One graph convolution without weights: A x, on the site graph everybody's site mean.

    Example:
        >>> pair = torch.tensor([[0, 1], [1, 0]])
        >>> LowPass(1)(torch.tensor([[1.0], [3.0]]), pair).round(decimals=4).tolist()
        [[2.0], [2.0]]
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convolution = GCN(channels, channels, bias=False)
        nn.init.eye_(self.convolution.lin.weight)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """A x. [N, F]"""
        out: Tensor = self.convolution(x, edge_index)
        return out


class HighPass(LowPass):
    """What it leaves: x - A x, on the site graph everybody's difference from the site's mean.

    Example:
        >>> pair = torch.tensor([[0, 1], [1, 0]])
        >>> HighPass(1)(torch.tensor([[1.0], [3.0]]), pair).round(decimals=4).tolist()
        [[-1.0], [1.0]]
    """

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """X - A x. [N, F]"""
        return x - super().forward(x, edge_index)


@lru_cache(maxsize=1)
def influences(people: int = 40) -> dict[str, list[float]]:
    """Mean influence by hops of filters on a site graph, and of networks as they begin on a sparse population graph."""
    population = planted_population(people=people, features=8, sites=4)
    sites = np.unique(population.phenotypes["site"], return_inverse=True)[1]
    x = torch.from_numpy(population.features)
    same = site_edges(sites)
    found = {
        "A: mean of the site": receptive_field(LowPass(8).double(), x, same),
        "1 - A: site mean removed": receptive_field(HighPass(8).double(), x, same),
    }
    graph = population_graph(population, 3, within={"age": 2})
    score = torch.zeros(people, dtype=x.dtype)
    for name, kind in (("no edges", "none"), ("GCN, 2 layers", "gcn"), ("Chebyshev K = 3, 2 layers", "chebyshev")):
        torch.manual_seed(0)
        network = PopulationNetwork(kind, 8, 16, 3, 0.0, offset=False)
        adjacency = shift(graph, people, self_loops=False)

        def call(module: nn.Module, x: Tensor, _: Tensor, adjacency: Tensor = adjacency) -> Tensor:
            weights = graph[0], graph[1].to(x.dtype)
            return module(x, weights, adjacency.to(x.dtype), score.to(x.dtype)).unsqueeze(-1)  # type: ignore[no-any-return]

        found[name] = receptive_field(network, x.to(torch.float32), graph[0], call=call)
    return {name: [round(float(value), 6) if np.isfinite(value) else 0.0 for value in field.influence]
            for name, field in found.items()}  # fmt: skip
