"""Propagation over typed relations, each neighbour weighted by the relation and the two embeddings.

Letters: T time steps or none, N nodes, F channels, E edges, R types of relation.
"""

from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn import functional
from torch_geometric.utils import softmax

from gnnseq.checks import check_dense, check_map, check_one_device, check_type, shape_of, whole
from gnnseq.edge_masks import MaskedMessagePassing
from gnnseq.graphs import as_edge_index
from gnnseq.kernels import Adjacency, aggregate
from gnnseq.kernels.sddmm import edge_products
from gnnseq.layers.graph_cache import NormalizedGraph
from gnnseq.layers.zero_gradients import with_zero_gradients
from gnnseq.message_passing import check_settings, needs_messages
from gnnseq.tracing import is_recording

__all__ = ["RelationalGCN"]

STRENGTHS = ("uniform", "explicit", "implicit")
SLOPE = 0.2  # of the leaky relu for negative numbers, as in the authors' program


class RelationalGCN(MaskedMessagePassing):
    r"""Relation-aware propagation: the temporal graph convolution of Relational Stock Ranking.

    .. math::
        z_i = \sum_{j \to i} g_{ji} e_j, \qquad
        \text{uniform:} \quad & g_{ji} = \frac{1}{d_j} \\
        \text{explicit:} \quad & g_{ji} = \frac{e_i^\top e_j}{d_j} \, \phi(w^\top a_{ji} + b) \\
        \text{implicit:} \quad & g_{ji} =
            \operatorname*{softmax}_{j \to i} \; \phi(u^\top e_i + v^\top e_j + w^\top a_{ji} + b)

    with :math:`a_{ji}` the types of the edge, :math:`d_j` the number of edges that leave j, and :math:`\phi` a leaky
    relu of slope 0.2. Feng et al. 2019, https://arxiv.org/abs/1809.09441, equations 5 to 8. "Time-sensitive" there
    means that :math:`e` are a step's embeddings: give [T, N, F], and every step has strengths of its own.

    Where the paper and its program differ, this is the paper: strengths of one edge go through one :math:`\phi`, not
    one for each term, and the softmax runs over a node's incoming edges, while the program's runs over the outgoing
    ones. The paper's graph is undirected, which here is an edge each way; on others :math:`d_j` counts the edges out
    of j. The paper goes on to a linear map of :math:`e_i` and :math:`z_i` together, which is left to the caller: a node
    has no self-loop unless the graph has it.

    One layer reaches one hop, without the node itself; explicit and implicit strengths also depend on :math:`e_i`, and
    implicit ones on all sources of i.

    Args:
        in_channels: Width F of the embeddings, and of the result.
        num_relations: Types R.
        strength: ``"uniform"``, ``"explicit"`` or ``"implicit"``. The first has no parameters and reads no types.

    Shapes: x [N, F] or [T, N, F]; edge_index as in :func:`gnnseq.graphs.as_edge_index`, without weights; relations
    [E, R], a row an edge in the order of edge_index, 1 for each type that the edge has and 0 elsewhere; returns the
    shape of x. Memory is that of x and O(T E + E R).

    Raises:
        ValueError: If an argument is out of its range, x or the graph is malformed, or an edge has no type.

    Example:
        >>> x, edges = torch.ones(2, 3, 4), torch.tensor([[0, 2, 1, 1], [1, 1, 0, 2]])
        >>> relations = torch.tensor([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
        >>> RelationalGCN(4, num_relations=2, strength="explicit")(x, edges, relations).shape
        torch.Size([2, 3, 4])
        >>> RelationalGCN(4, num_relations=2)(x, edges, relations)[0, :, 0]  # 1 has two outgoing edges
        tensor([0.5000, 2.0000, 0.5000])
    """

    def __init__(self, in_channels: int, num_relations: int, strength: str = "uniform") -> None:
        super().__init__(aggr="sum")
        self.in_channels = whole(1, in_channels=in_channels)
        self.num_relations = whole(1, num_relations=num_relations)
        if strength not in STRENGTHS:
            raise ValueError(f"strength={strength!r}; expected one of {', '.join(map(repr, STRENGTHS))}")
        self.strength = strength
        if strength != "uniform":
            self.relation = nn.Linear(self.num_relations, 1)  # w and b
        if strength == "implicit":
            self.ends = nn.Linear(self.in_channels, 2, bias=False)  # u and v
        self._graph = NormalizedGraph()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws w, u and v as one kernel, uniform after Glorot and Bengio 2010, and sets b to zero."""
        if self.strength == "uniform":
            return
        width = self.num_relations + (2 * self.in_channels if self.strength == "implicit" else 0)
        bound = (6 / (width + 1)) ** 0.5
        for weight in self.parameters():
            nn.init.uniform_(weight, -bound, bound)
        nn.init.zeros_(self.relation.bias)

    def forward(self, x: Tensor, edge_index: Tensor, relations: Tensor) -> Tensor:
        """The weighted sum over the sources of each node. [N, F] or [T, N, F]"""
        edges = self._check(x, edge_index, relations)
        num_nodes = x.size(-2)
        adjacency = None if is_recording() else self._graph.edges(edges, num_nodes)
        strength = self._strengths(x, edges, relations, adjacency)
        if adjacency is None or needs_messages(self):
            edge_id = self.mask_places(edges) if self.explain else None
            size = num_nodes, num_nodes
            summed: Tensor = self.propagate(edges, size=size, x=x, strength=strength, edge_id=edge_id)
            return summed
        if x.dim() == 2:
            return aggregate(x, strength, adjacency)
        if strength.dim() == 1:  # the same in all steps: one aggregation, T times as wide
            wide = x.transpose(0, 1)
            return aggregate(wide.flatten(1), strength, adjacency).view(wide.shape).transpose(0, 1)
        steps = [aggregate(step, own, adjacency) for step, own in zip(x, strength, strict=True)]
        return torch.stack(steps) if steps else with_zero_gradients(self, x)[0]

    def message(self, x_j: Tensor, strength: Tensor) -> Tensor:
        """g_ji e_j. [..., E, F]"""
        return strength.unsqueeze(-1) * x_j

    def strengths(self, x: Tensor, edge_index: Tensor, relations: Tensor) -> Tensor:
        """The weight of each edge, in the order of edge_index: [E], or [T, E] if embeddings decide."""
        edges = self._check(x, edge_index, relations)
        return self._strengths(x, edges, relations, Adjacency.of(edges, x.size(-2)))

    def reach(self, edge_index: Tensor, num_nodes: int) -> csr_array:
        """Row v holds the sources of v, and v itself if its embedding decides on their weights. Boolean [N, N]."""
        source, target = as_edge_index(edge_index, num_nodes)[0].unique(dim=1)
        if self.strength != "uniform":
            source, target = torch.stack([torch.cat([source, target]), torch.cat([target, target])]).unique(dim=1)
        ends = target.cpu().numpy(), source.cpu().numpy()
        return csr_array((np.ones(len(source), dtype=bool), ends), shape=(num_nodes, num_nodes))

    def _strengths(self, x: Tensor, edges: Tensor, relations: Tensor, adjacency: Adjacency | None) -> Tensor:
        source, target = edges
        if self.strength == "implicit":
            of_target, of_source = self.ends(x).unbind(-1)  # [..., N] each
            total = of_target.index_select(-1, target) + of_source.index_select(-1, source)
            total = total + self.relation(relations.to(x.dtype)).squeeze(1)
            total = functional.leaky_relu(total, SLOPE)
            shares: Tensor = softmax(total, target, num_nodes=x.size(-2), dim=-1)
            return shares
        if adjacency is None:  # a recording knows no size that is counted
            degree = source.new_zeros(x.size(-2)).index_add(0, source, torch.ones_like(source))
        else:
            degree = torch.bincount(source, minlength=x.size(-2))
        strength: Tensor = degree.to(x.dtype).reciprocal()[source]
        if self.strength == "uniform":
            return strength
        typed: Tensor = functional.leaky_relu(self.relation(relations.to(x.dtype)).squeeze(1), SLOPE)
        strength = strength * typed
        if adjacency is None:  # a recording takes the products apart
            return strength * (x.index_select(-2, target) * x.index_select(-2, source)).sum(-1)
        if x.dim() == 2:
            return strength * edge_products(x, x, adjacency)
        alike = [edge_products(step, step, adjacency) for step in x]
        return strength * (torch.stack(alike) if alike else x.new_zeros(0, source.numel()))

    def _check(self, x: Any, edge_index: Tensor, relations: Any) -> Tensor:
        check_settings(self)
        parameter = next(self.parameters(), None)
        if parameter is not None:
            check_map("relation", self._modules.get("relation"), (1, self.num_relations), parameter.dtype)
            check_map("ends", self._modules.get("ends"), (2, self.in_channels), parameter.dtype)
            check_type(x, parameter)
        if not isinstance(x, Tensor) or not x.is_floating_point():
            kind = x.dtype if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(f"x is {kind}; expected floating-point embeddings: use x.float()")
        check_dense(x, "x")
        if x.dim() not in (2, 3) or x.size(-1) != self.in_channels:
            raise ValueError(f"x has shape {list(x.shape)}; expected [N, {self.in_channels}] or "
                             f"[T, N, {self.in_channels}]")  # fmt: skip
        edges, weight = as_edge_index(edge_index, x.size(-2))
        if weight is not None:
            raise ValueError("edge_index is a sparse adjacency, whose order of edges relations cannot follow; expected "
                             "a [2, E] tensor")  # fmt: skip
        expected = [edges.size(1), self.num_relations]
        if not isinstance(relations, Tensor) or list(relations.shape) != expected:
            raise ValueError(f"relations has shape {shape_of(relations)}; expected {expected}: a row an edge, a column "
                             "a type")  # fmt: skip
        check_dense(relations, "relations")
        check_one_device(x=x, edge_index=edges, relations=relations)
        if not is_recording() and not bool((relations != 0).any(1).all()):
            edge = int((relations == 0).all(1).nonzero()[0])
            raise ValueError(f"relations[{edge}] has no type; expected at least one a row: drop edge {edge}, which "
                             "relates nothing")  # fmt: skip
        return edges

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.in_channels}, {self.num_relations}, strength={self.strength!r})"
