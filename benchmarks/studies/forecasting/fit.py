"""Training of the networks: how long is chosen on validation, then anew on everything before the test part.

Letters: N nodes, P lags of the linear path, C channels, B windows, K horizons, W steps of the test part.
"""

import copy
from collections.abc import Collection
from functools import lru_cache
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from gnnseq.data.epidemics import EPIDEMICS, Epidemic, ForecastWindows, Values
from harness.lightning_fit import fit
from studies.forecasting.autoregression import least_squares
from studies.forecasting.networks import EpidemicNetwork, batch
from studies.forecasting.runs import ForecastRun, Statistics

__all__ = ["ForecastLearner", "forecast", "select"]

Part = tuple[tuple[Tensor, Any, Any], Tensor, Tensor]  # what the network reads, the targets, which of them are there


class ForecastLearner(pl.LightningModule):
    """Mean squared error over the targets that are there, with AdamW.

    ``kept`` has the weights after each of the epochs ``keep``.
    """

    def __init__(self, network: EpidemicNetwork, run: ForecastRun, keep: Collection[int]) -> None:
        super().__init__()
        self.network, self.run, self.keep = network, run, keep
        self.kept: dict[int, dict[str, Tensor]] = {}
        # Layers remember the graph they saw last. Training's and validation's take turns, so each has its own layers.
        self._judge = [copy.deepcopy(network)]  # in a list: no submodule, so nothing that is trained or kept

    def training_step(self, part: Part) -> Tensor:
        """The loss."""
        return _losses(self.network, part).mean()

    def on_train_epoch_end(self) -> None:
        """Keep the weights of the epochs asked for."""
        epoch = self.current_epoch + 1
        if epoch in self.keep:
            self.kept[epoch] = copy.deepcopy(self.network.state_dict())

    def validation_step(self, part: Part) -> None:
        """Log each horizon's loss and their mean."""
        (judge,) = self._judge
        judge.load_state_dict(self.network.state_dict())
        losses = _losses(judge, part)
        self.log("validation", losses.mean(), batch_size=1)
        for horizon, loss in zip(self.run.horizons, losses, strict=True):
            self.log(f"validation_{horizon}", loss, batch_size=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=self.run.learning_rate, weight_decay=self.run.weight_decay)


def _losses(network: EpidemicNetwork, part: Part) -> Tensor:
    """Mean squared errors of the horizons. [K]"""
    graph, y, there = part
    squares: Tensor = (network(*graph) - y).where(there, 0.0).square()
    return squares.sum(0) / there.sum(0)


def select(run: ForecastRun) -> dict[str, Any]:
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


def forecast(run: ForecastRun) -> dict[str, Any]:
    """Train anew on everything before the test part, for as many epochs as :func:`select` found, and forecast it.

    Returns:
        What :func:`select` says, and ``forecasts`` as nested lists [W, K, N].

    Example:
        >>> result = forecast(ForecastRun("planted", "time_then_space", seed=0, max_epochs=3))
        >>> np.shape(result["forecasts"])
        (48, 4, 12)
    """
    epidemic = _epidemic(run.epidemic, run.statistics)
    _, test, stop = epidemic.starts
    chosen = select(run)
    learner, _ = _train(run, epidemic, test, None, max(chosen["epochs"]), keep=set(chosen["epochs"]))
    (windows, *_), (inputs, _, _) = _part(run, epidemic, test, stop)
    columns = []
    with torch.no_grad():
        for k, epochs in enumerate(chosen["epochs"]):
            learner.network.load_state_dict(learner.kept[epochs])
            columns.append(learner.network(*inputs)[:, k].unflatten(0, (len(windows.origins), -1)))  # [B, N]
    y = torch.stack(columns, 1).double().numpy()  # [B, K, N]
    return {**chosen, "forecasts": windows.by_step(y, run.horizons, test, stop).round(5).tolist()}


@lru_cache
def _epidemic(name: str, statistics: Statistics) -> Epidemic:
    return EPIDEMICS[name]().standardized(statistics)


def _part(run: ForecastRun, epidemic: Epidemic, start: int, stop: int) -> tuple[list[ForecastWindows], Part]:
    """The windows of each channel with targets from start to stop, and what a network reads and is held against."""
    panels = [epidemic.values, epidemic.neighbours()] if run.neighbours else [epidemic.values]
    channels = [ForecastWindows.of(panel, max(run.lags, run.path), run.horizons, start, stop) for panel in panels]
    y = torch.from_numpy(_by_node(channels[0].y)).float()  # [B * N, K]
    return channels, (batch(epidemic, channels, run.lags), y, ~y.isnan())


def _by_node(windows: Values) -> Values:
    """From [B, S, N] to [B * N, S]."""
    return windows.swapaxes(1, 2).reshape(-1, windows.shape[1])


def _train(
    run: ForecastRun,
    epidemic: Epidemic,
    stop: int,
    validation: tuple[int, int] | None,
    epochs: int,
    keep: Collection[int] = (),
) -> tuple[ForecastLearner, dict[str, Any]]:
    channels, part = _part(run, epidemic, 0, stop)
    linear = None
    if run.path:
        histories = np.concatenate([_by_node(each.x[:, -run.path :]) for each in channels], 1)  # [B * N, C * P]
        linear = torch.from_numpy(least_squares(histories, _by_node(channels[0].y))).float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        network = EpidemicNetwork(run.model, run.lags, run.hidden, len(run.horizons), linear)
    held_out = None if validation is None else [_part(run, epidemic, *validation)[1]]
    learner = ForecastLearner(network, run, keep)
    patience = None if validation is None else run.patience
    return learner, fit(learner, [part], held_out, max_epochs=epochs, patience=patience, seed=run.seed)
