"""The gated graph network: a GRU whose input is the summed messages, in synchronous rounds on any graph."""

from typing import Any, ClassVar

import torch
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn import functional

from gnnseq.checks import check_one_device, check_parameter, check_type, flag, named_as_peers, whole
from gnnseq.graphs import as_edge_index
from gnnseq.kernels import aggregate
from gnnseq.kernels.gated_round import GRUWeights, gated_round
from gnnseq.layers.graph_cache import NormalizedGraph
from gnnseq.message_passing import ScheduledMessagePassing, check_settings, needs_messages
from gnnseq.schedule import synchronous
from gnnseq.schedule.reachability import dependence
from gnnseq.tracing import is_recording

__all__ = ["GatedGraph"]

_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


class GatedGraph(ScheduledMessagePassing):
    r"""Gated graph network.

    .. math:: h^0_i = (x_i, 0), \qquad h^{t+1}_i = \mathrm{GRU}\Big(\sum_{j \to i} w_{ji} W_t h^t_j,\; h^t_i\Big)

    Unlike :class:`gnnseq.layers.GRU` a node reads its own previous state, so k rounds reach exactly k hops. Same
    numbers and parameter names as torch_geometric's GatedGraphConv. Li et al. 2016, https://arxiv.org/abs/1511.05493.

    Args:
        out_channels: Width H of the states; inputs may be narrower.
        num_rounds: Rounds k, each with its own W_t; ``num_layers``, GatedGraphConv's name, is another. The attribute
            may be lowered later: the first W_t are used.
        bias: Whether the GRU has biases.
        aggr: ``"sum"`` or ``"add"``, which is the same; GatedGraphConv's others are refused.
        flow: ``"source_to_target"``; the other is refused: give ``edge_index.flip(0)``.

    Shapes: x [N, F] with F <= H, edge_index as in :func:`gnnseq.graphs.as_edge_index`, edge_weight [E]; returns
    [N, H].

    Raises:
        ValueError: If an argument is out of its range, x is wider than out_channels, or the graph is malformed.

    Example:
        >>> from gnnseq.graphs import path_graph
        >>> GatedGraph(8, num_rounds=2)(torch.ones(5, 3), path_graph(5, undirected=True).edge_index).shape
        torch.Size([5, 8])
    """

    propagate_type: ClassVar[dict[str, Any]] = {**ScheduledMessagePassing.propagate_type, "weight": Tensor}

    @named_as_peers(num_layers="num_rounds")
    def __init__(
        self,
        out_channels: int,
        num_rounds: int,
        *,
        bias: bool = True,
        aggr: str = "sum",
        flow: str = "source_to_target",
    ) -> None:
        self.out_channels = self.state_channels = width = whole(1, out_channels=out_channels)
        self.num_rounds = whole(1, num_rounds=num_rounds)
        bias = flag(bias=bias)
        super().__init__(aggr=aggr, flow=flow)
        check_settings(self)
        self.weight = nn.Parameter(torch.empty(self.num_rounds, width, width))
        self.rnn = nn.GRUCell(width, width, bias=bias)
        self._graph = NormalizedGraph()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draws W uniformly within 1 / sqrt(H) and the GRU as torch does."""
        nn.init.uniform_(self.weight, -(self.out_channels**-0.5), self.out_channels**-0.5)
        self.rnn.reset_parameters()

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor | None = None) -> Tensor:
        """The states after all rounds. [N, H]"""
        check_settings(self)
        self._check_parameters()
        kernels = self.weight[: self._rounds()]
        check_type(x, self.weight)
        if x.dim() != 2 or x.size(1) > self.out_channels:
            raise ValueError(f"x has shape {list(x.shape)}; expected [N, F] with F up to {self.out_channels}")
        check_one_device(x=x, edge_index=edge_index, parameters=self.weight)
        # Rounding adds up over rounds, so that mixed precision leaves them in the parameters' own.
        with torch.autocast(x.device.type, enabled=False):
            h = functional.pad(x.to(self.weight.dtype), (0, self.out_channels - x.size(1)))
            if needs_messages(self):
                once = self.masked(synchronous(edge_index, x.size(0), edge_weight=edge_weight))
                for weight in kernels:
                    h = self.run(h, once, h, weight=weight)
                return h
            if is_recording():
                edge_index, edge_weight = self._normalize(*as_edge_index(edge_index, x.size(0), edge_weight), x.size(0))
                source, target = edge_index
                for weight in kernels:
                    messages = edge_weight.unsqueeze(1) * h.index_select(0, source)
                    h = self.rnn(torch.zeros_like(h).index_add(0, target, messages) @ weight, h)
                return h
            graph, edge_weight = self._graph.normalized(
                edge_index, edge_weight, x.size(0), self._normalize, self.weight.dtype
            )
            cell = self._cell()
            for weight in kernels:
                if cell is None:
                    h = self.rnn(aggregate(h, edge_weight, graph) @ weight, h)  # one product a node, none an edge
                else:
                    h = gated_round(h, edge_weight, graph, weight, cell)
        return h

    def message(self, state_j: Tensor, edge_weight: Tensor, weight: Tensor) -> Tensor:
        """w_ji W_t h_j. [e, H]"""
        return edge_weight * (state_j @ weight)

    def update(self, aggregated: Tensor, state: tuple[Tensor, Tensor]) -> Tensor:
        """The GRU, fed the sum, from the node's own state. [n, H]"""
        fired: Tensor = self.rnn(aggregated, state[1])
        return fired

    def reach(self, edge_index: Tensor, num_nodes: int) -> csr_array:
        """Row v holds the nodes within num_rounds hops of v, against the edges. Boolean [N, N]."""
        return dependence(synchronous(edge_index, num_nodes, self._rounds() + 1))

    @property
    def num_layers(self) -> int:
        """num_rounds, by GatedGraphConv's name."""
        return self.num_rounds

    def _check_parameters(self) -> None:
        """Raises a ValueError if one has another shape or type than the layer was made with."""
        width, weight = self.out_channels, self.weight
        check_parameter("weight", weight, (weight.size(0) if weight.dim() else 0, width, width), weight.dtype)
        if type(self.rnn) is nn.GRUCell:
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):  # not what these may be computed from
                shape = (3 * width, width) if name.startswith("weight") else (3 * width,)
                check_parameter(f"rnn.{name}", getattr(self.rnn, name), shape, weight.dtype)

    def _cell(self) -> GRUWeights | None:
        """The GRU's parameters; None if somebody altered or watches it, so that it is to be called."""
        rnn = self.rnn
        plain = type(rnn) is nn.GRUCell and not any(getattr(rnn, name) for name in _HOOKS)
        return (rnn.weight_ih, rnn.weight_hh, rnn.bias_ih, rnn.bias_hh) if plain else None

    def _rounds(self) -> int:
        """num_rounds, if it still is a number of rounds that have kernels."""
        rounds = whole(1, num_rounds=self.num_rounds)
        most = len(self.weight)
        if rounds > most:
            raise ValueError(f"num_rounds={rounds} and weight has {most}; expected {most} rounds or fewer: make "
                             "another layer for more")  # fmt: skip
        return rounds

    def _normalize(self, edge_index: Tensor, edge_weight: Tensor | None, num_nodes: int) -> tuple[Tensor, Tensor]:
        """The weights as they are given, 1 if they are not."""
        if edge_weight is None:
            edge_weight = torch.ones(edge_index.size(1), device=edge_index.device)
        return edge_index, edge_weight.to(self.weight.dtype)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.out_channels}, num_rounds={self.num_rounds})"
