"""Random graphs for property-based tests."""

from dataclasses import dataclass

import networkx as nx
import torch
from hypothesis import strategies as st
from torch import Tensor


@dataclass(frozen=True)
class Graph:
    """edge_index [2, E], edge_weight [E] in float64, and a seed for the features of this example."""

    num_nodes: int
    edge_index: Tensor
    edge_weight: Tensor
    seed: int

    def features(self, channels: int) -> Tensor:
        """Standard normal features [N, channels] in float64."""
        generator = torch.Generator().manual_seed(self.seed)
        return torch.randn(self.num_nodes, channels, dtype=torch.float64, generator=generator)

    def to_networkx(self) -> nx.MultiDiGraph:
        graph = nx.MultiDiGraph()
        graph.add_nodes_from(range(self.num_nodes))
        graph.add_edges_from(self.edge_index.t().tolist())
        return graph


@st.composite
def graphs(draw: st.DrawFn, acyclic: bool = False, max_nodes: int = 9, min_nodes: int = 1) -> Graph:
    """Directed graphs with isolated nodes, parallel edges and, unless acyclic, cycles and self-loops.

    Node numbers are shuffled, so an acyclic graph is not topologically ordered by its numbering.
    """
    num_nodes = draw(st.integers(min_nodes, max_nodes))
    node = st.integers(0, max(num_nodes - 1, 0))
    pairs = draw(st.lists(st.tuples(node, node), max_size=2 * num_nodes))
    if acyclic:
        pairs = [(min(pair), max(pair)) for pair in pairs if pair[0] != pair[1]]
    seed = draw(st.integers(0, 2**16))
    generator = torch.Generator().manual_seed(seed)
    label = torch.randperm(num_nodes, generator=generator)
    edge_index = label[torch.tensor(pairs, dtype=torch.long).reshape(-1, 2).t()]
    edge_weight = torch.rand(len(pairs), dtype=torch.float64, generator=generator) + 0.25
    return Graph(num_nodes, edge_index, edge_weight, seed)


def dags(max_nodes: int = 9, min_nodes: int = 1) -> st.SearchStrategy[Graph]:
    """Directed acyclic graphs, see graphs()."""
    return graphs(acyclic=True, max_nodes=max_nodes, min_nodes=min_nodes)


@st.composite
def forests(draw: st.DrawFn, max_nodes: int = 9) -> list[int]:
    """Parents of the nodes of a forest, -1 at its roots, the numbering shuffled."""
    num_nodes = draw(st.integers(1, max_nodes))
    parents = [draw(st.integers(-1, i - 1)) for i in range(num_nodes)]
    label = draw(st.permutations(range(num_nodes)))
    shuffled = [-1] * num_nodes
    for i, parent in enumerate(parents):
        shuffled[label[i]] = -1 if parent == -1 else label[parent]
    return shuffled
