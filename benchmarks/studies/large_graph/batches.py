"""Batches of a large graph: samples, clusters, a peer's samples.

Letters: B seeds; n nodes and m edges of a batch.
"""

from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from scipy.sparse.csgraph import breadth_first_order
from torch import Tensor
from torch.utils.data import BatchSampler, RandomSampler, Sampler
from torch_geometric.data import Data
from torch_geometric.loader import NodeLoader
from torch_geometric.sampler import BaseSampler, EdgeSamplerInput, NodeSamplerInput, SamplerOutput

from gnnseq.loader import NeighborLoader
from gnnseq.sampler import NeighborSampler
from harness.peers import import_dgl
from harness.processes import share_or_one
from studies.large_graph.graph import LargeGraph
from studies.large_graph.runs import LargeRun

__all__ = ["DglSampler", "Shares", "cluster_batches", "has_dgl", "peer_loader", "sample_loader"]

Batches = NodeLoader | list[Data] | Iterator[Data]


class Shares(Sampler[list[int]]):
    """The batches of a shuffled DataLoader, of each this process's share, or its first seed where that is empty.

    Processes of equal random states draw the same batches, which are one process's.

    Args:
        count: Seeds.
        batch: Of a step, all processes together.
    """

    def __init__(self, count: int, batch: int) -> None:
        self.batches = BatchSampler(RandomSampler(range(count)), batch, drop_last=False)

    def __len__(self) -> int:
        return len(self.batches)

    def __iter__(self) -> Iterator[list[int]]:
        return (batch[share_or_one(len(batch))[0]] for batch in self.batches)


def sample_loader(graph: LargeGraph, run: LargeRun) -> NeighborLoader:
    """Samples around training nodes; around this process's share of each step's."""
    sampler, nodes = NeighborSampler(graph.csr, run.neighbors), graph.nodes(0)
    data, shares = Data(x=graph.x, y=graph.y), Shares(len(nodes), run.batch)
    return NeighborLoader(data, [], nodes, neighbor_sampler=sampler, batch_sampler=shares)


def cluster_batches(graph: LargeGraph, run: LargeRun) -> tuple[Iterator[Data], str]:
    """Endless batches of ten random clusters and all edges inside, and what made the clusters.

    METIS makes them if pymetis is installed; else each is a run of nodes in the order of breadth-first search.
    Chiang et al. 2019, https://arxiv.org/abs/1905.07953.
    """
    if find_spec("pymetis") is not None and graph.indices.numel() <= 10**8:
        import pymetis  # type: ignore[import-not-found]

        _, part = pymetis.part_graph(run.parts, xadj=graph.indptr.tolist(), adjncy=graph.indices.tolist())
        order = np.argsort(part, kind="stable")
        sizes = np.bincount(part, minlength=run.parts)
        kind = "METIS"
    else:
        order = _breadth_first(graph)
        sizes = np.bincount(np.arange(graph.num_nodes) * run.parts // graph.num_nodes, minlength=run.parts)
        kind = "breadth-first search"
    clusters = np.split(torch.from_numpy(order.astype(np.int64)).numpy(), np.cumsum(sizes)[:-1])
    sampler = NeighborSampler(graph.csr, [], "induced")

    def batches() -> Iterator[Data]:
        while True:
            for chosen in torch.randperm(len(clusters)).split(10):
                nodes = torch.from_numpy(np.concatenate([clusters[number] for number in chosen.tolist()]))
                out = sampler.sample_from_nodes(NodeSamplerInput(None, nodes))
                edges = torch.stack([out.row, out.col])
                yield Data(x=graph.x[nodes], y=graph.y[nodes], edge_index=edges, n_id=nodes, part=graph.part[nodes])

    return batches(), kind


def _breadth_first(graph: LargeGraph) -> Any:
    """All nodes, component after component."""
    shape = (graph.num_nodes, graph.num_nodes)
    ones = np.broadcast_to(np.int8(1), graph.indices.shape)
    matrix = csr_array((ones, graph.indices.numpy(), graph.indptr.numpy()), shape=shape)
    degree = np.diff(graph.indptr.numpy())
    first = int(degree.argmax()) if len(degree) else 0
    found = breadth_first_order(matrix, first, return_predecessors=False)
    rest = np.setdiff1d(np.arange(graph.num_nodes), found)  # of other components, in their own order
    return np.concatenate([found, rest])


def has_dgl() -> bool:
    """Whether the peer is installed."""
    return find_spec("dgl") is not None


class DglSampler(BaseSampler):
    """DGL's sampler behind torch_geometric's interface.

    Args:
        graph: The graph.
        neighbors: Drawn in each hop.
    """

    def __init__(self, graph: LargeGraph, neighbors: tuple[int, ...]) -> None:
        dgl = import_dgl()
        ids = torch.empty(0, dtype=torch.int32)
        self.graph = dgl.graph(
            ("csc", (graph.indptr, graph.indices, ids)), num_nodes=graph.num_nodes, idtype=torch.int32
        )
        self.sampler = dgl.dataloading.NeighborSampler(list(neighbors[::-1]))  # the last layer's first

    def sample_from_nodes(self, index: NodeSamplerInput, **_: Any) -> SamplerOutput:
        """Draws around nodes."""
        node, _, blocks = self.sampler.sample(self.graph, index.node.int())
        rows, columns, done, sizes = [], [], 0, [len(index.node)]
        for block in reversed(blocks):  # its targets are the sources before, of which only new ones are drawn for
            row, col = (end.long() for end in block.edges())
            rows.append(row[col >= done])
            columns.append(col[col >= done])
            done = block.num_dst_nodes()
            sizes.append(block.num_src_nodes() - done)
        out = SamplerOutput(node.long(), torch.cat(rows), torch.cat(columns), None, num_sampled_nodes=sizes)
        out.metadata = (index.input_id, None)
        return out

    def sample_from_edges(self, index: EdgeSamplerInput, **_: Any) -> SamplerOutput:
        """Nobody asks for it."""
        raise NotImplementedError


def peer_loader(graph: LargeGraph, run: LargeRun) -> NodeLoader:
    """torch_geometric's loader with DGL's sampler."""
    nothing: Tensor = torch.empty(2, 0, dtype=torch.int64)  # in whose place the loader puts a batch's edges
    data = Data(x=graph.x, y=graph.y, edge_index=nothing)
    sampler = DglSampler(graph, run.neighbors)
    return NodeLoader(data, sampler, input_nodes=graph.nodes(0), batch_size=run.batch, shuffle=True)
