"""Training of the networks: how long is chosen on validation, then anew on everything before the test part.

Letters: N nodes, L lags, B windows, K horizons, W steps of the test part, C channels of the history.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gnnseq.data.epidemics import EPIDEMICS
from gnnseq.data.graph_series import ForecastWindows, GraphSeries
from harness import processes
from harness.lightning_fit import data_parallel
from studies.forecasting.autoregression import histories, least_squares
from studies.forecasting.networks import EpidemicNetwork
from studies.forecasting.runs import ForecastRun, Statistics

Inputs = tuple[Tensor, Any, Any]  # of an EpidemicNetwork


def select(run: ForecastRun) -> dict[str, Any]:
    """Train until the validation part says stop: its mean error, and the best number of epochs for each horizon.

    Each horizon has its own, as each has an autoregression of its own: what helps one step ahead can harm eight steps
    ahead. The test part is not looked at.
    """
    epidemic = _epidemic(run.epidemic, run.statistics)
    validation, test, _ = epidemic.starts
    _, inputs, y = _part(run, epidemic, validation, test)
    curves: list[list[float]] = []  # [epochs, K + 1]: the horizons' errors and their mean, NaN if training diverges
    for network in _epochs(run, epidemic, validation):
        losses = _losses(network, inputs, y)
        curves.append([*losses.tolist(), losses.mean().item()])
        if len(curves) > np.nanargmin(curves, 0)[-1] + run.patience:
            break
    by_horizon = np.array(curves)[:, :-1]
    return {"validation": float(np.nanmin(by_horizon, 0).mean()), "epochs": (np.nanargmin(by_horizon, 0) + 1).tolist()}


def forecast(run: ForecastRun) -> dict[str, Any]:
    """What :func:`select` says, and forecasts [W, K, N] by a network trained anew on all before the test part."""
    epidemic = _epidemic(run.epidemic, run.statistics)
    _, test, stop = epidemic.starts
    chosen = select(run)
    epochs = np.array(chosen["epochs"])
    windows, inputs, _ = _part(run, epidemic, test, stop)
    y = np.empty((len(windows.origins), len(epochs), len(epidemic.nodes)))  # [B, K, N]
    for epoch, network in enumerate(islice(_epochs(run, epidemic, test), epochs.max()), 1):
        if epoch in epochs:
            outputs = network(*inputs).unflatten(0, (len(windows.origins), -1)).mT.numpy()
            y[:, epochs == epoch] = outputs[:, epochs == epoch]
    return {**chosen, "forecasts": windows.by_step(y, run.horizons, test, stop).round(5).tolist()}


def _epidemic(name: str, statistics: Statistics) -> GraphSeries:
    return _read(EPIDEMICS[name], statistics)


@lru_cache
def _read(load: Callable[[], GraphSeries], statistics: Statistics) -> GraphSeries:
    return load().standardized(statistics)


def batch(epidemic: GraphSeries, channels: list[ForecastWindows], lags: int) -> Inputs:
    """Windows side by side as one graph: x [steps, B * N, C], edge_index and edge_weight, or lists of the last L."""

    def joined(when: np.ndarray) -> tuple[Tensor, Tensor | None]:
        graphs = [epidemic.graph(step) for step in when]  # one a window
        edge_index = torch.cat([edges + len(epidemic.nodes) * place for place, (edges, _) in enumerate(graphs)], 1)
        weights = [weight for _, weight in graphs if weight is not None]
        return edge_index, torch.cat(weights) if weights else None

    x = torch.from_numpy(np.stack([each.x for each in channels], 3).swapaxes(0, 1)).flatten(1, 2).float()
    origins = channels[0].origins
    if len(epidemic.graphs) == 1:
        return x, *joined(origins)
    edge_index, edge_weight = zip(*(joined(origins - lag) for lag in reversed(range(lags))), strict=True)
    return x, list(edge_index), list(edge_weight)


def _part(
    run: ForecastRun, epidemic: GraphSeries, start: int, stop: int, own: slice = slice(None)
) -> tuple[ForecastWindows, Inputs, Tensor]:
    """The windows with targets from start to stop, or some, what a network reads, and the targets [B * N, K]."""
    channels, _, y = histories(epidemic, max(run.lags, run.path), run.horizons, run.neighbours, start, stop)
    channels, y = [replace(each, origins=each.origins[own], x=each.x[own], y=each.y[own]) for each in channels], y[own]
    return channels[0], batch(epidemic, channels, run.lags), torch.from_numpy(y).flatten(0, 1).float()


def _epochs(run: ForecastRun, epidemic: GraphSeries, stop: int) -> Iterator[EpidemicNetwork]:
    """The network after each epoch, a step of AdamW on all windows before stop."""
    linear = None
    if run.path:
        _, x, targets = histories(epidemic, run.path, run.horizons, run.neighbours, 0, stop)
        linear = torch.from_numpy(least_squares(x, targets)).float()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        network = EpidemicNetwork(run.model, run.lags, run.hidden, len(run.horizons), linear)
    # Layers remember the graph they saw last. What is tried out between two steps has its own layers, for its graph.
    tried = copy.deepcopy(network).requires_grad_(False)
    windows, inputs, y = _part(run, epidemic, 0, stop)
    optimizer: torch.optim.Optimizer = torch.optim.AdamW(
        network.parameters(), lr=run.learning_rate, weight_decay=run.weight_decay
    )
    there = (~y.isnan()).sum(0)  # of all processes
    weight = 1.0
    if processes.size() > 1:
        own, weight = processes.share_or_one(len(windows.origins))
        _, inputs, y = _part(run, epidemic, 0, stop, own)
    trained, optimizer = data_parallel(network, optimizer)
    for _ in range(run.max_epochs):
        optimizer.zero_grad()
        (weight * processes.mean_of_all(_squares(trained, inputs, y), there).mean()).backward()
        optimizer.step()
        tried.load_state_dict(network.state_dict())
        yield tried


def _losses(network: EpidemicNetwork, inputs: Inputs, y: Tensor) -> Tensor:
    """Mean squared errors of the horizons, over the targets that are there. [K]"""
    return _squares(network, inputs, y) / (~y.isnan()).sum(0)


def _squares(network: nn.Module, inputs: Inputs, y: Tensor) -> Tensor:
    """Sums of squared errors of the horizons, over the targets that are there. [K]"""
    squares: Tensor = (network(*inputs) - y).where(~y.isnan(), 0.0).square()
    return squares.sum(0)
