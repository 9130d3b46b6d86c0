"""Networks over time, over relations, or over both, that forecast a panel on a graph.

Every forecast is direct: one output for each horizon, from the last L steps.

Letters: N nodes, H hidden channels, L lags, P lags of the linear path, B windows, K horizons, E edges; C channels: the
values, and their means over each node's neighbourhood or not.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gnnseq.data.epidemics import Epidemic, ForecastWindows
from gnnseq.layers import GCN, LSTM, TemporalGCN
from gnnseq.schedule import packed_paths
from studies.forecasting.runs import Model

__all__ = ["EpidemicNetwork", "batch"]


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

    def __init__(
        self, model: Model, lags: int, hidden_channels: int, horizons: int, linear: Tensor | None = None
    ) -> None:
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


def batch(epidemic: Epidemic, channels: Sequence[ForecastWindows], lags: int) -> tuple[Tensor, Any, Any]:
    """Windows side by side as one graph: x [steps, B * N, C], edge_index and edge_weight, or lists of the last L."""
    x = torch.from_numpy(np.stack([each.x for each in channels], 3).swapaxes(0, 1)).flatten(1, 2).float()

    def joined(when: NDArray[np.int64]) -> tuple[Tensor, Tensor | None]:
        """The graphs of these steps, one a window. when [B]"""
        graphs = [epidemic.graph(step) for step in when]
        edge_index = torch.cat([edges + len(epidemic.nodes) * place for place, (edges, _) in enumerate(graphs)], 1)
        weights = [weight for _, weight in graphs if weight is not None]
        return edge_index, torch.cat(weights) if weights else None

    origins = channels[0].origins
    if len(epidemic.graphs) == 1:
        return x, *joined(origins)
    edge_index, edge_weight = zip(*(joined(origins - lag) for lag in reversed(range(lags))), strict=True)
    return x, list(edge_index), list(edge_weight)
