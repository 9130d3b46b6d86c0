"""Protocol B's questions and scores: who is written to at this very moment, given everything strictly before it?

Letters: E events, Q questions, M negatives.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score

from studies.social_graph.history import Events, Floats, Ints

__all__ = ["COLUMNS", "QUANTILES", "StreamQuery", "parts_of", "questions", "score_stream", "score_stream_slowly"]

QUANTILES = (0.70, 0.85)  # of the events' times: training before, validation between, test after
NEGATIVES = 20  # of each kind, of a question
COLUMNS = ("AP, random", "AP, historical", "MRR, random", "MRR, historical",
           "AP, random, never met", "MRR, random, never met")  # fmt: skip


@dataclass(frozen=True, eq=False)
class StreamQuery:
    """Questions in order of time.

    Attributes:
        source: Who writes. [Q]
        target: To whom. [Q]
        time: When. [Q]
        met: Whether the two had an event before. [Q]
        random: Nodes, uniform, that are neither the source nor written to by it at this moment. -1 if there are too
            few. [Q, M]
        historical: Nodes that the source has written to strictly before, and not now, each once; -1 fills up. [Q, M]
    """

    source: Ints
    target: Ints
    time: Floats
    met: NDArray[np.bool_]
    random: Ints
    historical: Ints


def parts_of(events: Events) -> tuple[float, float]:
    """The moments at which validation and test begin."""
    low, high = np.quantile(events.time, QUANTILES)
    return float(low), float(high)


def questions(events: Events, start: float, stop: float, seed: int = 0, negatives: int = NEGATIVES) -> StreamQuery:
    """The events from start on, before stop, self-loops left out, with negatives that are the same for whoever answers.

    What a source wrote at the same moment is no history; negatives keep the source, so that whether it is active says
    nothing.
    """
    inside = np.flatnonzero((events.time >= start) & (events.time < stop) & (events.source != events.target))
    source, target, time = events.source[inside], events.target[inside], events.time[inside]
    rng = np.random.default_rng([seed, len(inside)])
    random = rng.integers(0, events.nodes, (len(inside), negatives))
    historical = np.full((len(inside), negatives), -1, dtype=np.int64)
    met = np.zeros(len(inside), dtype=bool)
    partners: dict[int, list[int]] = {}
    known: set[int] = set()
    at = 0
    for row, event in enumerate(inside):
        moment = events.time[event]
        while events.time[at] < moment:
            i, j = int(events.source[at]), int(events.target[at])
            if i * events.nodes + j not in known:
                known.add(i * events.nodes + j)
                partners.setdefault(i, []).append(j)
            at += 1
        i = int(source[row])
        met[row] = {i * events.nodes + int(target[row]), int(target[row]) * events.nodes + i} & known != set()
        end = at
        while end < len(events) and events.time[end] == moment:
            end += 1
        now = {int(events.target[e]) for e in range(at, end) if events.source[e] == i} | {i}
        for column in range(negatives):
            for _ in range(100):
                if int(random[row, column]) not in now:
                    break
                random[row, column] = rng.integers(0, events.nodes)
            else:
                random[row, column] = -1
        others = [j for j in partners.get(i, []) if j not in now]
        some = rng.permutation(len(others))[:negatives]
        historical[row, : len(some)] = [others[k] for k in some]
    return StreamQuery(source, target, time, met, random, historical)


def score_stream(own: Floats, random: Floats, historical: Floats, query: StreamQuery) -> dict[str, Any]:
    """Average precision against each question's first negative, mean 1 / rank among all of its, ties at their mean.

    Args:
        own: Scores of the positives. [Q]
        random: Scores of the random negatives; what stands at places of -1 is not read. [Q, M]
        historical: Alike. Questions without history are none of these columns. [Q, M]
        query: The questions.

    Raises:
        ValueError: If shapes differ, or a score that counts is not finite.
    """
    found: list[float] = []
    kinds = ((random, query.random), (historical, query.historical))
    for scores, nodes in kinds:
        if scores.shape != nodes.shape or own.shape != nodes.shape[:1]:
            given, wanted = ([list(each.shape) for each in two] for two in ((own, scores), (query.source, nodes)))
            raise ValueError(f"scores have shapes {given}; expected {wanted}, one a positive and one a negative")
        if not (np.isfinite(own).all() and np.isfinite(scores[nodes >= 0]).all()):
            raise ValueError("scores hold NaN or infinity; expected finite scores: NaN has no rank")
    for measure in (_precision, _reciprocal):
        found += [measure(own, scores, nodes, np.ones(len(own), dtype=bool)) for scores, nodes in kinds]
    found += [measure(own, random, query.random, ~query.met) for measure in (_precision, _reciprocal)]
    return dict(zip(COLUMNS, found, strict=True))


def _precision(own: Floats, scores: Floats, nodes: Ints, asked: NDArray[np.bool_]) -> float:
    asked = asked & (nodes[:, 0] >= 0)
    if not asked.any():
        return float("nan")
    labels = np.repeat([1, 0], asked.sum())
    return float(average_precision_score(labels, np.concatenate([own[asked], scores[asked, 0]])))


def _reciprocal(own: Floats, scores: Floats, nodes: Ints, asked: NDArray[np.bool_]) -> float:
    asked = asked & (nodes[:, 0] >= 0)
    if not asked.any():
        return float("nan")
    counted = nodes >= 0
    above = ((scores > own[:, None]) & counted).sum(1) + ((scores == own[:, None]) & counted).sum(1) / 2
    return float((1 / (1 + above[asked])).mean())


def score_stream_slowly(own: Floats, random: Floats, historical: Floats, query: StreamQuery) -> dict[str, Any]:
    """What :func:`score_stream` says, by definition: precision at every threshold, weighted with what it recalls."""

    def precision(scores: Floats, nodes: Ints, asked: list[int]) -> float:
        pairs = [(own[q], 1) for q in asked] + [(scores[q, 0], 0) for q in asked]
        total, before = 0.0, 0
        for threshold in sorted({value for value, _ in pairs}, reverse=True):
            kept = [label for value, label in pairs if value >= threshold]
            total += (sum(kept) - before) / len(asked) * sum(kept) / len(kept)
            before = sum(kept)
        return total

    def reciprocal(scores: Floats, nodes: Ints, asked: list[int]) -> float:
        ranks = []
        for q in asked:
            others = [value for value, node in zip(scores[q], nodes[q], strict=True) if node >= 0]
            ranks.append(1 + sum(v > own[q] for v in others) + sum(v == own[q] for v in others) / 2)
        return float(np.mean([1 / rank for rank in ranks]))

    found = []
    for measure in (precision, reciprocal):
        for scores, nodes in ((random, query.random), (historical, query.historical)):
            asked = [q for q in range(len(own)) if nodes[q, 0] >= 0]
            found.append(measure(scores, nodes, asked) if asked else float("nan"))
    new = [q for q in range(len(own)) if query.random[q, 0] >= 0 and not query.met[q]]
    for measure in (precision, reciprocal):
        found.append(measure(random, query.random, new) if new else float("nan"))
    return dict(zip(COLUMNS, found, strict=True))
