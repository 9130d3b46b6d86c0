"""What live training looks at: of each source its positives, all that it has met, and some others for all the rest.

Letters: S sources, N nodes, K candidates of some sources.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from studies.social_graph.weeks import WeekInputs

__all__ = ["Candidates", "draw"]


@dataclass(frozen=True, eq=False)
class Candidates:
    """Candidates of a week's sources, those of a source side by side.

    Attributes:
        source: Node that asks. [K]
        target: Node that may be the answer. [K]
        pair: Features of the pair, walks included. [K, P + 3]
        row: Place of the source. [K]
        positive: Whether it is one. [K]
        weight: How many nodes it stands for, 0 of a positive. [K]
        start: The first candidate of each source, and the end. [S + 1]
    """

    source: Tensor
    target: Tensor
    pair: Tensor
    row: Tensor
    positive: Tensor
    weight: Tensor
    start: Tensor

    def of(self, rows: Tensor) -> "Candidates":
        """Those of some sources."""
        sizes = (self.start[1:] - self.start[:-1])[rows]
        stop = sizes.cumsum(0)
        row = torch.repeat_interleave(torch.arange(len(rows)), sizes)
        place = torch.arange(int(stop[-1])) - (stop - sizes)[row] + self.start[rows][row]
        start = torch.cat([stop.new_zeros(1), stop])
        return Candidates(self.source[place], self.target[place], self.pair[place], row, self.positive[place],
                          self.weight[place], start)  # fmt: skip


def draw(week: WeekInputs, uniform: int, rng: np.random.Generator) -> Candidates:
    """Candidates of all sources; the others are drawn with a chance of uniform / N, and stand for N / uniform."""
    query, nodes = week.query, len(week.node)
    sources = len(query.source)
    index = np.full((sources, nodes), -1, dtype=np.int64)
    index[week.row, week.column] = np.arange(len(week.row))
    positive = np.zeros((sources, nodes), dtype=bool)
    positive[query.row, query.target] = True
    share = min(uniform / nodes, 1.0)
    asked = positive | (index >= 0) | (rng.random((sources, nodes)) < share)
    asked[np.arange(sources), query.source] = False
    row, target = np.nonzero(asked)
    at, right = index[row, target], positive[row, target]
    known = np.vstack([week.pair, np.zeros_like(week.pair, shape=(1, week.pair.shape[1]))])[at]
    weight = np.where(right, 0.0, np.where(at >= 0, 1.0, 1.0 / share)).astype(np.float32)
    arrays = (query.source[row], target, np.hstack([known, week.near[row, target]]), row, right, weight,
              np.searchsorted(row, np.arange(sources + 1)))  # fmt: skip
    return Candidates(*map(torch.from_numpy, arrays))
