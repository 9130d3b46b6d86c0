"""Series on a graph: every node a series of numbers, every edge a relation between nodes; gaps in them or none.

Letters: T time steps, N nodes, E edges, L lags, B windows, K horizons.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from gnnseq.graphs import as_edge_index
from gnnseq.normalization import gcn_normalize

__all__ = ["ForecastWindows", "GraphSeries", "Statistics", "Values"]

Values = NDArray[np.float64]
Statistics = Literal["training", "all"]


@dataclass(frozen=True)
class GraphSeries:
    """Series of the same steps, one a node of a graph, or of a graph for each step.

    The last fifth of the targets is the test part, the last fifth of those before it the validation part, and the rest
    the training part: three stretches in the order of time. A target belongs where its own step lies, whatever its
    horizon, so forecasts at every horizon and from histories of every length are judged on the same steps.

    Attributes:
        values: Numbers, such as cases or speeds; where ``gaps``, NaN is a value that is missing. [T, N]
        nodes: Their names. [N]
        graphs: edge_index [2, E], source above target, and edge_weight [E] or None: one for all steps, or T of them.
        step: What a step is called.
        lags: L, steps of history in the published protocol, which decides where its test part begins.
        times: When each step is, if anybody knows. [T]
        gaps: Whether values may be missing. Statistics are then of those that are there.

    Raises:
        ValueError: Values are infinite, missing though there are no gaps, or not as many as there are nodes; a node has
            none before the test part; times, or graphs, are not as many as there are steps.

    Example:
        >>> import torch
        >>> nowhere = (torch.empty(2, 0, dtype=torch.int64), None)
        >>> values = np.array([[1.0], [np.nan], [3.0], [5.0], [9.0]])
        >>> series = GraphSeries(values, ("a",), (nowhere,), "day", lags=1, gaps=True)
        >>> series.starts, series.standardized("training").values.ravel().tolist()
        ((3, 4, 5), [-1.224744871391589, nan, 0.0, 1.224744871391589, 3.6742346141747673])
    """

    values: Values
    nodes: tuple[str, ...]
    graphs: tuple[tuple[Tensor, Tensor | None], ...]
    step: str
    lags: int
    times: NDArray[np.datetime64] | None = None
    gaps: bool = False

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or self.values.shape[1] != len(self.nodes):
            raise ValueError(
                f"values: got shape {list(self.values.shape)}; expected [T, N] for {len(self.nodes)} nodes"
            )
        missing = np.argwhere(np.isinf(self.values) if self.gaps else ~np.isfinite(self.values))
        if len(missing):
            step, node = missing[0]
            what, remedy = ("infinite", "NaN where") if self.gaps else ("NaN or infinite", "gaps=True if")
            raise ValueError(
                f"values: {len(missing)} are {what}, the first at {self.step} {step} of {self.nodes[node]!r}; "
                f"fill them in, or leave out the node, or {remedy} they are missing"
            )
        if self.gaps:
            self._check_known()
        if self.times is not None and len(self.times) != len(self.values):
            raise ValueError(f"times: got {len(self.times)}; expected one a step: {len(self.values)}")
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

    def standardized(self, statistics: Statistics) -> "GraphSeries":
        """Every node's values less their mean, divided by their standard deviation.

        Args:
            statistics: ``"training"``: both from the steps before the test part. ``"all"``: both from all steps, as
                published; that looks ahead.
        """
        known = self.values if statistics == "all" else self.values[: self.starts[1]]
        average, spread = (np.nanmean(known, 0), np.nanstd(known, 0)) if self.gaps else (known.mean(0), known.std(0))
        return replace(self, values=(self.values - average) / np.where(spread > 0, spread, 1.0))

    def _check_known(self) -> None:
        """Raises if a node has no value that its statistics could be of."""
        end = max(self.starts[0], 0)
        unknown = np.flatnonzero(np.isnan(self.values[:end]).all(0))
        if len(unknown):
            raise ValueError(
                f"values: {self.nodes[unknown[0]]!r} has none in the training part, the {end} first {self.step}s (and "
                f"{len(unknown) - 1} other nodes have none); leave out such nodes, or take more steps"
            )

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
