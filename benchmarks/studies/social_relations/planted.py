"""Made-up scenes in which relations decide where people stand and what they hold; the best score is known.

R is the image's own relation, drawn evenly; each of its pairs is R with probability .75, else another, evenly. Given
its relation, a pair's distance, ratio of heights and the thing that one of the two holds are independent; so are, given
R, the thing that nobody holds and all pairs. Everything else is the same for all relations. Pairs stand far from one
another, so that every number can be read from the boxes, and Bayes' rule over R and all relations is a short sum.
"""

import numpy as np
from numpy.typing import NDArray

from gnnseq.data.scenes import Scene, Scenes

__all__ = ["best_of", "planted_scenes"]

RELATIONS = ("strangers", "partners", "team", "parent and child")
THINGS = ("bag", "ball", "cup", "toy")
SAME = 0.75  # how often a pair's relation is its image's
DISTANCE = np.log([1.4, 0.7, 1.1, 0.85])  # mean logarithm of the distance of two, in their heights
RATIO = np.array([0.10, 0.08, 0.06, 0.35])  # mean logarithm of how much taller one is
SPREAD = 0.35, 0.12
HELD = np.array([[4, 1, 3, 2], [3, 1, 5, 1], [2, 5, 2, 1], [2, 2, 1, 5]]) / 10  # of each relation, what is held
LYING = np.array([[5, 2, 2, 1], [2, 1, 6, 1], [1, 6, 2, 1], [1, 2, 1, 6]]) / 10  # of the image's, what lies about

Numbers = NDArray[np.float64]


def planted_scenes(images: int, seed: int = 0) -> Scenes:
    """So many images of two, three or four couples. Every pair that is asked is a couple."""
    rng = np.random.default_rng(seed)
    scenes = []
    for number in range(images):
        own, couples = int(rng.integers(4)), int(rng.integers(2, 5))
        other = (own + rng.integers(1, 4, couples)) % 4
        relations = np.where(rng.random(couples) < SAME, own, other)
        apart = np.exp(DISTANCE[relations] + SPREAD[0] * rng.standard_normal(couples))
        ratio = RATIO[relations] + SPREAD[1] * rng.standard_normal(couples)
        height = 160 * np.exp(0.15 * rng.standard_normal(couples))
        turned = rng.choice([-1, 1], couples)
        persons, objects, kinds = [], [], []
        for couple in range(couples):
            across, down = 500 + 900 * (couple % 2), 350 + 400 * (couple // 2)  # two in a row
            tall = height[couple] * np.exp(np.array([0.5, -0.5]) * ratio[couple] * turned[couple])
            middle = across + np.array([-0.5, 0.5]) * apart[couple] * height[couple]
            foot = down + 15 * rng.standard_normal()
            persons += [[x - 0.2 * t, foot - t, x + 0.2 * t, foot] for x, t in zip(middle, tall, strict=True)]
            left, top, right, bottom = persons[-int(rng.integers(1, 3))]
            hand = np.array([(left + right) / 2, (top + bottom) / 2])
            objects.append([*hand - 14, *hand + 14])
            kinds.append(rng.choice(4, p=HELD[relations[couple]]))
        objects.append([1800, 30, 1850, 80])  # nobody stands there
        kinds.append(rng.choice(4, p=LYING[own]))
        order = rng.permutation(2 * couples)  # who is listed first tells nothing
        where = order.argsort()
        scenes.append(Scene(
            f"planted-{number:05d}", np.array(persons)[order], np.array(objects), np.array(kinds, dtype=np.int64),
            where.reshape(-1, 2), relations, (1900.0, 850.0), str(number),
        ))  # fmt: skip
    return Scenes(tuple(scenes), RELATIONS, THINGS)


def best_of(scene: Scene, known: bool | NDArray[np.bool_] = False) -> Numbers:
    """The probability of each relation of each pair given all boxes and the other pairs' labels that are known. [K, 4]

    With l(k, r) the likelihood of what is seen of pair k, and q(r | R) that of its relation,

        p(r_k = r) ~ sum_R p(lying | R) q(r | R) l(k, r) prod_{m != k} sum_s q(s | R) l(m, s)

    where for a known label the sum over s is one term.
    """
    first, second = scene.persons[scene.pairs].transpose(1, 0, 2)
    tall, other = first[:, 3] - first[:, 1], second[:, 3] - second[:, 1]
    middle = np.sqrt(tall * other)
    apart = np.abs(first[:, [0, 2]].sum(1) - second[:, [0, 2]].sum(1)) / 2 / middle
    z = (np.log(apart)[:, None] - DISTANCE) / SPREAD[0]
    ratio = np.log(tall / other)[:, None]  # its sign is even
    signed = [np.exp(-0.5 * ((sign * ratio - RATIO) / SPREAD[1]) ** 2) for sign in (-1, 1)]
    centre = (scene.objects[:, :2] + scene.objects[:, 2:]) / 2
    held = np.zeros(len(scene.pairs), dtype=int)
    for row, (i, j) in enumerate(scene.pairs):
        inside = [((scene.persons[k, :2] < centre) & (centre < scene.persons[k, 2:])).all(1) for k in (i, j)]
        held[row] = scene.categories[np.flatnonzero(inside[0] | inside[1])[0]]
    likelihood = np.exp(-0.5 * z**2) * (signed[0] + signed[1]) * HELD[:, held].T  # [K, 4]
    given = np.full((4, 4), (1 - SAME) / 3) + np.eye(4) * (SAME - (1 - SAME) / 3)  # q(r | R) [R, r]
    told = np.broadcast_to(known, len(likelihood))[:, None]
    term = np.where(told, np.eye(4)[scene.relations] * likelihood, likelihood)
    each = term @ given.T  # [K, R]
    p = np.empty_like(likelihood)
    for row in range(len(p)):
        of_image = LYING[:, scene.categories[-1]] * np.delete(each, row, 0).prod(0)
        p[row] = likelihood[row] * (of_image @ given)
    normal: Numbers = p / p.sum(1, keepdims=True)
    return normal
