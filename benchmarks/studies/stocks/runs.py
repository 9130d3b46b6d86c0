"""The runs of the stock study: which market, which forecaster, and how it is scored."""

import base64
import dataclasses
import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gnnseq.data.stocks.market import Market, make_market
from gnnseq.data.stocks.panel import Panel
from gnnseq.data.stocks.prices import load_prices
from gnnseq.data.stocks.relations import Relations, join, load_relations, nearest
from gnnseq.data.stocks.samples import Samples, leak_free, published, training_returns
from harness.sweep import one_thread
from studies.stocks.models import HOLD, LEARNED, ORACLE, TOGETHER, Forecast, Training, learn, seconds_at_most, simple
from studies.stocks.results import drawn_types
from studies.stocks.scores import score


@dataclass(frozen=True)
class Synthetic:
    """A market of :func:`gnnseq.data.stocks.market.make_market`, drawn anew for every seed."""

    stocks: int = 60
    days: int = 1000


@dataclass(frozen=True)
class Run:
    """One forecaster on one market.

    Attributes:
        data: Digest of prices and relations, None for the synthetic market.
        protocol: "leak-free" or "published": rsr and stockmixer differ in what they report alone.
    """

    model: str
    seed: int
    protocol: str
    data: str | None
    synthetic: Synthetic | None
    neighbours: int
    cost: float
    training: Training


@dataclass(frozen=True)
class Source:
    """Where a market's files are, which must not decide what a run is called."""

    prices: Path
    relations: tuple[Path, ...]
    adjusted: bool


def digest(source: Source) -> str:
    """SHA-256 of all files of a market, so that a finished run is not taken for one on other data."""
    found = hashlib.sha256(str(source.adjusted).encode())
    for path in (source.prices, *source.relations):
        for file in sorted(path.glob("*.csv")) if path.is_dir() else [path]:
            found.update(file.name.encode() + file.read_bytes())
    return found.hexdigest()[:16]


@functools.lru_cache(maxsize=2)
def load(
    source: Source | None, synthetic: Synthetic | None, seed: int, protocol: str, neighbours: int
) -> tuple[Panel, Samples, Relations, Market | None]:
    """Prices, samples and relations, once a process."""
    market = None
    if source is None:
        assert synthetic is not None
        market = make_market(stocks=synthetic.stocks, days=synthetic.days, seed=seed)
        panel, several = market.panel, [market.relations]
    else:
        panel = load_prices(source.prices, source.adjusted)
        several = [load_relations(path, panel.tickers) for path in source.relations]
    samples = leak_free(panel) if protocol == "leak-free" else published(panel)
    if neighbours:
        several.append(nearest(training_returns(panel, samples), neighbours))
    return panel, samples, join(several), market


def measure(run: Run, source: Source | None) -> dict[str, Any]:
    """Train or compute one forecast and score it on the test part."""
    seed = run.seed if source is None else 0
    _, samples, relations, market = load(source, run.synthetic, seed, run.protocol, run.neighbours)
    if run.model in LEARNED:
        forecast = learn(run.model, samples, relations, run.training, run.seed)
    elif run.model == ORACLE:
        assert market is not None
        forecast = Forecast(market.oracle[samples.test.start : samples.test.stop], None, {})
    else:
        forecast = simple(run.model, samples, run.seed)
    scored = score(forecast.p, samples, run.cost, everything=run.model == HOLD)
    result = {**scored, "validation_ic": forecast.validation_ic, "about": forecast.about}
    if run.model in LEARNED and source is not None:
        result["forecast"] = packed(forecast.p)
    return result


def packed(p: np.ndarray) -> str:
    """Predictions [days, N] as text."""
    return base64.b64encode(p.astype(np.float32).tobytes()).decode()


def unpacked(text: str, stocks: int) -> np.ndarray:
    """Predictions from text. [days, N]"""
    return np.frombuffer(base64.b64decode(text), dtype=np.float32).reshape(-1, stocks).astype(np.float64)


def with_means(records: list[dict[str, Any]], run: Run, source: Source) -> list[dict[str, Any]]:
    """The same runs without their forecasts, and one more for each network: its seeds' forecasts, averaged."""
    _, samples, _, _ = load(source, None, 0, run.protocol, run.neighbours)
    forecasts: dict[str, list[np.ndarray]] = {}
    last: dict[str, dict[str, Any]] = {}
    kept = []
    for record in records:
        result = dict(record["result"])
        if "forecast" in result:
            model = record["settings"]["model"]
            forecasts.setdefault(model, []).append(unpacked(result.pop("forecast"), samples.target.size(1)))
            last[model] = record
        kept.append({**record, "result": result})
    for model, several in forecasts.items():
        if len(several) > 1:
            scored = score(np.mean(several, axis=0), samples, run.cost)
            settings = {**last[model]["settings"], "model": f"{model}{TOGETHER}", "seed": 0}
            result = {**scored, "validation_ic": None, "about": {"forecasts": len(several)}}
            kept.append({"settings": settings, "result": result, "seconds": 0.0, "commit": last[model]["commit"]})
    return kept


@functools.lru_cache
def _seconds(run: Run, source: Source | None) -> float:
    _, samples, relations, _ = load(source, run.synthetic, 0, run.protocol, run.neighbours)
    with one_thread():
        return seconds_at_most(run.model, samples, relations, run.training)


def seconds(run: Run, source: Source | None) -> float:
    """How long a run takes at most; baselines take next to nothing."""
    return _seconds(dataclasses.replace(run, seed=0), source) if run.model in LEARNED else 1.0


def describe(first: Run, source: Source | None) -> dict[str, Any]:
    """What was found in the data, as JSON values."""
    panel, samples, relations, market = load(source, first.synthetic, 0, first.protocol, first.neighbours)
    counted = relations.types.sum(0).tolist()
    return {
        "prices": "synthetic" if source is None else source.prices.name,
        "relations": [] if source is None else [path.name for path in source.relations],
        "days": panel.num_days,
        "stocks": panel.num_stocks,
        "tickers": list(panel.tickers),
        "parts": {
            part: [panel.dates[days.start], panel.dates[days.stop - 1], len(days)]
            for part, days in (("train", samples.train), ("validation", samples.validation), ("test", samples.test))
        },
        "test_dates": [panel.dates[day] for day in samples.test],
        "tradable": round(float(samples.tradable.double().mean()), 4),
        "found": panel.counts(),
        "findings": [str(finding) for finding in panel.findings],
        "edges": relations.num_edges,
        "types": [[name, int(count)] for name, count in zip(relations.names, counted, strict=True)],
        "without_relations": panel.num_stocks - int(relations.edge_index.unique().numel()),
        "left_out": list(relations.left_out),
        "features": list(samples.feature_names),
        "leaks": list(samples.leaks),
        "best_ic": None if market is None else market.best_ic,
    }


def edges_to_draw(result: dict[str, Any], first: Run, source: Source | None) -> dict[str, list[list[int]]]:
    """The edges of the types that the figure shows, by the type's number."""
    _, _, relations, _ = load(source, first.synthetic, 0, first.protocol, first.neighbours)
    pairs = relations.edge_index.t()
    return {str(kind): pairs[relations.types[:, kind] > 0].tolist() for kind in drawn_types(result)}
