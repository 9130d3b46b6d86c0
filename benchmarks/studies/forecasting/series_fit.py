"""Training of a series' networks in mini-batches; how long is chosen on validation, then anew before the test part.

Letters: N nodes, L lags, B windows, K horizons, C channels.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gnnseq.data.graph_series import GraphSeries, Values
from gnnseq.data.sensors import sensor_network
from gnnseq.data.series_files import read_graph_series
from harness import processes
from harness.files import cached_while_unchanged
from harness.lightning_fit import data_parallel
from studies.forecasting.series_baselines import Origins, linear_path, origins_of
from studies.forecasting.series_networks import SeriesNetwork, own_weighted
from studies.forecasting.series_panel import SeriesPanel
from studies.forecasting.series_runs import SeriesRun

__all__ = ["forecast_series", "load"]


@cached_while_unchanged(8)
def load(series: str, graph: str | None, reading: tuple[tuple[str, Any], ...]) -> GraphSeries:
    """The series of a run."""
    if series.startswith("twin "):
        nodes, steps, season = map(int, series.split()[1:])
        return sensor_network(nodes, steps, season)
    return read_graph_series(Path(series), None if graph is None else Path(graph), **dict(reading))


def forecast_series(run: SeriesRun) -> dict[str, Any]:
    """Forecasts [B, K, N] of the test part, the epochs that were chosen, and the error on validation."""
    series = load(run.series, run.graph, run.reading)
    validation, test, stop = series.starts
    early = _Fit(run, series, validation)
    held_out = origins_of(run.lags, run.horizons, validation, test)
    losses: list[float] = []
    for _ in early.epochs():
        losses.append(early.error(held_out, test))
        if len(losses) > int(np.nanargmin(losses)) + run.patience:
            break
    epochs = int(np.nanargmin(losses)) + 1
    final = _Fit(run, series, test)
    for epoch, _ in enumerate(final.epochs(), 1):
        if epoch == epochs:
            break
    origins = origins_of(run.lags, run.horizons, test, stop)
    found = final.panel.forecasts(final.outputs(origins), run.horizons, origins)
    return {"validation": losses[epochs - 1], "epochs": epochs, "forecasts": found.round(4).tolist()}


class _Fit:
    """A network that is trained on the windows before ``stop`` alone."""

    def __init__(self, run: SeriesRun, series: GraphSeries, stop: int) -> None:
        self.run, self.stop = run, stop
        self.panel = panel = SeriesPanel.of(series, run.season, run.lags, stop)
        edges, weight = series.graphs[0]
        heavy = run.own_apart and run.model == "space_time"
        self.graph = own_weighted(edges, weight, len(series.nodes)) if heavy else (edges, weight)
        self.train = origins_of(run.lags, run.horizons, 0, stop)
        turn = 2 * np.pi * panel.phase[:, None]
        usual = (panel.usual - panel.usual[:stop].mean(0)) / panel.scale
        ones = np.ones_like(panel.filled)
        self.channels = np.stack(  # [T, N, C]
            [panel.filled, panel.seen, usual, np.sin(turn) * ones, np.cos(turn) * ones], 2
        ).astype(np.float32)
        self.weight = torch.from_numpy(panel.scale / np.sqrt((panel.scale**2).mean())).float()  # [N]
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.seed)
            linear = torch.from_numpy(linear_path(panel, run.lags, run.horizons)).float()
            future = len(run.horizons)
            self.network = SeriesNetwork(run.model, run.own_apart, 5, run.hidden, linear, future)
        self.joined: dict[int, tuple[Tensor, Tensor | None]] = {}  # the same tensors each time: layers remember them

    def epochs(self) -> Iterator[None]:
        """Train, an epoch at a time; the same for the same settings."""
        run, generator = self.run, np.random.default_rng(self.run.seed)
        optimizer: torch.optim.Optimizer = torch.optim.Adam(self.network.parameters(), lr=run.learning_rate)
        whole = len(self.train) // run.batch * run.batch or len(self.train)
        steps = max(1, whole // run.batch)
        schedule: Any = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, run.max_epochs * steps)
        trained, optimizer = data_parallel(self.network, optimizer)
        for _ in range(run.max_epochs):
            for origins in np.array_split(generator.permutation(self.train)[:whole], steps):
                optimizer.zero_grad()
                self._shared_loss(trained, origins).backward()
                torch.nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
                optimizer.step()
                schedule.step()
            yield

    @torch.no_grad()
    def error(self, origins: Origins, stop: int) -> float:
        """The mean loss of windows."""
        parts = [origins[place : place + self.run.batch] for place in range(0, len(origins), self.run.batch)]
        return float(np.average([self._loss(part, stop).item() for part in parts], weights=[*map(len, parts)]))

    @torch.no_grad()
    def outputs(self, origins: Origins) -> Values:
        """Deviations over scale. [B, K, N]"""
        parts = [origins[place : place + self.run.batch] for place in range(0, len(origins), self.run.batch)]
        return np.concatenate([self._run(part).double().numpy() for part in parts])

    def _run(self, origins: Origins, network: nn.Module | None = None) -> Tensor:
        """Deviations [B, K, N] of one mini-batch of windows."""
        run, count, nodes = self.run, len(origins), self.panel.values.shape[1]
        x = self.channels[origins[:, None] + np.arange(1 - run.lags, 1)].swapaxes(0, 1)  # [L, B, N, C]
        ahead = np.minimum(origins[:, None] + np.asarray(run.horizons), len(self.channels) - 1)
        future = self.channels[ahead, :, 2].swapaxes(1, 2)  # [B, N, K]
        if count not in self.joined:
            edges, weight = self.graph
            joined = torch.cat([edges + place * nodes for place in range(count)], 1)
            self.joined[count] = joined, None if weight is None else weight.repeat(count)
        rows = torch.from_numpy(x).flatten(1, 2), torch.from_numpy(future).flatten(0, 1)
        y: Tensor = (network or self.network)(*rows, *self.joined[count])
        return y.view(count, nodes, -1).mT

    def _loss(self, origins: Origins, stop: int) -> Tensor:
        """Mean squared error in the series' unit, over the targets that are there."""
        squares, there = self._squares(self.network, origins, stop)
        return squares / there.clamp(min=1)

    def _shared_loss(self, network: nn.Module, origins: Origins) -> Tensor:
        """The loss in training, of which this process has its share."""
        own, weight = processes.share_or_one(len(origins))
        squares, there = self._squares(network, origins[own], self.stop)
        if processes.size() > 1:
            there = processes.sum_of_all(there * int(weight))
        return weight * processes.mean_of_all(squares, there.clamp(min=1))

    def _squares(self, network: nn.Module, origins: Origins, stop: int) -> tuple[Tensor, Tensor]:
        """The sum of squared errors, and how many there are."""
        y = torch.from_numpy(self.panel.targets(self.run.horizons, origins, stop)).float()
        there = ~y.isnan()
        errors = (self._run(origins, network) - y.where(there, 0.0)) * self.weight * there
        return errors.square().sum(), there.sum()
