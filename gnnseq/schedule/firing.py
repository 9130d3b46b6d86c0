"""The fields of a schedule, computed from a graph's edges.

They are apart from the functions that users call, which make schedules of them, so that a schedule can be reversed
without knowing those functions.

Letters: N nodes, E edges.
"""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gnnseq.checks import as_array, whole
from gnnseq.graphs import as_edge_index
from gnnseq.schedule.edge_order import canonical_order
from gnnseq.schedule.levels import levels, path_heads

__all__ = ["fire_synchronously", "fire_topologically"]


def fire_topologically(
    edge_index: Tensor, num_nodes: int, edge_weight: Tensor | None, ptr: object = None
) -> dict[str, Any]:
    """The fields of :func:`gnnseq.topological`'s schedule."""
    num_nodes = whole(0, num_nodes=num_nodes)
    edge_index, edge_weight = as_edge_index(edge_index, num_nodes, edge_weight)
    device, edges = edge_index.device, as_array(edge_index, "edge_index")
    level = levels(edges, num_nodes)
    in_degree, out_degree = (np.bincount(edges[end], minlength=num_nodes) for end in (1, 0))
    starts, ends = (in_degree == 0).nonzero()[0], (out_degree == 0).nonzero()[0]
    lengths, passed = None, None
    empty = np.empty(0, dtype=np.int64) if ptr is None else _empty_graphs(ptr, edges, num_nodes)
    if edges.size == 0 or max(in_degree.max(), out_degree.max()) <= 1:
        # Paths: within a level the longest comes first, so that the living ones are always a prefix.
        head = path_heads(edges, num_nodes)
        size = np.bincount(head, minlength=num_nodes)
        rank = np.empty(num_nodes, dtype=np.int64)
        rank[starts[np.argsort(-size[starts], kind="stable")]] = np.arange(len(starts))
        order = np.lexsort((rank[head], level))
        tail = np.empty(num_nodes, dtype=np.int64)
        tail[head[ends]] = ends
        ends, places = tail[starts], np.searchsorted(starts, empty)
        lengths = tuple(np.insert(size[starts], places, 0).tolist())
        starts, ends = np.insert(starts, places, -1), np.insert(ends, places, -1)
    else:
        order = np.argsort(level, kind="stable")
        if len(empty) > 0:
            starts, ends = (np.insert(nodes, np.searchsorted(nodes, empty), -1) for nodes in (starts, ends))
            passed = np.zeros_like(ends)
            passed[ends < 0] = (starts < 0).nonzero()[0]
    place = np.empty(num_nodes, dtype=np.int64)
    place[order] = np.arange(num_nodes)
    sorting = canonical_order(place[edges], edge_weight).to(edge_index.device)
    return {
        "num_nodes": num_nodes,
        "edge_index": edge_index[:, sorting],
        "edge_weight": None if edge_weight is None else edge_weight[sorting],
        "edge_id": sorting,
        "order": None if bool((order == np.arange(num_nodes)).all()) else torch.from_numpy(order).to(device),
        "step_sizes": tuple(np.bincount(level).tolist()) if num_nodes else (),
        "edge_sizes": tuple(np.bincount(level[edges[1]], minlength=level.max() + 1).tolist()) if num_nodes else (),
        "starts": torch.from_numpy(starts).to(device),
        "ends": torch.from_numpy(ends).to(device),
        "lengths": lengths,
        "passed": None if passed is None else torch.from_numpy(passed).to(device),
    }


def _empty_graphs(ptr: object, edges: NDArray[np.int64], num_nodes: int) -> NDArray[np.int64]:
    """The node before which each graph without nodes stands, of graphs that are stored one after another."""
    bounds = np.asarray(ptr.cpu() if isinstance(ptr, Tensor) else ptr)
    if bounds.ndim != 1 or bounds.dtype.kind not in "iu":
        raise ValueError(f"ptr={ptr!r}; expected integers [graphs + 1], the node at which each graph begins and "
                         "num_nodes, as a Batch's ptr")  # fmt: skip
    bounds = bounds.astype(np.int64)
    if len(bounds) == 0 or bounds[0] != 0 or bounds[-1] != num_nodes or np.any(np.diff(bounds) < 0):
        raise ValueError(f"ptr={bounds.tolist()}; expected numbers from 0 to {num_nodes}, num_nodes, that never fall: "
                         "the node at which each graph begins")  # fmt: skip
    graph = np.searchsorted(bounds, edges, side="right") - 1
    crossing = (graph[0] != graph[1]).nonzero()[0]
    if len(crossing) > 0:
        (source, target), (one, other) = edges[:, crossing[0]], graph[:, crossing[0]]
        raise ValueError(f"edge_index has the edge {source} -> {target} from a node of graph {one} of ptr to one of "
                         f"graph {other}; expected edges within a graph: make trees' edges with tree_graph, a list of "
                         "parents for each, as a Batch shifts parents wrongly or not at all")  # fmt: skip
    empty: NDArray[np.int64] = bounds[:-1][np.diff(bounds) == 0]
    return empty


def fire_synchronously(edge_index: Tensor, num_nodes: int, rounds: int, edge_weight: Tensor | None) -> dict[str, Any]:
    """The fields of :func:`gnnseq.synchronous`'s schedule."""
    num_nodes, rounds = whole(0, num_nodes=num_nodes), _rounds(rounds)
    edge_index, edge_weight = as_edge_index(edge_index, num_nodes, edge_weight)
    sorting = canonical_order(as_array(edge_index, "edge_index"), edge_weight).to(edge_index.device)
    nodes = torch.arange(num_nodes, device=edge_index.device)
    return {
        "num_nodes": num_nodes,
        "edge_index": edge_index[:, sorting],
        "edge_weight": None if edge_weight is None else edge_weight[sorting],
        "edge_id": sorting,
        "order": None,
        "step_sizes": (num_nodes,),
        "edge_sizes": (edge_index.size(1),),
        "starts": nodes,
        "ends": nodes,
        "rounds": rounds,
    }


def _rounds(rounds: object) -> int:
    if isinstance(rounds, Tensor) and rounds.is_floating_point():
        raise ValueError(f"rounds={rounds!r}; expected an integer of 0 or more: weights of edges are by name, "
                         "edge_weight=")  # fmt: skip
    return whole(0, rounds=rounds)
