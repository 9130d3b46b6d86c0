"""A graph with constant weights, normalised and sorted in one call of compiled code.

The reference of the weights is :mod:`gnnseq.normalization`, that of the rows :meth:`Adjacency.of`.

Letters: N nodes, E edges; M edges with their self-loops.
"""

import torch
from torch import Tensor

from gnnseq.kernels.adjacency import CSR, LEAST_SIZE, Adjacency
from gnnseq.kernels.autograd_state import is_traced
from gnnseq.kernels.native import compiled, is_plain, library, lies_in_memory

__all__ = ["gcn_adjacency"]


def gcn_adjacency(
    edge_index: Tensor, edge_weight: Tensor | None, num_nodes: int, improved: bool, add_self_loops: bool
) -> Adjacency | None:
    """The rows of what :func:`gnnseq.normalization.gcn_normalize` makes of constant weights; None if only that can.

    Args:
        edge_index: [2, E]
        edge_weight: [E]; all ones if it is None.
        num_nodes: N.
        improved: Whether new self-loops weigh 2 instead of 1.
        add_self_loops: Whether a self-loop of every node follows.
    """
    if edge_index.dim() != 2 or len(edge_index) != 2 or edge_index.dtype != torch.int64 or is_traced(edge_index):
        return None
    edges = edge_index.size(1)
    all_edges = edges + num_nodes * add_self_loops
    small = edges < LEAST_SIZE or max(all_edges, num_nodes) >= 2**31
    if small or not lies_in_memory(edge_index) or library("graphs") is None:
        return None
    if edge_weight is not None and (not is_plain(edge_weight) or edge_weight.shape != (edges,)):
        return None
    source, target = edge_index.contiguous()
    # Where numbers are made, whatever device is torch's default.
    by_target, by_source = (
        CSR(
            torch.empty(num_nodes + 1, dtype=torch.int32, device="cpu"),
            torch.empty(all_edges, dtype=torch.int32, device="cpu"),
            torch.empty(all_edges, dtype=torch.int64, device="cpu"),
            torch.empty(all_edges, dtype=torch.float32, device="cpu"),
        )
        for _ in range(2)
    )
    order = torch.empty(all_edges, dtype=torch.int32, device="cpu")
    room = torch.empty(all_edges + 2 * num_nodes, dtype=torch.float32, device="cpu")
    loop = (2 if improved else 1) if add_self_loops else 0
    given = source, target, None if edge_weight is None else edge_weight.contiguous(), loop, order, room
    # Ends out of range and weights that are no numbers are named by the reference; negative ones may leave degrees
    # without a root, which it looks for.
    done = compiled("gcn_rows")(edges, num_nodes, *given, *by_target, *by_source)
    return Adjacency(by_target, by_source) if done else None
