"""Forecasts of epidemics, held against what happened, as one JSON value."""

import dataclasses
from typing import Any

import numpy as np
from rich.console import Console

from gnnseq.data.epidemics import EPIDEMICS, Epidemic, Values
from harness.provenance import provenance
from harness.sweep import run_sweep
from studies.forecasting.autoregression import autoregression, mean, persistence
from studies.forecasting.fit import forecast
from studies.forecasting.layout import layout
from studies.forecasting.runs import PROTOCOLS, QUICK, ForecastRun

__all__ = ["run"]

HORIZONS = ForecastRun.horizons


def run(settings: Any, console: Console) -> dict[str, Any]:
    """Make all forecasts that the settings ask for; finished ones are not made again."""
    seeds, max_epochs = settings.seeds, settings.max_epochs
    if settings.quick:
        seeds, max_epochs = min(seeds, 2), min(max_epochs, 40)
    protocols = QUICK if settings.quick else PROTOCOLS
    # Data that cannot be had are missed here, not in a process of the sweep.
    epidemics = [EPIDEMICS[protocol.epidemic]().standardized(protocol.statistics) for protocol in protocols]
    kinds = [protocol.networks(seeds, settings.hidden, max_epochs) for protocol in protocols]
    runs = [run for kinds_of_protocol in kinds for kind in kinds_of_protocol for run in kind]
    records = iter(run_sweep(forecast, runs, settings.folder / "cache", settings.jobs, console=console))
    found = [
        {
            **dataclasses.asdict(protocol),
            "step": epidemic.step,
            "starts": epidemic.starts,
            **layout(epidemic),
            "baselines": _baselines(epidemic, protocol.orders),
            "networks": [_network(epidemic, [next(records) for _ in kind]) for kind in kinds_of_protocol],
        }
        for protocol, epidemic, kinds_of_protocol in zip(protocols, epidemics, kinds, strict=True)
    ]
    return {"experiment": "forecasting", "provenance": provenance(), "horizons": HORIZONS, "protocols": found}


def _baselines(epidemic: Epidemic, orders: tuple[int, ...]) -> dict[str, Any]:
    """Errors by name, the first of which is the one to beat."""
    first = orders[0]
    forecasts = {
        **{f"AR({order})": autoregression(epidemic, order, HORIZONS) for order in orders},
        f"AR({first}), one a node": autoregression(epidemic, first, HORIZONS, pooled=False),
        f"AR({first}) + neighbours": autoregression(epidemic, first, HORIZONS, neighbours=True),
        "mean": mean(epidemic, HORIZONS),
        "persistence": persistence(epidemic, HORIZONS),
    }
    return {name: _errors(epidemic, [values]) for name, values in forecasts.items()}


def _network(epidemic: Epidemic, records: list[dict[str, Any]]) -> dict[str, Any]:
    """Errors of a kind of network, and of the mean of its seeds' forecasts."""
    forecasts = [np.array(record["result"].pop("forecasts")) for record in records]
    return {
        "settings": records[0]["settings"],
        "runs": [
            {"seed": record["settings"]["seed"], "seconds": record["seconds"], "commit": record["commit"],
             **record["result"]}
            for record in records
        ],
        **_errors(epidemic, forecasts),
        "together": _errors(epidemic, [np.mean(forecasts, 0)]),
    }  # fmt: skip


def _errors(epidemic: Epidemic, forecasts: list[Values]) -> dict[str, Any]:
    """Mean squared errors of forecasts [W, K, N], averaged over the list where a row is of steps or nodes."""
    _, start, stop = epidemic.starts
    squares = np.stack([(each - epidemic.values[start:stop, None]) ** 2 for each in forecasts])  # [runs, W, K, N]
    means = {
        "by_horizon": squares.mean((1, 3)),  # [runs, K]
        "by_step": squares.mean((0, 3)),  # [W, K]
        "by_node": squares.mean((0, 1)).T,  # [N, K]
    }
    return {name: [[float(f"{value:.5g}") for value in row] for row in rows] for name, rows in means.items()}
