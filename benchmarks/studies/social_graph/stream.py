"""Protocol B: one model, trained on the first events and asked about the last, each from what was strictly before it.

Letters: Q questions, K pairs, M negatives, N nodes.
"""

import copy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from harness.files import cached_while_unchanged
from studies.social_graph import heuristics
from studies.social_graph.classifiers import STREAMING_TREES, make_classifier
from studies.social_graph.features import NEAR, NODE, PAIR, near_features, node_features, pair_features
from studies.social_graph.history import Events, Floats, Ints
from studies.social_graph.live import snapshot
from studies.social_graph.network import PairNetwork
from studies.social_graph.ranking import week_of
from studies.social_graph.runs import CHOSEN, HEURISTICS, LEARNT, SocialRun
from studies.social_graph.sources import read
from studies.social_graph.streaming import COLUMNS, StreamQuery, parts_of, questions, score_stream

__all__ = ["Pairs", "pairs_at", "stream"]

ASKED = (2, 5, 20)  # negatives of each kind in training, validation and test


@dataclass(frozen=True, eq=False)
class Pairs:
    """What is known of some pairs, each at its own moment.

    Attributes:
        source: Node. [K]
        target: Node. [K]
        week: In which the moment is. [K]
        ends: Features of source and of target. [K, F] each
        pair: Of the pair, walks as of the week's start included. [K, P + 3]
    """

    source: Ints
    target: Ints
    week: Ints
    ends: tuple[NDArray[np.float32], NDArray[np.float32]]
    pair: NDArray[np.float32]

    def column(self, name: str) -> NDArray[np.float32]:
        """A feature by its name, as heuristics ask for it. [K]"""
        end, _, rest = name.partition(": ")
        if rest and end in ("source", "target"):
            return self.ends[end == "target"][:, NODE.index(rest)]
        return self.pair[:, (PAIR + NEAR).index(name)]

    @property
    def rows(self) -> NDArray[np.float32]:
        """All features side by side, for classifiers. [K, 2 F + P + 3]"""
        return np.hstack([*self.ends, self.pair])


def pairs_at(events: Events, source: Ints, target: Ints, time: Floats, width: float) -> Pairs:
    """Features of pairs from events strictly before each one's moment."""
    week = np.floor((time - events.time[0]) / width).astype(np.int64)
    near = np.zeros((len(time), len(NEAR)), dtype=np.float32)
    for each in np.unique(week):
        inside = np.flatnonzero(week == each)
        nodes, place = np.unique(source[inside], return_inverse=True)
        start = float(events.time[0] + each * width)
        near[inside] = near_features(events.until(start), nodes, start)[place, target[inside]]
    ends = node_features(events, source, time), node_features(events, target, time)
    return Pairs(source, target, week, ends, np.hstack([pair_features(events, source, target, time), near]))


@cached_while_unchanged(1)
def _parts(data: str, width: float, seed: int) -> tuple[tuple[StreamQuery, Pairs], ...]:
    """Training, validation and test: questions, and their pairs: positives, random, historical, each question's row.

    The seed draws the negatives.
    """
    events, _, _ = read(data, width)
    validation, test = parts_of(events)
    bounds = ((-np.inf, validation), (validation, test), (test, np.inf))
    made: list[tuple[StreamQuery, Pairs]] = []
    for (start, stop), asked in zip(bounds, ASKED, strict=True):
        query = questions(events, start, stop, seed, asked)
        if not len(query.source):
            part = ("training", "validation", "test")[len(made)]
            raise ValueError(f"{data}: no contacts between two nodes in the {part} part of streaming, which is cut at "
                             f".70 and .85 of the events' times ({validation:.10g} and {test:.10g} s); expected some "
                             "in each, or --protocols live")  # fmt: skip
        both = np.hstack([query.target[:, None], query.random, query.historical])
        source, time = np.repeat(query.source, both.shape[1]), np.repeat(query.time, both.shape[1])
        made.append((query, pairs_at(events, source, np.maximum(both.ravel(), 0), time, width)))
    return tuple(made)


def stream(run: SocialRun) -> dict[str, Any]:
    """The scores of the test part, in JSON values."""
    parts = _parts(run.data, run.width, run.seed)
    rng = np.random.default_rng([run.seed, 1])
    more: dict[str, Any] = {}
    if run.model in (*HEURISTICS, *LEARNT):
        options = _options(run, parts[0], rng)
        place = int(np.argmax([_mean(parts[1][0], option(parts[1][1])) for option in options])) if options[1:] else 0
        scores = options[place](parts[2][1])
        more = {"chosen": place} if options[1:] else {}
    else:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(run.seed)
            events, _, _ = read(run.data, run.width)
            scores, more = _network(run, events, parts, rng)
    found = _score(parts[2][0], scores)
    return {"questions": [len(query.source) for query, _ in parts], **more,
            "scores": {name: None if np.isnan(found[name]) else round(found[name], 5) for name in COLUMNS}}  # fmt: skip


def _options(
    run: SocialRun, training: tuple[StreamQuery, Pairs], rng: np.random.Generator
) -> list[Callable[[Pairs], Floats]]:
    """Ways to score pairs, of which validation chooses one."""
    if run.model == "tuned sum":
        return [partial(_summed, each) for each in heuristics.SUMS]
    if run.model in HEURISTICS:
        return [lambda pairs: heuristics.score(run.model, pairs.column, rng)]
    query, pairs = training
    kept = _kept(query)
    if _labels(query)[kept].all():  # who knows no other node has nothing to tell its positives from
        return [lambda pairs: np.zeros(len(pairs.source))]
    sizes = STREAMING_TREES if run.model in CHOSEN else STREAMING_TREES[:1]
    made = [make_classifier(run.model, run.seed, trees) for trees in sizes]
    for learnt in made:
        learnt.fit(pairs.rows[kept], _labels(query)[kept])
    return [partial(_decided, learnt) for learnt in made]


def _summed(constants: tuple[float, ...], pairs: Pairs) -> Floats:
    return heuristics.summed(pairs.column, *constants)


def _decided(learnt: Any, pairs: Pairs) -> Floats:
    scores: Floats = learnt.decision_function(pairs.rows)
    return scores


def _mean(query: StreamQuery, scores: Floats) -> float:
    """What validation is chosen by: the mean of both average precisions; -1 where no question has a negative."""
    found = [value for name, value in _score(query, scores).items() if name in COLUMNS[:2] and not np.isnan(value)]
    return float(np.mean(found)) if found else -1.0


def _score(query: StreamQuery, scores: Floats) -> dict[str, Any]:
    scores = scores.reshape(len(query.source), -1)
    cut = 1 + query.random.shape[1]
    return score_stream(scores[:, 0], scores[:, 1:cut], scores[:, cut:], query)


def _labels(query: StreamQuery) -> NDArray[np.bool_]:
    """Which of a part's pairs are positives. [K]"""
    made = np.zeros((len(query.source), 1 + query.random.shape[1] + query.historical.shape[1]), dtype=bool)
    made[:, 0] = True
    return made.ravel()


def _kept(query: StreamQuery) -> Ints:
    """The places of a part's pairs that exist. [at most K]"""
    return np.flatnonzero(np.hstack([query.target[:, None], query.random, query.historical]).ravel() >= 0)


def _network(
    run: SocialRun, events: Events, parts: tuple[tuple[StreamQuery, Pairs], ...], rng: np.random.Generator
) -> tuple[Floats, dict[str, Any]]:
    """Scores of the test pairs by the network of the epoch that validation prefers."""
    weeks = int(week_of(events, run.width)[-1]) + 1
    starts = events.time[0] + run.width * np.arange(weeks)
    everybody = np.arange(events.nodes)
    node = [torch.from_numpy(node_features(events, everybody, np.full(events.nodes, start))) for start in starts]
    graphs = [snapshot(events, run.width, week - 1) for week in range(weeks)]  # of the week before each
    network = PairNetwork(run)
    optimizer = torch.optim.AdamW(network.parameters(), lr=run.learning_rate, weight_decay=run.weight_decay)

    def forward(pairs: Pairs, week: int, place: Ints) -> Tensor:
        window = range(max(week + 1 - run.history, 0), week + 1)
        states = network.states(
            torch.stack([node[at] for at in window]), *zip(*(graphs[at] for at in window), strict=True)
        )
        ends = [torch.from_numpy(end[place]) for end in pairs.ends]
        mine = states[torch.from_numpy(pairs.source[place])], states[torch.from_numpy(pairs.target[place])]
        made: Tensor = network(*ends, torch.from_numpy(pairs.pair[place]), mine)
        return made

    def predict(pairs: Pairs) -> Floats:
        scores = np.empty(len(pairs.source))
        network.eval()
        with torch.no_grad():
            for week, place in _by_week(pairs, np.arange(len(scores)), 65536):
                scores[place] = forward(pairs, week, place).numpy()
        network.train()
        return scores

    query, pairs = parts[0]
    kept, labels = _kept(query), torch.from_numpy(_labels(query)).float()
    validation, best, losses = [], copy.deepcopy(network.state_dict()), []
    for _ in range(run.epochs):
        batches = list(_by_week(pairs, rng.permutation(kept), run.batch * 32))
        total = 0.0
        for number in rng.permutation(len(batches)):
            week, place = batches[number]
            loss = functional.binary_cross_entropy_with_logits(forward(pairs, week, place), labels[place])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.item()
        losses.append(round(total / len(batches), 5))
        validation.append(round(_mean(parts[1][0], predict(parts[1][1])), 5))
        if validation[-1] == max(validation):
            best = copy.deepcopy(network.state_dict())
    network.load_state_dict(best)
    return predict(parts[2][1]), {"validation": validation, "loss": losses}


def _by_week(pairs: Pairs, place: Ints, size: int) -> Iterator[tuple[int, Ints]]:
    """Places of pairs in minibatches of one week each."""
    week = pairs.week[place]
    for each in np.unique(week):
        inside = place[week == each]
        yield from ((int(each), inside[low : low + size]) for low in range(0, len(inside), size))
