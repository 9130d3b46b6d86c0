"""Longest paths in directed acyclic graphs, vectorised: the step at which each node can fire.

Paths and trees are ranked by pointer doubling (Wyllie, "The Complexity of Parallel Computations", 1979): after k
rounds a pointer spans 2^k edges, so log2(N) rounds serve any N nodes however deep. Other graphs are peeled level by
level (Kahn, "Topological Sorting of Large Networks", 1962).

Letters: N nodes, E edges. Edges are NumPy arrays [2, E], sources above targets.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

__all__ = ["levels", "path_heads"]

Integers = NDArray[np.int64]


def levels(edges: Integers, num_nodes: int) -> Integers:
    """The number of edges on the longest path from a node without predecessors to each node. [N]

    Raises:
        ValueError: If there is a cycle; its edges are named.
    """
    source, target = edges
    level, acyclic = np.zeros(num_nodes, dtype=np.int64), False
    if bool((source == target).any()):
        pass  # a self-loop is a cycle, and would look like the end of a pointer
    elif np.bincount(target, minlength=1).max() <= 1:
        level, top = _climb(_pointers(target, source, num_nodes))
        acyclic = bool((level[top] == 0).all())
    elif np.bincount(source, minlength=1).max() <= 1:
        level, acyclic = _heights(_pointers(source, target, num_nodes))
    else:
        level, acyclic = _peel(edges, num_nodes)
    if not acyclic:
        raise ValueError(_name_cycle(edges, num_nodes))
    return level


def path_heads(edges: Integers, num_nodes: int) -> Integers:
    """The first node of the path, or the root of the tree with edges away from it, on which each node lies. [N]"""
    return _climb(_pointers(edges[1], edges[0], num_nodes))[1]


def _pointers(nodes: Integers, to: Integers, num_nodes: int) -> Integers:
    """Each of the nodes points to its entry of ``to``, all others to themselves. [N]"""
    pointer = np.arange(num_nodes)
    pointer[nodes] = to
    return pointer


def _climb(pointer: Integers) -> tuple[Integers, Integers]:
    """How far each node is from where its pointers end, and where that is; on a cycle they never end."""
    distance = (pointer != np.arange(len(pointer))).astype(np.int64)
    for _ in range(len(pointer).bit_length()):
        ahead = distance[pointer]
        if not ahead.any():
            break
        distance = distance + ahead
        pointer = pointer[pointer]
    return distance, pointer


def _heights(pointer: Integers) -> tuple[Integers, bool]:
    """The longest way up to each node of trees whose nodes point to their parents, and whether they are trees."""
    height = np.zeros_like(pointer)
    nowhere = len(pointer)
    above = np.append(np.where(pointer == np.arange(len(pointer)), nowhere, pointer), nowhere)  # a root's is nowhere
    for doubling in range(len(pointer).bit_length() + 1):
        node = (above[:-1] != nowhere).nonzero()[0]
        if node.size == 0:
            return height, True
        reached = height[node] + 2**doubling
        np.maximum.at(height, above[node], reached)
        above = above[above]
    return height, False


def _peel(edges: Integers, num_nodes: int) -> tuple[Integers, bool]:
    """Removes the nodes without predecessors, level by level, and says whether none was left over."""
    source, target = edges
    target = target[np.argsort(source, kind="stable")]
    out_degree = np.bincount(source, minlength=num_nodes)
    first = np.concatenate([[0], np.cumsum(out_degree)])
    waiting = np.bincount(edges[1], minlength=num_nodes)
    level = np.full(num_nodes, -1, dtype=np.int64)
    front, step = (waiting == 0).nonzero()[0], 0
    while front.size > 0:
        level[front] = step
        count = out_degree[front]
        ahead = np.repeat(first[front] - np.cumsum(count) + count, count) + np.arange(count.sum())
        reached, times = np.unique(target[ahead], return_counts=True)
        waiting[reached] -= times
        front, step = reached[waiting[reached] == 0], step + 1
    return level, bool((level >= 0).all())


def _name_cycle(edges: Integers, num_nodes: int) -> str:
    level, _ = _peel(edges, num_nodes)
    left = (level[edges[0]] < 0) & (level[edges[1]] < 0)
    predecessor = dict(zip(edges[1][left].tolist(), edges[0][left].tolist(), strict=True))
    # Every node that is left has a predecessor that is left: walking back must come to a node seen before.
    node, seen = next(iter(predecessor)), dict[int, int]()
    while node not in seen:
        seen[node] = len(seen)
        node = predecessor[node]
    cycle = [*list(seen)[seen[node] :], node][::-1]
    names = [f"{a}->{b}" for a, b in pairwise(cycle)]
    shown = ", ".join(names[:12]) + (f", ... ({len(names)} edges)" if len(names) > 12 else "")
    return (
        f"edge_index has the cycle {shown}; a topological schedule needs a directed acyclic graph: "
        "remove one of these edges, or use synchronous()"
    )
