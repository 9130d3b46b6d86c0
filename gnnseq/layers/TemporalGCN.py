"""Graphs in time: a recurrence over time and a graph convolution over relations, in three orders.

Letters: T time steps, N nodes, F input channels, H hidden channels, L layers, E edges of a snapshot.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from gnnseq.checks import check_type, check_whole
from gnnseq.graphs import as_edge_index, gcn_normalize
from gnnseq.layers.GCN import GCN
from gnnseq.layers.GRU import GRU
from gnnseq.layers.LSTM import LSTM
from gnnseq.layers.recurrent import Recurrent
from gnnseq.layers.RNN import RNN
from gnnseq.schedule import packed_paths, synchronous

__all__ = ["TemporalGCN"]

ORDERS = ("time_then_space", "space_then_time", "space_time")
RECURRENT: dict[str, type[Recurrent]] = {"LSTM": LSTM, "RNN": RNN, "GRU": GRU}

State = Tensor | tuple[Tensor, ...]


class TemporalGCN(nn.Module):
    """A recurrence over time and a graph convolution over relations.

    Args:
        in_channels: Width F of the inputs.
        hidden_channels: Width H of the states.
        out_channels: Width of the outputs.
        order: ``"time_then_space"``, ``"space_then_time"`` or ``"space_time"``.
        recurrent: ``"LSTM"``, ``"RNN"`` or ``"GRU"``.
        num_layers: Layers of the recurrence, stacked.

    Raises:
        ValueError: If an argument is out of its range.
    """

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        out_channels: int,
        order: str = "time_then_space",
        recurrent: str = "LSTM",
        num_layers: int = 1,
    ) -> None:
        super().__init__()
        check_whole(0, in_channels=in_channels, out_channels=out_channels)
        if order not in ORDERS:
            raise ValueError(f"order={order!r}; expected one of {', '.join(map(repr, ORDERS))}")
        if recurrent not in RECURRENT:
            raise ValueError(f"recurrent={recurrent!r}; expected one of {', '.join(map(repr, RECURRENT))}")
        self.in_channels = in_channels
        self.hidden_channels = hidden_channels
        self.out_channels = out_channels
        self.order = order
        first = hidden_channels if order == "space_then_time" else in_channels
        self.recurrence = RECURRENT[recurrent](first, hidden_channels, num_layers)
        if order == "time_then_space":
            self.gcn = GCN(hidden_channels, out_channels)
        else:
            if order == "space_then_time":
                self.gcn = GCN(in_channels, hidden_channels)
            self.lin = nn.Linear(hidden_channels, out_channels)

    def forward(
        self,
        x: Tensor,
        edge_index: Tensor | Sequence[Tensor],
        edge_weight: Tensor | Sequence[Tensor] | None = None,
        state: State | None = None,
        mask: Tensor | None = None,
    ) -> tuple[Tensor, State]:
        """The outputs of all steps [T, N, out_channels] and the last state.

        Args:
            x: Inputs. [T, N, F]
            edge_index: The graph of all steps, or a list of T graphs.
            edge_weight: Weights of its edges [E], or a list of T such.
            state: Initial state, zeros where None. [L, N, H], a pair of these for an LSTM.
            mask: Which nodes are there. A node that is not sends and receives nothing, its input is not read, its
                output is 0, and its state is kept until it comes back. Boolean [T, N].
        """
        check_type(x, self.recurrence.weights("l0").weight_hh)
        if x.dim() != 3 or x.size(2) != self.in_channels:
            raise ValueError(f"x has shape {list(x.shape)}; expected [T, N, {self.in_channels}]")
        steps, nodes, _ = x.shape
        if mask is not None:
            x = x.masked_fill(~mask.unsqueeze(2), 0.0)
        graphs = self._snapshots(x, edge_index, edge_weight, mask)
        if self.order == "time_then_space":
            h, state = self._along_paths(x, state, mask)
            h = torch.stack([self.gcn(h[t], *graphs[t]) for t in range(steps)]) if steps else x.new_zeros(
                0, nodes, self.out_channels)
        elif self.order == "space_then_time":
            h = torch.stack([self.gcn(x[t], *graphs[t]) for t in range(steps)]) if steps else x.new_zeros(
                0, nodes, self.hidden_channels)
            h, state = self._along_paths(torch.relu(h), state, mask)
            h = self.lin(h)
        else:
            h, state = self._through_space_time(x, graphs, state, mask)
            h = self.lin(h)
        return h if mask is None else h.masked_fill(~mask.unsqueeze(2), 0.0), state

    def _snapshots(self, x, edge_index, edge_weight, mask):
        steps, nodes, _ = x.shape
        graphs = []
        for t in range(steps):
            graph = edge_index if isinstance(edge_index, Tensor) else edge_index[t]
            weight = edge_weight if edge_weight is None or isinstance(edge_weight, Tensor) else edge_weight[t]
            graph, weight = as_edge_index(graph, nodes, weight)
            if mask is not None:
                kept = mask[t][graph].all(0)
                graph, weight = graph[:, kept], None if weight is None else weight[kept]
            graphs.append((graph, weight))
        return graphs

    def _along_paths(self, x, state, mask):
        steps, nodes, channels = x.shape
        if mask is None:
            h, state = self.recurrence(x.reshape(steps * nodes, channels), packed_paths([steps] * nodes), state)
            return h.view(steps, nodes, self.hidden_channels), state
        schedule = packed_paths(mask.sum(0).tolist())
        step = mask.cumsum(0) - 1
        place = torch.tensor([*schedule.node_offsets, 0], device=x.device)[step] + schedule.starts
        place = place[mask]
        there = mask.view(-1).nonzero().view(-1)
        order = torch.empty_like(there).index_copy(0, place, there)
        h, state = self.recurrence(x.reshape(steps * nodes, channels).index_select(0, order), schedule, state)
        h = h.new_zeros(steps * nodes, self.hidden_channels).index_copy(0, order, h)
        return h.view(steps, nodes, self.hidden_channels), state

    def _through_space_time(self, x, graphs, state, mask):
        nodes = x.size(1)
        outputs = []
        if state is None:
            zeros = x.new_zeros(self.recurrence.num_layers, nodes, self.hidden_channels)
            state = (zeros, zeros) if self.recurrence.states == 2 else zeros
        for t, (graph, weight) in enumerate(graphs):
            weight = x.new_ones(graph.size(1)) if weight is None else weight.to(x.dtype)
            graph, weight = gcn_normalize(graph, weight, nodes)
            h, after = self.recurrence(x[t], synchronous(graph, nodes, edge_weight=weight), state)
            if mask is not None:
                there = mask[t].unsqueeze(1)
                if isinstance(after, tuple):
                    after = tuple(torch.where(there, new, old) for new, old in zip(after, state))
                else:
                    after = torch.where(there, after, state)
            state = after
            outputs.append(h)
        return torch.stack(outputs) if outputs else x.new_zeros(0, nodes, self.hidden_channels), state
