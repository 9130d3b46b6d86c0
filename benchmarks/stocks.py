"""Do relations help to predict which stocks rise tomorrow?

    python benchmarks/stocks.py                              a market whose best score is known; under ten minutes
    python benchmarks/stocks.py --prices stocks/stocknet --relations stocks/stocknet/StockTable.tsv
    python benchmarks/stocks.py --prices closes.csv --relations groups.json edges.csv --protocol stockmixer

Prices: a folder of Yahoo's CSVs, a table of closes (CSV, Parquet) or a packed panel. Relations: a sector table, a group
JSON, a typed edge list; without any, the nearest neighbours in training-period correlation. A path that does not exist
is looked for in the cache of published files, and downloaded if it is one. Ten seeds each of an LSTM alone, with a GCN
over the relations, and with the convolution of Feng et al. 2019, which learns how strong they are; and baselines. The
leak-free protocol uses the past only; rsr and stockmixer are the published ones, with the leaks they have.

Ctrl-C is safe: finished runs are kept and the same command continues. Exit code 0: all runs finished and every
statement checked holds; 1: one does not; 2: an argument or a file is wrong; 130: interrupted.
"""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Any, Literal

import tyro

from harness.cli import SweepSettings, run_study
from studies.stocks.runs import BASELINES, LEAK, NETWORKS, ORACLE, RANDOM, StockRun, StockTraining, Synthetic

SYNTHETIC_TRAINING = StockTraining(hidden=32, learning_rate=5e-3, max_epochs=40, patience=8)


@dataclass(frozen=True)
class Settings(SweepSettings):
    """Do relations help to predict which stocks rise? Without arguments, on a market whose best score is known."""

    study = "stocks"

    prices: str | None = None  # Folder of CSVs, table of closes, or packed panel.
    relations: tuple[str, ...] = ()
    """Sector tables, group JSONs, edge lists; an edge that several name has the types of all."""
    neighbours: int | None = None
    """Add each stock's nearest neighbours in training-period correlation; 10 where there are no other relations."""
    adjusted: bool = False  # Closes are adjusted for splits already.
    protocol: Literal["leak-free", "rsr", "stockmixer"] = "leak-free"
    """What is known when; rsr and stockmixer look ahead as published."""
    called: Annotated[str | None, tyro.conf.arg(name="name")] = None
    """What the results are called; made of the prices' name and the protocol where not given."""
    seeds: int = 10  # Networks of each kind.
    models: tuple[str, ...] = NETWORKS  # Which networks.
    cost: float = 0.001  # Share of a trade's value that is lost, for returns after costs; 0.001 is ten basis points.
    hidden: int | None = None  # Hidden channels; 16 for real markets and 32 for the synthetic one where not given.
    learning_rate: float | None = None  # Of AdamW; 1e-3 for real markets and 5e-3 for the synthetic one if not given.
    epochs: int | None = None  # Most epochs; 10 for real markets and 40 for the synthetic one where not given.
    synthetic: Synthetic = field(default_factory=Synthetic)

    def __post_init__(self) -> None:
        super().__post_init__()
        if unknown := set(self.models) - set(NETWORKS):
            raise ValueError(f"models: got {', '.join(sorted(unknown))}; expected some of {', '.join(NETWORKS)}")
        if self.seeds < 1:
            raise ValueError(f"seeds={self.seeds}; expected 1 or more")
        if not 0 <= self.cost < 1:
            raise ValueError(f"cost={self.cost}; expected 0 to 1, a share of a trade's value")
        if self.prices is None and (self.relations or self.neighbours or self.protocol != "leak-free"):
            raise ValueError("relations, neighbours and protocol are for real prices; give --prices too")

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
        given: dict[str, Any] = {"learning_rate": self.learning_rate, "max_epochs": self.epochs, "hidden": self.hidden}
        shared: dict[str, Any] = {
            "protocol": "published" if leaks else "leak-free", "data": data, "synthetic": synthetic if drawn else None,
            "neighbours": (0 if self.relations or drawn else 10) if self.neighbours is None else self.neighbours,
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


if __name__ == "__main__":
    run_study(Settings)
