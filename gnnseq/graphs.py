"""Graphs that sequences, trees and histories of a network make, and the checks on every graph that enters.

Letters: N nodes, E edges, T time steps. An edge runs from its source j, ``edge_index[0]``, to its target i,
``edge_index[1]``.

To and from networkx and scipy.sparse, use ``from_networkx``, ``to_networkx``, ``from_scipy_sparse_matrix`` and
``to_scipy_sparse_matrix`` of :mod:`torch_geometric.utils`: every function here takes and returns the same tensors.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch_geometric import EdgeIndex
from torch_geometric.data import Data
from torch_geometric.utils import is_torch_sparse_tensor, to_edge_index

from gnnseq.checks import as_edges_by, check_dense, flag, whole
from gnnseq.normalization import gcn_normalize
from gnnseq.sparse import check_csr, check_range, coalesced
from gnnseq.tracing import is_recording

__all__ = ["as_edge_index", "check_edge_weight", "check_weight_form", "path_graph", "space_time_graph", "tree_graph"]


def path_graph(length: int, undirected: bool = False) -> Data:
    """The path 0 -> 1 -> ... -> length - 1: a sequence, as a graph.

    Args:
        length: Number of nodes T; 0 and 1 make graphs without edges.
        undirected: Whether every edge also runs backwards.

    Returns:
        A graph with ``edge_index`` [2, T - 1] (twice as many columns if undirected).

    Raises:
        ValueError: If length is negative or no integer, or undirected is neither True nor False.

    Example:
        >>> path_graph(4).edge_index.tolist()
        [[0, 1, 2], [1, 2, 3]]
    """
    length, undirected = whole(0, length=length), flag(undirected=undirected)
    nodes = torch.arange(length, device="cpu")
    edge_index = torch.stack([nodes[:-1], nodes[1:]])
    if undirected:
        edge_index = torch.cat([edge_index, edge_index.flip(0)], dim=1)
    return Data(edge_index=edge_index, num_nodes=length)


def tree_graph(parents: Sequence[int] | Tensor | Sequence[Sequence[int] | Tensor]) -> Data:
    """The tree, or forest, in which node i hangs from ``parents[i]``; edges run from child to parent.

    Several lists, each numbering its nodes from 0, are as many trees side by side, of which the states of the roots are
    in the same order; :func:`gnnseq.pack_trees` makes their inputs and schedule too.

    Keep parents out of the fields of a torch_geometric Batch, or take them apart again: it shifts a field whose name
    holds "index" by the nodes before, -1 included, so that a root hangs from the last tree; under another name it
    shifts nothing, so that all trees hang from the first. ``batch.parents.split(batch.ptr.diff().tolist())`` are the
    lists as they were.

    Args:
        parents: The parent of each node, -1 at a root, integers [N]; or a list of such, one a tree.

    Returns:
        A graph with one edge i -> parents[i] for every node that has a parent; of several lists also ``ptr``, the node
        at which each begins, and N.

    Raises:
        ValueError: If a parent is out of range or no integer, or parents are in a cycle.

    Example:
        >>> tree_graph([2, 2, -1]).edge_index.tolist()
        [[0, 1], [2, 2]]
        >>> forest = tree_graph([[2, 2, -1], [1, -1]])
        >>> forest.edge_index.tolist(), forest.ptr.tolist()
        ([[0, 1, 3], [2, 2, 4]], [0, 3, 5])
    """
    if not isinstance(parents, list | tuple) or not any(map(_is_list, parents)):
        parent = _check_parents("parents", parents)
        return _hang(parent, parent)
    trees = [_check_parents(f"parents[{number}]", tree, among=True) for number, tree in enumerate(parents)]
    sizes = torch.tensor([0, *(tree.numel() for tree in trees)], device="cpu")
    own, ptr = torch.cat(trees), sizes.cumsum(0)
    forest = _hang(own, own + ptr[:-1].repeat_interleave(sizes[1:]).to(own.device))
    forest.ptr = ptr
    return forest


def _is_list(entry: object) -> bool:
    """Whether an entry of parents is a tree's list, not a node's parent."""
    return isinstance(entry, list | tuple) or getattr(entry, "ndim", 0) > 0


def _hang(own: Tensor, parent: Tensor) -> Data:
    """Edges to the parents, but of those whose own number is -1."""
    child = (own >= 0).nonzero().view(-1)
    return Data(edge_index=torch.stack([child, parent[child]]), num_nodes=parent.numel())


def _check_parents(name: str, parents: object, among: bool = False) -> Tensor:
    """The parents of one list, each of which leads to a root. int64 [N]"""
    several = ", one list a tree" if among else ", or a list of such, one list a tree"
    expected = f"expected one integer a node, -1 at a root{several}"
    if among and not _is_list(parents):
        raise ValueError(f"{name} is {parents!r}, of type {type(parents).__name__}; {expected}")
    try:
        parent = torch.as_tensor(parents, device=parents.device if isinstance(parents, Tensor) else "cpu")
    except (TypeError, ValueError, RuntimeError):  # torch raises any of them
        raise ValueError(f"{name}={parents!r}; {expected}") from None
    if parent.dim() != 1 or (parent.numel() > 0 and (parent.is_floating_point() or parent.dtype == torch.bool)):
        raise ValueError(f"{name} has shape {list(parent.shape)} and type {parent.dtype}; {expected}")
    parent = parent.long()
    wrong = (parent < -1) | (parent >= parent.numel())
    if wrong.any():
        node = int(wrong.nonzero()[0])
        raise ValueError(f"{name}[{node}]={int(parent[node])} names no node; expected -1 (a root) or a node of "
                         f"0..{parent.numel() - 1}")  # fmt: skip
    if cycle := _find_cycle(parent):
        shown = " -> ".join(map(str, cycle[:12])) + (f" ... ({len(cycle) - 1} nodes)" if len(cycle) > 12 else "")
        raise ValueError(f"{name} has the cycle {shown}, which hangs from no root; expected -1 at each tree's root: "
                         "of heads that count from 1, 0 at a root, subtract 1")  # fmt: skip
    return parent


def _find_cycle(parent: Tensor) -> list[int]:
    """The nodes of a cycle, the first again at the end; none if all lead to a root."""
    nowhere = parent.numel()
    above = torch.cat([parent.masked_fill(parent < 0, nowhere), parent.new_full((1,), nowhere)])
    for _ in range(nowhere.bit_length()):  # pointers that double lead past N nodes
        if bool((above == nowhere).all()):
            break
        above = above[above]
    caught = above[above != nowhere]
    if caught.numel() == 0:
        return []
    node = int(caught.min())
    cycle = [node, int(parent[node])]
    while cycle[-1] != node:
        cycle.append(int(parent[cycle[-1]]))
    return cycle


def space_time_graph(edge_index: Tensor, num_nodes: int, steps: int, edge_weight: Tensor | None = None) -> Data:
    """The history of a network as one directed acyclic graph: node (v, t) is number ``t * num_nodes + v``.

    Every edge u -> v of the network, and every node's step from itself to itself, becomes (u, t - 1) -> (v, t) for
    t = 1..T - 1, weighted with the entry (v, u) of the normalised adjacency of
    :func:`gnnseq.normalization.gcn_normalize`.

    Args:
        edge_index: The network's edges. [2, E]
        num_nodes: The network's nodes N.
        steps: Time steps T.
        edge_weight: The network's edge weights. [E]

    Returns:
        A graph of T * N nodes with ``edge_index`` and ``edge_weight``.

    Raises:
        ValueError: If steps is negative or no integer, or the network is malformed.

    Example:
        >>> graph = space_time_graph(torch.tensor([[0], [1]]), num_nodes=2, steps=2)
        >>> graph.edge_index.tolist()  # 0 -> 1, then each node to its own next step
        [[0, 0, 1], [3, 2, 3]]
    """
    num_nodes, steps = whole(0, num_nodes=num_nodes), whole(0, steps=steps)
    edge_index, edge_weight = as_edge_index(edge_index, num_nodes, edge_weight)
    # A self-loop that was listed goes: its weight moved to the end, see gcn_normalize. An edge that weighs 0 stays: its
    # weight may be learnt.
    kept = torch.cat([edge_index[0] != edge_index[1], edge_index.new_ones(num_nodes, dtype=torch.bool)])
    edge_index, edge_weight = gcn_normalize(edge_index, edge_weight, num_nodes)
    source, target = edge_index[:, kept]
    before = num_nodes * torch.arange(max(steps - 1, 0), device=edge_index.device).unsqueeze(1)  # [T - 1, 1]
    unrolled = torch.stack([(source + before).view(-1), (target + num_nodes + before).view(-1)])
    weight = edge_weight[kept].repeat(max(steps - 1, 0))
    return Data(edge_index=unrolled, edge_weight=weight, num_nodes=num_nodes * steps)


def as_edge_index(graph: Tensor, num_nodes: int, edge_weight: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
    """Any of torch_geometric's forms of a graph as checked ``edge_index`` [2, E] and ``edge_weight`` [E].

    Args:
        graph: ``edge_index`` [2, E] of int64, an :class:`torch_geometric.EdgeIndex`, or a torch.sparse adjacency
            [N, N] (COO, CSR or CSC) whose row is the target and column the source, as torch_geometric reads it; its
            values are the edge weights.
        num_nodes: Number of nodes N.
        edge_weight: Weights of the edges. [E]

    Raises:
        ValueError: If shape, type, range or device is wrong; the message says which.
    """
    num_nodes = whole(0, num_nodes=num_nodes)
    if not isinstance(graph, Tensor):
        raise ValueError(f"edge_index is a {type(graph).__name__}; expected a [2, E] tensor of int64, an EdgeIndex or "
                         f"a torch.sparse adjacency{as_edges_by('edge_index', graph)}")  # fmt: skip
    if is_torch_sparse_tensor(graph):
        if tuple(graph.shape) != (num_nodes, num_nodes):
            raise ValueError(f"edge_index is a sparse adjacency of shape {list(graph.shape)}; "
                             f"x has {num_nodes} nodes, so expected [{num_nodes}, {num_nodes}]")  # fmt: skip
        if edge_weight is not None:
            raise ValueError("edge_weight came with a sparse adjacency, which carries its own; give one of the two")
        if graph.layout == torch.sparse_coo:
            graph = coalesced(graph)
            # Not to_edge_index: the indices of a leaf that requires grad can only be had from its detached twin.
            rows_columns, values = graph.detach().indices(), graph.values()
        else:
            if not is_recording():
                _check_compressed(graph, num_nodes)
            rows_columns, values = to_edge_index(graph)
        if not is_recording():
            check_range("edge_index", "row or column", rows_columns, num_nodes)
        check_edge_weight(values, rows_columns)
        return rows_columns.flip(0), values
    if isinstance(graph, EdgeIndex):
        graph = graph.as_tensor()
    if not torch.compiler.is_compiling() and type(graph) is Tensor and torch._is_functional_tensor(graph):
        _check_functionalized()
    if graph.dim() != 2 or graph.size(0) != 2:
        remedy = ""
        if graph.dim() == 2 and graph.size(1) == 2:
            remedy = "; use edge_index.t()"
        elif graph.dim() == 2 and graph.size(0) == graph.size(1):
            remedy = "; of a dense adjacency, edge_index and edge_weight are torch_geometric.utils.dense_to_sparse's"
        raise ValueError(f"edge_index has shape {list(graph.shape)}; expected [2, E]: sources above targets{remedy}")
    if graph.dtype != torch.int64:
        raise ValueError(f"edge_index has type {graph.dtype}; expected torch.int64 node numbers: use edge_index.long()")
    if graph.numel() > 0 and not is_recording():
        low, high = (int(bound) for bound in torch.aminmax(graph))
        if low < 0 or high >= num_nodes:
            raise ValueError(f"edge_index holds node {low if low < 0 else high}; expected 0..{num_nodes - 1} for "
                             f"{num_nodes} nodes")  # fmt: skip
    if edge_weight is not None:
        check_edge_weight(edge_weight, graph)
    return graph, edge_weight


def _check_compressed(graph: Tensor, num_nodes: int) -> None:
    """Raises a ValueError unless a CSR or CSC adjacency holds what its pointers say."""
    shape, given = (num_nodes, num_nodes), graph.detach()
    if graph.layout == torch.sparse_csr:
        check_csr("edge_index", given.crow_indices(), given.col_indices(), given.values(), shape)
    elif graph.layout == torch.sparse_csc:
        check_csr("edge_index", given.ccol_indices(), given.row_indices(), given.values(), shape, line="col")


def check_edge_weight(edge_weight: Tensor, edge_index: Tensor) -> None:
    """Raises a ValueError unless there is one finite floating-point weight an edge, on the edges' device."""
    check_weight_form(edge_weight, edge_index)
    if not is_recording() and not bool(edge_weight.isfinite().all()):
        edge = int((~edge_weight.isfinite()).nonzero()[0])
        raise ValueError(f"edge_weight[{edge}]={float(edge_weight[edge])}; expected finite weights: "
                         "drop the edge or mend the value")  # fmt: skip


def check_weight_form(edge_weight: Tensor, edge_index: Tensor) -> None:
    """Raises a ValueError unless there is one floating-point weight an edge, on the edges' device."""
    if not isinstance(edge_weight, Tensor):
        raise ValueError(f"edge_weight is a {type(edge_weight).__name__}; expected a tensor [{edge_index.size(1)}], "
                         "one weight an edge: use torch.as_tensor(edge_weight)")  # fmt: skip
    if edge_weight.dim() != 1 or edge_weight.numel() != edge_index.size(1):
        raise ValueError(f"edge_weight has shape {list(edge_weight.shape)}; expected [{edge_index.size(1)}], "
                         "one weight an edge")  # fmt: skip
    check_dense(edge_weight, "edge_weight")
    if not edge_weight.is_floating_point():
        raise ValueError(f"edge_weight has type {edge_weight.dtype}; expected floating point: use edge_weight.float()")
    if edge_weight.device != edge_index.device:
        raise ValueError(f"edge_weight is on {edge_weight.device} and edge_index on {edge_index.device}; "
                         "move both to one device")  # fmt: skip


def _check_functionalized() -> None:
    """Raises a ValueError outside torch.func: a trace that holds a functional tensor reads foreign memory."""
    if torch._C._functorch.peek_interpreter_stack() is None:
        raise ValueError("edge_index is a functional tensor outside torch.func.functionalize; expected plain numbers")
