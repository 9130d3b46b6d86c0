"""The graphs whose reach is measured, their neighbourhoods by networkx, and graphs of the user's."""

from functools import lru_cache
from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np

from gnnseq.data import graph_files


def within(graph: nx.Graph, hops: int | None) -> np.ndarray:
    """Row v: the nodes from which v is reached in so many steps, or in any number, by networkx. [N, N]"""
    reached = distances(graph) >= 0
    return reached if hops is None else reached & (distances(graph) <= hops)


@lru_cache(maxsize=4)
def distances(graph: nx.Graph) -> np.ndarray:
    """Row v: the steps from each node to v, by networkx; -1 where there is no way. [N, N]"""
    steps = np.full((len(graph), len(graph)), -1, dtype=np.int32)
    for u, found in nx.all_pairs_shortest_path_length(graph):
        steps[list(found), u] = list(found.values())
    return steps


def focus(graph: nx.Graph) -> Any:
    """The node that pictures show: of most neighbours, and of these the most central in number."""
    return max(graph, key=lambda node: (graph.degree(node), -abs(node - len(graph) // 2)))


def five_graphs(quick: bool) -> dict[str, nx.Graph]:
    """Path, cycle, grid, tree and random graph, nodes 0 .. N - 1."""
    n, side, depth = (8, 3, 2) if quick else (36, 7, 4)
    grid = nx.grid_2d_graph(side, side)
    nx.set_node_attributes(grid, {at: at for at in grid}, "place")
    path, row = nx.path_graph(n), round(n**0.5)
    winding = {node: (node % row if node // row % 2 == 0 else row - 1 - node % row, -(node // row)) for node in path}
    nx.set_node_attributes(path, winding, "place")
    return {
        "path": path,
        "cycle": nx.cycle_graph(n),
        "grid": nx.convert_node_labels_to_integers(grid),
        "tree": nx.balanced_tree(2, depth),
        "random": nx.gnp_random_graph(n, 2.5 / n, seed=1),
    }


def acyclic_graphs(quick: bool) -> dict[str, nx.DiGraph]:
    """Path, tree with edges to its root, and random graph, directed and without cycles."""
    n, depth = (6, 2) if quick else (24, 3)
    random = nx.gnp_random_graph(n, 4 / n, seed=2)
    return {
        "path": nx.path_graph(n, create_using=nx.DiGraph),
        "tree": nx.balanced_tree(2, depth, create_using=nx.DiGraph).reverse(),
        "random DAG": nx.DiGraph({u: [v for v in random[u] if v > u] for u in random}),
    }


def drawing(graph: nx.Graph) -> dict[str, Any]:
    """What a picture of the graph needs: where its nodes are, its edges, and the node in focus."""
    place = nx.get_node_attributes(graph, "place")
    if len(place) < len(graph):
        plain, far = graph.to_undirected(), len(graph) ** 0.5
        away = {u: dict.fromkeys(graph, far) | to for u, to in nx.all_pairs_shortest_path_length(plain)}
        place = nx.kamada_kawai_layout(plain, dist=away)
    return {
        "places": [[round(float(at), 4) for at in place[node]] for node in graph],
        "edges": [list(edge) for edge in graph.edges()],
        "focus": focus(graph),
    }


def read_graph(path: Path, directed: bool, heading: bool | None = None) -> nx.Graph:
    """A graph file with its nodes renumbered 0 .. N - 1, their names kept as "name"; a ValueError if it is none."""
    try:
        graph = graph_files.read_graph(path, directed or None, heading, weights=False)
    except (FileNotFoundError, ValueError) as error:
        raise ValueError(f"--graph {error}") from error
    return nx.convert_node_labels_to_integers(graph, label_attribute="name")


def told(path: Path, graph: nx.Graph) -> str:
    """What was made of a graph file, in one line."""
    about = graph.graph
    heading = f", under the heading {', '.join(about['heading'])!r}" if about["heading"] else ""
    repeated = f", {about['merged']:,} more that repeat them" if about["merged"] else ""
    way = "directed" if graph.is_directed() else "undirected"
    size = f"{len(graph):,} nodes, {graph.number_of_edges():,} {way} edges{repeated}"
    return f"--graph {path}: {about['form']}{heading}: {size}"
