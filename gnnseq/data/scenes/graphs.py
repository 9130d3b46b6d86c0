"""Graphs of a scene: persons, pairs, objects and the image as nodes of four kinds; and a person's pose.

Letters: P persons, O objects, K pairs, E edges, J joints.
"""

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch_geometric.data import Data, HeteroData

from gnnseq.data.scenes.scene import COCO_SKELETON, Scene

__all__ = ["EDGE_KINDS", "GEOMETRY", "pose_graph", "scene_graph"]

GEOMETRY = ("right", "below", "distance", "size", "width", "height", "overlap", "inside")  # of an edge, between boxes

EDGE_KINDS = (
    *(("object", "near", "person"), ("person", "near", "object"), ("person", "beside", "person")),
    *(("person", "of", "pair"), ("pair", "of", "person"), ("pair", "beside", "pair")),
    *(("person", "in", "image"), ("object", "in", "image"), ("pair", "in", "image"), ("image", "of", "pair")),
)


def scene_graph(scenes: Scene | Sequence[Scene]) -> HeteroData:
    r"""A scene as a graph with nodes of four kinds and directed edges of ten; several side by side in one.

    An edge between boxes carries how its source i lies to its target j, so that neither the image's size nor the
    distance of the camera matters: with centres :math:`p`, widths and heights :math:`w, h` and
    :math:`s = (w_i h_i w_j h_j)^{1/4}`

    .. math::
        a_{ij} = \Big(\frac{p_i - p_j}{s}, \frac{\lVert p_i - p_j\rVert}{s}, \log\frac{w_i h_i}{w_j h_j},
        \log\frac{w_i}{w_j}, \log\frac{h_i}{h_j}, \mathrm{IoU}, \frac{|i \cap j|}{|i|}\Big)

    Nodes: ``person`` x [P, 6] (centre, width and height as shares of the image, log of width over height, share of the
    area), ``object`` x [O, 6] alike with ``category`` [O], ``pair`` x [K, 16], the edges' geometry both ways, with y
    [K], -1 where the relation is not known, and ``image`` x [1, 3] (log of width over height, and of 1 + P and 1 + O).
    Of several scenes, ``batch`` of each kind is the scene that a node is of. Edges: every object and every person are
    near each other, both ways; persons are beside one another, each with each; a pair is of its two persons, two edges
    a pair in its order; pairs of one person are beside one another; all are in the image, which is of every pair.
    Edges between boxes have ``edge_attr`` [E, 8] in the order of :data:`GEOMETRY`.

    Args:
        scenes: From :func:`gnnseq.data.scenes.load_scenes` and the like; several make the graph that torch_geometric's
            Batch makes of their graphs, sooner.

    Returns:
        A torch_geometric HeteroData.

    Raises:
        ValueError: There is no scene.

    Example:
        >>> boxes = np.array([[0.0, 0.0, 10.0, 40.0], [20.0, 0.0, 30.0, 40.0]])
        >>> none = np.empty(0, dtype=np.int64)
        >>> scene = Scene("a", boxes, np.empty((0, 4)), none, np.array([[0, 1]]), np.array([2]), (30.0, 40.0), "a")
        >>> graph = scene_graph(scene)
        >>> graph["person", "beside", "person"].edge_attr[0, :3]  # node 0 lies one size to the left of node 1
        tensor([-1.,  0.,  1.])
    """
    several = not isinstance(scenes, Scene)
    scenes = [scenes] if isinstance(scenes, Scene) else list(scenes)
    if not scenes:
        raise ValueError("scenes: none; expected a scene, or several")
    boxes = {
        "person": np.concatenate([scene.persons for scene in scenes]),
        "object": np.concatenate([scene.objects for scene in scenes]),
    }
    sizes = {
        "person": np.array([len(scene.persons) for scene in scenes]),
        "object": np.array([len(scene.objects) for scene in scenes]),
        "pair": np.array([len(scene.pairs) for scene in scenes]),
        "image": np.ones(len(scenes), dtype=np.int64),
    }
    begin = {kind: size.cumsum() - size for kind, size in sizes.items()}
    members = np.concatenate([scene.pairs + at for scene, at in zip(scenes, begin["person"], strict=True)])
    extents = np.array([scene.size for scene in scenes])  # [images, 2]
    graph = HeteroData()
    for kind, rows in boxes.items():
        graph[kind].x = _float(_nodes(rows, extents.repeat(sizes[kind], 0)))
    graph["object"].category = _long(np.concatenate([scene.categories for scene in scenes]))
    first, second = boxes["person"][members].transpose(1, 0, 2)
    graph["pair"].x = _float(np.concatenate([_geometry(first, second), _geometry(second, first)], 1))
    graph["pair"].y = _long(np.concatenate([scene.relations for scene in scenes]))
    counts = np.log1p(np.stack([sizes["person"], sizes["object"]], 1))
    graph["image"].x = _float(np.column_stack([np.log(extents[:, 0] / extents[:, 1]), counts]))
    if several:
        for kind, size in sizes.items():
            graph[kind].batch = _long(np.arange(len(scenes)).repeat(size))
    for joint, ends in zip(EDGE_KINDS, _edges(members, sizes, begin), strict=True):
        graph[joint].edge_index = _long(ends)
        if joint[0] in boxes and joint[2] in boxes:
            graph[joint].edge_attr = _float(_geometry(boxes[joint[0]][ends[0]], boxes[joint[2]][ends[1]]))
    return graph


def _edges(members: NDArray[np.int64], sizes: dict[str, NDArray[np.int64]],
           begin: dict[str, NDArray[np.int64]]) -> Iterator[NDArray[np.int64]]:  # fmt: skip
    """The edges of each kind, in the order of EDGE_KINDS. [2, E] each"""
    count = range(len(sizes["image"]))

    def within(source: str, target: str) -> NDArray[np.int64]:
        """Every source with every target of an image. [2, E]"""
        ends = [(sizes[source][at], sizes[target][at], begin[source][at], begin[target][at]) for at in count]
        return np.concatenate([np.stack([np.arange(many).repeat(more) + one, np.tile(np.arange(more), many) + other])
                               for many, more, one, other in ends], 1)  # fmt: skip

    near, persons, pairs = within("object", "person"), within("person", "person"), within("pair", "pair")
    of = np.stack([members.reshape(-1), np.arange(len(members)).repeat(2)])
    shared = (members[pairs[0]][:, :, None] == members[pairs[1]][:, None, :]).any((1, 2)) & (pairs[0] != pairs[1])
    yield from (near, near[::-1], persons[:, persons[0] != persons[1]], of, of[::-1], pairs[:, shared])
    yield from (within(kind, "image") for kind in ("person", "object", "pair"))
    yield within("image", "pair")


def pose_graph(scene: Scene, person: int, skeleton: tuple[tuple[int, int], ...] = COCO_SKELETON) -> Data:
    """A person's joints and limbs: the pose graph, from keypoints.

    It cannot be built from boxes: it takes keypoints, which a file may have in COCO's form, or pixels to find them in,
    which the published files have not.

    Args:
        scene: One whose ``keypoints`` are not None.
        person: A place in ``scene.persons``.
        skeleton: Joints that limbs join, as :attr:`gnnseq.data.scenes.Scenes.skeleton`.

    Returns:
        ``x`` [J, 3], x and y in heights of the person's box from its centre, and visibility; ``edge_index`` both ways
        between joints that are labelled.

    Raises:
        ValueError: The scene has no keypoints, the person has none, or is not there; or the skeleton has other joints.

    Example:
        >>> scene = Scene("a", np.array([[0.0, 0.0, 2.0, 4.0]]), np.empty((0, 4)), np.empty(0, np.int64),
        ...               np.empty((0, 2), np.int64), np.empty(0, np.int64), (9.0, 9.0), "a",
        ...               np.array([[[1.0, 0.0, 2.0], [1.0, 4.0, 1.0], [0.0, 0.0, 0.0]]]))
        >>> graph = pose_graph(scene, 0, ((0, 1), (1, 2)))
        >>> graph.x.tolist(), graph.edge_index.tolist()
        ([[0.0, -0.5, 2.0], [0.0, 0.5, 1.0], [0.0, 0.0, 0.0]], [[0, 1], [1, 0]])
    """
    if scene.keypoints is None:
        raise ValueError(f"scene {scene.image}: no keypoints, and a pose cannot be built from boxes; expected COCO's "
                         "keypoints in the file, as a pose detector finds them in the pixels")  # fmt: skip
    if not 0 <= person < len(scene.persons):
        raise ValueError(f"person={person}; expected 0 to {len(scene.persons) - 1}, a place in scene.persons")
    points, (x1, y1, x2, y2) = scene.keypoints[person], scene.persons[person]
    seen = points[:, 2] > 0
    if not seen.any():
        raise ValueError(f"scene {scene.image}, person {person}: no joint is labelled; expected one at least")
    strange = [limb for limb in skeleton if not 0 <= min(limb) <= max(limb) < len(points)]
    if strange:
        raise ValueError(f"skeleton: {strange[0]}; expected joints 0 to {len(points) - 1}")
    x = points.copy()
    x[:, :2] = (points[:, :2] - [(x1 + x2) / 2, (y1 + y2) / 2]) / (y2 - y1)
    x[~seen] = 0
    limbs = np.array([limb for limb in skeleton if seen[list(limb)].all()], dtype=np.int64).reshape(-1, 2).T
    return Data(x=_float(x), edge_index=_long(np.concatenate([limbs, limbs[::-1]], 1)))


def _nodes(boxes: NDArray[np.float64], sizes: NDArray[np.float64]) -> NDArray[np.float64]:
    share = boxes / np.tile(sizes, 2)
    width, height = (boxes[:, 2:] - boxes[:, :2]).T
    sides = share[:, 2:] - share[:, :2]
    middle = (share[:, 2:] + share[:, :2]) / 2
    return np.column_stack([middle, sides, np.log(width / height), sides.prod(1)])


def _geometry(source: NDArray[np.float64], target: NDArray[np.float64]) -> NDArray[np.float64]:
    """How sources lie to targets. [E, 8]"""
    sides, others = source[:, 2:] - source[:, :2], target[:, 2:] - target[:, :2]  # [E, 2]
    scale = (sides.prod(1) * others.prod(1)) ** 0.25
    apart = (source[:, 2:] + source[:, :2] - target[:, 2:] - target[:, :2]) / 2 / scale[:, None]
    common = np.minimum(source[:, 2:], target[:, 2:]) - np.maximum(source[:, :2], target[:, :2])
    shared = common.clip(0).prod(1)
    ratio = np.log(sides / others)
    union = sides.prod(1) + others.prod(1) - shared
    return np.column_stack([apart, np.hypot(*apart.T), ratio.sum(1), ratio, shared / union, shared / sides.prod(1)])


def _float(values: NDArray[np.float64]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))


def _long(values: NDArray[np.int64]) -> Tensor:
    return torch.from_numpy(np.array(values, dtype=np.int64))
