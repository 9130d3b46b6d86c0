"""Where a graph's nodes are drawn: paths wind, cycles are round, trees have layers, all else keeps its distances.

Components are laid out one by one, about one unit from a node to its neighbour, and packed into a square.

Letters: N nodes, E edges, n nodes of a component, p pivots.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components

from gnnseq.reach.hops import distances

__all__ = ["place_nodes"]

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]

# Paths of fewer nodes are one line.
LINE = 9
# Trees of more leaves grow from the middle outwards, where there is room for them.
LEAVES = 40
# Distances are kept to so many nodes, spread over the component; to all if there are no more.
PIVOTS = 100
ROUNDS = 40


def place_nodes(edges: csr_array) -> Reals:
    """Places of the nodes, the same at every call.

    Args:
        edges: A, A[v, u] an edge u -> v. Boolean [N, N].

    Returns:
        Between 0 and 1, x and y, y upwards. [N, 2]

    Example:
        >>> from gnnseq.reach.hops import adjacency
        >>> place_nodes(adjacency(np.array([[0, 1], [1, 2]]), 3)).round(2).tolist()
        [[0.0, 0.5], [0.5, 0.5], [1.0, 0.5]]
    """
    num_nodes = edges.shape[0]
    either_way = csr_array(edges + edges.T)
    either_way.setdiag(False)
    either_way.eliminate_zeros()
    count, component = connected_components(either_way, directed=False)
    members = np.split(np.argsort(component, kind="stable"), np.cumsum(np.bincount(component, minlength=count))[:-1])
    members.sort(key=lambda nodes: (-len(nodes), int(nodes[0])))
    blocks = [_place_component(either_way[nodes][:, nodes], edges[nodes][:, nodes]) for nodes in members]
    places: Reals = np.zeros((num_nodes, 2))
    for nodes, block in zip(members, _packed(blocks), strict=True):
        places[nodes] = block
    low, high = places.min(axis=0), places.max(axis=0)
    middle, size = (low + high) / 2, max(float((high - low).max()), 1.0)
    scaled: Reals = (places - middle) / size + 0.5
    return scaled


def _place_component(near: csr_array, edges: csr_array) -> Reals:
    """A connected component's places. [n, 2]"""
    degree = np.diff(near.indptr)
    n, num_edges = len(degree), int(degree.sum()) // 2
    if n <= 2:
        return np.stack([np.arange(n), np.zeros(n)], axis=1).astype(float)
    if num_edges == n - 1 and degree.max() <= 2:
        return _winding(_walk(near, int(np.flatnonzero(degree == 1)[0])))
    if num_edges == n and degree.max() <= 2:
        return _round(_walk(near, 0))
    if num_edges == n - 1:
        return _layered(near, _root(near, edges))
    return _keep_distances(near)


def _walk(near: csr_array, first: int) -> Integers:
    """The nodes of a path or a cycle in order."""
    order, seen = [first], {first}
    while True:
        ahead = [int(u) for u in near[[order[-1]]].indices if int(u) not in seen]
        if not ahead:
            return np.array(order)
        order.append(ahead[0])
        seen.add(ahead[0])


def _winding(order: Integers) -> Reals:
    """To and fro in rows, from the top down."""
    n = len(order)
    columns = n if n < LINE else int(np.ceil(np.sqrt(n)))
    row, column = np.divmod(np.arange(n), columns)
    places = np.zeros((n, 2))
    places[order] = np.stack([np.where(row % 2 == 0, column, columns - 1 - column), -row], axis=1)
    return places


def _round(order: Integers) -> Reals:
    n = len(order)
    angle = np.pi / 2 - 2 * np.pi * np.arange(n) / n
    places = np.zeros((n, 2))
    places[order] = n / (2 * np.pi) * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return places


def _root(near: csr_array, edges: csr_array) -> int:
    """The only node without an edge out, or without an edge in, else the middle of the longest path."""
    for degree in (np.bincount(edges.indices, minlength=edges.shape[0]), np.diff(edges.indptr)):
        ends = np.flatnonzero(degree == 0)
        if len(ends) == 1:
            return int(ends[0])
    one_end = int(distances(near, np.array([0]))[0].argmax())
    away = distances(near, np.array([one_end]))[0]
    other_end = int(away.argmax())
    both = away + distances(near, np.array([other_end]))[0]
    return int(np.flatnonzero((both == away.max()) & (away == away.max() // 2))[0])


def _layered(near: csr_array, root: int) -> Reals:
    """A tree, its root at the top and a layer a generation; of many leaves, in rings around the root."""
    n = near.shape[0]
    parent, order, depth = np.full(n, -1), [root], np.zeros(n, dtype=np.int64)
    for v in order:
        for u in near.indices[near.indptr[v] : near.indptr[v + 1]].tolist():
            if u != parent[v]:
                parent[u], depth[u] = v, depth[v] + 1
                order.append(u)
    children: list[list[int]] = [[] for _ in range(n)]
    for v in order[1:]:
        children[parent[v]].append(v)
    across, leaves, stack = np.zeros(n), 0, [root]
    while stack:  # leaves side by side, in order of the branches they are on
        v = stack.pop()
        stack.extend(reversed(children[v]))
        if not children[v]:
            across[v] = leaves
            leaves += 1
    for v in reversed(order):
        if children[v]:
            across[v] = (across[children[v][0]] + across[children[v][-1]]) / 2
    if leaves <= LEAVES:
        return np.stack([across, -depth * max(1.0, 0.75 * leaves / (depth.max() + 1))], axis=1)
    angle = np.pi / 2 - 2 * np.pi * across / leaves
    radius = leaves / (2 * np.pi * depth.max()) * depth
    rings: Reals = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return rings


def _keep_distances(near: csr_array) -> Reals:
    """Places whose distances are those along the edges, as nearly as a plane allows: stress, majorised.

    Every node is held to all pivots, and to its neighbours: what Ortmann, Klimenta and Brandes call sparse stress ("A
    sparse stress model", 2016), here with pivots of one weight.
    """
    n = near.shape[0]
    pivots, away = _pivots(near)
    places = _principal(away)
    places += 0.1 * np.random.default_rng(0).standard_normal((n, 2))
    ends = near.tocoo()
    wanted = np.maximum(away.T, 1).astype(float)  # [n, p]
    weight = np.where(away.T > 0, wanted**-2.0, 0.0)
    degree = np.diff(near.indptr)
    pull = 1.0 if n <= PIVOTS else np.sqrt(len(pivots) / n) * weight.sum(1).mean() / degree.mean()
    total = weight.sum(1) + pull * degree
    for _ in range(ROUNDS):
        across, up = (places[:, None, axis] - places[pivots, axis] for axis in range(2))  # [n, p]
        scale = weight * wanted / np.maximum(np.sqrt(across**2 + up**2), 1e-6)
        new = weight @ places[pivots] + np.stack([(scale * across).sum(1), (scale * up).sum(1)], axis=1)
        step = places[ends.row] - places[ends.col]
        step /= np.maximum(np.hypot(step[:, 0], step[:, 1]), 1e-6)[:, None]
        for axis in range(2):
            new[:, axis] += pull * np.bincount(ends.row, places[ends.col, axis] + step[:, axis], minlength=n)
        places = new / total[:, None]
    places = _upright(places)
    area = float(np.ptp(places, axis=0).prod())
    places *= max(1.0, float(np.sqrt(n / max(area, 1e-6))))  # dense ones get the room of as many single nodes
    return places


def _pivots(near: csr_array) -> tuple[Integers, NDArray[np.int32]]:
    """Nodes that are each the farthest from those before, and the distances of all nodes to them. [p], [p, n]"""
    n = near.shape[0]
    if n <= PIVOTS:
        return np.arange(n), distances(near, np.arange(n))
    chosen, rows = [0], [distances(near, np.array([0]))[0]]
    closest = rows[0].copy()
    drawn = np.random.default_rng(0).choice(n, PIVOTS, replace=False)  # half far out, half anywhere
    while len(chosen) < PIVOTS // 2 and closest.max() > 1:
        chosen.append(int(closest.argmax()))
        rows.append(distances(near, np.array(chosen[-1:]))[0])
        closest = np.minimum(closest, rows[-1])
    rest = np.setdiff1d(drawn, chosen)[: PIVOTS - len(chosen)]
    return np.concatenate([chosen, rest]), np.concatenate([np.array(rows), distances(near, rest)])


def _principal(away: NDArray[np.int32]) -> Reals:
    """The two main directions of the distances to the pivots: Brandes and Pich, "Pivot MDS" (2007). [n, 2]"""
    squares = away.T.astype(float) ** 2
    centred = -0.5 * (squares - squares.mean(0) - squares.mean(1)[:, None] + squares.mean())
    values, vectors = np.linalg.eigh(centred.T @ centred)
    places = centred @ vectors[:, -2:]
    places *= np.sign(places[np.abs(places).argmax(axis=0), [0, 1]])  # eigenvectors have no sign of their own
    scale = np.sqrt(np.maximum(values[-2:], 1e-12))
    spread: Reals = places / scale * np.sqrt(np.sqrt(scale * len(away) / places.shape[0]) + 1e-12)
    size = np.hypot(*np.ptp(spread, axis=0))
    return spread * (away.max() / size if size > 0 else 1.0)


def _upright(places: Reals) -> Reals:
    """Turned so that the box around it is smallest: a lattice stands straight."""
    centred = places - places.mean(axis=0)
    turns = np.linspace(0, np.pi / 2, 46)[:-1]
    turned = [centred @ np.array([[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]) for turn in turns]
    best: Reals = min(turned, key=lambda each: float(np.ptp(each, axis=0).prod()))
    return best


def _packed(blocks: list[Reals]) -> list[Reals]:
    """Blocks side by side in rows, the tallest first in its row, one unit between them."""
    sizes = np.array([np.ptp(block, axis=0) + 1.0 for block in blocks])
    width = max(float(np.sqrt(sizes.prod(axis=1).sum() * 1.1)), float(sizes[:, 0].max()))
    placed: list[Reals] = []
    x = y = height = 0.0
    for block, (wide, tall) in zip(blocks, sizes, strict=True):
        if x > 0 and x + wide > width:
            x, y, height = 0.0, y - height, 0.0
        low = np.array([block[:, 0].min(), block[:, 1].max()])
        placed.append(block - low + np.array([x, y]))
        x, height = x + wide, max(height, float(tall))
    return placed
