"""The symmetric normalisation of constant weights in compiled code; the reference is :mod:`gnnseq.normalization`.

Letters: N nodes, E edges.
"""

import torch
from torch import Tensor

from gnnseq.kernels.adjacency import LEAST_SIZE
from gnnseq.kernels.autograd_state import is_traced
from gnnseq.kernels.native import compiled, is_plain, library, lies_in_memory

__all__ = ["gcn_weights"]


def gcn_weights(
    edge_index: Tensor, edge_weight: Tensor | None, num_nodes: int, improved: bool, add_self_loops: bool
) -> Tensor | None:
    """What :func:`gnnseq.normalization.gcn_normalize` makes of constant weights; None if only that can.

    Args:
        edge_index: [2, E]
        edge_weight: [E]; all ones if it is None.
        num_nodes: N.
        improved: Whether new self-loops weigh 2 instead of 1.
        add_self_loops: Whether a self-loop of every node follows.

    Returns:
        [E + N], or [E].
    """
    edges = edge_index.size(1)
    if (
        edge_index.dtype != torch.int64
        or not lies_in_memory(edge_index)
        or edges < LEAST_SIZE
        or is_traced(edge_index)
        or library("graphs") is None
    ):
        return None
    if edge_weight is not None and (not is_plain(edge_weight) or edge_weight.shape != (edges,)):
        return None
    source, target = edge_index.contiguous()
    made = torch.empty(edges + num_nodes * add_self_loops, dtype=torch.float32, device="cpu")
    given = source, target, None if edge_weight is None else edge_weight.contiguous()
    room = torch.empty(2 * num_nodes, dtype=torch.float32, device="cpu")
    loop = (2 if improved else 1) if add_self_loops else 0
    # Negative weights may leave degrees without a root, which the reference looks for and names.
    return made if compiled("gcn_weights")(edges, num_nodes, *given, loop, room, made) else None
