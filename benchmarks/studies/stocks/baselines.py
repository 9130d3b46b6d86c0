"""What is learnt, and what a network has to beat, up to linear regression. Letters: T days, N stocks."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gnnseq.data.stocks.samples import CLOSE, Samples
from studies.stocks.portfolio import daily_ic
from studies.stocks.runs import AUTOREGRESSION, HOLD, LEAK, RANDOM, YESTERDAY

CLIP = 3.0  # of a day's standardised returns: one biotech must not outweigh a thousand other stocks
LAGS = 16
RIDGES = (1e2, 1e3, 1e4, 1e5, 1e6, 1e7)


@dataclass(frozen=True, eq=False)
class Forecast:
    """Predicted returns of the days of the test part, and how they came about."""

    p: np.ndarray  # [days, N]
    validation_ic: float | None = None  # by which epoch or penalty was chosen, None if nothing was
    about: dict[str, Any] = field(default_factory=dict)  # JSON values: epochs, penalty, strengths of relations


def standardised_targets(samples: Samples) -> tuple[Tensor, Tensor, float]:
    """What is learnt, returns less the day's mean over its deviation, clipped [T, N]; which training may read [T, N].

    And the mean deviation of a training day, which makes a standardised prediction a return.
    """
    train = slice(samples.train.start, samples.train.stop)
    counted = torch.zeros_like(samples.tradable)
    counted[train] = samples.usable("train")
    count = counted.sum(1, keepdim=True).clamp(min=1)
    centred = (samples.target - (samples.target * counted).sum(1, keepdim=True) / count) * counted
    deviation = (centred.square().sum(1, keepdim=True) / count).sqrt()
    target = (centred / torch.where(deviation > 0, deviation, 1.0)).clamp(-CLIP, CLIP)
    return target.float(), counted, float(deviation[train].mean())


def predict(name: str, samples: Samples, seed: int) -> Forecast:
    """One of :data:`studies.stocks.runs.BASELINES`."""
    test = slice(samples.test.start, samples.test.stop)
    shape = samples.target[test].shape
    if name == HOLD:
        return Forecast(np.zeros(shape))
    if name == RANDOM:
        return Forecast(standardised_targets(samples)[2] * np.random.default_rng(seed).normal(size=shape))
    if name == YESTERDAY:
        return Forecast(past_returns(samples)[test].numpy())
    if name == LEAK:
        return Forecast(-samples.x[test][..., samples.feature_names.index(CLOSE)].double().numpy())
    lags = _lags(samples)
    return _ridge(lags if name == AUTOREGRESSION else torch.cat([lags, samples.x.double()], dim=2), samples)


def past_returns(samples: Samples) -> Tensor:
    """The return of day t, known at its close; 0 where the stock had no price on it or the day before. [T, N]"""
    returns = torch.zeros_like(samples.target)
    days = torch.arange(1, len(returns))[:, None]
    returns[1:] = torch.where(samples.settled[:-1] == days, samples.target[:-1], 0.0)
    return returns


def _lags(samples: Samples) -> Tensor:
    """The last 16 returns less the day's mean. [T, N, 16]"""
    returns = past_returns(samples)
    count = samples.tradable.sum(1, keepdim=True).clamp(min=1)
    returns = (returns - (returns * samples.tradable).sum(1, keepdim=True) / count) * samples.tradable
    padded = torch.cat([torch.zeros_like(returns[: LAGS - 1]), returns])
    return padded.unfold(0, LAGS, 1).flip(2).contiguous()


def _ridge(features: Tensor, samples: Samples) -> Forecast:
    """Linear regression on the same targets as the networks', with the penalty that the validation part prefers."""
    target, counted, scale = standardised_targets(samples)
    x, y = features[counted], target[counted].double()
    mean, deviation = x.mean(0), x.std(0)
    deviation = torch.where(deviation > 0, deviation, 1.0)
    x = (x - mean) / deviation
    covariance, moment = x.t() @ x, x.t() @ (y - y.mean())

    def predicted(part: range, weights: Tensor) -> np.ndarray:
        return np.asarray(((features[part.start : part.stop] - mean) / deviation) @ weights)

    days = samples.validation
    truth, usable = samples.target[days.start : days.stop].numpy(), samples.usable("validation").numpy()
    fits = []
    for penalty in RIDGES:
        weights = torch.linalg.solve(covariance + penalty * torch.eye(len(moment), dtype=x.dtype), moment)
        fits.append((float(daily_ic(predicted(days, weights), truth, usable).mean()), penalty, weights))
    ic, penalty, weights = max(fits, key=lambda fit: fit[0])
    return Forecast(scale * predicted(samples.test, weights), ic, {"penalty": penalty})
