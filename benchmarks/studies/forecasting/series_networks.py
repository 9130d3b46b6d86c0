"""Networks of a series: a GRU over time, with the graph in one of three orders or without it.

Letters: N nodes, H hidden channels, L lags, B windows, K horizons, C channels of the history.
"""

import torch
from torch import Tensor, nn

from gnnseq.layers import GCN, GRU, TemporalGCN
from gnnseq.schedule import packed_paths
from studies.forecasting.series_runs import SeriesModel

__all__ = ["SeriesNetwork", "own_weighted"]


def own_weighted(edge_index: Tensor, edge_weight: Tensor | None, num_nodes: int) -> tuple[Tensor, Tensor]:
    """The graph with a self-loop at every node that weighs as much as its in-edges together, at least 1.

    A self-loop of weight 1 among many in-edges is a small part of a normalised sum, which drowns a node's own state.

    Example:
        >>> own_weighted(torch.tensor([[0, 1], [2, 2]]), None, 3)[1].tolist()
        [1.0, 1.0, 1.0, 1.0, 2.0]
    """
    other = edge_index[0] != edge_index[1]
    edge_index = edge_index[:, other]
    weight = torch.ones(edge_index.size(1)) if edge_weight is None else edge_weight[other].float()
    own = torch.zeros(num_nodes).index_add(0, edge_index[1], weight).clamp(min=1.0)
    return torch.cat([edge_index, torch.arange(num_nodes).expand(2, -1)], 1), torch.cat([weight, own])


class SeriesNetwork(nn.Module):
    """A network added to an autoregression, which training starts at: the last layer begins at zero.

    With ``own_apart`` a node's own signal goes beside what a graph convolution makes of it and its neighbours; without,
    the orders are :class:`~gnnseq.layers.TemporalGCN` as it is.
    """

    def __init__(
        self, model: SeriesModel, own_apart: bool, channels: int, hidden: int, linear: Tensor, future: int
    ) -> None:
        super().__init__()
        self.model, self.own_apart = model, own_apart
        self.linear: Tensor
        self.register_buffer("linear", linear)  # [L + 1, K], the constant last
        horizons, wide = linear.size(1), hidden
        if model == "no edges":
            self.gru = GRU(channels, hidden)
        elif model == "space_time" or not own_apart:
            self.temporal = TemporalGCN(channels, hidden, hidden, order=model, recurrent="GRU")
        else:
            first = model == "space_then_time"
            self.gcn = GCN(channels if first else hidden, hidden // 2)
            self.gru = GRU(channels + hidden // 2 if first else channels, hidden)
            wide = hidden if first else hidden + hidden // 2
        self.head = nn.Sequential(nn.Linear(wide + future, hidden), nn.ReLU(), nn.Linear(hidden, horizons))
        for parameter in self.head[-1].parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, future: Tensor, edge_index: Tensor, edge_weight: Tensor | None) -> Tensor:
        """Deviations [B * N, K] from x [L, B * N, C], whose channel 0 is the deviation, and what is known to come."""
        steps, rows, _ = x.shape
        if hasattr(self, "temporal"):
            h = self.temporal(x, edge_index, edge_weight)[0][-1]
        elif self.model == "space_then_time":
            z = self.gcn(x, edge_index, edge_weight).relu()  # [L, B * N, H / 2]
            h = self._last(torch.cat([x, z], 2), steps, rows)
        else:
            h = self._last(x, steps, rows)
            if self.model == "time_then_space":
                h = torch.cat([h, self.gcn(h, edge_index, edge_weight).relu()], 1)
        y: Tensor = self.head(torch.cat([h, future], 1))
        return y + x[:, :, 0].T @ self.linear[:-1] + self.linear[-1]

    def _last(self, x: Tensor, steps: int, rows: int) -> Tensor:
        """Each node's last state. [B * N, H]"""
        h, _ = self.gru(x.flatten(0, 1), packed_paths([steps] * rows))
        last: Tensor = h[-rows:]
        return last
