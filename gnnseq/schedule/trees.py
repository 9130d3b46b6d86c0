"""Sets of trees as one forest whose roots' states come out in the trees' order.

Letters: N nodes, F channels, B trees, N_b nodes of tree b.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from gnnseq.graphs import tree_graph
from gnnseq.schedule.paths import check_alike
from gnnseq.schedule.schedule import Schedule
from gnnseq.schedule.topological import topological
from gnnseq.tracing import for_real

__all__ = ["pack_trees"]


@for_real()
def _sweep_trees(parents: Sequence[Sequence[int] | Tensor]) -> Schedule:
    forest = tree_graph(parents)
    return topological(forest.edge_index, forest.num_nodes, ptr=forest.ptr)


def pack_trees(x: Sequence[Tensor], parents: Sequence[Sequence[int] | Tensor]) -> tuple[Tensor, Schedule]:
    """Trees of any sizes as one set of nodes, tree after tree, and the schedule that sweeps them from leaves to roots.

    Row b of the final state is that of the root of tree b; a tree without nodes has one too, as an empty path has. The
    nodes keep their order, so that ``h.split(sizes)`` takes h apart again.

    Args:
        x: B tensors [N_b, F], or [N_b] of one-hot indices.
        parents: For each tree the parent of each of its nodes, numbered from 0 within the tree, -1 at its one root, as
            in :func:`gnnseq.graphs.tree_graph`. B lists [N_b]

    Returns:
        x [N, F] or [N] with N the sum of the sizes, and the schedule. Rows of an initial state are in the order of its
        ``starts``, the leaves, and -1 for a tree without nodes.

    Raises:
        ValueError: If there are no trees, tensors differ in width, type or device, a list of parents is of another
            size than its tensor, or it is no tree: a parent out of range, a cycle, or several roots.

    Example:
        >>> from gnnseq.layers import LSTM
        >>> x, schedule = pack_trees([torch.zeros(3, 5), torch.ones(2, 5)], [[2, 2, -1], [-1, 0]])
        >>> h, (h_n, c_n) = LSTM(5, 8)(x, schedule)
        >>> torch.equal(h_n[0], h[[2, 3]])  # the two roots
        True
    """
    for name, given in (("x", x), ("parents", parents)):
        if type(given) not in (list, tuple):
            raise ValueError(f"{name} is a {type(given).__name__}; expected a list of what each tree has")
    check_alike("x", "N", x)
    if len(parents) != len(x):
        raise ValueError(f"parents has {len(parents)} entries and x {len(x)}; expected one list a tree")
    if all(isinstance(tree, int) for tree in parents):
        raise ValueError(f"parents is {parents!r}; expected one list a tree, not one for all")
    schedule = _sweep_trees(parents)
    for number, (nodes, tree) in enumerate(zip(x, parents, strict=True)):
        if len(tree) != len(nodes):
            raise ValueError(f"x[{number}] has {len(nodes)} rows and parents[{number}] {len(tree)} nodes; expected one "
                             "row a node")  # fmt: skip
        roots = (torch.as_tensor(tree, device="cpu") == -1).nonzero().flatten().tolist() if len(tree) > 0 else [-1]
        if len(roots) > 1:
            raise ValueError(f"parents[{number}] has {len(roots)} roots, nodes {', '.join(map(str, roots))}; expected "
                             "one: hang them from a further node, or give each its own tree")  # fmt: skip
    return torch.cat(list(x)), schedule.to(x[0].device)
