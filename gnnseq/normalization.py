"""The symmetric normalisation of a graph's weights by its degrees.

Letters: N nodes, E edges. An edge runs from its source j, ``edge_index[0]``, to its target i, ``edge_index[1]``.
"""

import torch
from torch import Tensor

from gnnseq.checks import shape_of, whole
from gnnseq.tracing import is_recording

__all__ = ["DegreeError", "append_self_loops", "gcn_normalize"]


class DegreeError(ValueError):
    """A degree without a square root.

    Args:
        node: Whose it is.
        end: ``"in"`` or ``"out"``.
        degree: The degree.
        where: The step of a history, for the message.
        option: What a layer's users may do besides, for the message.
    """

    def __init__(self, node: int, end: str, degree: float, where: str = "", option: str = "") -> None:
        super().__init__(node, end, degree, where, option)  # as pickles make it anew
        self.node, self.end, self.degree, self.where, self.option = node, end, degree, where, option

    def __str__(self) -> str:
        return (f"{self.where}edge_weight gives node {self.node} the {self.end}-degree {self.degree:g}; the symmetric "
                "normalisation needs positive degrees: use non-negative weights or larger self-loops"
                f"{self.option}")  # fmt: skip


def append_self_loops(edge_index: Tensor, num_nodes: int) -> Tensor:
    """The edges, then a self-loop of every node. [2, E + N]"""
    return torch.cat([edge_index, torch.arange(num_nodes, device=edge_index.device).expand(2, -1)], dim=1)


def gcn_normalize(
    edge_index: Tensor,
    edge_weight: Tensor | None,
    num_nodes: int,
    *,
    improved: bool = False,
    add_self_loops: bool = True,
) -> tuple[Tensor, Tensor]:
    r"""Symmetrically normalised adjacency with self-loops.

    .. math:: \hat w_{ji} = w_{ji} / \sqrt{d^{out}_j \, d^{in}_i}

    with out- and in-degrees of A + I. On undirected graphs, each edge with one weight for both directions, the two are
    equal and this is Kipf and Welling's normalisation, https://arxiv.org/abs/1609.02907; derivatives by the weight of
    one direction alone are those of the formula above.

    A self-loop that the graph already has keeps its weight instead of getting another one (the last one, if it is
    listed more than once), as in torch_geometric. The edges keep their places, listed self-loops with weight 0, and
    the N self-loops come after them: shapes depend on E and N alone, so the function can be traced.

    Args:
        edge_index: [2, E]
        edge_weight: [E]; all ones if it is None.
        num_nodes: Number of nodes N.
        improved: Whether new self-loops weigh 2 instead of 1.
        add_self_loops: Whether nodes without one get a self-loop.

    Returns:
        ``edge_index`` [2, E + N] and ``edge_weight`` [E + N], or with E columns if no self-loops are added.

    Raises:
        ValueError: If edges or weights have another shape.
        DegreeError: A ValueError, if a node's degree is negative, or zero because its weights cancel: no square root
            exists.
    """
    _check_shapes(edge_index, edge_weight, num_nodes)
    if edge_weight is None:
        edge_weight = torch.ones(edge_index.size(1), device=edge_index.device)
    source, target = edge_index
    if add_self_loops:
        is_loop = source == target
        slot = torch.where(is_loop, source, num_nodes)  # edges that are no loops write to a slot that is dropped
        number = torch.arange(edge_weight.numel(), device=edge_index.device)
        last = number.new_full((num_nodes + 1,), -1).scatter_reduce(0, slot, number, "amax")[:num_nodes]
        # -1, of a node without a loop, reads the weight of a new one.
        loop_weight = torch.cat([edge_weight, edge_weight.new_full((1,), 2.0 if improved else 1.0)])[last]
        edge_weight = torch.cat([edge_weight.masked_fill(is_loop, 0.0), loop_weight])
        edge_index = append_self_loops(edge_index, num_nodes)
        source, target = edge_index
    zeros = edge_weight.new_zeros(num_nodes)
    out_degree = zeros.index_add(0, source, edge_weight)
    in_degree = zeros.index_add(0, target, edge_weight)
    if not is_recording():
        _check_degrees(edge_index, edge_weight, out_degree, in_degree)
    # The mask before the root keeps the gradient of a zero degree zero instead of NaN.
    out_scale = out_degree.masked_fill(out_degree == 0, torch.inf).rsqrt()
    in_scale = in_degree.masked_fill(in_degree == 0, torch.inf).rsqrt()
    return edge_index, out_scale[source] * edge_weight * in_scale[target]


def _check_shapes(edge_index: object, edge_weight: object, num_nodes: object) -> None:
    if not isinstance(num_nodes, Tensor):  # as a size is while torch.jit.trace records
        whole(0, num_nodes=num_nodes)
    if not isinstance(edge_index, Tensor) or edge_index.dim() != 2 or edge_index.size(0) != 2:
        raise ValueError(f"edge_index is {shape_of(edge_index)}; expected a tensor [2, E] of int64")
    if edge_weight is not None and (not isinstance(edge_weight, Tensor) or edge_weight.shape != edge_index.shape[1:]):
        raise ValueError(f"edge_weight is {shape_of(edge_weight)}; expected a tensor {list(edge_index.shape[1:])}, one "
                         "weight an edge")  # fmt: skip


def _check_degrees(edge_index: Tensor, edge_weight: Tensor, out_degree: Tensor, in_degree: Tensor) -> None:
    if not bool((edge_weight < 0).any()):
        return
    for name, end, degree in (("out", edge_index[0], out_degree), ("in", edge_index[1], in_degree)):
        size = torch.zeros_like(degree).index_add(0, end, edge_weight.abs())
        wrong = (degree < 0) | ((degree == 0) & (size > 0))
        if wrong.any():
            node = int(wrong.nonzero()[0])
            raise DegreeError(node, name, float(degree[node]))
