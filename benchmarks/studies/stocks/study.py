"""The stock study's runs, each a forecast of a market from files, or drawn, that is scored: one JSON value."""

import base64
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
from rich.console import Console

from gnnseq.data.stocks.market import Market, make_market
from gnnseq.data.stocks.panel import Panel
from gnnseq.data.stocks.relations import Relations, join, nearest
from gnnseq.data.stocks.samples import Samples, leak_free, published, training_returns
from harness.files import cached_while_unchanged
from harness.provenance import provenance
from harness.report import PLAIN
from harness.sweep import run_sweep
from studies.stocks.baselines import Forecast, predict
from studies.stocks.networks import learn, seconds_at_most
from studies.stocks.portfolio import score
from studies.stocks.runs import (
    ENSEMBLE,
    HOLD,
    LSTM_GCN,
    LSTM_RSR,
    NEIGHBOURS,
    NETWORKS,
    ORACLE,
    Source,
    StockRun,
    Synthetic,
)
from studies.stocks.sources import find_all, read

Loaded = tuple[Panel, Samples, Relations, Market | None]  # a drawn market knows the best forecast


def run(settings: Any, console: Console) -> dict[str, Any]:
    """Make and score all forecasts that the settings ask for; finished runs are not made again."""
    source = None
    if settings.prices is not None:
        prices, *relations = find_all([settings.prices, *settings.relations])
        source = Source(
            prices, tuple(relations), settings.are_adjusted, settings.zone, settings.named_columns,
            settings.named_relation_columns,
        )  # fmt: skip
    runs = settings.runs(None if source is None else source.digest())
    data = describe(runs[0], source)  # a wrong file is met here, not in a process of the sweep
    if data["stocks"] == 1:
        told = f"one ticker, {data['tickers'][0]}: there is nothing to relate, and the LSTM alone is trained"
        console.print(told, **PLAIN)
        runs = [one for one in runs if one.model not in (LSTM_GCN, LSTM_RSR)]
    forecast, seconds = partial(measure, source=source), partial(_seconds, source=source)
    records = run_sweep(forecast, runs, settings.folder / "cache", settings.jobs, seconds, console)
    if source is not None:
        _add_ensembles(records, settings.models, runs[0], source)
    about = {"experiment": "stocks", "protocol": settings.protocol, "provenance": provenance()}
    return {**about, "data": data, "runs": records}


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
    _, samples, _, _ = load(run, source)
    for model in models:
        own = [record for record in records if record["settings"]["model"] == model]
        forecasts = [unpacked(record["result"].pop("forecast"), samples.target.size(1)) for record in own]
        if len(own) > 1:
            scored = score(np.mean(forecasts, axis=0), samples, run.cost)
            records.append({
                "settings": {**own[-1]["settings"], "model": f"{model}{ENSEMBLE}", "seed": 0},
                "result": {**scored, "validation_ic": None, "about": {"forecasts": len(own)}},
                "seconds": 0.0, "commit": own[-1]["commit"],
            })  # fmt: skip


def _seconds(run: StockRun, source: Source | None) -> float:
    """How long a run takes at most; baselines take next to nothing."""
    if run.model not in NETWORKS:
        return 1.0
    _, samples, relations, _ = load(replace(run, seed=0), source)
    return seconds_at_most(run.model, samples, relations, run.training)


def load(run: StockRun, source: Source | None) -> Loaded:
    """The market of a run, once a process."""
    return _load(source, run.synthetic, run.seed if source is None else 0, run.protocol, run.neighbours)


@cached_while_unchanged(2)
def _load(source: Source | None, synthetic: Synthetic | None, seed: int, protocol: str, neighbours: int) -> Loaded:
    drawn = None
    if source is None:
        assert synthetic is not None
        drawn = make_market(stocks=synthetic.stocks, days=synthetic.days, seed=seed)
        panel, several = drawn.panel, [drawn.relations]
    else:
        panel, several = read(source)
    samples = leak_free(panel) if protocol == "leak-free" else published(panel)
    if neighbours == NEIGHBOURS:
        neighbours = min(neighbours, panel.num_stocks - 1)
    if neighbours:
        several.append(nearest(training_returns(panel, samples), neighbours))
    return panel, samples, join(several), drawn


def describe(run: StockRun, source: Source | None) -> dict[str, Any]:
    """What was found in the data, as JSON values."""
    panel, samples, relations, drawn = load(run, source)
    parts = {"train": samples.train, "validation": samples.validation, "test": samples.test}
    return {
        "prices": "synthetic" if source is None else source.prices.name,
        "relations": [] if source is None else [path.name for path in source.relations],
        "days": panel.num_days,
        "stocks": panel.num_stocks,
        "tickers": list(panel.tickers),
        "parts": {part: [panel.dates[days[0]], panel.dates[days[-1]], len(days)] for part, days in parts.items()},
        "test_dates": [panel.dates[day] for day in samples.test],
        "tradable": round(float(samples.tradable.double().mean()), 4),
        "found": panel.counts(),
        "findings": [str(finding) for finding in panel.findings],
        "edges": relations.num_edges,
        "types": [list(named) for named in zip(relations.names, (relations.types > 0).sum(0).tolist(), strict=True)],
        "without_relations": panel.num_stocks - int(relations.edge_index.unique().numel()),
        "left_out": list(relations.left_out),
        "features": list(samples.feature_names),
        "leaks": list(samples.leaks),
        "best_ic": None if drawn is None else drawn.best_ic,
    }
