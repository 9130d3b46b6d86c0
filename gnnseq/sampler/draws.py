"""A sample, hop by hop: neighbours of the seeds, then of the nodes that were met for the first time in the hop before.

Letters: B seeds; n nodes and m edges of the sample.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from gnnseq.sampler import in_c, in_numpy
from gnnseq.sampler.rows import MOST, Rows

__all__ = ["Sample", "sample"]


class Sample(NamedTuple):
    """Nodes and edges that were drawn.

    Attributes:
        node: The nodes, seeds first, in the order given. [n]
        row: The source of each edge, as a place in ``node``. [m]
        col: Its target. [m]
        edge: The edge's place in the graph's list. [m]
        tree: Whose tree a node is in, where seeds have trees of their own. [n]
        num_nodes: How many nodes each hop added, the seeds before.
        num_edges: How many edges each hop drew; None for a graph of all edges between the nodes.
    """

    node: Tensor
    row: Tensor
    col: Tensor
    edge: Tensor
    tree: Tensor | None
    num_nodes: list[int]
    num_edges: list[int] | None


def sample(
    rows: Rows,
    seed: Tensor,
    num_neighbors: list[int],
    key: int,
    *,
    disjoint: bool = False,
    limit: Tensor | None = None,
    replace: bool = False,
    last: bool = False,
    induced: bool = False,
) -> Sample:
    """Draws; the same for the same arguments, with a compiler or without.

    Args:
        rows: The graph.
        seed: Nodes to begin with, checked. [B]
        num_neighbors: How many neighbours of a node are drawn in each hop, -1 for all.
        key: Which of all possible samples, 64 bits with a sign.
        disjoint: Whether every seed has a tree of its own.
        limit: The rank in time after which a seed's tree reads nothing. int32 [B]
        replace: Whether a neighbour can be drawn again.
        last: Whether the latest are taken and not any.
        induced: Whether all edges between the nodes are wanted in place of those that were drawn.
    """
    work = in_c if rows.in_c else in_numpy
    tree = torch.arange(seed.numel(), dtype=torch.int32, device="cpu") if disjoint else None
    numbers = work.Numbering(rows, seed, tree)
    found: list[tuple[Tensor, Tensor, Tensor]] = []
    first, sizes = 0, [seed.numel()]
    for k in num_neighbors:
        edge, column = _drawn(rows, numbers, first, limit, k, last, replace, key)
        source, listed = work.gather(rows, edge)
        first = numbers.node.numel()
        found.append((numbers.add(source, column), column, listed))
        sizes.append(numbers.node.numel() - first)
    num_edges = [listed.numel() for *_, listed in found]
    if induced:
        edge, column = _drawn(rows, numbers, 0, limit, -1, False, False, key)
        source, listed = work.gather(rows, edge)
        row = numbers.find(source, column)
        kept = row >= 0
        found = [(row[kept], column[kept], listed[kept])]
    nothing = torch.empty(0, dtype=torch.int64, device="cpu")
    parts = zip(*found, strict=True) if found else ((nothing,),) * 3
    row, col, listed = (torch.cat(part) if len(part) > 1 else part[0] for part in parts)
    numbers.close()  # not after an error, when what was lent may be half written
    own = None if numbers.tree is None else numbers.tree.long()
    return Sample(numbers.node.long(), row, col.long(), listed, own, sizes, None if induced else num_edges)


def _drawn(
    rows: Rows, numbers: "in_c.Numbering | in_numpy.Numbering", first: int, limit: Tensor | None, k: int, last: bool,
    replace: bool, key: int,
) -> tuple[Tensor, Tensor]:  # fmt: skip
    """The edges drawn of all nodes from number ``first`` on, as places in the rows, and their targets' numbers."""
    work = in_c if rows.in_c else in_numpy
    node = numbers.node[first:]
    tree = None if numbers.tree is None else numbers.tree[first:]
    begin, size, most = work.reach(rows, node, tree, limit, k, last, replace)
    if most + numbers.node.numel() > MOST:
        raise ValueError(f"num_neighbors={k} of {node.numel()} nodes are more than 2^31 edges; expected smaller "
                         "batches or fewer neighbours")  # fmt: skip
    drawn: tuple[Tensor, Tensor] = work.draw(rows, begin, size, most, first, k, replace, key)
    return drawn
