"""bfloat16 autocast against float32: the time of a training step of each layer, and how far its numbers are off."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import torch

from studies.speed.cases import CASES
from studies.speed.graphs import relational
from studies.speed.measure import Step, disagreement, interleave

__all__ = ["measure_autocast"]

# TemporalGCN in two of its orders: space_then_time has a convolution, a sweep of paths and a linear map, which is all
# that time_then_space has, and space_time sweeps another graph.
NAMES = ("paths-rnn", "paths-gru", "paths-lstm", "trees", "gcn", "gated")
TEMPORAL = ("space-then-time-lstm-1000", "space-time-lstm-1000")


def measure_autocast(quick: bool, rounds: int, warm_up: int, device: torch.device) -> Iterator[dict[str, Any]]:
    """One record a layer."""
    for make in (*(CASES[name] for name in NAMES), relational, *(CASES[name] for name in TEMPORAL)):
        case = make(quick, device)
        exact, mixed = case.ours(), case.ours(autocast=True)
        steps: dict[str, Step] = {"float32": case.ours, "bfloat16": partial(case.ours, autocast=True)}
        yield {
            "layer": case.title,
            "shape": case.shape,
            "milliseconds": interleave(steps, rounds, warm_up, device),
            "output_error": disagreement(mixed[:1], exact[:1]),
            "gradient_error": disagreement(mixed[1:], exact[1:]),
        }
