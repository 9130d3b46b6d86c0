"""Norms of the Jacobian's blocks, in as few and as small backward passes as are exact.

Letters: N nodes, F input channels, C output channels, n outputs, P copies of nodes.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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
# Numbers that all passes together must compute before anything but passes over the whole graph is worth its set-up.
LEAST_WORK = 2**22


def block_norms(jacobian: Jacobian, nodes: Integers, structure: Structure | None, x: Tensor) -> Reals:
    """Frobenius norm of each block d out_v / d x_u, v among the nodes. [n, N]

    Args:
        jacobian: Of the whole graph.
        nodes: The outputs v. [n]
        structure: The module's operations, if they are known, in the precision of x.
        x: Where derivatives are taken. [N, ...]
    """
    worth = len(nodes) * jacobian.channels * x.numel() >= LEAST_WORK
    found = _in_fields(jacobian, nodes, structure, x) if structure is not None and worth else None
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
