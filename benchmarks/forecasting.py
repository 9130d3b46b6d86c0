"""Do relations help to forecast an epidemic, and does any network beat a five-parameter autoregression?

    python benchmarks/forecasting.py            chickenpox and England Covid, ten seeds: half an hour on two cores
    python benchmarks/forecasting.py --quick    an epidemic made up on a ring, two seeds, no data needed: seconds

Every protocol's test part is the last fifth, in time order. The number of epochs for each horizon is chosen on the last
fifth of what is before it; then the network is trained anew on all of that, as the autoregressions are, and forecasts
the test part once. The data are downloaded once; GNNSEQ_DATA names a folder that has them.

Ctrl-C is safe: finished runs are kept and the same command continues. Exit code 0: all runs finished; 2: the data
cannot be had, or an argument or a file is wrong; 130: interrupted.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from gnnseq.data.epidemics import EPIDEMICS, Epidemic, Statistics, Values
from harness import cli as command
from harness.sweep import provenance, run_sweep, write_json
from studies.forecasting.autoregression import autoregression, mean, persistence
from studies.forecasting.figures import figures, layout
from studies.forecasting.networks import MODELS, Run, forecast
from studies.forecasting.report import print_report

HORIZONS = Run.horizons


@dataclass(frozen=True)
class Protocol:
    """An epidemic, what is known when it is forecast, and who forecasts it.

    Attributes:
        lags: Steps that the networks read.
        paths: Steps that their linear path reads, one arm each; 0 for a network without one. Where a network knows the
            graph, so does its path.
        orders: Of the pooled autoregressions; the first is what everything else is tested against, and whose histories
            the other baselines read.
    """

    name: str
    title: str
    epidemic: str
    statistics: Statistics
    lags: int
    paths: tuple[int, ...]
    orders: tuple[int, ...]


PROTOCOLS = (
    Protocol("published", "Chickenpox, 4 weeks of history, scaled by all weeks as published",
             "chickenpox", "all", 4, (0, 4), (4, 8, 52)),
    Protocol("training", "Chickenpox, 4 weeks of history, scaled by the training weeks",
             "chickenpox", "training", 4, (4,), (4, 8, 52)),
    Protocol("covid", "England Covid, 8 days of history, scaled by the training days",
             "england_covid", "training", 8, (0, 8), (8, 4)),
)  # fmt: skip
QUICK = (Protocol("planted", "Planted on a ring", "planted", "training", 4, (0, 4), (4, 8)),)


@dataclass(frozen=True)
class Settings:
    """Forecasts of epidemics by networks and by autoregressions."""

    quick: bool = False
    """A made-up epidemic, two seeds, few epochs: shows that the script works, needs no data."""
    report_only: bool = False
    """Rebuild tables and figures from the JSON, train nothing."""
    results: Path = Path(__file__).resolve().parent / "results" / "forecasting"
    """Folder of JSON and figures; finished runs are kept in its subfolder cache/."""
    jobs: int = -1
    """Processes, one thread each; -1 means every core."""
    seeds: int = 10
    """Networks of each kind."""
    hidden: int = Run.hidden
    """Hidden channels of every network."""
    max_epochs: int = Run.max_epochs
    """Most epochs of a training."""

    def __post_init__(self) -> None:
        for name in ("seeds", "hidden", "max_epochs"):
            if getattr(self, name) < 1:
                option = f"--{name.replace('_', '-')}"
                raise ValueError(f"{option}: got {getattr(self, name)}; expected at least 1")

    @property
    def name(self) -> str:
        """What the results are called: a changed study must not overwrite the original's."""
        plain = Settings(self.quick, self.report_only, self.results, self.jobs)
        return ("quick" if self.quick else "forecasting") if self == plain else "custom"

    def scaled(self) -> "Settings":
        """With what --quick makes smaller."""
        if not self.quick:
            return self
        return dataclasses.replace(self, seeds=min(self.seeds, 2), max_epochs=min(self.max_epochs, 40))


def arms(protocols: tuple[Protocol, ...], settings: Settings) -> list[tuple[Protocol, Run]]:
    """Every kind of network, with seed 0."""
    return [
        (protocol, Run(protocol.epidemic, model, seed=0, statistics=protocol.statistics, lags=protocol.lags, path=path,
                       neighbours=path > 0 and model != "LSTM", hidden=settings.hidden,
                       max_epochs=settings.max_epochs))
        for protocol in protocols for path in protocol.paths for model in MODELS
    ]  # fmt: skip


def baselines(epidemic: Epidemic, orders: tuple[int, ...]) -> dict[str, Values]:
    """Forecasts [W, K, N] by name, the first of which is the one to beat."""
    first = orders[0]
    return {
        **{f"AR({order})": autoregression(epidemic, order, HORIZONS) for order in orders},
        f"AR({first}), one a node": autoregression(epidemic, first, HORIZONS, pooled=False),
        f"AR({first}) + neighbours": autoregression(epidemic, first, HORIZONS, neighbours=True),
        "mean": mean(epidemic, HORIZONS),
        "persistence": persistence(epidemic, HORIZONS),
    }


def errors(epidemic: Epidemic, forecasts: list[Values]) -> dict[str, Any]:
    """Mean squared errors of forecasts [W, K, N], averaged over the list where a row is of steps or nodes."""
    _, start, stop = epidemic.starts
    squares = np.stack([(each - epidemic.values[start:stop, None]) ** 2 for each in forecasts])  # [runs, W, K, N]

    def rows(values: Values) -> Any:
        return [[float(f"{value:.5g}") for value in row] for row in values]

    return {
        "by_horizon": rows(squares.mean((1, 3))),  # [runs, K]
        "by_step": rows(squares.mean((0, 3))),  # [W, K]
        "by_node": rows(squares.mean((0, 1)).T),  # [N, K]
    }


def study(protocols: tuple[Protocol, ...], settings: Settings, console: Console) -> list[dict[str, Any]]:
    """Forecast, and hold everything against what happened."""
    kinds = arms(protocols, settings)
    runs = [dataclasses.replace(run, seed=seed) for _, run in kinds for seed in range(settings.seeds)]
    records = iter(run_sweep(forecast, runs, settings.results / "cache", settings.jobs, console=console))

    found: dict[str, dict[str, Any]] = {}
    for protocol in protocols:
        epidemic = EPIDEMICS[protocol.epidemic]().standardized(protocol.statistics)
        of_nothing = baselines(epidemic, protocol.orders)
        found[protocol.name] = {
            **dataclasses.asdict(protocol),
            "step": epidemic.step,
            "starts": epidemic.starts,
            **layout(epidemic),
            "baselines": {name: errors(epidemic, [values]) for name, values in of_nothing.items()},
            "networks": [],
        }
    for protocol, _ in kinds:
        epidemic = EPIDEMICS[protocol.epidemic]().standardized(protocol.statistics)
        same = [next(records) for _ in range(settings.seeds)]
        forecasts = [np.array(record["result"]["forecasts"]) for record in same]
        found[protocol.name]["networks"].append({
            "settings": same[0]["settings"],
            "runs": [
                {"seed": record["settings"]["seed"], "seconds": record["seconds"], "commit": record["commit"],
                 "validation": record["result"]["validation"], "epochs": record["result"]["epochs"]}
                for record in same
            ],
            **errors(epidemic, forecasts),
            "together": errors(epidemic, [np.mean(forecasts, 0)]),
        })  # fmt: skip
    return list(found.values())


def main(settings: Settings) -> int:
    console = Console()
    path = settings.results / f"{settings.name}.json"
    if not settings.report_only:
        protocols = QUICK if settings.quick else PROTOCOLS
        for protocol in protocols:
            EPIDEMICS[protocol.epidemic]()  # data that cannot be had are missed here, not in a process of the sweep
        found = study(protocols, settings.scaled(), console)
        write_json(
            path,
            {"experiment": "forecasting", "provenance": provenance(), "horizons": HORIZONS, "protocols": found},
            indent=None,
        )
    command.report(path, print_report, figures, console)
    return 0


if __name__ == "__main__":
    command.run(main, Settings)
