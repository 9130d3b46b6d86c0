"""Do relations help to foretell which stocks rise tomorrow?

    python benchmarks/stocks.py                              a market whose best score is known; under ten minutes
    python benchmarks/stocks.py --prices stocks/stocknet --relations stocks/stocknet/StockTable.tsv
    python benchmarks/stocks.py --prices closes.csv --relations groups.json edges.csv --protocol stockmixer

Prices: a folder of Yahoo's CSVs, a table of closes (CSV, Parquet) or a packed panel. Relations: a sector table, a group
JSON, a typed edge list; without any, the nearest neighbours in training-period correlation. A path that does not exist
is looked for in the cache of published files, and downloaded if it is one. An LSTM alone, with a
GCN over the relations, and with the relational convolution of Feng et al. 2019, which learns how strong they are; ten
seeds each, beside the baselines that they have to beat. The leak-free protocol uses the past only; rsr and stockmixer
are the published ones, with the leaks they have.

Ctrl-C is safe: finished runs are kept and the same command continues. Exit code 0: all runs finished and every
statement checked holds; 1: one does not; 2: an argument or a file is wrong; 130: interrupted.
"""

import dataclasses
import functools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from gnnseq.data import cache
from harness import cli as command
from harness.sweep import provenance, run_sweep, write_json
from studies.stocks.models import AUTOREGRESSION, HOLD, LEAK, LEARNED, LINEAR, ORACLE, RANDOM, YESTERDAY, Training
from studies.stocks.report import checks, figures, print_report
from studies.stocks.runs import Run, Source, Synthetic, describe, digest, edges_to_draw, measure, seconds, with_means

Protocol = Literal["leak-free", "rsr", "stockmixer"]
NEIGHBOURS = 10
SEEDED = (RANDOM, *LEARNED)  # the others are the same for every seed, unless the market is drawn anew
SYNTHETIC_TRAINING = Training(hidden=32, learning_rate=5e-3, max_epochs=40, patience=8)


@dataclass(frozen=True)
class Settings:
    """Do relations help to foretell which stocks rise? Without arguments, on a market whose best score is known."""

    prices: str | None = None
    """Folder of CSVs, table of closes, or packed panel."""
    relations: tuple[str, ...] = ()
    """Sector tables, group JSONs, edge lists; an edge that several name has the types of all."""
    neighbours: int | None = None
    """Add each stock's nearest neighbours in training-period correlation; 10 where there are no other relations."""
    adjusted: bool = False
    """Closes are adjusted for splits already."""
    protocol: Protocol = "leak-free"
    """What is known when; rsr and stockmixer look ahead as published."""
    name: str | None = None
    """What the results are called; made of the prices' name and the protocol where not given."""
    quick: bool = False
    """The form that CI runs: a small market, one seed, seconds."""
    report_only: bool = False
    """Rebuild tables and figures from the JSON, train nothing."""
    results: Path = Path(__file__).resolve().parent / "results" / "stocks"
    """Folder of JSON and figures; finished runs are kept in its subfolder cache/."""
    jobs: int = -1
    """Processes, one thread each; -1 means every core."""
    seeds: int = 10
    """Networks of each kind."""
    models: tuple[str, ...] = LEARNED
    """Which networks."""
    cost: float = 0.001
    """Share of a trade's value that is lost, for returns after costs; 0.001 is ten basis points."""
    hidden: int | None = None
    """Hidden channels; 16 for real markets and 32 for the synthetic one where not given."""
    learning_rate: float | None = None
    """Of AdamW; 1e-3 for real markets and 5e-3 for the synthetic one where not given."""
    epochs: int | None = None
    """Most epochs; 10 for real markets and 40 for the synthetic one where not given."""
    synthetic: Synthetic = field(default_factory=Synthetic)

    def __post_init__(self) -> None:
        unknown = set(self.models) - set(LEARNED)
        if unknown:
            raise ValueError(f"models: got {', '.join(sorted(unknown))}; expected some of {', '.join(LEARNED)}")
        if self.seeds < 1:
            raise ValueError(f"seeds={self.seeds}; expected 1 or more")
        if not 0 <= self.cost < 1:
            raise ValueError(f"cost={self.cost}; expected 0 to 1, a share of a trade's value")
        if self.prices is None and (self.relations or self.neighbours or self.protocol != "leak-free"):
            raise ValueError("relations, neighbours and protocol are for real prices; give --prices too")

    @property
    def stem(self) -> Path:
        if self.name is not None:
            return self.results / self.name
        if self.quick:
            return self.results / "quick"
        if self.prices is None:
            return self.results / "synthetic"
        return self.results / f"{Path(self.prices).stem}_{self.protocol}"

    def source(self) -> Source | None:
        if self.prices is None:
            return None
        return Source(find(self.prices), tuple(find(path) for path in self.relations), self.adjusted)

    def runs(self, source: Source | None) -> list[Run]:
        synthetic = self.synthetic if source is None else None
        training = SYNTHETIC_TRAINING if source is None else Training()
        seeds = self.seeds
        if self.quick:
            seeds = min(seeds, 2)
            synthetic = Synthetic(stocks=16, days=400) if source is None else None
            training = dataclasses.replace(training, max_epochs=10)
        changed = {"learning_rate": self.learning_rate, "max_epochs": self.epochs, "hidden": self.hidden}
        training = dataclasses.replace(
            training, **{name: value for name, value in changed.items() if value is not None}
        )
        neighbours = self.neighbours
        if neighbours is None:
            neighbours = 0 if self.relations or source is None else NEIGHBOURS
        shared: dict[str, Any] = {
            "protocol": "leak-free" if self.protocol == "leak-free" else "published",
            "data": None if source is None else digest(source),
            "synthetic": synthetic, "neighbours": neighbours, "cost": self.cost, "training": training,
        }  # fmt: skip
        names = [HOLD, RANDOM, YESTERDAY, AUTOREGRESSION, LINEAR]
        names += [LEAK] if shared["protocol"] == "published" else []
        last = [ORACLE] if source is None else []
        return [
            Run(model=name, seed=seed, **shared)
            for name in (*names, *self.models, *last)
            for seed in range(seeds if source is None or name in SEEDED else 1)
        ]


def find(path: str) -> Path:
    """A path that exists, else one in the cache of published files, which are downloaded if need be."""
    given = Path(path)
    if given.exists() or given.is_absolute():
        return given
    cached = cache.folder() / given
    published_files = cache.names(path if given.suffix else f"{path.rstrip('/')}/")
    for name in published_files:
        cache.fetch(name)
    if not published_files and not cached.exists():
        raise FileNotFoundError(
            f"{path}: not here, not in {cache.folder()}, and none of the published files; expected a file or a folder"
        )
    return cached


def main(settings: Settings) -> int:
    console = Console()
    path = settings.stem.with_name(f"{settings.stem.name}.json")
    if not settings.report_only:
        source = settings.source()
        runs = settings.runs(source)
        data = describe(runs[0], source)  # a wrong file is met here, not in a process of the sweep
        records = run_sweep(
            functools.partial(measure, source=source),
            runs,
            settings.results / "cache",
            settings.jobs,
            functools.partial(seconds, source=source),
            console,
        )
        result = {
            "experiment": "stocks",
            "protocol": settings.protocol,
            "provenance": provenance(),
            "data": data,
            "runs": records if source is None else with_means(records, runs[0], source),
        }
        result["data"]["drawn"] = edges_to_draw(result, runs[0], source)
        write_json(path, result, indent=None)
    result = command.report(path, print_report, figures, console)
    return 0 if all(holds for _, holds in checks(result)) else 1


if __name__ == "__main__":
    command.run(main, Settings)
