"""Norms of the Jacobian's blocks, in as few and as small backward passes as are exact.

Letters: N nodes, C output channels, n outputs.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array
from torch import Tensor

from gnnseq.reach.coloring import color_rows
from gnnseq.reach.fields import Fields
from gnnseq.reach.jacobian import Jacobian
from gnnseq.reach.sparsity import Structure

__all__ = ["block_norms"]

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]

# Numbers that fields laid side by side may hold: a backward pass of them then stays in a CPU's cache.
SIDE_BY_SIDE = 2**17
# They are worth it where they hold at most this share of what passes over the whole graph would go through.
SHARE = 0.25
# Numbers that all passes over the whole graph must compute before fields are worth their set-up, and how many passes
# there must be before groups are.
LEAST_WORK = 2**22
FEWEST = 256


def block_norms(
    jacobian: Jacobian, nodes: Integers, x: Tensor, structure: Structure | None, bound: csr_array | None
) -> Reals:
    """Frobenius norm of each block d out_v / d x_u, v among the nodes. [n, N]

    Args:
        jacobian: Of the whole graph.
        nodes: The outputs v. [n]
        x: Where derivatives are taken. [N, ...]
        structure: The module's operations, if they are known, in the precision of x.
        bound: Row v holds all inputs that v may depend on, if they are known; it is not believed. Boolean [N, N].
    """
    found, passes = None, len(nodes) * jacobian.channels
    if structure is not None and passes * x.numel() >= LEAST_WORK:
        found = _in_fields(jacobian, nodes, structure, x)
    if found is None and bound is not None and passes >= FEWEST:
        found = _in_groups(jacobian, nodes, bound)
    return jacobian.norms(nodes) if found is None else found


def _in_fields(jacobian: Jacobian, nodes: Integers, structure: Structure, x: Tensor) -> Reals | None:
    """The norms by passes in the outputs' own fields; None if that is no less work, or not what the module does.

    Proof: the sum of all blocks, each times a random cotangent of its output, must be that of one pass over the whole
    graph. Were one block another, so were the sum, with probability one.
    """
    sizes = np.diff(structure.reach.indptr)[nodes]
    if sizes.sum() > SHARE * len(nodes) * len(x):
        return None
    norms = np.zeros((len(nodes), len(x)))
    generator = torch.Generator("cpu").manual_seed(0)
    cotangent = torch.randn(len(nodes), jacobian.channels, generator=generator, dtype=torch.float64).to(x)
    total, size = x.new_zeros(len(x), jacobian.width), x.new_zeros(len(x), jacobian.width)
    try:
        for begin, end in _blocks(sizes * jacobian.width):
            fields = Fields(structure, len(x), nodes[begin:end])
            node = torch.from_numpy(fields.node).to(x.device)
            copies = Jacobian(fields, x.index_select(0, node))
            copies.batched = False  # a few large passes, which are no faster together
            everybody = np.arange(end - begin)
            norms[begin + fields.output, fields.node] = copies.norms([everybody])[0]
            pulled = copies.combined(everybody, cotangent[begin:end])
            total.index_add_(0, node, pulled)
            size.index_add_(0, node, pulled.abs())
    except Exception:  # an operation that wants all nodes' rows, such as a reshape to so many
        return None
    expected = jacobian.combined(nodes, cotangent)
    limits = torch.finfo(x.dtype)
    same = (total - expected).abs() <= limits.eps**0.5 * size.amax(1, keepdim=True) + limits.tiny
    return norms if bool(same.all()) else None


def _blocks(sizes: Integers) -> Iterator[tuple[int, int]]:
    """Runs of outputs whose fields together hold as many numbers as fit, or of one output."""
    begin, held = 0, 0
    for end, size in enumerate(sizes.tolist()):
        if end > begin and held + size > SIDE_BY_SIDE:
            yield begin, end
            begin, held = end, 0
        held += size
    yield begin, len(sizes)


def _in_groups(jacobian: Jacobian, nodes: Integers, bound: csr_array) -> Reals | None:
    """The norms by passes over the whole graph, one for all outputs that share no input; None if those are few.

    Proof that no block of one output was taken for another's of its group: any two of a group are parted by some of
    the halves of it, and each half, by random cotangents, touches nothing outside its own outputs' bound.
    """
    groups = color_rows(nodes, bound)
    halves = [half for group in groups for half in _halves(group)]
    if 2 * (len(groups) * jacobian.channels + len(halves)) > len(nodes) * jacobian.channels:
        return None
    together = jacobian.norms(groups)
    touched = jacobian.touches(halves, torch.Generator("cpu").manual_seed(0))
    member = np.repeat(np.arange(len(halves)), [len(half) for half in halves]), np.concatenate([*halves, nodes[:0]])
    halved = csr_array((np.ones(len(member[0]), dtype=bool), member), shape=(len(halves), jacobian.num_nodes))
    if not np.isfinite(together).all() or csr_array(touched > halved @ bound).nnz > 0:
        return None
    norms = np.zeros((len(nodes), jacobian.num_nodes))
    for norm, group in zip(together, groups, strict=True):
        for v in group:
            own = bound.indices[bound.indptr[v] : bound.indptr[v + 1]] if len(group) > 1 else slice(None)
            norms[np.searchsorted(nodes, v), own] = norm[own]
    return norms


def _halves(group: Integers) -> list[Integers]:
    """Halves of a group by each bit of its members' places: for any two there is one with the first alone."""
    place = np.arange(len(group))
    bits = range(int(len(group) - 1).bit_length())
    return [group[(place >> bit & 1) == which] for bit in bits for which in (0, 1)]
