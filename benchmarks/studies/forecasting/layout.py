"""Where the nodes of an epidemic's graph are drawn."""

from typing import Any

import networkx as nx
import numpy as np

from gnnseq.data.epidemics import Epidemic

LINKS = 2  # strongest of every node that are drawn where the graph changes
# A layout knows no compass. These lie in the west, the east, the north and the south of Hungary.
COMPASS = ("Vas", "Szabolcs", "Borsod", "Baranya")


def layout(epidemic: Epidemic) -> dict[str, Any]:
    """Names, places and undirected links of the nodes: JSON values, so that a figure needs no data.

    Where edges have weights, those of all steps are added up, and a node is drawn with its strongest links and those
    of a spanning tree. Nodes apart from the largest connected part stand in a row below it.
    """
    graph = nx.empty_graph(len(epidemic.nodes))
    for edge_index, edge_weight in epidemic.graphs:
        weights = [1.0] * edge_index.size(1) if edge_weight is None else edge_weight.tolist()
        for source, target, weight in zip(*edge_index.tolist(), weights, strict=True):
            if source != target:
                before = graph.get_edge_data(source, target, {"weight": 0.0})["weight"]
                graph.add_edge(source, target, weight=before + weight)
    if any(weight is not None for _, weight in epidemic.graphs):
        strong = list(nx.maximum_spanning_edges(graph, data=False))
        for node in graph:
            strong += sorted(graph.edges(node), key=lambda edge: -graph.edges[edge]["weight"])[:LINKS]
        graph = nx.create_empty_copy(graph)
        graph.add_edges_from(strong)
    whole = graph.subgraph(max(nx.connected_components(graph), key=len))
    places = nx.kamada_kawai_layout(whole, weight=None, pos=nx.circular_layout(sorted(whole)))
    apart = sorted(set(graph) - set(whole))
    places |= {node: np.array([-0.6 + 0.1 * place, -0.95]) for place, node in enumerate(apart)}
    xy = np.array([places[node] for node in graph])
    if set(COMPASS) <= set(epidemic.nodes):
        west, east, north, south = (xy[epidemic.nodes.index(name)] for name in COMPASS)
        across = (east - west) / np.linalg.norm(east - west)
        up = np.array([-across[1], across[0]])
        xy = xy @ np.column_stack([across, up * np.sign((north - south) @ up)])
    links = sorted(sorted(edge) for edge in graph.edges)
    return {"nodes": list(epidemic.nodes), "places": xy.round(3).tolist(), "links": links}
