"""Which nodes a schedule lets each node read, directly or through others: reach by structure.

Letters: N nodes, E edges.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array, eye_array, vstack
from torch import Tensor

from gnnseq.checks import as_array
from gnnseq.schedule.schedule import Schedule

__all__ = ["dependence"]

UNPACKED_BYTES = 1 << 22  # of bits that are bytes at a time


def dependence(schedule: Schedule) -> csr_array:
    """The inputs that each node's state depends on, from zero initial states.

    A topological sweep reads all ancestors, k synchronous rounds all nodes within k - 1 hops, and k rounds of doubling
    all ancestors within 2^k - 1. An edge of weight exactly 0 carries nothing.

    Returns:
        Row v holds v itself and the nodes it reads. Boolean [N, N].
    """
    num_nodes = schedule.num_nodes
    itself = csr_array(eye_array(num_nodes, dtype=bool))
    if schedule.doublings is not None:
        reached = itself
        for step in schedule:
            reached = csr_array(reached + _adjacency(step.edge_index, step.edge_weight, num_nodes) @ reached)
        return reached
    if schedule.rounds is None:
        return _ancestors(schedule)
    adjacency = _adjacency(schedule.edge_index, schedule.edge_weight, num_nodes)
    reached = csr_array((num_nodes, num_nodes), dtype=bool)
    for _ in range(schedule.rounds):
        reached = csr_array(itself + adjacency @ reached)
    return reached


def _adjacency(edge_index: Tensor, edge_weight: Tensor | None, num_nodes: int) -> csr_array:
    source, target = _carrying(edge_index, edge_weight)
    return csr_array((np.ones(len(source), dtype=bool), (target, source)), shape=(num_nodes, num_nodes))


def _ancestors(schedule: Schedule) -> csr_array:
    """Ancestors of every node, as sets of bits filled step by step: N / 8 bytes a node until the result."""
    num_nodes = schedule.num_nodes
    node = np.arange(num_nodes)
    bits = np.zeros((num_nodes, (num_nodes + 7) // 8), dtype=np.uint8)
    bits[node, node // 8] = 128 >> node % 8  # each is its own
    for step in schedule:
        source, target = _carrying(step.edge_index, step.edge_weight)
        source, target = source[source < num_nodes], target[source < num_nodes]  # others are initial states
        if len(target) > 0:
            sorting = np.argsort(target, kind="stable")
            node, first = np.unique(target[sorting], return_index=True)
            bits[node] |= np.bitwise_or.reduceat(bits[source[sorting]], first, axis=0)
    parts = 1 + bits.nbytes // UNPACKED_BYTES
    rows = [csr_array(np.unpackbits(some, axis=1, count=num_nodes)) for some in np.array_split(bits, parts)]
    return csr_array(vstack(rows), dtype=bool)


def _carrying(edge_index: Tensor, edge_weight: Tensor | None) -> NDArray[np.int64]:
    """The edges whose weight is not 0. [2, e]"""
    edges: NDArray[np.int64] = as_array(edge_index, "edge_index")
    return edges if edge_weight is None else edges[:, as_array(edge_weight, "edge_weight") != 0]
