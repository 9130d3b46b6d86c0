"""The graph before a moment, as matrices: who is near whom over others.

Letters: N nodes, S sources.
"""

import numpy as np
from scipy import sparse

from studies.social_graph.history import Events, Floats, Ints

__all__ = ["adjacency", "pagerank", "two_steps"]


def adjacency(events: Events, time: float, decay: float) -> sparse.csr_array:
    """Weights of ordered pairs, the sum of exp(-age / decay) over events strictly before a moment. [N, N]"""
    past = events.until(time)
    weight = np.exp((past.time - time) / decay)
    return sparse.csr_array(sparse.coo_array((weight, (past.source, past.target)), shape=(events.nodes, events.nodes)))


def walk(weights: sparse.csr_array) -> sparse.csr_array:
    """The steps of a walk in either direction, rows that add up to 1, or to 0 of a node without edges. [N, N]"""
    both = sparse.csr_array(weights + weights.T)
    total = np.asarray(both.sum(1)).ravel()
    scale = np.divide(1.0, total, out=np.zeros_like(total), where=total > 0)
    return sparse.csr_array(sparse.diags_array(scale) @ both)


def pagerank(weights: sparse.csr_array, source: Ints, steps: int = 8, restart: float = 0.15) -> Floats:
    """Where walks from each source end, restart (1 - restart)^k of them after step k, none after step 0. [S, N]"""
    step, total = walk(weights), np.zeros((len(source), weights.shape[0]))
    step_t = sparse.csr_array(step.T)
    at = step[source].toarray()
    for k in range(1, steps + 1):
        total += restart * (1 - restart) ** k * at
        at = (step_t @ at.T).T if k < steps else at
    return total


def two_steps(weights: sparse.csr_array, source: Ints) -> Floats:
    """Common contacts of each source and every node, each worth 1 / log(1 + its contacts). [S, N]"""
    both = sparse.csr_array(((weights + weights.T) > 0).astype(np.float64))
    degree = np.asarray(both.sum(1)).ravel()
    worth = np.divide(1.0, np.log1p(degree), out=np.zeros_like(degree), where=degree > 0)
    return np.asarray((both[source] @ sparse.diags_array(worth) @ both).toarray())
