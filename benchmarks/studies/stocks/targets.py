"""What is learnt and what comes out: standardised returns, and forecasts. Letters: T days, N stocks."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gnnseq.data.stocks.samples import Samples

CLIP = 3.0  # of a day's standardised returns: one biotech must not outweigh a thousand other stocks


@dataclass(frozen=True, eq=False)
class Forecast:
    """Predicted returns of the days of the test part, and how they came about."""

    p: np.ndarray  # [days, N]
    validation_ic: float | None = None  # by which epoch or penalty was chosen, None if nothing was
    about: dict[str, Any] = field(default_factory=dict)  # JSON values: epochs, penalty, strengths of relations


def standardised_targets(samples: Samples) -> tuple[Tensor, Tensor, float]:
    """What is learnt: returns less the day's mean, over the day's deviation, clipped. [T, N]

    With it, which of them training may read [T, N], and the mean deviation of a training day, which makes a
    standardised prediction a return.
    """
    train = slice(samples.train.start, samples.train.stop)
    counted = torch.zeros_like(samples.tradable)
    counted[train] = samples.usable("train")
    count = counted.sum(1, keepdim=True).clamp(min=1)
    centred = (samples.target - (samples.target * counted).sum(1, keepdim=True) / count) * counted
    deviation = (centred.square().sum(1, keepdim=True) / count).sqrt()
    target = (centred / torch.where(deviation > 0, deviation, 1.0)).clamp(-CLIP, CLIP)
    return target.float(), counted, float(deviation[train].mean())
