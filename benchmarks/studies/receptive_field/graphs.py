"""The graphs whose reach is measured, their neighbourhoods by networkx, and graphs of the user's."""

from pathlib import Path
from typing import Any

import networkx as nx
import numpy as np


def within(graph: nx.Graph, hops: int | None) -> np.ndarray:
    """Row v: the nodes from which v is reached in so many steps, or in any number, by networkx. [N, N]"""
    reach = np.zeros((len(graph), len(graph)), dtype=bool)
    for u, distances in nx.all_pairs_shortest_path_length(graph, cutoff=hops):
        reach[list(distances), u] = True
    return reach


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


def read_graph(path: Path, directed: bool) -> nx.Graph:
    """A graph file with its nodes renumbered 0 .. N - 1, their names kept as "name"; a ValueError if it is none."""
    if not path.is_file():
        raise ValueError(f"--graph {path}: no such file")
    if path.suffix.lower() == ".graphml":
        try:
            graph = nx.read_graphml(path)
        except Exception as error:  # the XML parser's, networkx's and a dozen of Python's
            raise ValueError(f"--graph {path}: {str(error) or type(error).__name__}; expected GraphML") from error
    else:
        graph = (nx.DiGraph if directed else nx.Graph)(_pairs(path))
    if len(graph) == 0:
        raise ValueError(f"--graph {path}: no nodes; expected one edge a line: two names, blank or comma between")
    plain = nx.DiGraph(graph) if graph.is_directed() else nx.Graph(graph)  # several edges between two nodes are one
    return nx.convert_node_labels_to_integers(plain, label_attribute="name")


def _pairs(path: Path) -> list[tuple[str, str]]:
    """The edges of a text file; a third column, a weight, is passed over."""
    try:
        text = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(f"--graph {path}: not text ({error}); name a GraphML file .graphml") from error
    pairs = []
    for number, line in enumerate(text.splitlines(), start=1):
        fields = line.partition("#")[0].replace(",", " ").split()
        if len(fields) not in (0, 2, 3):
            raise ValueError(
                f"--graph {path}, line {number}: {line.strip()[:60]!r} is no edge; expected two names, blank or comma "
                "between, then a weight or nothing"
            )
        if fields:
            pairs.append((fields[0], fields[1]))
    return pairs
