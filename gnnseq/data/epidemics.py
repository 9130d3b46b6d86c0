"""Epidemics as panels on a graph: every node a series of case numbers, every edge a relation between places.

Letters: T time steps, N nodes, E edges, L lags, B windows, K horizons.
"""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from gnnseq.data.cache import fetch
from gnnseq.graphs import as_edge_index
from gnnseq.normalization import gcn_normalize

__all__ = ["EPIDEMICS", "Epidemic", "ForecastWindows", "chickenpox", "england_covid", "planted"]

Values = NDArray[np.float64]
Statistics = Literal["training", "all"]


@dataclass(frozen=True)
class Epidemic:
    """A panel on a graph, or on a graph for each step.

    The last fifth of the targets is the test part, the last fifth of those before it the validation part, and the rest
    the training part: three stretches in the order of time. A target belongs where its own step lies, whatever its
    horizon, so forecasts at every horizon and from histories of every length are judged on the same steps.

    Attributes:
        values: Case numbers. [T, N]
        nodes: Their names. [N]
        graphs: edge_index [2, E], source above target, and edge_weight [E] or None: one for all steps, or T of them.
        step: What a step is called.
        lags: L, steps of history in the published protocol, which decides where its test part begins.

    Raises:
        ValueError: Values are missing or not as many as there are nodes, or graphs not as many as there are steps.
    """

    values: Values
    nodes: tuple[str, ...]
    graphs: tuple[tuple[Tensor, Tensor | None], ...]
    step: str
    lags: int

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.nodes):
            raise ValueError(
                f"values: got shape {list(self.values.shape)}; expected [T, N] for {len(self.nodes)} nodes"
            )
        missing = np.argwhere(~np.isfinite(self.values))
        if len(missing):
            step, node = missing[0]
            raise ValueError(
                f"values: {len(missing)} are NaN or infinite, the first at {self.step} {step} of {self.nodes[node]!r}; "
                "fill them in, or leave out the node"
            )
        if len(self.graphs) not in (1, len(self.values)):
            raise ValueError(f"graphs: got {len(self.graphs)}; expected one, or one a step: {len(self.values)}")
        for edge_index, edge_weight in self.graphs:
            as_edge_index(edge_index, len(self.nodes), edge_weight)

    @property
    def starts(self) -> tuple[int, int, int]:
        """First steps of the validation part and of the test part, and the number T of steps.

        Published protocols cut the T - L windows of L steps and their targets at ``int(0.8 * windows)``.
        """
        steps = len(self.values)
        training = int(0.8 * (steps - self.lags))
        return self.lags + int(0.8 * training), self.lags + training, steps

    @property
    def digest(self) -> str:
        """SHA-256 of all that a forecast depends on: the values, the graphs, and where the parts begin."""
        found = hashlib.sha256(f"{self.values.shape} {self.lags} {len(self.graphs)}".encode())
        found.update(np.ascontiguousarray(self.values).tobytes())
        for edge_index, edge_weight in self.graphs:
            for part in (edge_index, edge_weight):
                found.update(b"none" if part is None else f"{part.dtype} {list(part.shape)}".encode())
                found.update(b"" if part is None else part.contiguous().numpy().tobytes())
        return found.hexdigest()

    def standardized(self, statistics: Statistics) -> "Epidemic":
        """Every node's values less their mean, divided by their standard deviation.

        Args:
            statistics: ``"training"``: both from the steps before the test part. ``"all"``: both from all steps, as
                published; that looks ahead.
        """
        known = self.values if statistics == "all" else self.values[: self.starts[1]]
        spread = known.std(0)
        return replace(self, values=(self.values - known.mean(0)) / np.where(spread > 0, spread, 1.0))

    def graph(self, step: int) -> tuple[Tensor, Tensor | None]:
        """edge_index [2, E] and edge_weight [E] or None of a step."""
        return self.graphs[step if len(self.graphs) > 1 else 0]

    def neighbours(self) -> Values:
        """What a graph convolution makes of the values: each step's mean over a node and its neighbours. [T, N]"""
        steps, nodes = self.values.shape
        means = np.empty_like(self.values)
        every = [slice(None)] if len(self.graphs) == 1 else [slice(step, step + 1) for step in range(steps)]
        for when, graph in zip(every, self.graphs, strict=True):
            (source, target), weight = gcn_normalize(*graph, nodes)
            adjacency = csr_array((weight.double(), (target, source)), shape=(nodes, nodes))
            means[when] = (adjacency @ self.values[when].T).T
        return means


@dataclass(frozen=True)
class ForecastWindows:
    """Stretches of history, and what came after them.

    Attributes:
        origins: The last step of each history. [B]
        x: The histories. [B, L, N]
        y: Values ``horizons`` steps after the origin, NaN where that step is not of the part asked for. [B, K, N]
    """

    origins: NDArray[np.int64]
    x: Values
    y: Values

    @classmethod
    def of(cls, values: Values, lags: int, horizons: Sequence[int], start: int, stop: int) -> "ForecastWindows":
        """All windows with a target among the steps from ``start`` to ``stop``, not included.

        Args:
            values: [T, N]
            lags: L, steps of history.
            horizons: K numbers of steps from origin to target, ascending.
            start: First step of the part.
            stop: The step after its last.

        Raises:
            ValueError: A horizon is below 1, or there is no window of the farthest.

        Example:
            >>> windows = ForecastWindows.of(np.arange(6.0)[:, None], lags=2, horizons=(1, 2), start=3, stop=6)
            >>> [(x.ravel().tolist(), y.ravel().tolist()) for x, y in zip(windows.x, windows.y)]
            [([0.0, 1.0], [nan, 3.0]), ([1.0, 2.0], [3.0, 4.0]), ([2.0, 3.0], [4.0, 5.0]), ([3.0, 4.0], [5.0, nan])]
        """
        if lags < 1 or horizons[0] < 1:
            raise ValueError(f"lags, horizons: got {lags} and {tuple(horizons)}; expected numbers of at least 1")
        if lags + horizons[-1] > stop:
            raise ValueError(
                f"lags, horizons: got {lags} and {tuple(horizons)}; a history and its farthest target take "
                f"{lags + horizons[-1]} steps, and only {stop} of {len(values)} are before the end of this part: take "
                "fewer lags or a shorter horizon"
            )
        origins = np.arange(max(lags - 1, start - horizons[-1]), stop - horizons[0])
        targets = origins[:, None] + np.asarray(horizons)
        inside = (targets >= start) & (targets < stop)
        y = np.where(inside[:, :, None], values[np.minimum(targets, len(values) - 1)], np.nan)
        return cls(origins, values[origins[:, None] + np.arange(1 - lags, 1)], y)

    def by_step(self, forecasts: Values, horizons: Sequence[int], start: int, stop: int) -> Values:
        """Forecasts [B, K, N] sorted by the step they are for: [stop - start, K, N], NaN where there is none."""
        sorted_ = np.full((stop - start, *forecasts.shape[1:]), np.nan)
        for k, horizon in enumerate(horizons):
            steps = self.origins + horizon
            inside = (steps >= start) & (steps < stop)
            sorted_[steps[inside] - start, k] = forecasts[inside, k]
        return sorted_


def chickenpox() -> Epidemic:
    """Weekly chickenpox cases of Hungary's 20 counties, 2005 to 2014, as the authors standardised them; 4 lags.

    Counties that touch are joined. The published numbers are changes from week to week, each county's with mean 0 and
    standard deviation 1 over all 521 weeks. Rozemberczki, Scherer, Kiss, Sarkar and Ferenci 2021,
    https://arxiv.org/abs/2102.08100.
    """
    data = _read("epidemics/chickenpox.json")
    names = sorted(data["node_ids"], key=data["node_ids"].__getitem__)
    edge_index = torch.tensor(data["edges"], device="cpu").T.contiguous()
    return Epidemic(np.array(data["FX"]), tuple(name.title() for name in names), ((edge_index, None),), "week", lags=4)


def england_covid() -> Epidemic:
    """Daily COVID-19 cases of 129 English regions, 61 days from March 2020 on; 8 lags.

    Each day has a graph of its own: how many people moved from region to region, or stayed inside one. Panagopoulos,
    Nikolentzos and Vazirgiannis 2021, https://arxiv.org/abs/2009.08388. Names of regions are not published.
    """
    data = _read("epidemics/england_covid.json")
    values = np.array(data["y"], dtype=np.float64)
    edges, weights = data["edge_mapping"]["edge_index"], data["edge_mapping"]["edge_weight"]
    graphs = tuple(
        (
            torch.tensor(edges[str(day)], device="cpu").T.contiguous(),
            torch.tensor(weights[str(day)], dtype=torch.float32, device="cpu"),
        )
        for day in range(len(values))
    )
    return Epidemic(values, tuple(str(node) for node in range(values.shape[1])), graphs, "day", lags=8)


def planted(nodes: int = 12, steps: int = 240, seed: int = 0) -> Epidemic:
    """A made-up epidemic that spreads along a ring: what a node alone cannot foresee, its neighbours tell.

    x_{t+1,i} = 0.3 x_{t,i} + 0.3 (x_{t,i-1} + x_{t,i+1}) + e_{t+1,i} with standard normal e, so that no forecast of the
    next step has a mean squared error below 1 before standardisation.

    Example:
        >>> planted(nodes=5, steps=30).values.shape
        (30, 5)
    """
    noise = np.random.default_rng(seed).standard_normal((50 + steps, nodes))  # 50 steps to forget the start
    values = np.zeros_like(noise)
    for step in range(1, len(values)):
        before = values[step - 1]
        values[step] = 0.3 * (before + np.roll(before, 1) + np.roll(before, -1)) + noise[step]
    ring = torch.arange(nodes, device="cpu")
    forth = torch.stack([ring, (ring + 1) % nodes])
    names = tuple(f"place {node}" for node in range(nodes))
    return Epidemic(values[50:], names, ((torch.cat([forth, forth.flip(0)], 1), None),), "step", lags=4)


def _read(name: str) -> Any:
    return json.loads(fetch(name).read_text(encoding="utf-8"))


EPIDEMICS: dict[str, Callable[[], Epidemic]] = {
    "chickenpox": chickenpox,
    "england_covid": england_covid,
    "planted": planted,
}
