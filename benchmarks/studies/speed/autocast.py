"""bfloat16 autocast against float32: the time of a training step of each layer, and how far its numbers are off."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import torch

from studies.speed.cases import CASES
from studies.speed.graphs import relational
from studies.speed.measure import LayerStep, disagreement, interleave

__all__ = ["measure_autocast"]

# TemporalGCN in two of its orders: space_then_time has a convolution, a sweep of paths and a linear map, which is all
# that time_then_space has, and space_time sweeps another graph.
NAMES = ("paths-rnn", "paths-gru", "paths-lstm", "trees", "gcn", "gated")
TEMPORAL = ("space-then-time-lstm-1000", "space-time-lstm-1000")


def measure_autocast(quick: bool, rounds: int, warm_up: int, device: torch.device) -> Iterator[dict[str, Any]]:
    """One record a layer."""
    for make in (*map(CASES.get, NAMES), relational, *map(CASES.get, TEMPORAL)):
        assert make is not None
        case = make(quick, device)
        assert isinstance(case.ours, LayerStep)
        steps = {"float32": case.ours, "bfloat16": dataclasses.replace(case.ours, autocast=True)}
        exact, mixed = (step() for step in steps.values())
        yield {
            "layer": case.title,
            "shape": case.shape,
            "milliseconds": interleave(steps, rounds, warm_up, device),
            "output_error": disagreement(mixed[:1], exact[:1]),
            "gradient_error": disagreement(mixed[1:], exact[1:]),
        }
