"""Do relations help to predict which stocks rise tomorrow?

    python benchmarks/stocks.py                              a market whose best score is known; under ten minutes
    python benchmarks/stocks.py --prices stocks/stocknet --relations stocks/stocknet/StockTable.tsv
    python benchmarks/stocks.py --prices closes.csv --raw --relations groups.json edges.csv --protocol stockmixer
    python benchmarks/stocks.py --prices long.parquet --relations sp500.csv --relation-columns group="GICS Sector"

Prices: a folder of CSVs, one a ticker; a table (CSV, Parquet) of one ticker, of rows by ticker and day, of closes by
ticker or of fields by ticker; the files of Feng et al. 2019; or a packed panel. Relations: a sector table, a group
JSON, a typed edge list; without any, the nearest neighbours in training-period correlation. docs/guide.md lists all
forms. --columns and --relation-columns name columns whose names do not tell. A path that does not exist is looked for
in the cache of published files, and downloaded if it is one. Ten seeds each of an LSTM alone, with a GCN over the
relations, and with the convolution of Feng et al. 2019, which learns how strong they are; and baselines. The leak-free
protocol uses the past only; rsr and stockmixer are the published ones, with the leaks they have.

Ctrl-C is safe: finished runs are kept and the same command continues. Exit code 0: all runs finished and every
statement checked holds; 1: one does not; 2: an argument or a file is wrong; 130: interrupted.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from harness.cli import ProcessSettings, SweepSettings, run_study
from studies.stocks.runs import (
    BASELINES,
    LEAK,
    NEIGHBOURS,
    NETWORKS,
    ORACLE,
    RANDOM,
    StockRun,
    StockTraining,
    Synthetic,
)

SYNTHETIC_TRAINING = StockTraining(hidden=32, learning_rate=5e-3, max_epochs=40, patience=8)


@dataclass(frozen=True)
class Settings(SweepSettings, ProcessSettings):
    """Do relations help to predict which stocks rise? Without arguments, on a market whose best score is known."""

    study = "stocks"

    prices: str | None = None  # Folder of CSVs, table of prices in any usual form, or packed panel.
    relations: tuple[str, ...] = ()
    """Sector tables, group JSONs, edge lists; an edge that several name has the types of all."""
    neighbours: int | None = None
    """Add each stock's nearest neighbours in training-period correlation; 10, or all, where there are no relations."""
    adjusted: bool = False  # Closes are adjusted for splits already: a price that halves did fall by half.
    raw: bool = False  # They are not: a price that halves was split.
    zone: str | None = None  # The exchange's time zone, such as Asia/Tokyo, where timestamps are instants in UTC.
    columns: tuple[str, ...] = ()
    """What columns of prices hold, where their names do not tell: date=NAME ticker=NAME close=NAME volume=NAME."""
    relation_columns: tuple[str, ...] = ()
    """The same of tables of relations: ticker=NAME group=NAME, or source=NAME target=NAME type=NAME weight=NAME."""
    protocol: Literal["leak-free", "rsr", "stockmixer"] = "leak-free"
    """What is known when; rsr and stockmixer look ahead as published."""
    called: Annotated[str | None, tyro.conf.arg(name="name")] = None
    """What the results are called; made of the prices' name and the protocol where not given."""
    seeds: int = 10  # Networks of each kind.
    models: tuple[str, ...] = NETWORKS  # Which networks.
    cost: float = 0.001  # Share of a trade's value that is lost, for returns after costs; 0.001 is ten basis points.
    hidden: int | None = None  # Hidden channels; 16 for real markets and 32 for the synthetic one where not given.
    learning_rate: float | None = None  # Of AdamW; 1e-3 for real markets and 5e-3 for the synthetic one if not given.
    batch: int | None = None  # Windows of 32 days a step; as many as there are processes where not given.
    epochs: int | None = None  # Most epochs; 10 for real markets and 40 for the synthetic one where not given.
    synthetic: Synthetic = field(default_factory=Synthetic)

    def __post_init__(self) -> None:
        super().__post_init__()
        if unknown := set(self.models) - set(NETWORKS):
            raise ValueError(f"models: got {', '.join(sorted(unknown))}; expected some of {', '.join(NETWORKS)}")
        if self.batch is not None and self.batch < 1:
            raise ValueError(f"batch={self.batch}; expected 1 or more")
        if self.seeds < 1:
            raise ValueError(f"seeds={self.seeds}; expected 1 or more")
        if not 0 <= self.cost < 1:
            raise ValueError(f"cost={self.cost}; expected 0 to 1, a share of a trade's value")
        if self.prices is None and (self.relations or self.neighbours or self.protocol != "leak-free"):
            raise ValueError("relations, neighbours and protocol are for real prices; give --prices too")
        if self.prices is None and (self.adjusted or self.raw or self.zone or self.columns):
            raise ValueError("adjusted, raw, zone and columns are for real prices; give --prices too")
        if self.relation_columns and not self.relations:
            raise ValueError("relation-columns are those of tables of relations; give --relations too")
        if self.adjusted and self.raw:
            raise ValueError("adjusted and raw: closes are one of the two; give one, or none where files tell")
        for option in ("columns", "relation_columns"):
            _named(option, getattr(self, option))

    @property
    def are_adjusted(self) -> bool | None:
        """Whether closes are adjusted; None if that is not said."""
        return self.adjusted or (False if self.raw else None)

    @property
    def named_columns(self) -> tuple[tuple[str, str], ...]:
        """What columns of prices hold, and their names."""
        return _named("columns", self.columns)

    @property
    def named_relation_columns(self) -> tuple[tuple[str, str], ...]:
        """The same of tables of relations."""
        return _named("relation_columns", self.relation_columns)

    @property
    def name(self) -> str:
        """What the results are called."""
        market = "synthetic" if self.prices is None else f"{Path(self.prices).stem}_{self.protocol}"
        return self.called or ("quick" if self.quick else market)

    def runs(self, data: str | None) -> list[StockRun]:
        """All of them; ``data`` is the digest of real prices and relations."""
        training, synthetic = SYNTHETIC_TRAINING if data is None else StockTraining(), self.synthetic
        seeds, leaks, drawn = self.seeds, self.protocol != "leak-free", data is None
        if self.quick:
            seeds, training, synthetic = min(seeds, 2), replace(training, max_epochs=4), Synthetic(stocks=16, days=400)
        usual = 0 if self.relations or drawn else NEIGHBOURS
        given: dict[str, Any] = {"learning_rate": self.learning_rate, "max_epochs": self.epochs, "hidden": self.hidden,
                                 "batch": self.batch or (self.processes if self.processes > 1 else None)}  # fmt: skip
        shared: dict[str, Any] = {
            "protocol": "published" if leaks else "leak-free", "data": data, "synthetic": synthetic if drawn else None,
            "neighbours": usual if self.neighbours is None else self.neighbours,
            "cost": self.cost,
            "training": replace(training, **{name: value for name, value in given.items() if value is not None}),
        }  # fmt: skip
        baselines = [name for name in BASELINES if leaks or name != LEAK]
        seeded = (RANDOM, *NETWORKS)  # the others are the same for every seed, unless the market is drawn anew
        return [
            StockRun(model=name, seed=seed, **shared)
            for name in (*baselines, *self.models, *([ORACLE] if drawn else []))
            for seed in range(seeds if drawn or name in seeded else 1)
        ]


def _named(option: str, pairs: tuple[str, ...]) -> tuple[tuple[str, str], ...]:
    """Pairs from texts such as "group=GICS Sector"."""
    for pair in pairs:
        if not all(part.strip() for part in pair.partition("=")):
            raise ValueError(f"{option.replace('_', '-')}: got {pair!r}; expected WHAT=NAME, such as close='PX LAST'")
    return tuple((what.strip(), name.strip()) for what, _, name in (pair.partition("=") for pair in pairs))


if __name__ == "__main__":
    run_study(Settings)
