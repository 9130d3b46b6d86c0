"""Scores that nobody trained: of columns of features, whatever the shape of these.

Age is read back from freshness, as all else from logarithms: a score of a pair is a function of its features alone.
"""

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.social_graph.features import MINUTE, NEVER, SCALE, WALK
from studies.social_graph.history import DAY, WEEK

__all__ = ["FIXED", "SUMS", "score", "summed"]

Column = Callable[[str], NDArray[np.float32]]  # a feature by its name

# Of the fixed sum: days in which recency falls to 1/e, shares of walks and of popularity, fixed before any run.
FIXED = (7, 0.03, 1e-4)
# Among which the tuned sum chooses on what is before the test, the fixed one first.
SUMS = (FIXED, *(each for each in product((4, 7, 14, 28), (0.03, 0.1, 0.3), (1e-5, 1e-4, 1e-3)) if each != FIXED))


def summed(column: Column, days: float, walks: float, popularity: float) -> NDArray[np.float64]:
    """exp(-age / days), 0 of never, and shares of walks and of what the target received in 7 days."""
    freshness = column("freshness of either")
    age = np.expm1(NEVER - SCALE * freshness.astype(np.float64)) * MINUTE
    recency = np.where(freshness > 0, np.exp(-age / (days * DAY)), 0.0)
    walked = WALK * np.expm1(SCALE * column("walks, 28 d").astype(np.float64))
    made: NDArray[np.float64] = np.expm1(column("target: received, 7 d").astype(np.float64))
    return recency + walks * walked + popularity * made


def score(model: str, column: Column, rng: np.random.Generator) -> NDArray[np.float64]:
    """The score of every pair, of the shape that columns have.

    Example:
        >>> columns = {"written": np.array([1, 0, 1], dtype=np.float32)}
        >>> score("EdgeBank", columns.__getitem__, np.random.default_rng(0)).tolist()
        [1.0, 0.0, 1.0]
    """
    week = (NEVER - np.log1p(WEEK / MINUTE)) / SCALE
    made: dict[str, Callable[[], Any]] = {
        "random": lambda: rng.random(column("written").shape),
        "popularity": lambda: column("target: received, 7 d"),
        "EdgeBank": lambda: column("written"),
        "EdgeBank, 7 days": lambda: column("freshness") >= week,
        "EdgeBank, counts": lambda: column("log count"),
        "EdgeBank, decay": lambda: column("count, 7 d"),
        "repeat": lambda: column("freshness"),
        "reply": lambda: column("freshness of answer"),
        "max(repeat, reply)": lambda: column("freshness of either"),
        "PageRank": lambda: column("walks, 28 d"),
        "fixed sum": lambda: summed(column, *FIXED),
        "leak: the week's own popularity": lambda: column("freshness of either"),
    }  # fmt: skip
    return np.asarray(made[model](), dtype=np.float64)
