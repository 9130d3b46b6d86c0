"""Training of the networks: how long is chosen on validation, then anew on everything before the test part.

Letters: N nodes, B windows, K horizons, W steps of the test part.
"""

import copy
from functools import lru_cache
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor

from gnnseq.data.epidemics import EPIDEMICS, Epidemic, ForecastWindows
from harness.lightning_fit import fit
from studies.forecasting.autoregression import histories, least_squares
from studies.forecasting.networks import EpidemicNetwork, batch
from studies.forecasting.runs import ForecastRun, Statistics

__all__ = ["ForecastLearner", "forecast", "select"]

Part = tuple[tuple[Tensor, Any, Any], Tensor, Tensor]  # what the network reads, the targets, which of them are there


class ForecastLearner(pl.LightningModule):
    """Mean squared error over the targets that are there, with AdamW; ``kept`` has the weights after each epoch."""

    def __init__(self, network: EpidemicNetwork, run: ForecastRun) -> None:
        super().__init__()
        self.network, self.run = network, run
        self.kept: list[dict[str, Tensor]] = []
        # Layers remember the graph they saw last. Training's and validation's take turns, so each has its own layers.
        self._judge = [copy.deepcopy(network)]  # in a list: no submodule, so nothing that is trained or kept

    def training_step(self, part: Part) -> Tensor:
        """The loss."""
        return _losses(self.network, part).mean()

    def on_train_epoch_end(self) -> None:
        """Keep the weights."""
        self.kept.append(copy.deepcopy(self.network.state_dict()))

    def validation_step(self, part: Part) -> None:
        """Log each horizon's loss and their mean."""
        (judge,) = self._judge
        judge.load_state_dict(self.network.state_dict())
        losses = _losses(judge, part)
        by_horizon = {f"validation_{h}": loss for h, loss in zip(self.run.horizons, losses, strict=True)}
        self.log_dict({"validation": losses.mean(), **by_horizon}, batch_size=1)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """AdamW."""
        return torch.optim.AdamW(self.parameters(), lr=self.run.learning_rate, weight_decay=self.run.weight_decay)


def _losses(network: EpidemicNetwork, part: Part) -> Tensor:
    """Mean squared errors of the horizons. [K]"""
    graph, y, there = part
    squares: Tensor = (network(*graph) - y).where(there, 0.0).square()
    return squares.sum(0) / there.sum(0)


def select(run: ForecastRun) -> dict[str, Any]:
    """Train until the validation part says stop: its mean error, and the best number of epochs for each horizon.

    Each horizon has its own, as each has an autoregression of its own: what helps one step ahead can harm eight steps
    ahead. The test part is not looked at.
    """
    epidemic = _epidemic(run.epidemic, run.statistics)
    validation, test, _ = epidemic.starts
    _, curves = _train(run, epidemic, validation, run.max_epochs, _part(run, epidemic, validation, test)[1])
    by_horizon = np.array([curves[f"validation_{horizon}"] for horizon in run.horizons])  # [K, epochs]
    return {"validation": float(by_horizon.min(1).mean()), "epochs": (by_horizon.argmin(1) + 1).tolist()}


def forecast(run: ForecastRun) -> dict[str, Any]:
    """What :func:`select` says, and forecasts [W, K, N] by a network trained anew on all before the test part."""
    epidemic = _epidemic(run.epidemic, run.statistics)
    _, test, stop = epidemic.starts
    chosen = select(run)
    learner, _ = _train(run, epidemic, test, max(chosen["epochs"]))
    windows, (inputs, _, _) = _part(run, epidemic, test, stop)
    columns = []
    with torch.no_grad():
        for k, epochs in enumerate(chosen["epochs"]):
            learner.network.load_state_dict(learner.kept[epochs - 1])
            columns.append(learner.network(*inputs)[:, k].unflatten(0, (len(windows.origins), -1)))  # [B, N]
    y = torch.stack(columns, 1).double().numpy()  # [B, K, N]
    return {**chosen, "forecasts": windows.by_step(y, run.horizons, test, stop).round(5).tolist()}


@lru_cache
def _epidemic(name: str, statistics: Statistics) -> Epidemic:
    return EPIDEMICS[name]().standardized(statistics)


def _part(run: ForecastRun, epidemic: Epidemic, start: int, stop: int) -> tuple[ForecastWindows, Part]:
    """The windows with targets from start to stop, and what a network reads and is held against."""
    channels, _, y = histories(epidemic, max(run.lags, run.path), run.horizons, run.neighbours, start, stop)
    targets = torch.from_numpy(y).flatten(0, 1).float()  # [B * N, K]
    return channels[0], (batch(epidemic, channels, run.lags), targets, ~targets.isnan())


def _train(
    run: ForecastRun, epidemic: Epidemic, stop: int, epochs: int, held_out: Part | None = None
) -> tuple[ForecastLearner, dict[str, list[float]]]:
    """A learner trained on the steps before stop, and its curves."""
    linear = None
    if run.path:
        _, x, y = histories(epidemic, run.path, run.horizons, run.neighbours, 0, stop)
        linear = torch.from_numpy(least_squares(x, y)).float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        learner = ForecastLearner(EpidemicNetwork(run.model, run.lags, run.hidden, len(run.horizons), linear), run)
    train, validation = [_part(run, epidemic, 0, stop)[1]], None if held_out is None else [held_out]
    return learner, fit(learner, train, validation, max_epochs=epochs, patience=run.patience, seed=run.seed)["curves"]
