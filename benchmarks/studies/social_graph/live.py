"""Protocol A: predict a week from what was before it, then learn from it too, week after week.

Letters: S sources, N nodes, T snapshots, K candidates.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from studies.social_graph import heuristics
from studies.social_graph.candidates import Candidates, draw
from studies.social_graph.choice import BestSoFar
from studies.social_graph.classifiers import LIVE_TREES, classifier_scores, reciprocal_rank, trained
from studies.social_graph.history import Events, Floats
from studies.social_graph.network import PairNetwork
from studies.social_graph.ranking import SCORES, evaluate, week_of
from studies.social_graph.runs import HEURISTICS, LEAKS, LEARNT, SocialRun
from studies.social_graph.sources import made_up, read
from studies.social_graph.weeks import FIRST_TEST, WeekInputs, inputs_of

__all__ = ["LiveNetwork", "follow", "rank_loss"]

SHARPNESS = 2.0  # of the steps that a rank is made of
OF_NETWORK = (0.0, 0.1, 0.25, 0.5, 0.75, 1.0)  # shares beside the fixed sum, of which the past chooses one
LEAST = 1e-7  # of the fixed sum, for its logarithm: as in the network


def follow(run: SocialRun) -> dict[str, Any]:
    """The scores of every tested week, in JSON values."""
    weeks = inputs_of(run.data, run.width)
    events, _, _ = read(run.data, run.width)
    tested = [place for place, week in enumerate(weeks) if place > 0 and week.query.week >= FIRST_TEST]
    found: list[dict[str, float]] = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(run.seed)
        chosen: list[int] = []
        answer = _answers(run, events, weeks, chosen)
        for place in tested:
            found.append(evaluate(answer(place), weeks[place].query))
    return {
        **({"chosen": chosen} if chosen else {}),
        "weeks": [weeks[place].query.week for place in tested],
        "positives": [len(weeks[place].query.target) for place in tested],
        "scores": {name: [None if np.isnan(each[name]) else round(each[name], 4) for each in found] for name in SCORES},
    }


def _answers(
    run: SocialRun, events: Events, weeks: tuple[WeekInputs, ...], chosen: list[int]
) -> Callable[[int], Floats]:
    """From the place of a week to scores; which option it was is added to what was chosen."""

    def judge(scores: Floats, place: int) -> float:
        return evaluate(scores, weeks[place].query)["edge MRR"]

    def sums(place: int) -> list[Floats]:
        column = cache(weeks[place].dense)
        return [heuristics.summed(column, *each) for each in heuristics.SUMS]

    def forests(place: int) -> list[Any]:
        return [trained(run, weeks, place, trees) for trees in LIVE_TREES] if place else []

    if run.model == "tuned sum" or run.sum:
        best = BestSoFar(LiveNetwork(run, events, weeks).shared if run.sum else sums, judge)
        best.chosen = chosen
        return best.answer
    if run.model == "boosted trees":
        forest = BestSoFar(forests, partial(reciprocal_rank, run, weeks))
        forest.chosen = chosen
        return lambda place: classifier_scores(forest.answer(place), weeks[place])
    if run.model in (*HEURISTICS, *LEARNT, *LEAKS, "oracle"):
        return partial(_answer, run, events, weeks)
    return LiveNetwork(run, events, weeks).answer


def _answer(run: SocialRun, events: Events, weeks: tuple[WeekInputs, ...], place: int) -> Floats:
    """Scores of a week by whatever is no network. [S, N]"""
    week, rng = weeks[place], np.random.default_rng([run.seed, place])
    if run.model == "oracle":
        probability = made_up(run.data).probability[week.query.week]
        return np.asarray(probability[week.query.source])
    if run.model in LEARNT:
        return classifier_scores(trained(run, weeks, place), week)
    if run.model in LEAKS:  # what the week itself tells of its targets, to show what a leak is worth
        inside = week_of(events, run.width) == week.query.week
        popular = np.log1p(np.bincount(events.target[inside], minlength=events.nodes))
        return heuristics.score(run.model, week.dense, rng) + popular
    return heuristics.score(run.model, week.dense, rng)


def rank_loss(scores: Tensor, some: Candidates, entropy: float) -> Tensor:
    """Of each positive 1 - 1 / rank, with steps made smooth, and a share of its cross entropy; their mean.

    rank = 1 + sum_k w_k sigmoid(2 (s_k - s)) over the negatives of its source, each of which stands for w_k nodes; the
    cross entropy is that of the positive against these alone, as ranks are.
    """
    sources = len(some.start) - 1
    right = some.positive.nonzero().squeeze(1)
    row = some.row[right]
    sizes = (some.start[1:] - some.start[:-1])[row]
    which = torch.repeat_interleave(torch.arange(len(right)), sizes)
    stop = sizes.cumsum(0)
    other = torch.arange(len(which)) - (stop - sizes)[which] + some.start[row][which]
    above = some.weight[other] * torch.sigmoid(SHARPNESS * (scores[other] - scores[right][which]))
    rank = 1 + torch.zeros(len(right)).index_add(0, which, above)
    most = torch.full((sources,), -1e9).scatter_reduce(0, some.row, scores.detach(), "amax")
    total = torch.zeros(sources).index_add(0, some.row, some.weight * torch.exp(scores - most[some.row]))
    against = most + torch.log(total + 1e-9)
    return (1 - 1 / rank + entropy * functional.softplus(against[row] - scores[right])).mean()


class LiveNetwork:
    """A network that is trained on all weeks before the one that it answers for, and on no other.

    Args:
        run: Its settings.
        events: The log.
        weeks: Inputs of the weeks that have questions.
    """

    def __init__(self, run: SocialRun, events: Events, weeks: tuple[WeekInputs, ...]) -> None:
        self.run, self.weeks = run, weeks
        self.rng = np.random.default_rng(run.seed)
        self.network = PairNetwork(run)
        parameters = self.network.parameters()
        self.optimizer = torch.optim.AdamW(parameters, lr=run.learning_rate, weight_decay=run.weight_decay)
        self.candidates: list[Candidates] = []
        self.graphs = [snapshot(events, run.width, week.query.week - 1) for week in weeks]
        self.node = [torch.from_numpy(week.node) for week in weeks]

    def answer(self, place: int) -> NDArray[np.float64]:
        """Scores of a week's sources with all nodes, after training on what was before. [S, N]"""
        self.learn(place)
        week = self.weeks[place]
        self.network.eval()
        with torch.no_grad():
            met = tuple(map(torch.from_numpy, (week.row, week.column, week.pair)))
            source, near = torch.from_numpy(week.query.source), torch.from_numpy(week.near)
            made = self.network.all_scores(source, self.node[place], near, met, self.states(place))  # type: ignore[arg-type]
        self.network.train()
        return made.double().numpy()

    def shared(self, place: int) -> list[NDArray[np.float64]]:
        """Scores of a week by the fixed sum, and by more and more of the network; of the first week by the sum."""
        fixed = np.log(heuristics.summed(self.weeks[place].dense, *heuristics.FIXED) + LEAST)
        if place == 0:
            return [fixed] * len(OF_NETWORK)
        own = self.answer(place)
        return [fixed + share * (own - fixed) for share in OF_NETWORK]

    def learn(self, stop: int) -> None:
        """Steps on the weeks before one, the later ones more often."""
        for place in range(len(self.candidates), stop):
            self.candidates.append(draw(self.weeks[place], self.run.candidates, self.rng))
        sizes = np.array([len(week.query.source) for week in self.weeks[:stop]])
        number = np.array([week.query.week for week in self.weeks[:stop]])
        chance = np.sqrt(sizes) * np.exp((number - number[-1]) / self.run.forget)
        for _ in range(self.run.steps):
            place = int(self.rng.choice(stop, p=chance / chance.sum()))
            rows = np.sort(self.rng.permutation(int(sizes[place]))[: self.run.batch])
            some = self.candidates[place].of(torch.from_numpy(rows))
            node, states = self.node[place], self.states(place)
            ends = [(node[end], states[end]) for end in (some.source, some.target)]
            scores = self.network(ends[0][0], ends[1][0], some.pair, (ends[0][1], ends[1][1]))
            self.optimizer.zero_grad()
            rank_loss(scores, some, self.run.entropy).backward()
            self.optimizer.step()

    def states(self, place: int) -> Tensor:
        """Of all nodes when a week begins, from the snapshots of the weeks before it. [N, C]"""
        window = range(max(place + 1 - self.run.history, 0), place + 1)
        x = torch.stack([self.node[at] for at in window])
        edges, weights = zip(*(self.graphs[at] for at in window), strict=True)
        return self.network.states(x, edges, weights)


def snapshot(events: Events, width: float, week: int) -> tuple[Tensor, Tensor]:
    """The graph of one week, in both directions, its edges weighted with log(1 + messages)."""
    inside = (week_of(events, width) == week) & (events.source != events.target)
    ends = np.stack([events.source[inside], events.target[inside]])
    pairs, counts = np.unique(np.hstack([ends, ends[::-1]]), axis=1, return_counts=True)
    return torch.from_numpy(pairs), torch.from_numpy(np.log1p(counts)).float()
