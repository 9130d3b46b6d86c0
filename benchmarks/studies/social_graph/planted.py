"""A made-up social graph that evolves, of which the best score is known.

Letters: N nodes, W weeks, E events of a week, S sources.
"""

import numpy as np

from studies.social_graph.history import DAY, WEEK, Events, Floats
from studies.social_graph.structure import adjacency

__all__ = ["Planted", "planted"]

KINDS = ("repeat", "reply", "friend of a friend", "popular", "anybody")
SHARES = (0.35, 0.25, 0.2, 0.15, 0.05)
MEMORY = 10 * DAY  # in which a contact is forgotten


class Planted:
    """The probabilities that drew each week, which no answer can beat but by luck.

    In a week that begins at t, with W_ij = sum exp(-age / 10 days) over events from i to j before t, node i writes to

    - somebody it wrote to, in proportion to W_ij (repeat),
    - somebody who wrote to it, in proportion to W_ji (reply),
    - a contact of its contacts, in proportion to (U U)_ij with U the rows of W + W' scaled to 1, i itself left out,
    - anybody, in proportion to sum_k W_kj (popular), or uniformly,

    each with its share; a kind that is impossible leaves its share to the others.
    """

    def __init__(self, nodes: int, weeks: int, events: int, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self.nodes, self.probability = nodes, {}
        activity = rng.gamma(0.7, size=nodes) + 0.05
        joined = np.sort(rng.integers(0, max(weeks // 2, 1), nodes))
        rng.shuffle(joined)
        log = Events(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0), nodes)
        for week in range(weeks):
            present = np.flatnonzero(joined <= week)
            mixed = self.mixture(log, week * WEEK)
            self.probability[week] = mixed
            source = rng.choice(present, events, p=activity[present] / activity[present].sum())
            drawn = (np.cumsum(mixed[source], 1) < rng.random((events, 1))).sum(1).clip(max=nodes - 1)
            time = np.sort(week * WEEK + rng.integers(0, int(WEEK), events)).astype(np.float64)
            if week == 0:
                time[0] = 0.0
            log = Events(np.concatenate([log.source, source]), np.concatenate([log.target, drawn]),
                         np.concatenate([log.time, time]), nodes)  # fmt: skip
        self.events = log

    def mixture(self, log: Events, start: float) -> Floats:
        """The probability that a message of i is to j, from what was before a moment. [N, N]"""
        weights = adjacency(log, start, MEMORY)
        forth = weights.toarray()
        both = _rows(forth + forth.T)
        kinds = [forth, forth.T, both @ both, np.tile(forth.sum(0), (self.nodes, 1)), np.ones_like(forth)]
        total = np.zeros_like(forth)
        for share, kind in zip(SHARES, kinds, strict=True):
            kind = kind.copy()
            np.fill_diagonal(kind, 0.0)
            total += share * _rows(kind)
        return _rows(total)


def _rows(weights: Floats) -> Floats:
    """Rows that add up to 1, or to 0. [N, N]"""
    total = weights.sum(1, keepdims=True)
    return np.asarray(np.divide(weights, total, out=np.zeros_like(weights), where=total > 0))


def planted(nodes: int, weeks: int, events: int, seed: int = 0) -> Planted:
    """A log of so many events in each of so many weeks.

    Example:
        >>> made = planted(nodes=20, weeks=3, events=30)
        >>> len(made.events), bool(np.allclose(made.probability[2].sum(1), 1))
        (90, True)
    """
    return Planted(nodes, weeks, events, seed)
