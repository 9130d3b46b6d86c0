"""The forecasters: an LSTM along each stock's path, alone or with relations, and what they have to beat.

Letters: T days, N stocks, F features, H hidden channels, E edges, R types of relation.
"""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import lightning.pytorch as pl
import numpy as np
import torch
from torch import Tensor, nn

from gnnseq.data.stocks.relations import Relations
from gnnseq.data.stocks.samples import CLOSE, Samples
from gnnseq.layers import GCN, LSTM, RelationalGCN
from gnnseq.schedule import packed_paths
from harness.lightning_fit import fit
from studies.stocks.portfolio import daily_ic

ALONE, ALIKE, WEIGHED = "LSTM", "LSTM+GCN", "LSTM+RSR"  # no relations, all alike, each as strong as is learnt
LEARNED = (ALONE, ALIKE, WEIGHED)
HOLD, RANDOM, YESTERDAY, LEAK = "hold everything", "random picks", "yesterday's return", "the leak alone"
AUTOREGRESSION, LINEAR = "autoregression", "linear regression"
ORACLE = "best possible"
TOGETHER = ", together"  # after a network's name: its seeds' forecasts, averaged
SIMPLE = (HOLD, RANDOM, YESTERDAY, AUTOREGRESSION, LINEAR, LEAK)
CLIP = 3.0  # of a day's standardised returns: one biotech must not outweigh a thousand other stocks
LAGS = 16
RIDGES = (1e2, 1e3, 1e4, 1e5, 1e6, 1e7)


@dataclass(frozen=True)
class Training:
    """How a forecaster learns.

    Chosen on the validation parts alone, one seed each. ICs there of the LSTM on the NASDAQ set, published and
    leak-free protocol: .0472 and .0335 with 32 channels; with a loss that is the IC .0473 and .0324; with thrice the
    learning rate .0472 and .0308, with a third .0320 leak-free; with ranks as targets .0472, with 16 channels .0467, in
    half the time. Linear regression: .0458 and .0321, and features' daily ranks leave the second as it is. All of it is
    within what seeds differ by, so the small and quick one stays.
    """

    hidden: int = 16
    window: int = 32  # days predicted in one sweep
    learning_rate: float = 1e-3
    weight_decay: float = 1e-2
    max_epochs: int = 10
    patience: int = 2


class Forecaster(nn.Module):
    r"""Tomorrow's return of every stock, from its own path and from those of the stocks related to it.

    .. math::
        \hat y_{ti} = u^\top x_{ti} + v^\top h_{ti} + w^\top \tanh z_{ti} + b, \qquad
        h_{\cdot i} = \mathrm{LSTM}(x_{\cdot i})

    with :math:`z_{t \cdot} = \mathrm{GCN}(h_{t \cdot})` or :math:`z_{t \cdot} = W \, \mathrm{RelationalGCN}(h_{t
    \cdot}) + c` with implicit strengths. The stock's own state stands beside what its relations say, as in Feng et al.
    2019, because a convolution over a whole industry gives all its members the same. The readout begins at zero, and
    linear regression is within its reach: returns are so noisy that a network which starts elsewhere does not find
    back.

    Args:
        name: One of :data:`LEARNED`.
        features: F.
        hidden: H.
        types: R.
    """

    def __init__(self, name: str, features: int, hidden: int, types: int) -> None:
        super().__init__()
        self.lstm = LSTM(features, hidden)
        self.gcn = GCN(hidden, hidden) if name == ALIKE else None
        self.ranking = RelationalGCN(hidden, types, strength="implicit") if name == WEIGHED else None
        self.lin = nn.Linear(hidden, hidden) if name == WEIGHED else None
        self.readout = nn.Linear(features + hidden * (1 if name == ALONE else 2), 1)
        nn.init.zeros_(self.readout.weight)
        nn.init.zeros_(self.readout.bias)

    def states(self, x: Tensor, lookback: int) -> Tensor:
        """Of every path, after the first days, which are only to warm up. [T - lookback + 1, N, H]"""
        days, stocks, features = x.shape
        h, _ = self.lstm(x.reshape(days * stocks, features), packed_paths([days] * stocks))
        return h.view(days, stocks, -1)[lookback - 1 :]

    def forward(self, x: Tensor, relations: Relations, lookback: int) -> Tensor:
        """Predictions. [T - lookback + 1, N]"""
        h = self.states(x, lookback)
        parts = [x[lookback - 1 :], h]
        if self.gcn is not None:
            parts.append(torch.tanh(self.gcn(h, relations.edge_index)))
        if self.ranking is not None and self.lin is not None:
            parts.append(torch.tanh(self.lin(self.ranking(h, relations.edge_index, relations.types))))
        return self.readout(torch.cat(parts, dim=-1)).squeeze(-1)

    def strengths(self, x: Tensor, relations: Relations, lookback: int) -> tuple[Tensor, Tensor] | None:
        """How loud an edge is beside the mean of all that its stock hears, mean over days; None where nobody learns it.

        Returns:
            The mean over the edges of each type [R], and over those out of each stock [N], 0 where there are none.
        """
        if self.ranking is None:
            return None
        h = self.states(x, lookback)
        strength = self.ranking.strengths(h, relations.edge_index, relations.types).mean(0)
        source, target = relations.edge_index
        strength = strength * torch.bincount(target, minlength=x.size(1))[target]
        of_types = (relations.types.t() @ strength) / relations.types.sum(0)
        of_stocks = torch.bincount(source, strength, minlength=x.size(1))
        return of_types, of_stocks / torch.bincount(source, minlength=x.size(1)).clamp(min=1)


class Windows:
    """The days of a part, a few at a time; in training at random places and in random order."""

    def __init__(self, days: range, size: int, shuffled: bool) -> None:
        self.days, self.size, self.shuffled = days, size, shuffled

    def __iter__(self) -> Iterator[tuple[int, int]]:
        shift = int(torch.randint(self.size, ())) if self.shuffled else 0
        edges = [
            self.days.start,
            *range(self.days.start - shift + self.size, self.days.stop, self.size),
            self.days.stop,
        ]
        windows = list(pairwise(edges))
        order = torch.randperm(len(windows)).tolist() if self.shuffled else range(len(windows))
        return (windows[index] for index in order)


class Learner(pl.LightningModule):
    """Regression on the day's standardised returns; chosen by the IC on the validation part."""

    def __init__(self, forecaster: Forecaster, samples: Samples, relations: Relations, training: Training) -> None:
        super().__init__()
        self.forecaster, self.samples, self.relations, self.settings = forecaster, samples, relations, training
        self.target, self.counted, _ = standardised_targets(samples)
        self.chosen_by = samples.usable("validation")
        self.outputs: list[Tensor] = []

    def predict(self, window: tuple[int, int]) -> Tensor:
        """Of the days from the first to before the second. [days, N]"""
        first, end = window
        lookback = self.samples.lookback
        return self.forecaster(self.samples.x[first - lookback + 1 : end], self.relations, lookback)

    def training_step(self, window: tuple[int, int]) -> Tensor:
        chosen = slice(*window)
        counted = self.counted[chosen]
        errors = (self.predict(window) - self.target[chosen]).square()
        return (errors * counted).sum() / counted.sum().clamp(min=1)

    def validation_step(self, window: tuple[int, int]) -> None:
        self.outputs.append(self.predict(window))

    def on_validation_epoch_end(self) -> None:
        days = self.samples.validation
        p, y = torch.cat(self.outputs), self.samples.target[days.start : days.stop]
        self.outputs.clear()
        self.log("validation", float(daily_ic(p.double().numpy(), y.numpy(), self.chosen_by.numpy()).mean()))

    def configure_optimizers(self) -> Any:
        return torch.optim.AdamW(
            self.parameters(), self.settings.learning_rate, weight_decay=self.settings.weight_decay
        )


def standardised_targets(samples: Samples) -> tuple[Tensor, Tensor, float]:
    """What is learnt: returns less the day's mean, over the day's deviation, clipped.

    Returns:
        Targets [T, N], those of them that training may read [T, N], and the mean deviation of a training day, which
        makes a standardised prediction a return.
    """
    counted = torch.zeros_like(samples.tradable)
    counted[samples.train.start : samples.train.stop] = samples.usable("train")
    count = counted.sum(1, keepdim=True).clamp(min=1)
    centred = (samples.target - (samples.target * counted).sum(1, keepdim=True) / count) * counted
    deviation = (centred.square().sum(1, keepdim=True) / count).sqrt()
    target = (centred / torch.where(deviation > 0, deviation, 1.0)).clamp(-CLIP, CLIP)
    return target.float(), counted, float(deviation[samples.train.start : samples.train.stop].mean())


@dataclass(frozen=True, eq=False)
class Forecast:
    """Predicted returns of the days of the test part, and how they came about.

    Attributes:
        p: [days, N]
        validation_ic: By which epoch or penalty was chosen, None where nothing was.
        about: JSON values: epochs, penalty, strengths of relations.
    """

    p: np.ndarray
    validation_ic: float | None
    about: dict[str, Any]


def seconds_at_most(name: str, samples: Samples, relations: Relations, training: Training) -> float:
    """Time of a training that takes all its epochs, from one window done now; a prediction takes a third of a step."""
    learner = Learner(
        Forecaster(name, samples.x.size(2), training.hidden, relations.types.size(1)),
        samples,
        relations,
        training,
    )
    window = (samples.train.start, min(samples.train.start + training.window, samples.train.stop))
    elapsed = 0.0
    for _ in range(2):  # the first prepares the graph
        begin = time.perf_counter()
        learner.training_step(window).backward()
        elapsed = time.perf_counter() - begin
    return elapsed * training.max_epochs * (len(samples.train) + len(samples.validation) / 3) / training.window


def learn(name: str, samples: Samples, relations: Relations, training: Training, seed: int) -> Forecast:
    """Train one of :data:`LEARNED` and predict the test part, once."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        forecaster = Forecaster(name, samples.x.size(2), training.hidden, relations.types.size(1))
    learner = Learner(forecaster, samples, relations, training)
    fitted = fit(
        learner,
        Windows(samples.train, training.window, shuffled=True),
        Windows(samples.validation, training.window, shuffled=False),
        max_epochs=training.max_epochs, patience=training.patience, seed=seed, clip=1.0, mode="max",
    )  # fmt: skip
    _, _, scale = standardised_targets(samples)
    days = samples.test
    with torch.no_grad():
        p = torch.cat([learner.predict(window) for window in Windows(days, training.window, shuffled=False)])
        seen = samples.x[days.start - samples.lookback + 1 : days.start + training.window]
        strengths = forecaster.strengths(seen, relations, samples.lookback)
    about = {"epochs": fitted["epochs"], "best_epoch": fitted["best_epoch"]}
    if strengths is not None:
        for key, of in zip(("strengths", "loudness"), strengths, strict=True):
            about[key] = [float(f"{strength:.4g}") for strength in of]
    return Forecast(scale * p.double().numpy(), fitted["best"], about)


def past_returns(samples: Samples) -> Tensor:
    """The return of day t, known at its close; 0 where the stock had no price on it or the day before. [T, N]"""
    returns = torch.zeros_like(samples.target)
    days = torch.arange(1, len(returns))[:, None]
    returns[1:] = torch.where(samples.settled[:-1] == days, samples.target[:-1], 0.0)
    return returns


def simple(name: str, samples: Samples, seed: int) -> Forecast:
    """One of :data:`SIMPLE`."""
    test = slice(samples.test.start, samples.test.stop)
    if name == HOLD:
        return Forecast(np.zeros(samples.target[test].shape), None, {})
    if name == RANDOM:
        _, _, scale = standardised_targets(samples)
        draws = np.random.default_rng(seed).normal(size=samples.target[test].shape)
        return Forecast(scale * draws, None, {})
    if name == YESTERDAY:
        return Forecast(past_returns(samples)[test].numpy(), None, {})
    if name == LEAK:
        level = samples.x[test][..., samples.feature_names.index(CLOSE)]
        return Forecast(-level.double().numpy(), None, {})
    lags = _lags(samples)
    return _ridge(lags if name == AUTOREGRESSION else torch.cat([lags, samples.x.double()], dim=2), samples)


def _lags(samples: Samples) -> Tensor:
    """The last 16 returns less the day's mean. [T, N, 16]"""
    returns = past_returns(samples)
    count = samples.tradable.sum(1, keepdim=True).clamp(min=1)
    returns = (returns - (returns * samples.tradable).sum(1, keepdim=True) / count) * samples.tradable
    lagged = torch.zeros(*returns.shape, LAGS, dtype=returns.dtype)
    for lag in range(LAGS):
        lagged[lag:, :, lag] = returns[: len(returns) - lag]
    return lagged


def _ridge(features: Tensor, samples: Samples) -> Forecast:
    """Linear regression on the same targets as the networks', with the penalty that the validation part prefers."""
    target, counted, scale = standardised_targets(samples)
    x, y = features[counted], target[counted].double()
    mean, deviation = x.mean(0), x.std(0)
    deviation = torch.where(deviation > 0, deviation, 1.0)
    x = (x - mean) / deviation
    covariance, moment = x.t() @ x, x.t() @ (y - y.mean())

    def predicted(part: range, weights: Tensor) -> np.ndarray:
        return (((features[part.start : part.stop] - mean) / deviation) @ weights).numpy()

    days = samples.validation
    truth, usable = samples.target[days.start : days.stop].numpy(), samples.usable("validation").numpy()
    best: tuple[float, float, Tensor] | None = None
    for penalty in RIDGES:
        weights = torch.linalg.solve(covariance + penalty * torch.eye(len(moment), dtype=x.dtype), moment)
        ic = float(daily_ic(predicted(days, weights), truth, usable).mean())
        if best is None or ic > best[0]:
            best = ic, penalty, weights
    assert best is not None
    return Forecast(scale * predicted(samples.test, best[2]), best[0], {"penalty": best[1]})
