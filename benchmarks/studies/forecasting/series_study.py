"""Forecasts of a series of one's own, or of the made-up sensors, held against what happened, as one JSON value."""

import warnings
from typing import Any

import numpy as np
from rich.console import Console

from gnnseq.data.graph_series import GraphSeries, Values
from gnnseq.data.series_files.clock import steps_of_a_day
from harness.provenance import provenance
from harness.report import PLAIN
from harness.sweep import run_sweep
from studies.forecasting.series_baselines import baselines, origins_of
from studies.forecasting.series_fit import forecast_series, load
from studies.forecasting.series_runs import SERIES_MODELS, SeriesRun

__all__ = ["run_series", "scores"]

HORIZONS, LAGS = (3, 6, 12), 12  # where not given

# Seconds a step of a node, of one epoch in both trainings.
COSTS = {"no edges": 3e-5, "time_then_space": 3e-5, "space_then_time": 6e-5, "space_time": 1e-4}


def run_series(settings: Any, console: Console) -> dict[str, Any]:
    """Make all forecasts that the settings ask for; finished ones are not made again."""
    place, graph, reading = settings.reading
    series = load(place, graph, reading)
    season = steps_of_a_day(series.times) if settings.season is None else settings.season
    horizons = tuple(sorted(set(settings.horizons or HORIZONS)))
    lags, edges, (seeds, hidden, max_epochs) = settings.lags or LAGS, series.graphs[0][0].size(1), settings.training
    validation, start, stop = _check(series, season, lags, horizons)
    console.print(
        f"{len(series.nodes)} nodes, {len(series.values)} steps, {edges} edges, season of {season or 'no'} steps, "
        f"{100 * np.isnan(series.values).mean():.1f} % missing, {100 * (series.values == 0).mean():.1f} % zeros; "
        f"validation from step {validation}, test from step {start}",
        **PLAIN,
    )
    models = [model for model in SERIES_MODELS if edges or model == "no edges"]
    runs = [
        SeriesRun(place, graph, reading, series.digest, season, lags, horizons, model, seed, hidden=hidden,
                  max_epochs=max_epochs)
        for model in models for seed in range(seeds)
    ]  # fmt: skip
    origins = origins_of(lags, horizons, start, stop)
    y = series.values[origins[:, None] + np.asarray(horizons)]
    found: list[dict[str, Any]] = [
        {"name": name, "scores": scores([values], y)}
        for name, values in baselines(series, season, lags, horizons, origins).items()
    ]
    size = len(series.nodes) * len(series.values)
    jobs = 2 if settings.jobs == -1 else settings.jobs  # of half a gigabyte each
    records = run_sweep(
        forecast_series, runs, settings.folder / "cache", jobs,
        lambda run: COSTS[run.model] * size * run.max_epochs, console,
    )  # fmt: skip
    for model in models:
        own = [record for record in records if record["settings"]["model"] == model]
        made = [np.array(record["result"].pop("forecasts")) for record in own]
        kept = [{"seed": record["settings"]["seed"], "seconds": record["seconds"], "commit": record["commit"],
                 **record["result"]} for record in own]  # fmt: skip
        found.append({"name": model, "runs": kept, "scores": scores(made, y), "settings": own[0]["settings"]})
    return {
        "experiment": "forecasting", "kind": "series", "provenance": provenance(), "series": place,
        "graph": graph, "nodes": len(series.nodes), "steps": len(series.values), "edges": edges, "season": season,
        "lags": lags, "horizons": list(horizons), "starts": [validation, start, stop], "windows": len(origins),
        "forecasts": found,
    }  # fmt: skip


def scores(forecasts: list[Values], y: Values) -> dict[str, list[list[float]]]:
    """Errors of each list's forecasts [B, K, N] by horizon, over the values that are there; percent of those not 0.

    Example:
        >>> scores([np.array([[[1.0, 3.0]]])], np.array([[[2.0, 0.0]]]))
        {'mse': [[5.0]], 'rmse': [[2.2361]], 'mae': [[2.0]], 'mape': [[50.0]]}
    """
    rows: dict[str, list[list[float]]] = {"mse": [], "rmse": [], "mae": [], "mape": []}
    for values in forecasts:
        error = values - y
        with np.errstate(divide="ignore", invalid="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # a horizon without a value has no error
            square = np.nanmean(error**2, (0, 2))
            share = np.where(y == 0, np.nan, np.abs(error / y))
            means = (square, np.sqrt(square), np.nanmean(np.abs(error), (0, 2)), 100 * np.nanmean(share, (0, 2)))
        for row, mean in zip(rows.values(), means, strict=True):
            row.append([float(f"{value:.5g}") for value in mean])
    return rows


def _check(series: GraphSeries, season: int, lags: int, horizons: tuple[int, ...]) -> tuple[int, int, int]:
    """Where the parts begin; a ValueError if there is no window in one of them."""
    validation, start, stop = parts = series.starts
    shortest = min(validation, start - validation, stop - start)
    if lags + horizons[-1] >= validation or horizons[-1] >= shortest:
        raise ValueError(
            f"--lags {lags}, --horizons {' '.join(map(str, horizons))}: the {len(series.values)} steps have parts of "
            f"{validation}, {start - validation} and {stop - start}, too short for a history and its farthest target; "
            "take fewer of both, or a longer series"
        )
    if season >= validation:
        raise ValueError(f"--season {season}: expected less than the training part, {validation} steps")
    dull = np.flatnonzero(np.isnan(series.values[start:]).all(0))
    if len(dull) == len(series.nodes):
        raise ValueError("--series: no value in the test part, the last fifth; expected some")
    return parts
