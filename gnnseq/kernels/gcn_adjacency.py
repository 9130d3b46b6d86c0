"""A graph with constant weights, normalised and sorted by compiled code.

The reference of the weights is :mod:`gnnseq.normalization`, that of the rows :meth:`Adjacency.of`.

Letters: N nodes, E edges; M edges with their self-loops.
"""

import torch
from torch import Tensor

from gnnseq.kernels.adjacency import CSR, LEAST_SIZE, Adjacency
from gnnseq.kernels.autograd_state import is_traced
from gnnseq.kernels.native import compiled, is_plain, library, lies_in_memory

__all__ = ["gcn_adjacency"]


MOST_EDGES = 1 << 16  # of which rows are made in one go: those of more leave the caches, and are sorted apart


def gcn_adjacency(
    edge_index: Tensor,
    edge_weight: Tensor | None,
    num_nodes: int,
    known: Adjacency | None = None,
    *,
    improved: bool,
    add_self_loops: bool,
) -> Adjacency | None:
    """The rows of what :func:`gnnseq.normalization.gcn_normalize` makes of constant weights; None if only that can.

    Args:
        edge_index: [2, E]
        edge_weight: [E]; all ones if it is None.
        num_nodes: N.
        known: The rows of the same edges and self-loops, if they were made before; else None.
        improved: Whether new self-loops weigh 2 instead of 1.
        add_self_loops: Whether a self-loop of every node follows.
    """
    if not _can(edge_index, edge_weight, num_nodes) or (known is None and edge_index.size(1) > MOST_EDGES):
        return None
    edges, loop = edge_index.size(1), (2 if improved else 1) if add_self_loops else 0
    all_edges = edges + num_nodes * add_self_loops
    given = *edge_index.contiguous(), None if edge_weight is None else edge_weight.contiguous()
    # Numbers are made there, whatever device is torch's default.
    weights = torch.empty(all_edges, dtype=torch.float32, device="cpu")
    degrees = torch.empty(2 * num_nodes, dtype=torch.float32, device="cpu")
    # Ends out of range and weights that are no numbers are named by the reference; negative ones may leave degrees
    # without a root, which it looks for.
    if not compiled("gcn_weights")(edges, num_nodes, *given, loop, degrees, weights):
        return None
    if known is not None:
        return known.weighted(weights)
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
    compiled("gcn_rows")(edges, num_nodes, *given[:2], loop, weights, order, *by_target, *by_source)
    return Adjacency(by_target, by_source)


def _can(edge_index: object, edge_weight: Tensor | None, num_nodes: int) -> bool:
    """Whether compiled code can and should weigh these edges."""
    if not isinstance(edge_index, Tensor) or edge_index.dim() != 2 or len(edge_index) != 2:
        return False
    edges = edge_index.size(1)
    if edge_index.dtype != torch.int64 or is_traced(edge_index) or not LEAST_SIZE <= edges < 2**31 - num_nodes:
        return False
    if edge_weight is not None and (not is_plain(edge_weight) or edge_weight.shape != (edges,)):
        return False
    return lies_in_memory(edge_index) and library("graphs") is not None
