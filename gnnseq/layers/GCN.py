"""The graph convolution of Kipf and Welling."""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parameter import is_lazy
from torch_geometric.utils import is_torch_sparse_tensor

from gnnseq.checks import check_one_device, check_parameter, check_type, flag, lazy_width, named_beyond_places, whole
from gnnseq.edge_masks import MaskedMessagePassing
from gnnseq.graphs import as_edge_index
from gnnseq.kernels import Adjacency
from gnnseq.kernels.gcn_adjacency import gcn_adjacency
from gnnseq.kernels.graph_convolution import graph_convolution
from gnnseq.kernels.memo import Memo
from gnnseq.kernels.sparse_features import sparse_product
from gnnseq.kernels.spmm import aggregate_nodes
from gnnseq.layers.graph_cache import NormalizedGraph
from gnnseq.layers.initialization import LazyMap, check_init, reset_map
from gnnseq.message_passing import check_settings, needs_messages
from gnnseq.normalization import DegreeError, gcn_normalize
from gnnseq.tracing import is_recording

__all__ = ["GCN"]


class GCN(MaskedMessagePassing):
    r"""One round of synchronous message passing with a symmetrically normalised adjacency.

    .. math::
        x'_i = W \sum_{j \in \mathcal N(i) \cup \{i\}} \frac{w_{ji}}{\sqrt{d^{out}_j d^{in}_i}} x_j + b,
        \qquad X' = D^{-1/2} (A + I) D^{-1/2} X W^\top + b

    k layers reach exactly k hops. On undirected graphs, u -> v and v -> u with one weight, this is torch_geometric's
    GCNConv: same numbers, parameter names, so its state_dict loads, and arguments; those after ``improved`` are by name
    alone. It differs in four cases. On directed graphs, and with a weight for each direction, the source is normalised
    by its out-degree, not by its in-degree, so that messages of nodes without incoming edges are not lost. Therefore
    the gradient of an ``edge_weight`` with an entry for each direction differs even where the two are equal; that of
    one parameter used for both is GCNConv's. A negative degree is an error instead of NaN. And ``improved`` means
    A + 2I on unweighted graphs too, where GCNConv 2.8.1 silently leaves it at A + I. The normalised graph is
    remembered, and recomputed when a number in it changes.
    Kipf and Welling 2017, https://arxiv.org/abs/1609.02907.

    Args:
        in_channels: Width F of the inputs; -1 to take it from the first call, or from a state_dict that is loaded.
            Until then ``lin.weight`` has no shape: call the layer once before you count, compile or trace it.
        out_channels: Width of the outputs.
        improved: Whether self-loops weigh 2 instead of 1.
        cached: Changes nothing. GCNConv's flag keeps the first graph's normalisation for every later graph; here it is
            always remembered, and recomputed for another graph, so that True is always safe.
        add_self_loops: Whether nodes without a self-loop get one; one that is there keeps its weight. As ``normalize``
            is if None.
        normalize: Whether weights are divided by the degrees' roots; if not, no self-loops are added either.
        bias: Whether a bias is added.
        aggr: ``"sum"`` or ``"add"``, which is the same; GCNConv's others are refused.
        flow: ``"source_to_target"``; the other is refused: give ``edge_index.flip(0)``.

    Attributes:
        lin: The linear map W. Another module in its place, adapted, quantised or with a bias, is called on x, as
            GCNConv does it.

    Shapes: x [..., N, F], or a torch.sparse matrix [N, F], which gets no gradient; edge_index [2, E], an EdgeIndex, or
    a torch.sparse adjacency [N, N] whose row is the target and whose values are the weights; edge_weight [E]; returns
    [..., N, out_channels].

    Raises:
        ValueError: If an argument is out of its range, x or the graph is malformed, or a degree is negative.

    Example:
        >>> from gnnseq.graphs import path_graph
        >>> layer = GCN(-1, 8)
        >>> layer(torch.ones(5, 3), path_graph(5, undirected=True).edge_index).shape, layer
        (torch.Size([5, 8]), GCN(3, 8))
    """

    cached = False  # of layers pickled before it was asked for

    @named_beyond_places
    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        improved: bool = False,
        *,
        cached: bool = False,
        add_self_loops: bool | None = None,
        normalize: bool = True,
        bias: bool = True,
        aggr: str = "sum",
        flow: str = "source_to_target",
    ) -> None:
        bias = flag(bias=bias)
        self.in_channels = lazy_width(in_channels=in_channels)
        self.out_channels = whole(0, out_channels=out_channels)
        self.improved = flag(improved=improved)
        self.cached = flag(cached=cached)
        self.normalize = flag(normalize=normalize)
        self.add_self_loops = self.normalize if add_self_loops is None else flag(add_self_loops=add_self_loops)
        if self.add_self_loops and not self.normalize:
            raise ValueError("add_self_loops=True and normalize=False; GCN does not support adding self-loops without "
                             "normalisation: use torch_geometric.utils.add_self_loops on the graph")  # fmt: skip
        super().__init__(aggr=aggr, flow=flow)
        check_settings(self)
        self.lin = (
            LazyMap(self.out_channels)
            if self.in_channels < 0
            else nn.Linear(self.in_channels, self.out_channels, bias=False)
        )
        self.register_parameter("bias", nn.Parameter(torch.empty(self.out_channels)) if bias else None)
        self._graph = NormalizedGraph()
        self._features: Memo[Adjacency] = Memo()  # of sparse inputs
        self.reset_parameters()

    def reset_parameters(self, init: str = "glorot") -> None:
        """Draws the kernel anew and sets the bias to zero.

        Args:
            init: ``"glorot"``: uniform, Glorot and Bengio 2010, as torch_geometric does; ``"he"``: normal with variance
                2 / F, He et al. 2015; ``"orthogonal"``: Saxe et al. 2014; ``"torch"``: as torch.nn.Linear. Of another
                module in ``lin``'s place see :func:`gnnseq.layers.initialization.reset_map`.

        Raises:
            ValueError: If init is unknown, or the module in ``lin``'s place cannot be drawn so.
        """
        check_init(init, ("glorot", "he", "orthogonal", "torch"))
        reset_map(self.lin, init)
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        """The layer's output. [..., N, out_channels]"""
        self._check(x, edge_index)
        num_nodes = x.size(-2)
        dtype = self._dtype(x)
        recording = is_recording()
        if recording or needs_messages(self):
            edges, weight = as_edge_index(edge_index, num_nodes, edge_weight)
            edge_id = self.mask_places(edges) if self.explain else None
            edges, weight = self._normalize(edges, weight, num_nodes, dtype)
            narrow = recording and self._has_plain_map()
            return self._convolve(x, partial(self._sum_messages, edges, weight, edge_id), narrow)
        graph, edge_weight = self._normalized(edge_index, edge_weight, num_nodes, dtype)
        if self._is_hooked():
            return self._convolve(x, partial(aggregate_nodes, weight=edge_weight, adjacency=graph))
        return graph_convolution(x, self.lin.weight, self.bias, graph, edge_weight, self._features)

    def message(self, x_j: Tensor, edge_weight: Tensor) -> Tensor:
        """The weighted features of the source. [..., e, F]"""
        return edge_weight.unsqueeze(-1) * x_j

    def reach(self, edge_index: Tensor, num_nodes: int) -> csr_array:
        """Row v holds v's neighbours, against the edges, and v itself if it has a self-loop. Boolean [N, N]."""
        edges, _ = as_edge_index(edge_index, num_nodes)
        (source, target), weight = self._normalize(edges, None, num_nodes, torch.float32)
        kept = weight.detach() != 0
        ends = target[kept].cpu().numpy(), source[kept].cpu().numpy()
        return csr_array((kept[kept].cpu().numpy(), ends), shape=(num_nodes, num_nodes))

    def neighbour_weights(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> csr_array:
        """What :meth:`forward` multiplies the rows by that it sums: row v, a column for each source. [N, N]"""
        num_nodes = x.size(-2)
        graph, weight = self._normalized(edge_index, edge_weight, num_nodes, self._dtype(x))
        rows = graph.by_target
        numbers = rows.weight if weight is None else weight.detach().index_select(0, rows.edge_id)
        assert numbers is not None
        parts = (part.cpu().numpy() for part in (numbers, rows.indices, rows.indptr))
        return csr_array(tuple(parts), shape=(num_nodes, num_nodes), copy=True)  # scipy sorts in place

    def between(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor, num_targets: int) -> Tensor:
        """The equation from some nodes to others, over edges whose weights are normalised. [num_targets, out_channels]

        Args:
            x: Features of the sources. [P, F]
            edge_index: Places of sources, above places of targets. [2, e]
            edge_weight: What the rows are multiplied by. [e]
            num_targets: How many rows are wanted.
        """
        graph = Adjacency.of(edge_index, num_targets, len(x)).weighted(edge_weight)
        return self._convolve(x, partial(aggregate_nodes, weight=None, adjacency=graph), self._has_plain_map())

    def _dtype(self, x: Tensor) -> torch.dtype:
        return self.lin.weight.dtype if type(self.lin) is nn.Linear else x.dtype

    def _normalized(
        self, edge_index: Tensor, edge_weight: Tensor | None, num_nodes: int, dtype: torch.dtype
    ) -> tuple[Adjacency, Tensor | None]:
        """The edges to sum over, and their weights if they do not carry them: as is remembered of the last graph."""
        options = (self.normalize, self.add_self_loops, self.improved, dtype)
        return self._graph.normalized(
            edge_index, edge_weight, num_nodes, partial(self._normalize, dtype=dtype), options,
            self.normalize and self.add_self_loops,
            partial(gcn_adjacency, improved=self.improved, add_self_loops=self.add_self_loops)
            if self.normalize and dtype == torch.float32 else None,
        )  # fmt: skip

    def _convolve(self, x: Tensor, sum_neighbours: Callable[[Tensor], Tensor], narrow: bool = False) -> Tensor:
        """The equation, part by part, for hooks, explainers and compilers to see. [..., N, out_channels]

        Args:
            x: Features. [..., N, F]
            sum_neighbours: Makes the sums over neighbours of what they send.
            narrow: Whether they send whichever of W x and x is narrower, and not W x, as GCNConv's nodes do.
        """
        if is_torch_sparse_tensor(x):
            plain = self._has_plain_map()
            x = sum_neighbours(sparse_product(x, self.lin.weight, self._features) if plain else self.lin(x.to_dense()))
        elif narrow and self.in_channels <= self.out_channels:
            x = self.lin(sum_neighbours(x))
        else:
            x = sum_neighbours(self.lin(x))
        return x if self.bias is None else x + self.bias

    def _sum_messages(self, edge_index: Tensor, edge_weight: Tensor, edge_id: Tensor | None, x: Tensor) -> Tensor:
        """The sum over sources of a message for every edge. [..., N, F]"""
        size, weight = (x.size(-2), x.size(-2)), edge_weight.to(x.dtype)
        if edge_id is not None:  # no mask is of the self-loops, which stand last
            edge_id = functional.pad(edge_id, (0, edge_index.size(1) - edge_id.numel()), value=-1)
        summed: Tensor = self.propagate(edge_index, size=size, x=x, edge_weight=weight, edge_id=edge_id)
        return summed

    def _normalize(
        self, edge_index: Tensor, edge_weight: Tensor | None, num_nodes: int, dtype: torch.dtype
    ) -> tuple[Tensor, Tensor]:
        """The edges and weights to sum over, self-loops included."""
        if edge_weight is None:
            edge_weight = torch.ones(edge_index.size(1), dtype=dtype, device=edge_index.device)
        # Degrees are sums of many weights: half precision would lose them.
        edge_weight = edge_weight.to(torch.promote_types(edge_weight.dtype, torch.float32))
        if not self.normalize:
            return edge_index, edge_weight
        options = {"improved": self.improved, "add_self_loops": self.add_self_loops}
        try:
            return gcn_normalize(edge_index, edge_weight, num_nodes, **options)
        except DegreeError as error:
            raise DegreeError(error.node, error.end, error.degree, option=", or normalize=False") from None

    def _is_hooked(self) -> bool:
        """Whether the linear map must be called: it has hooks, or another module is in its place."""
        lin = self.lin
        hooks = lin._forward_hooks, lin._forward_pre_hooks, lin._backward_hooks, lin._backward_pre_hooks
        return not self._has_plain_map() or any(hooks) or nn.modules.module._has_any_global_hook()

    def _has_plain_map(self) -> bool:
        """Whether the linear map is the product with a weight and nothing else: quantised or adapted ones are not."""
        lin = self.lin
        plain = type(lin) is nn.Linear and lin._parameters.get("bias") is None and "forward" not in lin.__dict__
        return plain and type(lin._parameters.get("weight")) in (nn.Parameter, Tensor)

    def _check(self, x: Any, edge_index: Tensor) -> None:
        check_settings(self)
        weight = x
        if type(self.lin) is nn.Linear:
            weight = self.lin.weight
            wide, high, bias, dtype = self.in_channels, self.out_channels, self._parameters.get("bias"), weight.dtype
            if weight.shape != (high, wide) and (wide >= 0 or weight.dim() != 2 or weight.size(0) != high):
                check_parameter("lin.weight", weight, (high, wide), dtype)
            if bias is not None and (bias.shape != (high,) or bias.dtype != dtype):
                check_parameter("bias", bias, (high,), dtype)
            check_type(x, weight, sparse=True)
        elif not isinstance(x, Tensor) or not x.is_floating_point():  # of which type, such a map says itself
            kind = f"has type {x.dtype}" if isinstance(x, Tensor) else f"is a {type(x).__name__}"
            raise ValueError(f"x {kind}; expected floating point: use x.float()")
        if x.dim() < 2 or x.size(-1) != self.in_channels:
            if x.dim() < 2 or self.in_channels >= 0:
                width = self.in_channels if self.in_channels >= 0 else "F"
                raise ValueError(f"x has shape {list(x.shape)}; expected [..., N, {width}]")
            self._take_width(x)
        if is_torch_sparse_tensor(x):
            if x.requires_grad:
                raise ValueError("x is sparse and requires grad, and sparse features get none; use x.to_dense()")
            if x.dim() != 2 or x.dense_dim() != 0:
                raise ValueError(f"x is sparse, of shape {list(x.shape)} with {x.dense_dim()} dense dimensions; "
                                 f"expected a matrix [N, {self.in_channels}] with none: give x.to_dense()")  # fmt: skip
        check_one_device(x=x, edge_index=edge_index, parameters=weight)

    def _take_width(self, x: Tensor) -> None:
        """Makes the linear map of the width of the first inputs [..., N, F]."""
        if isinstance(self.lin, LazyMap):
            check_type(x, self.lin.weight, sparse=True)
            check_one_device(x=x, parameters=self.lin.weight)
            if is_recording():
                raise ValueError("in_channels=-1 and lin.weight has no shape yet, which no compiler can trace; call "
                                 "the layer once before")  # fmt: skip
            self.lin.materialize(x.size(-1))
        self.in_channels = x.size(-1)

    def _load_from_state_dict(self, state_dict: dict[str, Any], prefix: str, *args: Any) -> None:
        """Loads a width that is known into a layer that awaits its own, and the other way round."""
        weight = state_dict.get(f"{prefix}lin.weight")
        if isinstance(weight, Tensor) and is_lazy(weight):
            if type(self.lin) is nn.Linear:
                self.lin = LazyMap(self.out_channels, self.lin.weight.device, self.lin.weight.dtype)
                self.in_channels = -1
        elif isinstance(weight, Tensor) and weight.dim() == 2 and self.in_channels < 0:
            self.in_channels = weight.size(1)
        super()._load_from_state_dict(state_dict, prefix, *args)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.in_channels}, {self.out_channels})"
