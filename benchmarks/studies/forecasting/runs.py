"""What is run: a network's forecasts of an epidemic, and the protocols that these follow. Data alone, without torch."""

from dataclasses import dataclass
from typing import Literal, get_args

Model = Literal["LSTM", "GCN", "time_then_space", "space_then_time", "space_time"]
MODELS: tuple[Model, ...] = get_args(Model)
Statistics = Literal["training", "all"]


@dataclass(frozen=True)
class ForecastRun:
    """The settings of one forecast; equal settings give equal numbers.

    Attributes:
        epidemic: A name in :data:`~gnnseq.data.epidemics.EPIDEMICS`.
        model: See :class:`~studies.forecasting.networks.EpidemicNetwork`.
        seed: Of the weights.
        statistics: See :meth:`~gnnseq.data.epidemics.Epidemic.standardized`.
        lags: L, steps that the network reads.
        path: P, steps that the linear path reads; 0 leaves it out.
        neighbours: Whether the linear path reads the neighbours' means too.
        hidden: H.
        horizons: Steps ahead, ascending.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
        max_epochs: Most epochs, each of one step on all windows.
        patience: See :func:`~harness.lightning_fit.fit`.
    """

    epidemic: str
    model: Model
    seed: int
    statistics: Statistics = "training"
    lags: int = 4
    path: int = 4
    neighbours: bool = False
    hidden: int = 8
    horizons: tuple[int, ...] = (1, 2, 4, 8)
    learning_rate: float = 5e-2
    weight_decay: float = 1.0
    max_epochs: int = 80
    patience: int = 15


@dataclass(frozen=True)
class ForecastProtocol:
    """An epidemic, what is known when it is forecast, and who forecasts it.

    Attributes:
        lags: Steps that the networks read.
        paths: Steps that their linear path reads; 0 for a network without one. Where a network knows the graph, so does
            its path.
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

    def networks(self, seeds: int, hidden: int, max_epochs: int) -> list[list[ForecastRun]]:
        """The runs of every kind of network, which differ in the seed alone."""
        return [
            [
                ForecastRun(self.epidemic, model, seed, self.statistics, self.lags, path,
                            neighbours=path > 0 and model != "LSTM", hidden=hidden, max_epochs=max_epochs)
                for seed in range(seeds)
            ]
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
QUICK: tuple[ForecastProtocol, ...] = (
    ForecastProtocol("planted", "Planted on a ring", "planted", "training", 4, (0, 4), (4, 8)),
)
