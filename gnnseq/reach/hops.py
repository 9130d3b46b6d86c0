"""Graph distances of chosen pairs of nodes, and means of pairwise values over them.

A pair (v, u) is a node v that is reached and a node u it is reached from. Its distance is the number of edges on the
shortest directed path u -> ... -> v, or on the shortest path ignoring direction if there is none.

Letters: N nodes, E edges, n chosen nodes v, d a distance.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array

__all__ = ["adjacency", "distances", "farthest", "mean_by_distance", "mean_distance", "shells"]

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]

# Bytes that a table of pairs may take.
TABLE_BYTES = 2**27
# Hops of a row that are looked for by counting how many of its pairs lie within so many: half the time of shells.
SHALLOW = 8


def adjacency(edges: Integers, num_nodes: int) -> csr_array:
    """A[v, u]: whether there is an edge u -> v, from edges [2, E], sources above targets. Boolean [N, N]"""
    source, target = edges
    return csr_array((np.ones(len(source), dtype=bool), (target, source)), shape=(num_nodes, num_nodes))


def shells(edges: csr_array, nodes: Integers) -> Iterator[Integers]:
    """The pairs at distance 0, 1, ... along the edges, v among the chosen nodes, until there are none.

    Args:
        edges: A. [N, N]
        nodes: The chosen nodes. [n]

    Yields:
        For each distance the places i * N + u of pairs (nodes[i], u) in a table [n, N].

    Example:
        >>> path = adjacency(np.array([[0, 1], [1, 2]]), 3)  # 0 -> 1 -> 2
        >>> [shell.tolist() for shell in shells(path, np.array([2]))]
        [[2], [1], [0]]
    """
    num_nodes = edges.shape[0]
    row, u = np.arange(len(nodes)), nodes
    seen = np.zeros(len(nodes) * num_nodes, dtype=bool)
    while len(u) > 0:
        shell = row * num_nodes + u
        seen[shell] = True
        yield shell
        offsets = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=len(nodes)))])
        here = csr_array((np.ones(len(u), dtype=bool), u, offsets), shape=(len(nodes), num_nodes))
        ahead = here @ edges  # each pair once, by row
        row, u = np.repeat(np.arange(len(nodes)), np.diff(ahead.indptr)), ahead.indices.astype(np.int64)
        new = ~seen[row * num_nodes + u]
        row, u = row[new], u[new]


def distances(edges: csr_array, nodes: Integers) -> NDArray[np.int32]:
    """The distance of every pair (v, u) along the edges, v among the chosen nodes, -1 where there is no path.

    Args:
        edges: A. [N, N]
        nodes: The chosen nodes. [n]

    Returns:
        Row i holds the distances from every node u to nodes[i]. [n, N]

    Example:
        >>> path = adjacency(np.array([[0, 1], [1, 2]]), 3)  # 0 -> 1 -> 2
        >>> distances(path, np.array([1])).tolist()
        [[1, 0, -1]]
    """
    table = np.full(len(nodes) * edges.shape[0], -1, dtype=np.int32)
    for distance, shell in enumerate(shells(edges, nodes)):
        table[shell] = distance
    return table.reshape(len(nodes), edges.shape[0])


def farthest(reach: csr_array, edges: csr_array) -> tuple[Integers, int]:
    """The largest distance in each row of reach.

    Args:
        reach: Row v holds the nodes u of its pairs. Boolean [N, N].
        edges: A. [N, N]

    Returns:
        The largest distance of each node's pairs, -1 where it has none [N]; and how many pairs have no path at all.
    """
    num_nodes = reach.shape[0]
    hops, pathless = np.full(num_nodes, -1, dtype=np.int64), 0
    either_way = csr_array(edges + edges.T)
    within = csr_array(edges + eye_array(num_nodes, dtype=bool))
    rows = max(1, TABLE_BYTES // max(1, num_nodes))
    for begin in range(0, num_nodes, rows):
        nodes = np.arange(begin, min(begin + rows, num_nodes))
        table = reach[nodes].toarray()
        far = _set_near(hops, table, within, nodes)
        nodes, wanted = nodes[far], table[far].ravel()
        for along in (edges, either_way):
            left = np.count_nonzero(wanted)
            if left == 0:
                break
            for distance, shell in enumerate(shells(along, nodes)):
                found = shell[wanted[shell]]
                row = nodes[found // num_nodes]
                hops[row] = np.maximum(hops[row], distance)
                wanted[found] = False
                left -= len(found)
                if left == 0:  # before the next shell, which is larger, is looked for
                    break
        pathless += int(np.count_nonzero(wanted))
    return hops, pathless


def _set_near(hops: Integers, table: NDArray[np.bool_], within: csr_array, nodes: Integers) -> Integers:
    """Sets the hops of nodes whose pairs, marked in the table [n, N], are all near by; returns the others' places."""
    wanted, pairs = table.ravel(), np.count_nonzero(table, axis=1)
    left = np.flatnonzero(pairs)
    itself = np.ones(len(left), dtype=bool), nodes[left], np.arange(len(left) + 1)
    seen = csr_array(itself, shape=(len(left), within.shape[0]))
    for distance in range(SHALLOW):
        if not 0 < seen.nnz <= pairs[left].sum():
            break
        place = np.repeat(left, np.diff(seen.indptr)) * table.shape[1] + seen.indices
        near = np.add.reduceat(wanted[place], seen.indptr[:-1], dtype=np.int64) == pairs[left]
        hops[nodes[left[near]]] = distance
        left = left[~near]
        seen = csr_array((seen[~near] if near.any() else seen) @ within)
    return left


def mean_by_distance(values: Reals, nodes: Integers, reach: csr_array, edges: csr_array, limit: int) -> Reals:
    """Mean of values over the pairs (v, u) at each distance, v among the chosen nodes.

    Pairs are those with a directed path, whatever their value, and those of reach that are connected only when
    direction is ignored.

    Args:
        values: One row for each chosen node. [n, N]
        nodes: The chosen nodes. [n]
        reach: Boolean [N, N].
        edges: A. [N, N]
        limit: The largest distance.

    Returns:
        Entry d is the mean at distance d, NaN where no pair has that distance. [limit + 1]
    """
    total, count = np.zeros(limit + 1), np.zeros(limit + 1)
    pathless = reach[nodes].toarray().ravel()
    ahead = np.count_nonzero(pathless)
    for distance, shell in enumerate(shells(edges, nodes)):
        if distance <= limit:
            total[distance] += values.ravel()[shell].sum()
            count[distance] += len(shell)
        ahead -= np.count_nonzero(pathless[shell])
        pathless[shell] = False
        if distance >= limit and ahead == 0:
            break
    if pathless.any():
        for distance, shell in zip(range(limit + 1), shells(csr_array(edges + edges.T), nodes), strict=False):
            found = shell[pathless[shell]]
            total[distance] += values.ravel()[found].sum()
            count[distance] += len(found)
    mean: Reals = np.divide(total, count, out=np.full(limit + 1, np.nan), where=count > 0)
    return mean


def mean_distance(weights: Reals, nodes: Integers, edges: csr_array) -> Reals:
    """Mean distance of the nodes u from each chosen node v, weighted; pairs without any path are left out.

    Args:
        weights: One row for each chosen node, zero or more. [n, N]
        nodes: The chosen nodes. [n]
        edges: A. [N, N]

    Returns:
        The means, NaN where all weights are zero. [n]

    Example:
        >>> path = adjacency(np.array([[0, 1], [1, 2]]), 3)  # 0 -> 1 -> 2
        >>> mean_distance(np.array([[1.0, 0.0, 3.0]]), np.array([2]), path).tolist()
        [0.5]
    """
    count, num_nodes = weights.shape
    total, whole = np.zeros(count), np.zeros(count)
    left = (weights > 0).ravel()
    for along in (edges, csr_array(edges + edges.T)):
        if not left.any():
            break
        for distance, shell in enumerate(shells(along, nodes)):
            found = shell[left[shell]]
            left[found] = False
            weight = np.bincount(found // num_nodes, weights.ravel()[found], count)
            total += distance * weight
            whole += weight
    mean: Reals = np.divide(total, whole, out=np.full(count, np.nan), where=whole > 0)
    return mean
