"""What is run on a series: where it is from, and a network's forecasts of it. Data alone, without torch."""

from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["SERIES_MODELS", "SeriesModel", "SeriesRun"]

SeriesModel = Literal["no edges", "time_then_space", "space_then_time", "space_time"]
SERIES_MODELS: tuple[SeriesModel, ...] = get_args(SeriesModel)


@dataclass(frozen=True)
class SeriesRun:
    """The settings of one network's forecasts of a series; equal settings give equal numbers."""

    series: str  # a file, or "twin N T S" for the made-up sensors
    graph: str | None
    reading: tuple[tuple[str, str | int | bool | None], ...]  # what read_graph_series is told besides
    data: str  # the series' digest
    season: int  # S, steps; 0 for none
    lags: int  # L
    horizons: tuple[int, ...]  # ascending
    model: SeriesModel
    seed: int  # of the weights and of the order of windows
    own_apart: bool = True  # whether a node's own signal is kept apart from the convolution's mean
    hidden: int = 32  # H
    batch: int = 32  # windows a step
    learning_rate: float = 3e-3
    max_epochs: int = 5
    patience: int = 2  # epochs without a better error that end training
