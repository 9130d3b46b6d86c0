"""torch_geometric's neighbour sampler, without the packages that its own needs.

Letters: N nodes, E edges of the graph; B seeds; n nodes and m edges of a sample.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data, HeteroData
from torch_geometric.sampler import BaseSampler, EdgeSamplerInput, NegativeSampling, NodeSamplerInput, SamplerOutput
from torch_geometric.sampler.base import DataType, NumNeighbors, SubgraphType

from gnnseq.checks import flag, whole
from gnnseq.kernels.adjacency import CSR
from gnnseq.sampler.draws import sample
from gnnseq.sampler.graph import as_rows
from gnnseq.sampler.links import LinkSeeds
from gnnseq.sampler.times import Times

__all__ = ["NeighborSampler"]


class NeighborSampler(BaseSampler):
    r"""Draws neighbours of nodes, neighbours of those, and so on, against the edges: what k layers read of the graph.

    .. math::
        V_0 = S, \qquad E_l = \{(u, v) : v \in V_{l-1} \setminus V_{l-2}, \; u \in \text{draw}_{k_l}(\mathcal N(v))\},
        \qquad V_l = V_{l-1} \cup \{u : (u, v) \in E_l\}

    It is a :class:`torch_geometric.sampler.BaseSampler`: torch_geometric's NodeLoader and LinkLoader take it as
    ``node_sampler=`` and ``link_sampler=``, and :class:`gnnseq.loader.NeighborLoader` makes both at once. It needs no
    pyg-lib and no torch-sparse, and its arguments are those of torch_geometric's sampler, which does. With enough
    neighbours drawn it is ``torch_geometric.utils.k_hop_subgraph``. Where there is a C compiler it is compiled code;
    NumPy draws the same samples without.

    The graph is held once, as compressed rows of 32-bit numbers; rows that you have are taken as they are. A sample
    follows from torch's random numbers, so that ``torch.manual_seed`` repeats it, in a loader's workers too; with
    ``seed``, from that and the seed nodes alone, whoever draws it and when.
    Hamilton, Ying and Leskovec 2017, https://arxiv.org/abs/1706.02216.

    Args:
        data: A graph with ``edge_index``, or compressed rows by target, such as
            ``gnnseq.kernels.Adjacency.of(edge_index, N).by_target``; these may lie in mapped files, and have an empty
            ``edge_id`` if edges are told by their places in the rows.
        num_neighbors: How many neighbours of a node are drawn in each hop; -1 for all.
        subgraph_type: ``"directional"``: the edges that were drawn; ``"bidirectional"``: and their reverses;
            ``"induced"``: all edges between the nodes.
        replace: Whether a neighbour can be drawn more than once.
        disjoint: Whether every seed gets a tree of its own, so that a node can be in several; always with times.
        temporal_strategy: ``"uniform"``, or ``"last"`` for the latest neighbours.
        time_attr: The attribute of nodes [N] or edges [E] that holds times. A tree reads nothing of a later time than
            its seed's, which is the loader's ``input_time``, or else the seed node's own.
        weight_attr: The attribute of edges [E] by which neighbours are drawn: one after another, in proportion to
            weights of 0 or more among those left. What weighs 0 is never drawn, but taken by -1.
        is_sorted: Changes nothing: whether edges are sorted is looked up.
        share_memory: Changes nothing: processes that are forked share what is never written.
        seed: If given, the same seed nodes always get the same sample.
        sample_direction: ``"forward"``, against the edges; the other is refused: give ``edge_index.flip(0)``.

    Shapes: of a sample ``node`` [n], the seeds first, in the order given, equal ones each in its place; ``row``, the
    sources, and ``col``, the targets, as places in it, and ``edge``, places in ``data.edge_index``, [m], hop by hop
    and target by target; ``batch``, the number of the seed whose tree a node is in, [n].

    Raises:
        ValueError: If an argument is out of its range, the graph is malformed, has nodes or edges of several kinds, or
            more than 2^31; when drawing, if a seed is no node, or has no time.

    Example:
        >>> from torch_geometric.loader import NodeLoader
        >>> from gnnseq.graphs import path_graph
        >>> data = path_graph(6)
        >>> loader = NodeLoader(data, NeighborSampler(data, [-1, -1]), input_nodes=torch.tensor([5]), batch_size=1)
        >>> batch = next(iter(loader))
        >>> batch.n_id.tolist(), batch.edge_index.tolist(), batch.e_id.tolist()
        ([5, 4, 3], [[1, 2], [0, 1]], [4, 3])
    """

    def __init__(
        self,
        data: Data | CSR,
        num_neighbors: Sequence[int] | NumNeighbors,
        subgraph_type: SubgraphType | str = "directional",
        replace: bool = False,
        disjoint: bool = False,
        temporal_strategy: str = "uniform",
        time_attr: str | None = None,
        weight_attr: str | None = None,
        is_sorted: bool = False,
        share_memory: bool = False,
        *,
        seed: int | None = None,
        sample_direction: str = "forward",
    ) -> None:
        if isinstance(data, HeteroData) or (isinstance(data, tuple) and not isinstance(data, CSR)):
            raise ValueError(f"data is a {type(data).__name__}, of nodes or edges of several kinds or held elsewhere; "
                             "expected a Data of one kind: use data.to_homogeneous()")  # fmt: skip
        if not isinstance(data, Data | CSR):
            raise ValueError(f"data is a {type(data).__name__}; expected a torch_geometric Data with edge_index, or "
                             "compressed rows, gnnseq.kernels.Adjacency.of(edge_index, N).by_target")  # fmt: skip
        if sample_direction != "forward":
            raise ValueError(f"sample_direction={sample_direction!r}; expected 'forward': to draw along the edges, "
                             "give a graph with edge_index.flip(0)")  # fmt: skip
        kinds = [kind.value for kind in SubgraphType]
        if (getattr(subgraph_type, "value", subgraph_type)) not in kinds:
            raise ValueError(f"subgraph_type={subgraph_type!r}; expected one of {', '.join(kinds)}")
        if temporal_strategy not in ("uniform", "last"):
            raise ValueError(f"temporal_strategy={temporal_strategy!r}; expected 'uniform' or 'last'")
        if temporal_strategy == "last" and (time_attr is None or weight_attr is not None):
            why = "without time_attr" if time_attr is None else "with weight_attr, of which only one can choose"
            raise ValueError(f"temporal_strategy='last' {why}; expected times alone, or 'uniform'")
        self.data_type = DataType.homogeneous
        self.num_neighbors = num_neighbors
        self.subgraph_type = SubgraphType(subgraph_type)
        self.replace, self._disjoint = flag(replace=replace), flag(disjoint=disjoint)
        self.temporal_strategy = temporal_strategy
        self.is_sorted, self.share_memory = flag(is_sorted=is_sorted), flag(share_memory=share_memory)
        self.seed = None if seed is None else whole(0, seed=seed)
        self.epoch: int | None = None  # what a loader says of an epoch, in place of seed
        self._times = Times.of(data, time_attr)
        self._rows = as_rows(data, self._times, weight_attr)
        self.num_nodes = self._rows.num_nodes

    @property
    def num_neighbors(self) -> list[int]:
        """How many neighbours of a node are drawn in each hop."""
        return self._num_neighbors

    @num_neighbors.setter
    def num_neighbors(self, given: Sequence[int] | NumNeighbors) -> None:
        values: Any = given.values if isinstance(given, NumNeighbors) else given
        if isinstance(values, dict):
            raise ValueError(f"num_neighbors={values!r} tells edges of several kinds apart; expected a list, a number "
                             "a hop")  # fmt: skip
        if isinstance(values, Tensor | np.ndarray):
            values = values.tolist()
        if isinstance(values, str) or not isinstance(values, Sequence):
            raise ValueError(f"num_neighbors={values!r}; expected a list, a number a hop, as [15, 10]")
        self._num_neighbors = [whole(-1, ", -1 for all", num_neighbors=k) for k in values]

    @property
    def disjoint(self) -> bool:
        """Whether every seed gets a tree of its own."""
        return self._disjoint or self._times is not None

    @property
    def is_temporal(self) -> bool:
        """Whether neighbours have times."""
        return self._times is not None

    @property
    def csr(self) -> CSR:
        """The graph: its rows, shared with whoever gave them."""
        return self._rows.csr

    @property
    def edge_permutation(self) -> None:
        """Nothing: edges are told by their places in the graph's own list."""
        return None

    def sample_from_nodes(self, index: NodeSamplerInput, **kwargs: Any) -> SamplerOutput:
        """Draws around nodes.

        Args:
            index: The nodes [B], which examples of the loader's they are, and their times.
            kwargs: Nothing that is read.
        """
        seed = self.check_seeds("seeds", index.node)
        time = None if self._times is None else self._times.of_seeds(seed, index.time, "input_time")
        if self._times is None and index.time is not None:
            raise ValueError("input_time without time_attr; expected both, or neither")
        out = self._draw(seed, time, self._key(seed))
        out.metadata = (index.input_id, time)
        return out

    def sample_from_edges(self, index: EdgeSamplerInput, neg_sampling: NegativeSampling | None = None) -> SamplerOutput:
        """Draws around both ends of links, and of links that are made up as ``neg_sampling`` says.

        Made-up links are drawn among all pairs of nodes, true ones too; where nodes have times, among those that are
        there at the time of the true link. In ``batch`` they count to the link whose time they share.

        Args:
            index: The links' sources and targets [B], labels and times.
            neg_sampling: How links are made up.
        """
        ends = self.check_seeds("seeds", torch.cat([index.row, index.col]))
        key = self._key(ends)
        links = LinkSeeds.of(index, NegativeSampling.cast(neg_sampling), self.num_nodes, self._times, key)
        if not self.disjoint:
            seed, place = links.seed.unique(return_inverse=True)
            out = self._draw(seed, None, key)
        else:
            place = torch.arange(links.seed.numel(), device="cpu")
            out = self._draw(links.seed, links.seed_time, key)
            out.batch = links.link[out.batch]
        out.metadata = links.metadata(index, place)
        return out

    def _draw(self, seed: Tensor, time: Tensor | None, key: int) -> SamplerOutput:
        drawn = sample(
            self._rows, seed, self._num_neighbors, key, disjoint=self.disjoint,
            limit=None if time is None or self._times is None else self._times.rank(time),
            replace=self.replace, last=self.temporal_strategy == "last",
            induced=self.subgraph_type == SubgraphType.induced,
        )  # fmt: skip
        out = SamplerOutput(drawn.node, drawn.row, drawn.col, drawn.edge, drawn.tree, drawn.num_nodes, drawn.num_edges)
        return out.to_bidirectional() if self.subgraph_type == SubgraphType.bidirectional else out

    def check_seeds(self, name: str, node: Tensor) -> Tensor:
        """Seeds, each a node. int64 [B]

        Args:
            name: What to call them.
            node: The seeds.

        Raises:
            ValueError: If one is none.
        """
        if node.dim() != 1 or node.dtype == torch.bool or node.is_floating_point() or node.is_complex():
            raise ValueError(
                f"{name} have shape {list(node.shape)} and type {node.dtype}; expected numbers of nodes [B]"
            )
        node = node.long()
        if node.numel() > 0:
            low, high = (int(bound) for bound in torch.aminmax(node))
            if low < 0 or high >= self.num_nodes:
                raise ValueError(f"{name} hold node {low if low < 0 else high}; expected 0..{self.num_nodes - 1} for "
                                 f"{self.num_nodes} nodes")  # fmt: skip
        return node

    def _key(self, seed: Tensor) -> int:
        """Which of all possible samples. 64 bits with a sign"""
        which = self.seed if self.seed is not None else self.epoch
        if which is None:
            return int(torch.randint(2**63 - 1, (), device="cpu"))
        # A sum of products of all at once, which wraps: the order of seeds counts, as it does in a sample.
        turn = torch.arange(1, seed.numel() + 1, device="cpu") * -7046029254386353131
        mixed = (seed + 1) * (turn ^ (turn >> 29))
        return _signed(int((mixed ^ (mixed >> 31)).sum()) + which * 0x9E3779B97F4A7C15)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._num_neighbors})"


def _signed(number: int) -> int:
    """The lowest 64 bits, with a sign."""
    return (number + 2**63) % 2**64 - 2**63
