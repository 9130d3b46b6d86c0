"""Networks over time, over relations, or over both, that forecast a panel on a graph.

Every forecast is direct: one output for each horizon, from the last L steps.

Letters: N nodes, H hidden channels, L lags, P lags of the linear path, B windows, K horizons.
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

    Args:
        model: ``"LSTM"`` reads each node's history alone; ``"GCN"`` is two graph convolutions over the last step's
            graph, with the history as features; the others are the orders of :class:`~gnnseq.layers.TemporalGCN`.
        lags: L.
        hidden_channels: H.
        horizons: K.
        linear: The path's coefficients [C P + 1, K], the constant last, for C channels: the values, and A x or not.

    Shapes: x [max(L, P), N, C], of which the network reads the last L steps of the first channel and the path the last
    P of all; edge_index [2, E] and edge_weight [E], or lists of L of them; returns [N, K].

    Example:
        >>> model = EpidemicNetwork("space_time", lags=4, hidden_channels=8, horizons=2)
        >>> model(torch.zeros(4, 3, 1), torch.tensor([[0, 1], [1, 2]]), None).shape
        torch.Size([3, 2])
    """

    linear: Tensor | None

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

    def forward(
        self, x: Tensor, edge_index: Tensor | list[Tensor], edge_weight: Tensor | list[Tensor] | None
    ) -> Tensor:
        """Forecasts [N, K]."""
        whole, x = x, x[-self.lags :, :, :1]
        y: Tensor
        if self.model == "LSTM":
            h, _ = self.recurrence(x.flatten(0, 1), packed_paths([x.size(0)] * x.size(1)))  # [L * N, H]
            y = self.readout(h[-x.size(1) :])
        elif self.model == "GCN":
            now = edge_index[-1] if isinstance(edge_index, list) else edge_index
            weight = edge_weight[-1] if isinstance(edge_weight, list) else edge_weight
            y = self.far(self.near(x.squeeze(2).T, now, weight).relu(), now, weight)
        else:
            outputs, _ = self.network(x, edge_index, edge_weight)
            y = outputs[-1]
        if self.linear is None:
            return y
        w, a = self.linear[:-1], self.linear[-1]
        history = whole[-len(w) // whole.size(2) :].permute(1, 2, 0).flatten(1)  # [N, C * P]
        return y + history @ w + a


def batch(epidemic: Epidemic, channels: Sequence[ForecastWindows], lags: int) -> tuple[Tensor, Any, Any]:
    """ForecastWindows side by side as one graph of B * N nodes.

    Args:
        epidemic: Whose graphs they lie on.
        channels: C panels in the same windows, the epidemic's own first.
        lags: L.

    Returns:
        x [steps, B * N, C]; edge_index and edge_weight, or lists of those of the last L steps.
    """
    windows = channels[0]
    nodes = windows.x.shape[2]
    x = torch.from_numpy(np.stack([each.x for each in channels], 3).swapaxes(0, 1)).flatten(1, 2).float()

    def joined(when: NDArray[np.int64]) -> tuple[Tensor, Tensor | None]:
        """The graphs of these steps, one a window. when [B]"""
        graphs = [epidemic.graph(step) for step in when]
        edge_index = torch.cat([edges + nodes * place for place, (edges, _) in enumerate(graphs)], 1)
        weights = [weight for _, weight in graphs if weight is not None]
        return edge_index, torch.cat(weights) if weights else None

    if len(epidemic.graphs) == 1:
        return x, *joined(windows.origins)
    edge_index, edge_weight = zip(*(joined(windows.origins - lag) for lag in reversed(range(lags))), strict=True)
    return x, list(edge_index), list(edge_weight)
