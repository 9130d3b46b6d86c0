"""Edges across twice the distance, round after round: pointer jumping as data.

Wyllie, "The Complexity of Parallel Computations", 1979. Letters: N nodes, E edges of a round.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Jumps", "check_single_file", "double"]


class Jumps(NamedTuple):
    """The edges of one round, which span 2^r edges of the graph.

    Attributes:
        edge_index: From the node that is read to the node that reads. [2, E]
        first: Of each, the edge of the round before over which its first half goes; None in the first round. [E]
        second: And its second half. [E]
    """

    edge_index: Tensor
    first: Tensor | None
    second: Tensor | None


def double(edge_index: Tensor, num_nodes: int, rounds: int) -> Iterator[Jumps]:
    """The jumps of each round, over edges of which no two leave, or no two enter, the same node.

    Args:
        edge_index: Edges of the graph. [2, E]
        num_nodes: Number of nodes N.
        rounds: How many.
    """
    jumps = Jumps(edge_index, None, None)
    nowhere = edge_index.new_full((num_nodes,), -1)
    for number in range(rounds):
        yield jumps
        if number == rounds - 1:
            return
        source, target = jumps.edge_index
        edge = torch.arange(source.numel(), device=source.device)
        if _is_single(source, num_nodes):  # one edge goes on from each target, if any
            second = nowhere.index_copy(0, source, edge)[target]
            first = (second >= 0).nonzero().view(-1)
            second = second[first]
        else:
            first = nowhere.index_copy(0, target, edge)[source]
            second = (first >= 0).nonzero().view(-1)
            first = first[second]
        jumps = Jumps(torch.stack([source[first], target[second]]), first, second)


def check_single_file(edges: NDArray[np.int64], num_nodes: int) -> None:
    """Raises a ValueError, with the nodes named, if some node has several successors and some several predecessors."""
    crowded = [(np.bincount(end, minlength=num_nodes) > 1).nonzero()[0].tolist() for end in edges]
    if all(crowded):
        several, others = (", ".join(map(str, nodes[:8])) + (", ..." if len(nodes) > 8 else "") for nodes in crowded)
        raise ValueError(f"edge_index has several edges from node {several} and several into node {others}; doubling "
                         "needs one successor a node at most, or one predecessor: sweep this graph by "
                         "topological()")  # fmt: skip


def _is_single(nodes: Tensor, num_nodes: int) -> bool:
    return nodes.numel() == 0 or int(torch.bincount(nodes, minlength=num_nodes).max()) <= 1
