"""Do relations help to forecast an epidemic, and does any network beat a five-parameter autoregression?

    python benchmarks/forecasting.py            chickenpox and England Covid, ten seeds: half an hour on two cores
    python benchmarks/forecasting.py --quick    an epidemic made up on a ring, two seeds, no data needed: seconds
    python benchmarks/forecasting.py --series FILE --graph FILE   the same of your own series: minutes
    python benchmarks/forecasting.py --twin     made-up traffic sensors, whose edges are known to carry the jams

Every protocol's test part is the last fifth, in time order. The number of epochs for each horizon is chosen on the last
fifth of what is before it; then the network is trained anew on all of that, as the autoregressions are, and forecasts
the test part once. The data are downloaded once; GNNSEQ_DATA names a folder that has them.

Ctrl-C is safe: finished runs are kept and the same command continues. Exit code 0: all runs finished; 2: the data
cannot be had, or an argument or a file is wrong; 130: interrupted.
"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Literal

from harness.cli import ProcessSettings, SweepSettings, run_study
from harness.files import fitting, short_hash
from studies.forecasting.runs import ForecastRun
from studies.forecasting.series_runs import SeriesRun

SERIES = ("graph", "horizons", "lags", "season", "time", "heading", "feature", "zeros_missing", "directed")


@dataclass(frozen=True)
class Settings(SweepSettings, ProcessSettings):
    """Forecasts of epidemics, or of series on a graph, by networks and by autoregressions."""

    study = "forecasting"

    seeds: int | None = None  # Networks of each kind; 10, or 1 of a series, where not given
    hidden: int | None = None  # Hidden channels of every network; 8, or 32 of a series, where not given
    max_epochs: int | None = None  # Most epochs of a training; 80, or 5 of a series, where not given
    series: Path | None = None
    """Your own series, a row a step and a column a node: .csv, .tsv or .txt (also .gz), .npz or .npy [T, N], .parquet
    or .h5. A column of times is found by its name or its dates. Missing: empty or NaN; a 0 is a 0."""
    graph: Path | None = None
    """Its graph: an edge list, a matrix, or any form of receptive_field.py. Names are the columns' names, or else
    their places; weights are kept. No edges where not given."""
    twin: bool = False
    """207 made-up sensors over a week in place of a file; 24 over 12 short days with --quick."""
    horizons: tuple[int, ...] | None = None  # Steps ahead, of a series; 3 6 12 where not given
    lags: int | None = None  # Steps that forecasts of a series read; 12 where not given
    season: int | None = None  # Steps of a series' season, 0 for none; a day, if it has times, where not given
    time: str | None = None  # The column of times, where it is not the first
    heading: Literal["auto", "yes", "no"] = "auto"  # Whether a table's first line is a heading
    feature: int | None = None  # Which number of each node, in an array [T, N, F]
    zeros_missing: bool = False  # Zeros of a series are missing values, as in records of traffic
    directed: bool = False  # Edges of a list go from the first name to the second

    def __post_init__(self) -> None:
        super().__post_init__()
        for option in ("seeds", "hidden", "max_epochs", "lags"):
            value = getattr(self, option)
            if value is not None and value < 1:
                raise ValueError(f"--{option.replace('_', '-')}: got {value}; expected at least 1")
        if self.horizons is not None and (not self.horizons or min(self.horizons) < 1):
            raise ValueError(f"--horizons {self.horizons}: expected steps ahead, each at least 1")
        if self.season is not None and (self.season < 0 or self.season == 1):
            raise ValueError(f"--season {self.season}: expected 2 steps or more, or 0 for none")
        if self.series is not None and self.twin:
            raise ValueError(f"--series {self.series} and --twin: choose one")
        given = [each.name for each in fields(self) if each.name in SERIES and getattr(self, each.name) != each.default]
        if not self.of_series and given:
            raise ValueError(f"--{given[0].replace('_', '-')}: it is of a series; give --series FILE too, or --twin")
        files = ("graph", "time", "heading", "feature", "zeros_missing", "directed")
        if self.twin and (of_files := [name for name in files if name in given]):
            raise ValueError(f"--{of_files[0].replace('_', '-')} and --twin: the made-up sensors are read from no file")
        if self.record and self.series is not None:
            raise ValueError(f"--record and --series {self.series}: the evidence is of the study's own data")
        for option, path in (("series", self.series), ("graph", self.graph)):
            if path is not None and not self.report_only and not path.is_file():
                raise ValueError(f"--{option} {path}: no such file")

    @property
    def of_series(self) -> bool:
        """Whether a series is forecast, and no epidemic."""
        return self.series is not None or self.twin

    @property
    def training(self) -> tuple[int, int, int]:
        """Seeds, hidden channels and most epochs, as given or as usual."""
        run = SeriesRun if self.of_series else ForecastRun
        return (self.seeds or (1 if self.of_series else 10), self.hidden or run.hidden,
                self.max_epochs or run.max_epochs)  # fmt: skip

    @property
    def reading(self) -> tuple[str, str | None, tuple[tuple[str, Any], ...]]:
        """What a SeriesRun says of where its series is from."""
        if self.twin:
            return "twin 24 576 48" if self.quick else "twin 207 2016 288", None, ()
        told = {"time": self.time, "heading": {"auto": None, "yes": True, "no": False}[self.heading],
                   "feature": self.feature, "zeros_missing": self.zeros_missing, "directed": self.directed or None,
                   "lags": self.lags or 12}  # fmt: skip
        return str(self.series), None if self.graph is None else str(self.graph), tuple(told.items())

    @property
    def name(self) -> str:
        """What the results are called: a changed study must not overwrite the original's."""
        if self.of_series:
            own = (self.reading, self.training, self.horizons, self.lags, self.season, self.quick)
            usual = ((1, SeriesRun.hidden, SeriesRun.max_epochs), None, None, None)
            if self.twin and own[1:5] == usual:
                return "twin_quick" if self.quick else "twin"
            stem = "twin" if self.series is None else fitting(self.series.name.split(".")[0])
            return f"{stem}-{short_hash(repr(own))}"
        return super().name if self.training == (10, ForecastRun.hidden, ForecastRun.max_epochs) else "custom"


if __name__ == "__main__":
    run_study(Settings)
