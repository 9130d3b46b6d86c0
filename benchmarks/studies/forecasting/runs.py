"""What is run: a network's forecasts of an epidemic, and the protocols that these follow. Data alone, without torch."""

from dataclasses import dataclass
from typing import Literal, get_args

Model = Literal["LSTM", "GCN", "time_then_space", "space_then_time", "space_time"]
MODELS: tuple[Model, ...] = get_args(Model)
Statistics = Literal["training", "all"]


@dataclass(frozen=True)
class ForecastRun:
    """The settings of one forecast; equal settings give equal numbers."""

    epidemic: str  # a name in gnnseq.data.epidemics.EPIDEMICS
    model: Model
    seed: int  # of the weights
    statistics: Statistics = "training"  # see GraphSeries.standardized
    data: str | None = None  # the epidemic's digest: a finished run under an old name is not one on other data
    lags: int = 4  # L, steps that the network reads
    path: int = 4  # P, steps that the linear path reads; 0 leaves it out
    neighbours: bool = False  # whether the linear path reads the neighbours' means too
    hidden: int = 8  # H
    horizons: tuple[int, ...] = (1, 2, 4, 8)  # steps ahead, ascending
    learning_rate: float = 5e-2
    weight_decay: float = 1.0
    max_epochs: int = 80  # each of one step on all windows
    patience: int = 15  # epochs without a better mean error that end training


@dataclass(frozen=True)
class ForecastProtocol:
    """An epidemic, what is known when it is forecast, and who forecasts it."""

    name: str
    title: str
    epidemic: str
    statistics: Statistics
    lags: int  # that the networks read
    paths: tuple[int, ...]  # steps of the networks' linear path, which reads the graph if they do; 0 for none
    orders: tuple[int, ...]  # of the pooled autoregressions; the first is what everything else is tested against

    def networks(self, data: str, seeds: int, hidden: int, max_epochs: int) -> list[list[ForecastRun]]:
        """The runs of every kind of network on data of that digest, which differ in the seed alone."""
        return [
            [ForecastRun(self.epidemic, model, seed, self.statistics, data, self.lags, path,
                         path > 0 and model != "LSTM", hidden, max_epochs=max_epochs) for seed in range(seeds)]
            for path in self.paths for model in MODELS
        ]  # fmt: skip


PROTOCOLS: tuple[ForecastProtocol, ...] = (
    ForecastProtocol("published", "Chickenpox, 4 weeks of history, scaled by all weeks as published",
                     "chickenpox", "all", 4, (0, 4), (4, 8, 52)),
    ForecastProtocol("training", "Chickenpox, 4 weeks of history, scaled by the training weeks",
                     "chickenpox", "training", 4, (4,), (4, 8, 52)),
    ForecastProtocol("covid", "England Covid, 8 days of history, scaled by the training days",
                     "england_covid", "training", 8, (0, 8), (8, 4)),
)  # fmt: skip
QUICK = (ForecastProtocol("planted", "Planted on a ring", "planted", "training", 4, (0, 4), (4, 8)),)
