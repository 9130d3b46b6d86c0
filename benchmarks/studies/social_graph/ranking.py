"""Protocol A's evaluator: ranks among negatives that are true negatives, ties at their mean.

Letters: S sources that write in a week, N nodes, K positives of a week, M negatives of a source.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from studies.social_graph.history import Events, Floats, Ints

__all__ = ["SCORES", "WeekQuery", "evaluate", "evaluate_slowly", "week_of", "week_query"]

NEGATIVES = 1000
SCORES = ("edge MRR", "all-nodes MRR", "best-positive MRR", "edge MRR, new pairs", "edge MRR, met pairs")


def week_of(events: Events, width: float) -> Ints:
    """floor((t - t0) / width) of every event. [E]"""
    return np.floor((events.time - events.time[0]) / width).astype(np.int64) if len(events) else np.zeros(0, np.int64)


@dataclass(frozen=True, eq=False)
class WeekQuery:
    """What is asked of a week: to whom do these sources write?

    Attributes:
        week: Its number.
        start: The moment at which it begins; an answer may know what was strictly before it.
        source: Those that write in it, in order. [S]
        row: Of each positive the place of its source. [K]
        target: Of each positive. [K]
        met: Whether a positive's two ends had an event before, in either direction. [K]
        negatives: Of each source, M nodes that are neither itself nor its positives; fewer where there are not as many,
            then -1. [S, M]
    """

    week: int
    start: float
    source: Ints
    row: Ints
    target: Ints
    met: NDArray[np.bool_]
    negatives: Ints


def week_query(events: Events, week: int, width: float, negatives: int = NEGATIVES, seed: int = 0) -> WeekQuery:
    """The question of a week; its negatives are uniform without replacement, the same for whoever answers.

    Nodes that write to themselves alone are no sources, and no such pair is a positive.
    """
    inside = (week_of(events, width) == week) & (events.source != events.target)
    pairs = np.unique(events.pair[inside])
    source, row = np.unique(pairs // events.nodes, return_inverse=True)
    target = pairs % events.nodes
    start = float(events.time[0] + week * width)
    past = events.until(start)
    both = np.concatenate([past.pair, past.target * events.nodes + past.source])
    rng = np.random.default_rng([seed, week])
    drawn = np.full((len(source), negatives), -1, dtype=np.int64)
    for place, node in enumerate(source):
        legal = np.ones(events.nodes, dtype=bool)
        legal[node] = legal[target[row == place]] = False
        others = np.flatnonzero(legal)
        some = rng.permutation(others)[:negatives]
        drawn[place, : len(some)] = some
    return WeekQuery(week, start, source, row, target, np.isin(pairs, both), drawn)


def evaluate_slowly(scores: Floats, query: WeekQuery) -> dict[str, float]:
    """What :func:`evaluate` says, by its definition."""
    sampled: list[float] = []
    full: list[float] = []
    new: list[float] = []
    met: list[float] = []
    best: dict[int, float] = {}
    for row, target, known in zip(query.row, query.target, query.met, strict=True):
        own = scores[row, target]
        positives = {int(t) for t in query.target[query.row == row]} | {int(query.source[row])}
        others = [scores[row, node] for node in range(scores.shape[1]) if node not in positives]
        among = [scores[row, node] for node in query.negatives[row] if node >= 0]
        ranks = [1 + sum(x > own for x in them) + sum(x == own for x in them) / 2 for them in (among, others)]
        sampled.append(1 / ranks[0])
        full.append(1 / ranks[1])
        best[row] = max(best.get(row, 0.0), 1 / ranks[0])
        (met if known else new).append(1 / ranks[0])
    values = (sampled, full, list(best.values()), new, met)
    return {name: float(np.mean(value)) if value else float("nan") for name, value in zip(SCORES, values, strict=True)}


def evaluate(scores: Floats, query: WeekQuery) -> dict[str, float]:
    """Means of 1 / rank over a week's positives; NaN of a kind that the week has none of.

    A positive's rank is 1 + the negatives with a higher score + half of those with the same, among its source's M
    negatives or among all; the other positives of its source are nobody's negatives.

    Args:
        scores: Of all nodes, a higher one is likelier. [S, N]
        query: Of the week.

    Raises:
        ValueError: If scores have another shape, or one that counts is not finite: NaN is neither above nor below, and
            would rank first.
    """
    rows, nodes = len(query.source), scores.shape[1]
    if scores.shape[0] != rows or (len(query.target) and query.target.max() >= nodes):
        raise ValueError(f"scores has shape {list(scores.shape)}; expected [S, N] of {rows} sources and all nodes")
    if not np.isfinite(scores).all():
        row, node = np.argwhere(~np.isfinite(scores))[0]
        raise ValueError(f"scores[{row}, {node}]={scores[row, node]}; expected finite scores: NaN has no rank")
    own = scores[query.row, query.target]  # [K]
    counted = np.ones((rows, nodes), dtype=bool)
    counted[np.arange(rows), query.source] = counted[query.row, query.target] = False
    ranks = []
    for among in ("sampled", "all"):
        rank = np.empty(len(own))
        for row in range(rows):
            drawn = query.negatives[row]
            others = scores[row, drawn[drawn >= 0] if among == "sampled" else counted[row]]
            mine = np.flatnonzero(query.row == row)
            others = np.sort(others)
            below, upto = (np.searchsorted(others, own[mine], side=side) for side in ("left", "right"))
            rank[mine] = 1 + (len(others) - upto) + (upto - below) / 2
        ranks.append(1 / rank)
    sampled, full = ranks
    best = np.zeros(rows)
    np.maximum.at(best, query.row, sampled)
    values = (sampled, full, best, sampled[~query.met], sampled[query.met])
    return {
        name: float(value.mean()) if len(value) else float("nan") for name, value in zip(SCORES, values, strict=True)
    }
