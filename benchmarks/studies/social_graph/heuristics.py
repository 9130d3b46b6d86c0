"""Scores that nobody trained: of columns of features, whatever the shape of these.

Age is read back from freshness, as all else from logarithms: a score of a pair is a function of its features alone.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from studies.social_graph.features import MINUTE, NEVER, SCALE, WALK
from studies.social_graph.history import DAY, WEEK

__all__ = ["score"]

Column = Callable[[str], NDArray[np.float32]]  # a feature by its name

MEMORY = 7 * DAY  # of the fixed sum, in which recency falls to 1/e
SHARES = (0.03, 1e-4)  # of walks and of popularity in the fixed sum, fixed before any run


def _recency(freshness: NDArray[np.float32]) -> NDArray[np.float64]:
    """exp(-age / 7 days), 0 of never."""
    minutes = np.expm1(NEVER - SCALE * freshness.astype(np.float64))
    return np.where(freshness > 0, np.exp(-minutes * MINUTE / MEMORY), 0.0)


def _walks(column: Column) -> NDArray[np.float64]:
    return WALK * np.expm1(SCALE * column("walks, 28 d").astype(np.float64))


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
        "fixed sum": lambda: _recency(column("freshness of either")) + SHARES[0] * _walks(column)
                             + SHARES[1] * np.expm1(column("target: received, 7 d").astype(np.float64)),
        "leak: the week's own popularity": lambda: column("freshness of either"),
    }  # fmt: skip
    return np.asarray(made[model](), dtype=np.float64)
