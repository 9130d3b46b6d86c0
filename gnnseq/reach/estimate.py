"""Reach from two sides: what structure or NaN traces allow, and what derivatives prove.

Letters: N nodes, n nodes whose derivatives are known in full.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array

from gnnseq.reach.coloring import color_rows
from gnnseq.reach.evaluation import Evaluation
from gnnseq.reach.jacobian import Jacobian
from gnnseq.reach.nan_propagation import passes_nan_on, touched_by_nan
from gnnseq.reach.sparsity import has_generic_weights

__all__ = ["ReachEstimate", "confirms", "estimate_reach", "not_excluded"]

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]

# Random inputs are standard normal times these, in turn: small ones for saturated units, large ones for large biases.
SCALES = (1.0, 10.0, 1.0, 100.0, 0.01, 1.0, 1e3, 1.0, 1e4, 1e-4, 1e6, 1e-6)
# After so many random inputs in a row that showed nothing new, no further ones are tried.
PATIENCE = len(SCALES)


@dataclass(frozen=True, eq=False)
class ReachEstimate:
    """Reach, and what is known of it; the attributes are those of :class:`gnnseq.reach.ReceptiveField`."""

    reach: csr_array
    possible: csr_array
    method: str
    certain: bool


def confirms(
    structure: csr_array, double: Evaluation, nodes: Integers, norms: Reals, draws: int, generator: torch.Generator
) -> bool:
    """Whether the structure is exact for these weights, as far as derivatives at some nodes show.

    A derivative may fade below the smallest number of its type on the way to a far node. So a row in which derivatives
    come near that number need not be complete.

    Args:
        structure: Reach by structure. [N, N]
        double: The module.
        nodes: The nodes whose derivatives are known. [n]
        norms: Norms of d out_v / d x_u, v among the nodes. [n, N]
        draws: Most further random inputs.
        generator: For these inputs.

    Raises:
        RuntimeError: If a derivative shows more than the structure says.
    """
    if not has_generic_weights(double.module):
        return False
    smallest = np.where(norms > 0, norms, np.inf).min(axis=1, initial=np.inf)
    sound = nodes[smallest > torch.finfo(double.x.dtype).tiny ** 0.5]
    expected = _rows(csr_array(structure[sound]), sound)
    proven = _try_inputs(double, _proven(norms, nodes), expected, None, draws, generator)
    excess = csr_array(proven > structure)
    if excess.nnz > 0:
        v, u = (int(ends[0]) for ends in excess.nonzero())
        raise RuntimeError(f"by structure output {v} does not depend on input {u}, by a derivative it does: an error "
                           "in gnnseq or in a layer's reach(); use_structure=False measures instead")  # fmt: skip
    return bool(csr_array(expected > proven).nnz == 0)


def estimate_reach(
    possible: csr_array,
    trusted: bool,
    plain: Evaluation,
    double: Evaluation,
    nodes: Integers,
    norms: Reals,
    draws: int,
    generator: torch.Generator,
) -> ReachEstimate:
    """Reach by derivatives at every node, bounded by what is possible.

    Args:
        possible: What structure or NaN traces leave possible. [N, N]
        trusted: Whether it bounds what depends on what.
        plain: The module in its own precision, for the first pass of every node.
        double: The module in float64, for the nodes with pairs in doubt after it.
        nodes: Nodes whose derivatives are known. [n]
        norms: Norms of d out_v / d x_u, v among the nodes. [n, N]
        draws: Most further random inputs.
        generator: For these inputs and for cotangents.

    Raises:
        ValueError: If the output depends on x but carries no gradient.
    """
    jacobian = Jacobian(plain, plain.x)
    if jacobian.constant and possible.nnz > 0:
        raise ValueError("module returns an output that depends on x but carries no gradient; expected one that torch "
                         "can differentiate: take out detach() or no_grad(), or use "
                         "call=lambda module, x, edge_index: ... to read an earlier value")  # fmt: skip
    others = np.setdiff1d(np.arange(len(plain.x)), nodes)
    bound = possible if trusted else None
    proven = csr_array(_proven(norms, nodes) + _nonzero(jacobian, others, bound, generator))
    proven = _try_inputs(double, proven, possible, bound, draws, generator)
    trusted = trusted and csr_array(proven > possible).nnz == 0  # a derivative where NaN did not come: it was swallowed
    possible = csr_array(possible + proven)
    return ReachEstimate(proven, possible, "gradients", trusted and possible.nnz == proven.nnz)


def not_excluded(plain: Evaluation, double: Evaluation) -> tuple[csr_array, bool]:
    """What NaN traces leave possible, and whether they are to be trusted."""
    for evaluation in (plain, double):  # native kernels of one precision may swallow NaN
        if passes_nan_on(evaluation, evaluation.x):
            return touched_by_nan(evaluation, evaluation.x), True
    try:
        return touched_by_nan(double, double.x), False
    except Exception:  # the module refuses NaN: nothing is excluded
        return csr_array(np.ones((len(plain.x), len(plain.x)), dtype=bool)), False


def _try_inputs(
    double: Evaluation,
    proven: csr_array,
    wanted: csr_array,
    bound: csr_array | None,
    draws: int,
    generator: torch.Generator,
) -> csr_array:
    """What is proven, and what random inputs add to it at the nodes with pairs that are wanted and not proven."""
    idle = 0
    for draw in range(draws):
        nodes = np.unique(csr_array(wanted > proven).nonzero()[0])
        if len(nodes) == 0 or idle == PATIENCE:
            break
        x = torch.randn(double.x.shape, generator=generator, dtype=torch.float64, device="cpu").to(double.x)
        x = x * SCALES[draw % len(SCALES)]
        grown = csr_array(proven + _nonzero(Jacobian(double, x), nodes, bound, generator))
        idle = idle + 1 if grown.nnz == proven.nnz else 0
        proven = grown
    return proven


def _nonzero(jacobian: Jacobian, nodes: Integers, bound: csr_array | None, generator: torch.Generator) -> csr_array:
    """The blocks d out_v / d x_u that are not zero, v among the nodes. Boolean [N, N]

    Nodes whose rows of a trusted bound are disjoint share a backward pass.
    """
    alone = [nodes[[i]] for i in range(len(nodes))]
    groups = alone if bound is None else color_rows(nodes, bound)
    found = jacobian.touches(groups, generator)
    if bound is not None and len(groups) < len(nodes):
        member = np.concatenate(groups), np.repeat(np.arange(len(groups)), [len(group) for group in groups])
        spread = csr_array((np.ones(len(nodes), dtype=bool), member), shape=(jacobian.num_nodes, len(groups)))
        if csr_array(found > spread.T @ bound).nnz == 0:
            return csr_array((spread @ found).multiply(bound))
        # A derivative outside it: it is no bound, and cannot say which node of a group an input acts on.
        groups, found = alone, jacobian.touches(alone, generator)
    return _rows(found, np.array([int(group[0]) for group in groups], dtype=np.int64))


def _proven(norms: Reals, nodes: Integers) -> csr_array:
    return _rows(csr_array((norms > 0) & np.isfinite(norms)), nodes)


def _rows(found: csr_array, nodes: Integers) -> csr_array:
    """The rows of found [n, N] at their nodes' places in a matrix that is otherwise empty. [N, N]"""
    row, column = found.nonzero()
    return csr_array((np.ones(len(row), dtype=bool), (nodes[row], column)), shape=(found.shape[1], found.shape[1]))
