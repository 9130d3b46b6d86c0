"""Rows of a sparse Jacobian that one backward pass serves.

Rows whose columns are disjoint can be added up and told apart afterwards; to find few groups of such rows is to colour
the graph in which rows that share a column are neighbours.

Letters: N nodes, n chosen nodes.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

__all__ = ["color_rows"]

Integers = NDArray[np.int64]


def color_rows(nodes: Integers, possible: csr_array) -> list[Integers]:
    """Groups of nodes that share no possible input, so that one backward pass can serve each group.

    A greedy colouring, largest rows first (Curtis, Powell and Reid, "On the estimation of sparse Jacobian matrices",
    1974): nearly as few groups as the most popular input has outputs.

    Args:
        nodes: The nodes to be grouped. [n]
        possible: Row v holds all inputs that v may depend on. [N, N]

    Example:
        >>> own_input = csr_array(np.eye(4, dtype=bool))
        >>> [group.tolist() for group in color_rows(np.arange(4), own_input)]
        [[0, 1, 2, 3]]
    """
    rows = csr_array(possible[nodes])
    popular = int(np.bincount(rows.indices, minlength=1).max())
    if popular > len(nodes) // 2:
        return [nodes[[i]] for i in range(len(nodes))]
    groups: list[list[int]] = []
    taken = np.zeros((len(nodes), possible.shape[1]), dtype=bool)  # inputs that each group's nodes may depend on
    for i in np.argsort(-np.diff(rows.indptr), kind="stable"):
        inputs = rows.indices[rows.indptr[i] : rows.indptr[i + 1]]
        free = np.flatnonzero(~taken[: len(groups), inputs].any(axis=1))
        group = int(free[0]) if len(free) else len(groups)
        if group == len(groups):
            groups.append([])
        groups[group].append(i)
        taken[group, inputs] = True
    return [nodes[group] for group in groups]
