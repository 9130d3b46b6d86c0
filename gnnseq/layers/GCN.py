"""The graph convolution of Kipf and Welling."""

from functools import partial

import torch
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch_geometric import EdgeIndex
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import is_torch_sparse_tensor

from gnnseq.checks import check_one_device, check_type, check_whole
from gnnseq.graphs import as_edge_index, check_edge_weight
from gnnseq.kernels import Adjacency, aggregate, is_traced
from gnnseq.kernels.graph_convolution import check_compressed, check_listed, feature_product
from gnnseq.layers.graph_cache import Memo
from gnnseq.layers.initialization import check_init
from gnnseq.message_passing import is_watched
from gnnseq.normalization import gcn_normalize

__all__ = ["GCN"]


class GCN(MessagePassing):
    r"""One round of synchronous message passing with a symmetrically normalised adjacency.

    .. math::
        x'_i = W \sum_{j \in \mathcal N(i) \cup \{i\}} \frac{w_{ji}}{\sqrt{d^{out}_j d^{in}_i}} x_j + b,
        \qquad X' = D^{-1/2} (A + I) D^{-1/2} X W^\top + b

    k layers reach exactly k hops. On undirected graphs this is torch_geometric's GCNConv: same signature, numbers and
    parameter names, so its state_dict loads. It differs where that layer slips: on directed graphs the source's
    out-degree is used beside the target's in-degree, so that a node nobody points to keeps its voice; a negative
    degree is an error instead of NaN; and ``improved`` means A + 2I also on unweighted graphs, where GCNConv 2.8.1
    silently leaves it at A + I. The normalised graph is remembered, and recomputed whenever a number in it changes.
    Kipf and Welling 2017, https://arxiv.org/abs/1609.02907.

    Args:
        in_channels: Width F of the inputs.
        out_channels: Width of the outputs.
        improved: Whether self-loops weigh 2 instead of 1.
        add_self_loops: Whether nodes without a self-loop get one; one that is there keeps its weight.
        normalize: Whether weights are divided by the degrees' roots; where not, no self-loops are added either.
        bias: Whether a bias is added.

    Shapes: x [..., N, F], or a torch.sparse matrix [N, F], which gets no gradient; edge_index [2, E], an EdgeIndex, or
    a torch.sparse adjacency [N, N] whose row is the target and whose values are the weights; edge_weight [E]; gives
    [..., N, out_channels].

    Raises:
        ValueError: If x or the graph is malformed, or a degree is negative.

    Example:
        >>> from gnnseq.graphs import path_graph
        >>> GCN(3, 8)(torch.ones(5, 3), path_graph(5, undirected=True).edge_index).shape
        torch.Size([5, 8])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        improved: bool = False,
        add_self_loops: bool = True,
        normalize: bool = True,
        bias: bool = True,
    ) -> None:
        super().__init__(aggr="sum")
        check_whole(0, in_channels=in_channels, out_channels=out_channels)
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.improved = improved
        self.add_self_loops = add_self_loops
        self.normalize = normalize
        self.lin = nn.Linear(in_channels, out_channels, bias=False)
        self.register_parameter("bias", nn.Parameter(torch.empty(out_channels)) if bias else None)
        self._adjacency: Memo[Adjacency] = Memo()
        self._weighted: Memo[Adjacency] = Memo()
        self._features: Memo[Adjacency] = Memo()
        self.reset_parameters()

    def reset_parameters(self, init: str = "glorot") -> None:
        """Draws the kernel anew and sets the bias to zero.

        Args:
            init: ``"glorot"``: uniform, Glorot and Bengio 2010, as torch_geometric does; ``"he"``: normal with variance
                2 / F, He et al. 2015; ``"orthogonal"``: Saxe et al. 2014; ``"torch"``: as torch.nn.Linear.
        """
        check_init(init, ("glorot", "he", "orthogonal", "torch"))
        if init == "glorot":
            nn.init.xavier_uniform_(self.lin.weight)
        elif init == "he":
            nn.init.kaiming_normal_(self.lin.weight, nonlinearity="relu")
        elif init == "orthogonal":
            nn.init.orthogonal_(self.lin.weight)
        else:
            self.lin.reset_parameters()
        if self.bias is not None:
            nn.init.zeros_(self.bias)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        """The layer's output. [..., N, out_channels]"""
        self._check(x, edge_index)
        hooked, sparse, num_nodes = self._is_hooked(), is_torch_sparse_tensor(x), x.size(-2)
        # The product is taken on whichever side of the aggregation is narrower; last where both are the same, because
        # an aggregation of inputs that need no gradient needs no backward pass.
        narrows = sparse or self.out_channels < self.in_channels
        product = None
        if torch.compiler.is_compiling() or is_watched(self):
            sum_up = partial(self._send, self._weigh(*as_edge_index(edge_index, num_nodes, edge_weight), num_nodes))
        else:
            adjacency, weight = self._prepare(edge_index, edge_weight, num_nodes)
            sum_up = partial(self._aggregate, adjacency, weight)
            if narrows and not hooked and weight is None:
                convolved = feature_product(x, self.lin.weight, adjacency, self.bias)
                if convolved is not None:
                    return convolved
            elif narrows and not hooked:
                product = feature_product(x, self.lin.weight)
        if narrows and product is None:
            product = self._multiply_sparse(x) if sparse else self.lin(x)
        x = self.lin(sum_up(x)) if product is None else sum_up(product)
        if self.bias is None:
            return x
        return x + self.bias if hooked or is_traced(self.bias) else x.add_(self.bias)

    def _is_hooked(self) -> bool:
        """Whether somebody wants to see the linear map called, or has put another module in its place."""
        lin = self.lin
        hooks = lin._forward_hooks, lin._forward_pre_hooks, lin._backward_hooks, lin._backward_pre_hooks
        other = type(lin) is not nn.Linear or lin._parameters.get("bias") is not None or "forward" in vars(lin)
        return other or any(hooks) or nn.modules.module._has_any_global_hook()

    @torch.compiler.disable  # type: ignore[untyped-decorator]  # it cannot trace sparse tensors
    def _multiply_sparse(self, x: Tensor) -> Tensor:
        """The product of sparse features with the kernel: each node sums the kernel's columns of its features."""
        if x.layout == torch.sparse_csr:
            parts = x.crow_indices(), x.col_indices(), x.values()
        else:
            x = x.to_sparse_coo().coalesce()
            parts = x.indices()[0], x.indices()[1], x.values()
        shape = x.size(0), x.size(1)

        def compress() -> Adjacency:
            row, feature, value = parts
            if x.layout == torch.sparse_csr:
                check_compressed(row, feature, value, shape)
                row = torch.repeat_interleave(torch.arange(x.size(0), device=row.device), row.diff())
            check_listed("row", row, x.size(0))
            check_listed("column", feature, x.size(1))
            return Adjacency.of(torch.stack([feature, row]), *shape).weighted(value)

        return aggregate(self.lin.weight.t(), None, self._features.get(parts, (x.layout, x.shape), compress))

    def message(self, x_j: Tensor, edge_weight: Tensor) -> Tensor:
        """The weighted features of the source. [..., e, F]"""
        return edge_weight.unsqueeze(-1) * x_j

    def explain_message(self, inputs: Tensor) -> Tensor:
        """Masks the messages of the listed edges, for torch_geometric's explainers; the self-loops' stay."""
        edge_mask = self._edge_mask.sigmoid() if self._apply_sigmoid else self._edge_mask
        loops = edge_mask.new_ones(inputs.size(self.node_dim) - edge_mask.size(0))
        return inputs * torch.cat([edge_mask, loops]).unsqueeze(-1)

    def reach(self, edge_index: Tensor, num_nodes: int) -> csr_array:
        """Row v holds v's neighbours, against the edges, and v itself where it has a self-loop. Boolean [N, N]."""
        (source, target), weight = self._weigh(*as_edge_index(edge_index, num_nodes), num_nodes)
        kept = weight.detach() != 0
        ends = target[kept].cpu().numpy(), source[kept].cpu().numpy()
        return csr_array((kept[kept].cpu().numpy(), ends), shape=(num_nodes, num_nodes))

    def _send(self, graph: tuple[Tensor, Tensor], x: Tensor) -> Tensor:
        """The sum over sources of a message for every edge. [..., N, F]"""
        edge_index, edge_weight = graph
        size = x.size(-2), x.size(-2)
        summed: Tensor = self.propagate(edge_index, size=size, x=x, edge_weight=edge_weight.to(x.dtype))
        return summed

    def _aggregate(self, adjacency: Adjacency, weight: Tensor | None, x: Tensor) -> Tensor:
        """The same without messages. [..., N, F]"""
        if x.dim() == 2:
            return aggregate(x, weight, adjacency)
        wide = x.movedim(-2, 0)  # [N, ..., F]: one aggregation for all
        return aggregate(wide.flatten(1), weight, adjacency).view(wide.shape).movedim(0, -2)

    def _prepare(self, graph: Tensor, edge_weight: Tensor | None, num_nodes: int) -> tuple[Adjacency, Tensor | None]:
        """The compressed edges, remembered where they are the same numbers as last time, and weights to learn."""
        plain = all(isinstance(given, Tensor) for given in (graph, edge_weight) if given is not None)
        if not plain or is_torch_sparse_tensor(graph):
            graph, edge_weight = as_edge_index(graph, num_nodes, edge_weight)
        edge_index = graph.as_tensor() if isinstance(graph, EdgeIndex) else graph

        def compress() -> Adjacency:
            checked, _ = as_edge_index(edge_index, num_nodes)
            return Adjacency.of(self._weigh(checked, None, num_nodes)[0], num_nodes)

        def weigh() -> Tensor:
            if edge_weight is not None:
                check_edge_weight(edge_weight, edge_index)
            return self._weigh(edge_index, edge_weight, num_nodes)[1]

        options = (num_nodes, self.normalize, self.add_self_loops, self.improved, self.lin.weight.dtype)
        adjacency = self._adjacency.get((edge_index,), options, compress)
        if edge_weight is not None:
            learnable = edge_weight.requires_grad and torch.is_grad_enabled()
            if learnable or forward_ad.unpack_dual(edge_weight).tangent is not None:
                return adjacency, weigh()
        return self._weighted.get((edge_weight,), adjacency, lambda: adjacency.weighted(weigh())), None

    def _weigh(self, edge_index: Tensor, edge_weight: Tensor | None, num_nodes: int) -> tuple[Tensor, Tensor]:
        """The edges and weights to sum over, self-loops included."""
        if edge_weight is None:
            edge_weight = torch.ones(edge_index.size(1), dtype=self.lin.weight.dtype, device=edge_index.device)
        # Degrees are sums of many weights: half precision would lose them.
        edge_weight = edge_weight.to(torch.promote_types(edge_weight.dtype, torch.float32))
        if not self.normalize:
            return edge_index, edge_weight
        return gcn_normalize(
            edge_index, edge_weight, num_nodes, improved=self.improved, add_self_loops=self.add_self_loops
        )

    def _check(self, x: Tensor, edge_index: Tensor) -> None:
        weight = self.lin.weight
        check_type(x, weight)
        if x.dim() < 2 or x.size(-1) != self.in_channels:
            raise ValueError(f"x has shape {list(x.shape)}; expected [..., N, {self.in_channels}]")
        if is_torch_sparse_tensor(x):
            if x.requires_grad:
                raise ValueError("x is sparse and requires grad, and sparse features get none; use x.to_dense()")
            if x.dim() != 2 or x.dense_dim() != 0:
                raise ValueError(f"x is sparse, of shape {list(x.shape)} with {x.dense_dim()} dense dimensions; "
                                 f"expected a matrix [N, {self.in_channels}] with none: give x.to_dense()")  # fmt: skip
        check_one_device(x=x, edge_index=edge_index, parameters=weight)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.in_channels}, {self.out_channels})"
