"""How good probabilities of relations are, and whether one model's are better than another's on other images."""

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["average_precision", "bootstrap", "scores_of"]

Numbers = NDArray[np.float64]
Integers = NDArray[np.int64]


KINDS = ("accuracy", "recall", "mAP")


def average_precision(scores: Numbers, hits: NDArray[np.bool_]) -> float:
    """Mean precision at each hit, all of equal scores together.

    Example:
        >>> round(average_precision(np.array([0.9, 0.8, 0.1]), np.array([True, False, True])), 4)
        0.8333
    """
    order = np.argsort(-scores, kind="stable")
    last = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    return _precision(np.ones(len(scores)), hits[order], last)


def scores_of(p: Numbers, y: Integers) -> dict[str, float]:
    """Accuracy, recall averaged over relations, and average precision averaged over relations that occur."""
    return dict(zip(KINDS, _ranked(p, y)(np.ones(len(y))), strict=True))


def _ranked(p: Numbers, y: Integers) -> Callable[[Numbers], list[float]]:
    """The three scores as a function of how often each row counts; what does not depend on that is done once."""
    right, classes = p.argmax(1) == y, p.shape[1]
    orders = np.argsort(-p, axis=0, kind="stable")  # [N, K]
    steps = [np.flatnonzero(np.append(np.diff(p[orders[:, code], code]) != 0, True)) for code in range(classes)]

    def scores(weight: Numbers) -> list[float]:
        held = np.bincount(y, weight, classes)
        there = np.flatnonzero(held)
        recalls = np.bincount(y, weight * right, classes)[there] / held[there]
        precision = [_precision(weight[orders[:, code]], y[orders[:, code]] == code, steps[code]) for code in there]
        return [float((weight * right).sum() / weight.sum()), float(recalls.mean()), float(np.mean(precision))]

    return scores


def _precision(weight: Numbers, hits: NDArray[np.bool_], last: Integers) -> float:
    """Of rows in their order; ``last`` are those after which the score changes, as ties are decided together."""
    found, seen = (weight * hits).cumsum()[last], weight.cumsum()[last]
    gained = np.diff(found, prepend=0.0)
    return float((gained * found / np.maximum(seen, 1e-12)).sum() / found[-1])


def bootstrap(models: dict[str, Numbers], y: Integers, groups: Integers, pairs: Iterable[tuple[str, str]],
              draws: int) -> dict[str, Any]:  # fmt: skip
    """Intervals of 95 % of all scores, and of differences between two models on the same draws of groups.

    A draw takes as many groups, images or albums, as there are, with repeats. ``p`` is twice the share of draws in
    which the difference has the rarer sign.
    """
    _, of = np.unique(groups, return_inverse=True)
    count, rng = int(of.max()) + 1, np.random.default_rng(0)
    ranked = {name: _ranked(p, y) for name, p in models.items()}
    drawn = np.empty((draws, len(models), len(KINDS)))
    for draw in range(draws):
        weight = np.bincount(rng.integers(count, size=count), minlength=count)[of].astype(float)
        drawn[draw] = [scores(weight) for scores in ranked.values()]
    place = {name: number for number, name in enumerate(models)}
    exact = np.array([scores(np.ones(len(y))) for scores in ranked.values()])

    def named(values: Numbers) -> dict[str, Any]:
        return dict(zip(KINDS, values.round(4).tolist(), strict=True))

    ends = np.percentile(drawn, [2.5, 97.5], 0).transpose(1, 2, 0)  # [models, 3, 2]
    compared = []
    for better, other in pairs:
        gap = drawn[:, place[better]] - drawn[:, place[other]]
        p = np.minimum(1, 2 * (1 + np.minimum((gap <= 0).sum(0), (gap >= 0).sum(0))) / (1 + draws))
        compared.append({
            "model": better, "against": other, "difference": named(exact[place[better]] - exact[place[other]]),
            "interval": named(np.percentile(gap, [2.5, 97.5], 0).T), "p": named(p),
        })  # fmt: skip
    intervals = {name: named(ends[number]) for name, number in place.items()}
    return {"draws": draws, "intervals": intervals, "differences": compared}
