"""A block model with planted labels and features, whose best scores are known, and R-MAT.

Letters: N nodes, E edges, C classes, F features.
"""

import math
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from gnnseq.kernels.spmm import sum_rows
from studies.large_graph.graph import LargeGraph, store

__all__ = ["best_scores", "planted", "rmat"]

CLASSES, FEATURES = 10, 32
WITHIN = 0.4  # of edges join a class for certain; the others join whom they like
SIGNAL = 1.2  # length of a class's mean, in standard deviations of a feature
SKEW = 1.5  # degrees fall off as a power of the rank; 1 makes all alike
CHUNK = 1 << 20


def means() -> npt.NDArray[np.float32]:
    """A mean of each class. [C, F]"""
    drawn = np.random.default_rng(7).normal(size=(CLASSES, FEATURES))
    scaled: npt.NDArray[np.float32] = (SIGNAL * drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)
    return scaled


def planted(folder: Path, num_nodes: int, num_edges: int) -> None:
    """Writes a degree-corrected block model: Karrer and Newman 2011, https://arxiv.org/abs/1008.3926.

    One end of an edge is a node of any class, by rank; the other is of the same class with probability ``WITHIN`` and
    of any class otherwise. Features are the class's mean and standard normal noise.

    Args:
        folder: Where to.
        num_nodes: N.
        num_edges: E, both directions counted; loops are left out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    y = random.permutation((np.arange(num_nodes) % CLASSES).astype(np.int8))
    members = np.argsort(y, kind="stable")
    begin = np.concatenate([[0], np.cumsum(np.bincount(y, minlength=CLASSES))])
    pairs = num_edges // 2
    edge_index = torch.empty(2, 2 * pairs, dtype=torch.int64)
    for first in range(0, pairs, CHUNK):
        size = min(CHUNK, pairs - first)
        one = random.integers(CLASSES, size=size)
        other = np.where(random.random(size) < WITHIN, one, random.integers(CLASSES, size=size))
        ends = [members[begin[c] + ((begin[c + 1] - begin[c]) * random.random(size) ** SKEW).astype(np.int64)]
                for c in (one, other)]  # fmt: skip
        ends[1] = np.where(ends[0] == ends[1], (ends[1] + 1) % num_nodes, ends[1])
        a, b = map(torch.from_numpy, ends)
        edge_index[0, first : first + size], edge_index[1, first : first + size] = a, b
        edge_index[0, pairs + first : pairs + first + size] = b
        edge_index[1, pairs + first : pairs + first + size] = a
    x = np.lib.format.open_memmap(folder / "x.npy", mode="w+", dtype=np.float32, shape=(num_nodes, FEATURES))
    mean = means()
    for first in range(0, num_nodes, CHUNK):
        of = y[first : first + CHUNK]
        x[first : first + CHUNK] = mean[of] + random.standard_normal((len(of), FEATURES), dtype=np.float32)
    x.flush()
    del x
    store(folder, edge_index, None, y, None, {"name": "planted"})


def best_scores(graph: LargeGraph) -> dict[str, float]:
    """Accuracy on the test part of the best guesses there are.

    That from a node's features alone is what no network without edges can be above. Knowing every neighbour's label
    too, each neighbour of a class adds the logarithm of how much likelier it is: nothing that reads features and edges
    of a large graph can be above that.
    """
    counts = sum_rows(torch.eye(CLASSES), graph.y[graph.indices.long()].int(), graph.indptr, None)
    likelier = math.log((WITHIN + (1 - WITHIN) / CLASSES) / ((1 - WITHIN) / CLASSES))
    mean = torch.from_numpy(means())
    right = torch.zeros(2, dtype=torch.int64)
    nodes = graph.nodes(2)
    for chunk in nodes.split(CHUNK):
        own = graph.x[chunk] @ mean.t() - (mean**2).sum(1) / 2  # log densities, but for what all have in common
        for place, guess in enumerate((own, own + likelier * counts[chunk])):
            right[place] += (guess.argmax(1) == graph.y[chunk]).sum()
    return dict(zip(("features", "features and neighbours' labels"), (right / len(nodes)).tolist(), strict=True))


def rmat(scale: int, num_nodes: int, num_edges: int, seed: int = 0) -> Tensor:
    """R-MAT with a, b, c, d of .57, .19, .19, .05: Chakrabarti et al. 2004, nodes in random order. [2, E]"""
    random = np.random.default_rng(seed)
    ends = np.zeros((2, num_edges), np.int64)
    for _ in range(scale):
        drawn = random.random(num_edges, dtype=np.float32)
        ends[0] = 2 * ends[0] + (drawn > 0.76)
        ends[1] = 2 * ends[1] + (((drawn > 0.57) & (drawn <= 0.76)) | (drawn > 0.95))
    order: npt.NDArray[Any] = random.permutation(2**scale)
    return torch.from_numpy(order[ends] % num_nodes)
