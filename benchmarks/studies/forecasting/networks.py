"""Forecasts of a panel on a graph by networks over time, over relations, or over both.

Every forecast is direct: one output for each horizon, from the last L steps.

Letters: N nodes, H hidden channels, L lags, P lags of the linear path, B windows, K horizons, W steps of the test part.
The module needs the extra packages of the experiments (lightning).
"""

import copy
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, get_args

import lightning.pytorch as pl
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from gnnseq.data.epidemics import EPIDEMICS, Epidemic, ForecastWindows, Statistics, Values
from gnnseq.layers import GCN, LSTM, TemporalGCN
from gnnseq.schedule import packed_paths
from harness.lightning_fit import fit
from studies.forecasting.autoregression import least_squares

__all__ = ["MODELS", "Forecaster", "Run", "batch", "forecast", "select"]

Model = Literal["LSTM", "GCN", "time_then_space", "space_then_time", "space_time"]
MODELS: tuple[Model, ...] = get_args(Model)

Part = tuple[tuple[Tensor, Any, Any], Tensor, Tensor]  # what the network reads, the targets, which of them are there


class Forecaster(nn.Module):
    """A network over time, over relations, or over both, beside a linear path.

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
        linear: The path's coefficients [C P + 1, K], the constant last, as
            :func:`~studies.forecasting.autoregression.least_squares` gives
            them for C channels: the values, and A x or not.

    Shapes: x [max(L, P), N, C], of which the network reads the last L steps of the first channel and the path the last
    P of all; edge_index [2, E] and edge_weight [E], or lists of L of them; gives [N, K].

    Example:
        >>> model = Forecaster("space_time", lags=4, hidden_channels=8, horizons=2)
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

    def beside(when: NDArray[np.int64]) -> tuple[Tensor, Tensor | None]:
        """The graphs of these steps, one a window. when [B]"""
        graphs = [epidemic.graph(step) for step in when]
        edge_index = torch.cat([edges + nodes * place for place, (edges, _) in enumerate(graphs)], 1)
        weights = [weight for _, weight in graphs if weight is not None]
        return edge_index, torch.cat(weights) if weights else None

    if len(epidemic.graphs) == 1:
        return x, *beside(windows.origins)
    edge_index, edge_weight = zip(*(beside(windows.origins - lag) for lag in reversed(range(lags))), strict=True)
    return x, list(edge_index), list(edge_weight)


class _Training(pl.LightningModule):
    """Mean squared error over the targets that are there, with AdamW.

    ``kept`` has the weights after each of the epochs ``keep``.
    """

    def __init__(self, model: Forecaster, run: "Run", keep: Collection[int]) -> None:
        super().__init__()
        self.model, self.run, self.keep = model, run, keep
        self.kept: dict[int, dict[str, Tensor]] = {}
        # Layers remember the graph they saw last. Training's and validation's take turns, so each has its own layers.
        self._judge = [copy.deepcopy(model)]  # in a list: no submodule, so nothing that is trained or kept

    def training_step(self, part: Any) -> Tensor:
        return _losses(self.model, part).mean()

    def on_train_epoch_end(self) -> None:
        epoch = self.current_epoch + 1
        if epoch in self.keep:
            self.kept[epoch] = copy.deepcopy(self.model.state_dict())

    def validation_step(self, part: Any) -> None:
        (judge,) = self._judge
        judge.load_state_dict(self.model.state_dict())
        losses = _losses(judge, part)
        self.log("validation", losses.mean(), batch_size=1)
        for horizon, loss in zip(self.run.horizons, losses, strict=True):
            self.log(f"validation_{horizon}", loss, batch_size=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        return torch.optim.AdamW(self.parameters(), lr=self.run.learning_rate, weight_decay=self.run.weight_decay)


def _losses(model: Forecaster, part: Part) -> Tensor:
    """Mean squared errors of the horizons. [K]"""
    graph, y, there = part
    squares: Tensor = (model(*graph) - y).where(there, 0.0).square()
    return squares.sum(0) / there.sum(0)


@dataclass(frozen=True)
class Run:
    """The settings of one forecast; equal settings give equal numbers.

    Attributes:
        epidemic: A name in :data:`~gnnseq.data.epidemics.EPIDEMICS`.
        model: See :class:`Forecaster`.
        seed: Of the weights.
        statistics: See :meth:`~gnnseq.data.epidemics.Epidemic.standardized`.
        lags: L, steps that the network reads.
        path: P, steps that the linear path reads; 0 leaves it out.
        neighbours: Whether the linear path reads the neighbours' means too.
        hidden: H.
        horizons: Steps ahead, ascending.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
        max_epochs: Most epochs, each of one step on all windows.
        patience: See :func:`~harness.lightning_fit.fit`.
    """

    epidemic: str
    model: Model
    seed: int
    statistics: Statistics = "training"
    lags: int = 4
    path: int = 4
    neighbours: bool = False
    hidden: int = 8
    horizons: tuple[int, ...] = (1, 2, 4, 8)
    learning_rate: float = 5e-2
    weight_decay: float = 1.0
    max_epochs: int = 80
    patience: int = 15


def select(run: Run) -> dict[str, Any]:
    """Train on the training part until the validation part says stop; the test part is not looked at.

    Each horizon has the number of epochs after which its own error was least, as each has an autoregression of its own:
    what helps one step ahead can harm eight steps ahead.

    Returns:
        ``epochs`` [K], and ``validation``, the mean over the horizons of the mean squared error there.
    """
    epidemic = _epidemic(run.epidemic, run.statistics)
    validation, test, _ = epidemic.starts
    curves = _train(run, epidemic, validation, (validation, test), run.max_epochs)[1]["curves"]
    by_horizon = np.array([curves[f"validation_{horizon}"] for horizon in run.horizons])  # [K, epochs]
    return {"validation": float(by_horizon.min(1).mean()), "epochs": (by_horizon.argmin(1) + 1).tolist()}


def forecast(run: Run) -> dict[str, Any]:
    """Train anew on everything before the test part, for as many epochs as :func:`select` found, and forecast it.

    Returns:
        What :func:`select` says, and ``forecasts`` as nested lists [W, K, N].

    Example:
        >>> result = forecast(Run("planted", "time_then_space", seed=0, max_epochs=3))
        >>> np.shape(result["forecasts"])
        (48, 4, 12)
    """
    epidemic = _epidemic(run.epidemic, run.statistics)
    _, test, stop = epidemic.starts
    chosen = select(run)
    module, _ = _train(run, epidemic, test, None, max(chosen["epochs"]), keep=set(chosen["epochs"]))
    (windows, *_), (inputs, _, _) = _part(run, epidemic, test, stop)
    columns = []
    with torch.no_grad():
        for k, epochs in enumerate(chosen["epochs"]):
            module.model.load_state_dict(module.kept[epochs])
            columns.append(module.model(*inputs)[:, k].unflatten(0, (len(windows.origins), -1)))  # [B, N]
    y = torch.stack(columns, 1).double().numpy()  # [B, K, N]
    return {**chosen, "forecasts": windows.by_step(y, run.horizons, test, stop).round(5).tolist()}


@lru_cache
def _epidemic(name: str, statistics: Statistics) -> Epidemic:
    return EPIDEMICS[name]().standardized(statistics)


def _part(run: Run, epidemic: Epidemic, start: int, stop: int) -> tuple[list[ForecastWindows], Part]:
    """The windows of each channel with targets from start to stop, and what a module reads and is held against."""
    panels = [epidemic.values, epidemic.neighbours()] if run.neighbours else [epidemic.values]
    channels = [ForecastWindows.of(panel, max(run.lags, run.path), run.horizons, start, stop) for panel in panels]
    y = torch.from_numpy(_by_node(channels[0].y)).float()  # [B * N, K]
    return channels, (batch(epidemic, channels, run.lags), y, ~y.isnan())


def _by_node(windows: Values) -> Values:
    """From [B, S, N] to [B * N, S]."""
    return windows.swapaxes(1, 2).reshape(-1, windows.shape[1])


def _train(
    run: Run,
    epidemic: Epidemic,
    stop: int,
    validation: tuple[int, int] | None,
    epochs: int,
    keep: Collection[int] = (),
) -> tuple[_Training, dict[str, Any]]:
    channels, part = _part(run, epidemic, 0, stop)
    linear = None
    if run.path:
        histories = np.concatenate([_by_node(each.x[:, -run.path :]) for each in channels], 1)  # [B * N, C * P]
        linear = torch.from_numpy(least_squares(histories, _by_node(channels[0].y))).float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        model = Forecaster(run.model, run.lags, run.hidden, len(run.horizons), linear)
    held_out = None if validation is None else [_part(run, epidemic, *validation)[1]]
    module = _Training(model, run, keep)
    patience = None if validation is None else run.patience
    return module, fit(module, [part], held_out, max_epochs=epochs, patience=patience, seed=run.seed)
