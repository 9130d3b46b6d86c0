"""What forecasters of a series see: deviations from the season, gaps filled from the past, all known before a step.

Letters: T time steps, N nodes, S steps of a season, L lags, B windows, K horizons.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gnnseq.data.graph_series import GraphSeries, Values

__all__ = ["SeriesPanel"]


@dataclass(frozen=True)
class SeriesPanel:
    """A series as it is known at step ``stop``: nothing here depends on what comes later, but the values themselves.

    Attributes:
        values: As they are, NaN where missing. [T, N]
        usual: The mean of each node at each time of the season, or its mean where that is unknown. [T, N]
        scale: Each node's standard deviation from ``usual``, above 0. [N]
        filled: Deviations over scale; a gap is the last one seen within L steps, then 0. [T, N]
        seen: Whether the value is there. [T, N]
        phase: Where in the season each step is, from 0 to 1. [T]
        stop: The first step that is not known.
    """

    values: Values
    usual: Values
    scale: Values
    filled: Values
    seen: NDArray[np.bool_]
    phase: Values
    stop: int

    @classmethod
    def of(cls, series: GraphSeries, season: int, lags: int, stop: int) -> "SeriesPanel":
        """The panel whose statistics are of the steps before ``stop``.

        Args:
            series: Values, perhaps with gaps.
            season: S; 0 for none.
            lags: L, the longest stretch that is filled.
            stop: The first step that is not known.
        """
        values = series.values
        steps, known = np.arange(len(values)), values[:stop]
        seen = ~np.isnan(values)
        average = np.nanmean(known, 0)
        usual = np.tile(average, (len(values), 1))
        if season > 1:
            place = steps % season
            total, count = np.zeros((season, values.shape[1])), np.zeros((season, values.shape[1]))
            np.add.at(total, place[:stop], np.where(seen[:stop], known, 0.0))
            np.add.at(count, place[:stop], seen[:stop])
            usual = np.where(count > 0, total / np.maximum(count, 1), average)[place]
        scale = np.sqrt(np.nanmean((known - usual[:stop]) ** 2, 0))
        scale = np.where(scale > 1e-9 * np.maximum(np.abs(average), 1), scale, 1.0)
        deviation = (values - usual) / scale
        last = np.maximum.accumulate(np.where(seen, steps[:, None], -1), 0)
        fresh = (last >= 0) & (steps[:, None] - last < lags)
        filled = np.where(fresh, np.take_along_axis(deviation, np.maximum(last, 0), 0), 0.0)
        phase = steps % season / season if season > 1 else np.zeros(len(values))
        return cls(values, usual, scale, filled, seen, phase, stop)

    def histories(self, panel: Values, lags: int, origins: NDArray[np.int64]) -> Values:
        """The last L rows of a panel at each origin, oldest first. [B, L, N]"""
        found: Values = panel[origins[:, None] + np.arange(1 - lags, 1)]
        return found

    def targets(self, horizons: tuple[int, ...], origins: NDArray[np.int64], stop: int) -> Values:
        """Deviations over scale that come after the origins, NaN where missing or not before ``stop``. [B, K, N]"""
        steps = origins[:, None] + np.asarray(horizons)
        inside = np.minimum(steps, len(self.values) - 1)
        deviation = (self.values[inside] - self.usual[inside]) / self.scale
        return np.where((steps < stop)[:, :, None], deviation, np.nan)

    def forecasts(self, outputs: Values, horizons: tuple[int, ...], origins: NDArray[np.int64]) -> Values:
        """Values that outputs [B, K, N] are deviations of."""
        steps = np.minimum(origins[:, None] + np.asarray(horizons), len(self.values) - 1)
        found: Values = self.usual[steps] + outputs * self.scale
        return found
