"""Where nodes are drawn: what a graph is can be seen, and it is the same at every call."""

import networkx as nx
import numpy as np
import pytest

from gnnseq.reach.hops import adjacency
from gnnseq.reach.page.layout import place_nodes

GRAPHS = {
    "one": nx.empty_graph(1),
    "alone": nx.empty_graph(5),
    "two": nx.path_graph(2),
    "loops": nx.Graph([(0, 0), (0, 1), (1, 1)]),
    "path": nx.path_graph(30),
    "cycle": nx.cycle_graph(30),
    "tree": nx.balanced_tree(2, 4),
    "star": nx.star_graph(60),
    "complete": nx.complete_graph(12),
    "grid": nx.convert_node_labels_to_integers(nx.grid_2d_graph(12, 12)),
    "random": nx.gnp_random_graph(200, 0.008, seed=0),
}


def placed(graph):
    edges = np.array(list(graph.edges()), dtype=np.int64).reshape(-1, 2).T
    return place_nodes(adjacency(edges, len(graph)))


def lengths(graph, places):
    return np.array([np.hypot(*(places[u] - places[v])) for u, v in graph.edges()])


@pytest.mark.parametrize("name", GRAPHS)
def test_all_are_in_the_square_apart_and_the_same_again(name):
    places = placed(GRAPHS[name])
    assert places.shape == (len(GRAPHS[name]), 2)
    assert np.isfinite(places).all()
    assert places.min() > -1e-9
    assert places.max() < 1 + 1e-9
    np.testing.assert_array_equal(places, placed(GRAPHS[name]))
    apart = np.hypot(*(places[:, None] - places).transpose(2, 0, 1)) + np.eye(len(places))
    assert apart.min() > 0.2 / len(places)


@pytest.mark.parametrize("name", ["path", "cycle"])
def test_steps_of_paths_and_cycles_are_of_one_length(name):
    steps = lengths(GRAPHS[name], placed(GRAPHS[name]))
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)


def test_a_tree_has_layers_its_root_at_the_top():
    tree = GRAPHS["tree"]
    heights = placed(tree)[:, 1]
    depth = nx.single_source_shortest_path_length(tree, 0)
    layers = {depth[v]: heights[v] for v in tree}
    assert all(heights[v] == layers[depth[v]] for v in tree)
    assert sorted(layers.values(), reverse=True) == [layers[d] for d in sorted(layers)]
    assert np.argmax(heights) == 0


def test_the_root_is_where_edges_lead_to():
    edges = np.array([[0, 1, 2, 3, 4], [4, 4, 4, 5, 5]])  # 5 at the top
    assert place_nodes(adjacency(edges, 6))[:, 1].argmax() == 5


def test_a_grid_keeps_its_distances():
    grid = GRAPHS["grid"]
    places = placed(grid)
    steps = lengths(grid, places)
    assert steps.max() < 2 * steps.min()
    assert np.hypot(*(places[0] - places[-1])) > 0.8  # its corners are far apart
