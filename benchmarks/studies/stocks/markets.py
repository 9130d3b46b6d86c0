"""Markets: from files, or drawn, to prices, samples and relations."""

from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from gnnseq.data import cache
from gnnseq.data.stocks.market import Market, make_market
from gnnseq.data.stocks.panel import Panel
from gnnseq.data.stocks.prices import load_prices
from gnnseq.data.stocks.relations import Relations, join, load_relations, nearest
from gnnseq.data.stocks.samples import Samples, leak_free, published, training_returns
from studies.stocks.runs import Source, StockRun, Synthetic


class Loaded(NamedTuple):
    """A market as forecasters see it; ``drawn`` is the synthetic one, which knows the best forecast."""

    panel: Panel
    samples: Samples
    relations: Relations
    drawn: Market | None


def find(path: str) -> Path:
    """A path that exists, else one in the cache of published files, which are downloaded if need be."""
    given, folder = Path(path), cache.folder()
    if given.exists() or given.is_absolute():
        return given
    published_files = cache.names(path if given.suffix else f"{path.rstrip('/')}/")
    for name in published_files:
        cache.fetch(name)
    if not published_files and not (folder / given).exists():
        raise FileNotFoundError(f"{path}: not here, not in {folder}, and none of the published files")
    return folder / given


def load(run: StockRun, source: Source | None) -> Loaded:
    """The market of a run, once a process."""
    return _load(source, run.synthetic, run.seed if source is None else 0, run.protocol, run.neighbours)


@lru_cache(maxsize=2)
def _load(source: Source | None, synthetic: Synthetic | None, seed: int, protocol: str, neighbours: int) -> Loaded:
    drawn = None
    if source is None:
        assert synthetic is not None
        drawn = make_market(stocks=synthetic.stocks, days=synthetic.days, seed=seed)
        panel, several = drawn.panel, [drawn.relations]
    else:
        panel = load_prices(source.prices, source.adjusted)
        several = [load_relations(path, panel.tickers) for path in source.relations]
    samples = leak_free(panel) if protocol == "leak-free" else published(panel)
    if neighbours:
        several.append(nearest(training_returns(panel, samples), neighbours))
    return Loaded(panel, samples, join(several), drawn)


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
        "types": [list(named) for named in zip(relations.names, relations.types.sum(0).int().tolist(), strict=True)],
        "without_relations": panel.num_stocks - int(relations.edge_index.unique().numel()),
        "left_out": list(relations.left_out),
        "features": list(samples.feature_names),
        "leaks": list(samples.leaks),
        "best_ic": None if drawn is None else drawn.best_ic,
    }
