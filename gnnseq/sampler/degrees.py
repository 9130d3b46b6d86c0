"""Degrees of the whole graph, handed along to its samples.

Letters: N nodes, E edges of the graph; n nodes and m edges of a sample.
"""

import torch
from torch import Tensor
from torch_geometric.data import Data

from gnnseq.checks import flag
from gnnseq.graphs import as_edge_index
from gnnseq.kernels.adjacency import CSR
from gnnseq.normalization import DegreeError

__all__ = ["GraphDegrees"]


class GraphDegrees:
    r"""What a graph convolution on a sample must know of the whole graph.

    .. math:: \hat w_{ji} = \frac{n_i}{k_i} \frac{w_{ji}}{\sqrt{d^{out}_j \, d^{in}_i}}, \qquad
        \hat w_{ii} = \frac{w_{ii}}{\sqrt{d^{out}_i \, d^{in}_i}}

    A layer that normalises a sample by the sample's own edges divides by degrees that the graph does not have: those
    at its border have no edges at all, and so even with all neighbours its outputs are not the graph's. With these
    weights and all neighbours they are; with k_i of n_i neighbours drawn uniformly, every sum over neighbours is that
    of the graph on average. Chen, Zhu and Song 2018, https://arxiv.org/abs/1710.10568.

    Args:
        edge_index: The whole graph, [2, E], or its compressed rows by target.
        num_nodes: Number of nodes N.
        edge_weight: Its weights; samples then need their own, ``batch.edge_weight``. [E]
        improved: Whether a new self-loop weighs 2 instead of 1.

    Attributes:
        in_count: Edges into each node. [N]
        own: What a node's self-loop weighs. float64 [N]
        out_scale: One over the root of each node's out-degree, 0 where that is 0. float64 [N]
        in_scale: The same of the in-degree. float64 [N]

    Raises:
        ValueError: If the graph is malformed, or a degree is negative.

    Example:
        >>> from gnnseq.graphs import path_graph
        >>> from gnnseq.layers import GCN
        >>> from gnnseq.loader import NeighborLoader
        >>> data = path_graph(9, undirected=True)
        >>> data.x = torch.ones(9, 1)
        >>> layer, degrees = GCN(1, 1, normalize=False), GraphDegrees(data.edge_index, 9)
        >>> batch = next(iter(NeighborLoader(data, [-1], input_nodes=torch.tensor([0]), batch_size=1)))
        >>> h = layer(batch.x, *degrees.normalize(batch))[: batch.batch_size]  # what GCN(1, 1) makes of the whole graph
    """

    def __init__(
        self, edge_index: Tensor | CSR, num_nodes: int, edge_weight: Tensor | None = None, improved: bool = False
    ) -> None:
        if isinstance(edge_index, CSR):
            if edge_weight is not None:
                raise ValueError("edge_weight came with compressed rows, whose edges weigh 1; give edge_index")
            nodes = torch.arange(num_nodes, dtype=edge_index.indices.dtype, device=edge_index.indices.device)
            edges = (edge_index.indices, nodes.repeat_interleave(edge_index.indptr.diff()))
        else:
            listed_edges, edge_weight = as_edge_index(edge_index, num_nodes, edge_weight)
            edges = listed_edges[0], listed_edges[1]
        edge_weight = None if edge_weight is None else edge_weight.detach()
        self.num_nodes, self.weighted = num_nodes, edge_weight is not None
        source, target = edges
        self.in_count = torch.bincount(target, minlength=num_nodes)
        (loop,) = (source == target).nonzero(as_tuple=True)
        weight = None if edge_weight is None else edge_weight.double()
        own = torch.full(
            (num_nodes,), 2.0 if flag(improved=improved) else 1.0, dtype=torch.float64, device=source.device
        )
        # Of loops that are listed twice the last one's weight counts, as everywhere here, and only once.
        nodes = source[loop].long()
        loops = torch.ones(loop.numel(), dtype=torch.float64, device=source.device) if weight is None else weight[loop]
        last = nodes.new_full((num_nodes,), -1).scatter_reduce(
            0, nodes, torch.arange(len(nodes), device=nodes.device), "amax"
        )
        own = torch.where(last >= 0, loops[last.clamp(min=0)] if len(loops) else own, own)
        listed = torch.zeros_like(own).index_add(0, nodes, loops)

        def scale(end: Tensor, name: str) -> Tensor:
            degree = torch.bincount(end, weight, minlength=num_nodes).double() - listed + own
            if bool((degree < 0).any()):
                node = int((degree < 0).nonzero()[0])
                raise DegreeError(node, name, float(degree[node]))
            return degree.masked_fill(degree == 0, torch.inf).rsqrt()

        self.own, self.out_scale, self.in_scale = own, scale(source, "out"), scale(target, "in")

    def normalize(self, batch: Data, rescale: bool = True) -> tuple[Tensor, Tensor]:
        """A sample's edges and their weights, for layers with ``normalize=False``, gnnseq's or torch_geometric's.

        Args:
            batch: A sample, with ``n_id``, of the graph; of a weighted one with ``edge_weight``.
            rescale: Whether the weights of a node's drawn edges stand for those that were not drawn too; so they do, on
                average, where neighbours were drawn uniformly.

        Returns:
            ``edge_index`` [2, m + n], the self-loops last, and weights [m + n] of x's type, or else float32.

        Raises:
            ValueError: If the batch is no sample of the graph.
        """
        if "n_id" not in batch or batch.edge_index is None:
            raise ValueError(
                f"batch has {', '.join(batch.keys())}; expected a loader's batch, with n_id and edge_index"
            )
        node, (source, target) = batch.n_id, batch.edge_index
        weight = batch.edge_weight if self.weighted and "edge_weight" in batch else None
        if self.weighted and not isinstance(weight, Tensor):
            raise ValueError("the graph was weighted and batch has no edge_weight; expected data.edge_weight to be "
                             "what the degrees were made of")  # fmt: skip
        if node.numel() > 0 and int(node.max()) >= self.num_nodes:
            raise ValueError(f"batch.n_id holds node {int(node.max())}; expected a sample of the graph of "
                             f"{self.num_nodes} nodes that the degrees are of")  # fmt: skip
        place = node.to(self.own.device)
        out_scale, in_scale = (part[place].to(node.device) for part in (self.out_scale, self.in_scale))
        sent = out_scale[source] * in_scale[target] * (source != target)
        if rescale:
            drawn = torch.bincount(target, minlength=len(node)).clamp(min=1)
            sent = sent * (self.in_count[place].to(node.device) / drawn)[target]
        sent = sent if weight is None else sent * weight
        kept = self.own[place].to(node.device) * out_scale * in_scale
        loops = torch.arange(len(node), device=node.device).expand(2, -1)
        x = batch.get("x")
        dtype = x.dtype if isinstance(x, Tensor) and x.is_floating_point() else torch.float32
        return torch.cat([batch.edge_index, loops], 1), torch.cat([sent, kept]).to(dtype)
