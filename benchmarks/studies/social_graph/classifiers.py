"""Logistic regression and boosted trees on the features of pairs and of their ends.

Letters: K candidates, S sources, N nodes.
"""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler

from studies.social_graph.candidates import Candidates, draw
from studies.social_graph.runs import SocialRun
from studies.social_graph.weeks import WeekInputs

__all__ = ["LIVE_TREES", "STREAMING_TREES", "balanced", "classifier_scores", "make_classifier", "reciprocal_rank",
           "trained"]  # fmt: skip

# Leaves of a tree and number of trees, chosen on what is before the test; the first where nothing is.
LIVE_TREES = ((31, 60), (8, 30), (8, 60))
STREAMING_TREES = ((31, 250), (8, 250))

MOST = 20_000  # candidates that a week's classifier learns from
BINS = 48  # of a column: where candidates have weights, scikit-learn takes longer for bins than for trees
BLOCK = 64  # sources scored at once


def make_classifier(model: str, seed: int, trees: tuple[int, int] = LIVE_TREES[0]) -> Any:
    """An untrained one; the linear one reads nothing beyond what training has seen.

    A column that is nearly constant in training has a tiny spread: who wrote in a week's last hour was hundreds of
    these away, and came first for everybody.
    """
    if model == "logistic regression":
        return make_pipeline(MinMaxScaler(clip=True), StandardScaler(), LogisticRegression(C=1.0, max_iter=300))
    leaves, number = trees
    return HistGradientBoostingClassifier(max_iter=number, learning_rate=0.1, max_leaf_nodes=leaves, random_state=seed)


def trained(run: SocialRun, weeks: tuple[WeekInputs, ...], place: int, trees: tuple[int, int] = LIVE_TREES[0]) -> Any:
    """A classifier of the weeks before one, the later ones first; None where they tell nothing apart."""
    x: list[NDArray[np.float32]] = []
    y: list[NDArray[np.bool_]] = []
    stands: list[NDArray[np.float32]] = []  # how many nodes each candidate stands for
    for before in range(place - 1, -1, -1):
        if sum(map(len, y)) >= MOST:
            break
        some, rows = candidates_of(run, weeks, before)
        x.append(rows)
        y.append(some.positive.numpy())
        stands.append(np.maximum(some.weight.numpy(), some.positive.numpy()))
    if np.concatenate(y)[:MOST].all():  # who knows no other node has nothing to tell its positives from
        return None
    learnt = make_classifier(run.model, run.seed, trees)
    right, weight = np.concatenate(y)[:MOST], np.concatenate(stands)[:MOST]
    if run.model == "logistic regression":
        name = f"{learnt.steps[-1][0]}__sample_weight"
    else:
        name, weight = "sample_weight", balanced(weight, right)
        learnt.set_params(early_stopping=False, max_bins=BINS)
    return learnt.fit(np.concatenate(x)[:MOST], right, **{name: weight})


def candidates_of(run: SocialRun, weeks: tuple[WeekInputs, ...], place: int) -> tuple[Candidates, NDArray[np.float32]]:
    """Candidates of a week, and their features. [K], [K, 2 F + P + 3]"""
    some = draw(weeks[place], run.candidates, np.random.default_rng([run.seed, place]))
    node = weeks[place].node
    return some, np.hstack([node[some.source.numpy()], node[some.target.numpy()], some.pair.numpy()])


def reciprocal_rank(run: SocialRun, weeks: tuple[WeekInputs, ...], learnt: Any, place: int) -> float:
    """Mean 1 / rank of a week's positives among its candidates, each of which counts as all that it stands for."""
    if learnt is None:
        return 0.0
    some, rows = candidates_of(run, weeks, place)
    scores, weight = learnt.decision_function(rows), some.weight.numpy()
    found = []
    for low, high in pairwise(some.start.tolist()):
        own, right = scores[low:high], some.positive.numpy()[low:high]
        above = (own > own[right, None]) + 0.5 * (own == own[right, None])  # weights of positives are 0
        found.append(1 / (1 + above @ weight[low:high]))
    return float(np.concatenate(found).mean())


def classifier_scores(learnt: Any, week: WeekInputs) -> NDArray[np.float64]:
    """Scores of a week's sources with all nodes. [S, N]"""
    nodes = len(week.node)
    if learnt is None:
        return np.zeros((len(week.query.source), nodes))
    seen = week.node.any(axis=1)  # all others are alike for a source: one of them is scored
    kinds = np.append(np.flatnonzero(seen), np.flatnonzero(~seen)[:1])
    kind = np.where(seen, np.cumsum(seen) - 1, seen.sum())
    scores = np.empty((len(week.query.source), nodes))
    for low in range(0, len(scores), BLOCK):
        source = week.query.source[low : low + BLOCK]
        pair = np.zeros((len(source), nodes, week.pair.shape[1]), dtype=np.float32)
        mine = slice(*np.searchsorted(week.row, [low, low + len(source)]))
        pair[week.row[mine] - low, week.column[mine]] = week.pair[mine]
        shape = (len(source), len(kinds), week.node.shape[1])
        ends = np.broadcast_to(week.node[source][:, None], shape), np.broadcast_to(week.node[kinds], shape)
        both = [pair[:, kinds], week.near[low : low + BLOCK][:, kinds]]
        rows = np.concatenate([*ends, *both], axis=2).reshape(len(source) * len(kinds), -1)
        # Not probabilities, which are all 1 from a logit of 37 on.
        scores[low : low + BLOCK] = learnt.decision_function(rows).reshape(len(source), len(kinds))[:, kind]
    return scores


def balanced(weight: NDArray[np.float32], right: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Weights of which positives have half, so that their order stays what it is.

    A leaf's value is a Newton step, the sum of gradients over that of p (1 - p). Where positives are one of hundreds, p
    is near 0 and a leaf with a few of them steps hundreds of logits too far; from p = 1/2 it steps 2 at most. [K]
    """
    return np.where(right, weight * (weight[~right].sum() / max(weight[right].sum(), 1.0)), weight)
