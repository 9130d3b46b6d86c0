"""Networks over time, over relations, or over both, that forecast every horizon directly from the last L steps.

Letters: N nodes, H hidden channels, L lags, P lags of the linear path, K horizons, C channels of the history.
"""

from typing import Any

from torch import Tensor, nn

from gnnseq.layers import GCN, LSTM, TemporalGCN
from gnnseq.schedule import packed_paths
from studies.forecasting.runs import Model


class EpidemicNetwork(nn.Module):
    """A network over time, over relations, or over both, added to a linear path.

    y_{i,k} = a_k + sum_l w_{kl} x_{i,t-l} + sum_l v_{kl} (A x)_{i,t-l} + network(x)_{i,k}

    The linear path is an autoregression fitted before, on the node alone or also on its neighbours' normalised means
    A x, or missing. The network's last layer starts at zero: training begins at the autoregression, or at the mean, and
    learns what that leaves over.

    ``"LSTM"`` reads each node's history alone; ``"GCN"`` is two graph convolutions over the last step's graph, with the
    history as features; the other models are the orders of :class:`~gnnseq.layers.TemporalGCN`.
    """

    linear: Tensor | None  # [C P + 1, K], the constant last

    def __init__(self, model: Model, lags: int, hidden_channels: int, horizons: int, linear: Tensor | None = None):
        super().__init__()
        self.model, self.lags = model, lags
        self.register_buffer("linear", linear)
        last: nn.Module
        if model == "LSTM":
            self.recurrence = LSTM(1, hidden_channels)
            self.readout = last = nn.Linear(hidden_channels, horizons)
        elif model == "GCN":
            self.near = GCN(lags, hidden_channels)
            self.far = last = GCN(hidden_channels, horizons)
        else:
            self.network = TemporalGCN(1, hidden_channels, horizons, order=model)
            last = self.network.gcn if model == "time_then_space" else self.network.lin
        for parameter in last.parameters():
            nn.init.zeros_(parameter)

    def forward(self, x: Tensor, edge_index: Tensor | list[Tensor], edge_weight: Any) -> Tensor:
        """Forecasts [N, K] from x [max(L, P), N, C] and a graph, or lists of L: the network reads channel 0 alone."""
        recent = x[-self.lags :, :, :1]
        y: Tensor
        if self.model == "LSTM":
            h, _ = self.recurrence(recent.flatten(0, 1), packed_paths([self.lags] * x.size(1)))  # [L * N, H]
            y = self.readout(h[-x.size(1) :])
        elif self.model == "GCN":
            now = (edge_index[-1], edge_weight[-1]) if isinstance(edge_index, list) else (edge_index, edge_weight)
            y = self.far(self.near(recent.squeeze(2).T, *now).relu(), *now)
        else:
            y = self.network(recent, edge_index, edge_weight)[0][-1]
        if self.linear is None:
            return y
        w, a = self.linear[:-1], self.linear[-1]
        history = x[-len(w) // x.size(2) :].permute(1, 2, 0).flatten(1)  # [N, C * P]
        return y + history @ w + a
