"""What one run is: a network, trained in one way on one graph."""

from dataclasses import dataclass
from typing import Literal, get_args

__all__ = ["BASELINES", "METHODS", "PEER", "SHARED", "LargeRun", "Method"]

Method = Literal[
    "full batch",
    "samples",
    "samples, own degrees",
    "clusters",
    "torch_geometric, DGL's sampler",
    "no edges",
    "label propagation",
]
METHODS: tuple[Method, ...] = get_args(Method)
PEER: Method = "torch_geometric, DGL's sampler"
BASELINES: tuple[Method, ...] = ("no edges", "label propagation")

# Whose steps several processes can share with one process's numbers; each does what is not trained.
SHARED: tuple[Method, ...] = ("samples", *BASELINES)


@dataclass(frozen=True)
class LargeRun:
    """One run.

    Attributes:
        method: How it is trained.
        seed: Of its weights and of what it draws.
        digest: Of the graph.
        hidden: Hidden channels.
        epochs: Of training; of label propagation, rounds.
        batch: Seeds a step.
        neighbors: Drawn in each hop; as many hops as layers.
        parts: Clusters.
        learning_rate: Adam's.
        processes: That divide the seeds of every step among them.
    """

    method: Method
    seed: int
    digest: str
    hidden: int
    epochs: int
    batch: int
    neighbors: tuple[int, ...]
    parts: int
    learning_rate: float = 0.01  # the full batch, which takes few steps, takes longer ones
    processes: int = 1
