"""A table of a pair's numbers: where the two stand, who else is there, what is near, and what others' labels are.

Letters: N pairs, P persons of an image, O objects, C categories, K relations.
"""

import numpy as np
from numpy.typing import NDArray

from gnnseq.data.scenes import Scene

__all__ = ["labels_of", "table_of"]

Numbers = NDArray[np.float64]


def table_of(scene: Scene, categories: int) -> dict[str, Numbers]:
    """Columns by what they tell of: the pair, the image, the objects. [N, *] each"""
    width, height = scene.size
    first, second = scene.persons[scene.pairs].transpose(1, 0, 2)
    return {
        "pair": _pairs(first, second, width, height),
        "image": _image(scene),
        "object": _objects(scene, categories),
    }


def _pairs(first: Numbers, second: Numbers, width: float, height: float) -> Numbers:
    """The same whichever of the two is named first. [N, 27]"""
    a, b = first[:, 2:] - first[:, :2], second[:, 2:] - second[:, :2]  # sides [N, 2]
    p, q = (first[:, 2:] + first[:, :2]) / 2, (second[:, 2:] + second[:, :2]) / 2
    scale = (a.prod(1) * b.prod(1)) ** 0.25
    common = np.minimum(first[:, 2:], second[:, 2:]) - np.maximum(first[:, :2], second[:, :2])
    shared, apart = common.clip(0).prod(1), np.abs(p - q)
    areas = np.stack([a.prod(1), b.prod(1)])
    taller = np.sign(a[:, 1] - b[:, 1])
    tops, feet = first[:, 1] - second[:, 1], first[:, 3] - second[:, 3]
    slim = np.stack([a[:, 0] / a[:, 1], b[:, 0] / b[:, 1]])
    sides = np.stack([a, b]) / [width, height]  # [2, N, 2]
    return np.column_stack([
        apart / scale[:, None], np.hypot(*apart.T) / scale, (-common[:, 0]).clip(0) / scale,
        shared / (areas.sum(0) - shared), shared / areas.min(0), shared / areas.max(0),
        np.abs(np.log(a / b)), np.abs(np.log(areas[0] / areas[1])),
        np.abs(tops) / scale, np.abs(feet) / scale, tops * taller / scale, feet * taller / scale,
        slim.max(0), slim.min(0), scale / np.sqrt(width * height), sides.max(0), sides.min(0),
        (p + q) / 2 / [width, height], np.minimum(first[:, 1], second[:, 1]) / height,
        np.maximum(first[:, 3], second[:, 3]) / height, apart / [width, height],
    ])  # fmt: skip


def _image(scene: Scene) -> Numbers:
    """All persons of the image, and how the two stand among them. [N, 27]"""
    boxes, (width, height), count = scene.persons, scene.size, len(scene.persons)
    sides, middle = boxes[:, 2:] - boxes[:, :2], (boxes[:, 2:] + boxes[:, :2]) / 2
    scale = np.sqrt(sides.prod(1))
    mean, slim = np.exp(np.log(scale).mean()), sides[:, 0] / sides[:, 1]
    apart = np.hypot(*(middle[:, None] - middle[None]).transpose(2, 0, 1)) / mean + 9 * np.eye(count)
    of_image = [
        count, np.log(scale).std(), np.log(sides[:, 1]).std(), boxes[:, 1].std() / mean, boxes[:, 3].std() / mean,
        middle[:, 0].std() / mean, sides.prod(1).sum() / (width * height), mean / np.sqrt(width * height),
        sides[:, 1].mean() / height, slim.mean(), slim.std(), np.ptp(np.log(scale)), width, height, width / height,
        *boxes[:, :2].min(0) / [width, height], *boxes[:, 2:].max(0) / [width, height],
        apart.min(1).mean(), apart.min(),
    ]  # fmt: skip
    rank = np.argsort(np.argsort(-scale, kind="stable"))[scene.pairs]  # [N, 2]
    between = (middle[scene.pairs[:, 0]] + middle[scene.pairs[:, 1]]) / 2
    far = np.hypot(*(between[:, None] - middle[None]).transpose(2, 0, 1)) / mean  # [N, P]
    np.put_along_axis(far, scene.pairs, 9.0, 1)
    ends = np.sort(middle[scene.pairs, 0], 1)
    inside = (middle[None, :, 0] > ends[:, :1]) & (middle[None, :, 0] < ends[:, 1:])
    own = np.column_stack([rank.min(1), rank.max(1), scale[scene.pairs].prod(1) / mean**2, far.min(1), inside.sum(1)])
    return np.concatenate([np.tile(np.array(of_image, dtype=float), (len(scene.pairs), 1)), own], 1)


def _objects(scene: Scene, categories: int) -> Numbers:
    """By category: how many, the largest share of the image, the nearest to either, and what lies on them. [N, 5 C]"""
    persons, objects, (width, height) = scene.persons, scene.objects, scene.size
    held = np.zeros((2, categories))
    np.add.at(held[0], scene.categories, 1)
    np.maximum.at(held[1], scene.categories, (objects[:, 2:] - objects[:, :2]).prod(1) / (width * height))
    gap = np.maximum(objects[None, :, :2] - persons[:, None, 2:], persons[:, None, :2] - objects[None, :, 2:]).clip(0)
    scale = np.sqrt((persons[:, 2:] - persons[:, :2]).prod(1))
    common = np.minimum(objects[None, :, 2:], persons[:, None, 2:]) - np.maximum(
        objects[None, :, :2], persons[:, None, :2]
    )
    on = common.clip(0).prod(2) / (objects[:, 2:] - objects[:, :2]).prod(1)  # share of the object on the person [P, O]
    near = np.exp(-np.hypot(gap[..., 0], gap[..., 1]) / scale[:, None])
    of = np.zeros((2, categories, len(persons)))
    np.maximum.at(of[0], scene.categories, near.T)
    np.maximum.at(of[1], scene.categories, on.T)
    near, on = of[:, :, scene.pairs.T].transpose(0, 2, 3, 1)  # [2, N, C] each
    tiled = np.tile(held.reshape(-1), (len(scene.pairs), 1))
    return np.concatenate([tiled, near.max(0), on.max(0), on.min(0)], 1)


def labels_of(scene: Scene, classes: int, known: NDArray[np.bool_] | None = None) -> dict[str, Numbers]:
    """What the image's other pairs are: shares of relations, and the same of those with one person in common.

    Of a pair's own label nothing is read, nor of those that are not known; all are where nothing is said. The second
    part also has, for every third person k, the relations of i to k and of j to k together, as shares of all such.
    """
    pairs, labels = scene.pairs, scene.relations
    told = np.ones(len(pairs), dtype=bool) if known is None else known
    hot = np.eye(classes)[labels]
    every = ~np.eye(len(pairs), dtype=bool) & told
    beside = (pairs[:, None, :, None] == pairs[None, :, None, :]).any((2, 3)) & every
    count = every.sum(1)
    sides = [(pairs[:, side, None, None] == pairs[None]).any(2) & every for side in (0, 1)]
    mean, shared, *sides = (_shares(each, hot) for each in (every, beside, *sides))
    table = np.full((len(scene.persons), len(scene.persons)), -1)
    table[tuple(pairs.T)] = table[tuple(pairs.T[::-1])] = np.where(told, labels, -1)
    both = np.zeros((len(pairs), classes, classes))
    for row, (i, j) in enumerate(pairs):
        met = (table[i] >= 0) & (table[j] >= 0)  # neither i nor j: nobody is in a pair with oneself
        np.add.at(both[row], (np.minimum(table[i], table[j])[met], np.maximum(table[i], table[j])[met]), 1)
    corners = both[(slice(None), *np.triu_indices(classes))] if classes <= 8 else both.diagonal(axis1=1, axis2=2)
    corners = corners / np.maximum(corners.sum(1, keepdims=True), 1)
    return {
        "labels": np.column_stack([mean, (mean > 0).sum(1), count]),
        "shared labels": np.column_stack([shared, np.maximum(*sides), np.minimum(*sides), corners]),
    }


def _shares(joined: NDArray[np.bool_], hot: Numbers) -> Numbers:
    shares: Numbers = joined @ hot / np.maximum(joined.sum(1, keepdims=True), 1)
    return shares
