"""A whole graph convolution: which product comes first, and what of it compiled code makes.

Letters: N nodes, E edges, F input channels, H output channels.
"""

import torch
from torch import Tensor
from torch.nn import functional

from gnnseq.kernels.adjacency import Adjacency
from gnnseq.kernels.autograd_state import is_traced
from gnnseq.kernels.fused_convolution import fused_convolution
from gnnseq.kernels.memo import Memo
from gnnseq.kernels.sparse_features import feature_product, sparse_product
from gnnseq.kernels.spmm import aggregate_nodes

__all__ = ["graph_convolution"]


def graph_convolution(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    graph: Adjacency,
    edge_weight: Tensor | None,
    features: Memo[Adjacency],
) -> Tensor:
    r"""``A @ x @ weight.T + bias``, with A[i, j] the weight of the edge from j to i.

    Args:
        x: Features, dense [..., N, F] or torch.sparse [N, F].
        weight: The kernel. [H, F]
        bias: [H]
        graph: The edges.
        edge_weight: Their weights, in the order of the list that made them; None for the graph's own. [E]
        features: Where sparse features stay, compressed.

    Returns:
        [..., N, H]
    """
    if edge_weight is None:
        fused = fused_convolution(x, weight, bias, graph)
        if fused is not None:
            return fused
    # The aggregation is on the narrower side of the product; before it if both are the same, because an aggregation of
    # inputs that need no gradient needs no backward pass.
    if x.layout != torch.strided or weight.size(0) < weight.size(1):
        constant = edge_weight is None  # then compiled code goes on to sum and to add the bias
        product = feature_product(x, weight, graph, bias) if constant else feature_product(x, weight)
        if constant and product is not None:
            return product
        if product is None and x.layout == torch.strided:
            product = functional.linear(x, weight)
        elif product is None:
            product = sparse_product(x, weight, features)
        out = aggregate_nodes(product, edge_weight, graph)
    else:
        out = functional.linear(aggregate_nodes(x, edge_weight, graph), weight)
    if bias is None:
        return out
    return out + bias if is_traced(bias) else out.add_(bias)
