"""The runs of the stock study, each a forecast that is scored, as one JSON value."""

import base64
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any

import numpy as np
from rich.console import Console

from harness.provenance import provenance
from harness.sweep import one_thread, run_sweep
from studies.stocks.baselines import predict
from studies.stocks.markets import describe, find, load
from studies.stocks.networks import learn, seconds_at_most
from studies.stocks.results import ordered_types
from studies.stocks.runs import ENSEMBLE, HOLD, NETWORKS, ORACLE, Source, StockRun
from studies.stocks.scores import score
from studies.stocks.targets import Forecast

__all__ = ["measure", "run", "unpacked"]


def run(settings: Any, console: Console) -> dict[str, Any]:
    """Make and score all forecasts that the settings ask for; finished runs are not made again."""
    source = None
    if settings.prices is not None:
        source = Source(find(settings.prices), tuple(find(path) for path in settings.relations), settings.adjusted)
    runs = settings.runs(None if source is None else source.digest())
    data = describe(runs[0], source)  # a wrong file is met here, not in a process of the sweep
    forecast, seconds = partial(measure, source=source), partial(_seconds, source=source)
    records = run_sweep(forecast, runs, settings.folder / "cache", settings.jobs, seconds, console)
    result = {
        "experiment": "stocks",
        "protocol": settings.protocol,
        "provenance": provenance(),
        "data": data,
        "runs": records if source is None else _with_ensembles(records, runs[0], source),
    }
    _, _, relations, _ = load(runs[0], source)
    pairs = relations.edge_index.t()
    data["drawn"] = {str(kind): pairs[relations.types[:, kind] > 0].tolist() for kind in ordered_types(result)}
    return result


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


def _with_ensembles(records: list[dict[str, Any]], run: StockRun, source: Source) -> list[dict[str, Any]]:
    """The same runs without their forecasts, and one more for each network: its seeds' forecasts, averaged."""
    samples = load(run, source).samples
    networks: dict[str, list[dict[str, Any]]] = {}
    kept = []
    for record in records:
        if "forecast" in record["result"]:
            networks.setdefault(record["settings"]["model"], []).append(record)
        kept.append({**record, "result": {k: v for k, v in record["result"].items() if k != "forecast"}})
    for model, several in networks.items():
        if len(several) > 1:
            p = np.mean([unpacked(each["result"]["forecast"], samples.target.size(1)) for each in several], axis=0)
            about = {"validation_ic": None, "about": {"forecasts": len(several)}}
            kept.append({
                "settings": {**several[-1]["settings"], "model": f"{model}{ENSEMBLE}", "seed": 0},
                "result": {**score(p, samples, run.cost), **about},
                "seconds": 0.0,
                "commit": several[-1]["commit"],
            })  # fmt: skip
    return kept


def _seconds(run: StockRun, source: Source | None) -> float:
    """How long a run takes at most; baselines take next to nothing."""
    return _seconds_of_network(replace(run, seed=0), source) if run.model in NETWORKS else 1.0


@lru_cache
def _seconds_of_network(run: StockRun, source: Source | None) -> float:
    _, samples, relations, _ = load(run, source)
    with one_thread():
        return seconds_at_most(run.model, samples, relations, run.training)
