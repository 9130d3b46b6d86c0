"""The runs of the stock study, each a forecast that is scored, as one JSON value."""

import base64
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from rich.console import Console

from harness.provenance import provenance
from harness.sweep import one_thread, run_sweep
from studies.stocks.baselines import predict
from studies.stocks.markets import describe, find, load
from studies.stocks.networks import learn, seconds_at_most
from studies.stocks.portfolio import score
from studies.stocks.runs import ENSEMBLE, HOLD, NETWORKS, ORACLE, Source, StockRun
from studies.stocks.targets import Forecast


def run(settings: Any, console: Console) -> dict[str, Any]:
    """Make and score all forecasts that the settings ask for; finished runs are not made again."""
    source = None
    if settings.prices is not None:
        source = Source(find(settings.prices), tuple(find(path) for path in settings.relations), settings.adjusted)
    runs = settings.runs(None if source is None else source.digest())
    data = describe(runs[0], source)  # a wrong file is met here, not in a process of the sweep
    forecast, seconds = partial(measure, source=source), partial(_seconds, source=source)
    records = run_sweep(forecast, runs, settings.folder / "cache", settings.jobs, seconds, console)
    if source is not None:
        _add_ensembles(records, settings.models, runs[0], source)
    return {
        "experiment": "stocks",
        "protocol": settings.protocol,
        "provenance": provenance(),
        "data": data,
        "runs": records,
    }


def measure(run: StockRun, source: Source | None) -> dict[str, Any]:
    """Train or compute one forecast and score it on the test part."""
    _, samples, relations, drawn = load(run, source)
    if run.model in NETWORKS:
        forecast = learn(run.model, samples, relations, run.training, run.seed)
    elif run.model == ORACLE:
        assert drawn is not None
        forecast = Forecast(drawn.oracle[samples.test.start : samples.test.stop])
    else:
        forecast = predict(run.model, samples, run.seed)
    scored = score(forecast.p, samples, run.cost, everything=run.model == HOLD)
    result = {**scored, "validation_ic": forecast.validation_ic, "about": forecast.about}
    if run.model in NETWORKS and source is not None:
        result["forecast"] = base64.b64encode(forecast.p.astype(np.float32).tobytes()).decode()
    return result


def unpacked(text: str, stocks: int) -> np.ndarray:
    """Predictions from the text that a finished run has of them. [days, N]"""
    return np.frombuffer(base64.b64decode(text), dtype=np.float32).reshape(-1, stocks).astype(np.float64)


def _add_ensembles(records: list[dict[str, Any]], models: tuple[str, ...], run: StockRun, source: Source) -> None:
    """Take the forecasts out of the records; add one for each network with several seeds: their mean forecast."""
    samples = load(run, source).samples
    for model in models:
        own = [record for record in records if record["settings"]["model"] == model]
        forecasts = [unpacked(record["result"].pop("forecast"), samples.target.size(1)) for record in own]
        if len(own) > 1:
            scored = score(np.mean(forecasts, axis=0), samples, run.cost)
            records.append({
                "settings": {**own[-1]["settings"], "model": f"{model}{ENSEMBLE}", "seed": 0},
                "result": {**scored, "validation_ic": None, "about": {"forecasts": len(own)}},
                "seconds": 0.0,
                "commit": own[-1]["commit"],
            })  # fmt: skip


def _seconds(run: StockRun, source: Source | None) -> float:
    """How long a run takes at most; baselines take next to nothing."""
    if run.model not in NETWORKS:
        return 1.0
    _, samples, relations, _ = load(replace(run, seed=0), source)
    with one_thread():
        return seconds_at_most(run.model, samples, relations, run.training)
