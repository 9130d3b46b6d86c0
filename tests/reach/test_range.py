"""How far what a node depends on is, on the average, is a mean over the whole graph, exactly."""

import networkx as nx
import numpy as np
import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.nn import GCNConv
from torch_geometric.utils import to_undirected
from torch_geometric.utils.influence import total_influence

from gnnseq import receptive_field, topological
from gnnseq.graphs import path_graph, tree_graph
from gnnseq.layers import GCN, GRU, LSTM


def by_definition(field):
    """Sums over pairs of nodes, one after another, with networkx's distances."""
    graph = nx.DiGraph([(int(u), int(v)) for v, u in zip(*field.edges.nonzero(), strict=True)])
    graph.add_nodes_from(range(field.edges.shape[0]))
    found = np.full(field.edges.shape[0], np.nan)
    for v, norms in zip(field.influence_nodes, field.pair_influence, strict=True):
        pairs = []
        for u in np.flatnonzero(norms):
            along = graph if nx.has_path(graph, u, v) else graph.to_undirected()
            if nx.has_path(along, u, v):
                pairs.append((norms[u], nx.shortest_path_length(along, u, v)))
        if pairs:
            found[v] = np.average([hops for _, hops in pairs], weights=[norm for norm, _ in pairs])
    return found


@pytest.mark.parametrize("bidirectional", [False, True])
def test_a_range_is_a_weighted_mean_of_distances(bidirectional):
    edges = torch.cat([tree_graph([2, 2, 4, 4, -1, 6, -1]).edge_index, torch.tensor([[0], [4]])], dim=1)
    layer = GRU(3, 4, bidirectional=bidirectional)  # whose second direction reads what lies ahead
    field = receptive_field(layer, torch.randn(8, 3), topological(edges, 8), influence_nodes=[0, 2, 4, 6, 7])
    np.testing.assert_allclose(field.range, by_definition(field), rtol=1e-12)
    assert np.isnan(field.range[[1, 3, 5]]).all()  # whose influence was not asked for
    assert (field.range[[0, 2, 4, 6, 7]] <= field.hops[[0, 2, 4, 6, 7]]).all()


class TwoLayers(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = torch.nn.ModuleList(GCNConv(1, 1) for _ in range(2))

    def forward(self, x, edge_index):
        for layer in self.layers:
            x = layer(x, edge_index)
        return x


def test_distances_go_along_the_edges():
    """Of the ends of a path, who both lead to one more node: against the edges they are two hops apart, not four."""
    edges = torch.tensor([[0, 1, 2, 3, 0, 4], [1, 2, 3, 4, 5, 5]])
    field = receptive_field(GRU(3, 4), torch.randn(6, 3), topological(edges, 6))
    np.testing.assert_allclose(field.range, by_definition(field), rtol=1e-12)
    influence = dict(zip(field.influence_nodes, field.pair_influence, strict=True))[4]
    assert field.range[4] == pytest.approx(np.average([4, 3, 2, 1, 0], weights=influence[:5]), rel=1e-12)


def test_torch_geometrics_estimate_is_the_same_once_it_sees_the_rim():
    edges = to_undirected(torch.randint(20, (2, 30)))
    module, x = TwoLayers(), torch.randn(20, 1)
    mean = receptive_field(module, x, edges).range.mean()
    estimates = [total_influence(module, Data(x=x, edge_index=edges), max_hops=hops)[1] for hops in (2, 3)]
    assert estimates[1] == pytest.approx(mean, rel=1e-5)
    assert abs(estimates[0] / mean - 1) > 0.01  # the model's own depth cuts neighbours off, and with them degrees


def test_a_memory_made_for_the_length_has_the_longer_range():
    edges, x = path_graph(40).edge_index, torch.randn(40, 2)
    torch.manual_seed(0)
    ranges = [receptive_field(layer, x, edges).range[-1] for layer in (GCN(2, 8), LSTM(2, 8))]
    ranges.append(receptive_field(LSTM(2, 8, init="chrono", time_scale=40), x, edges).range[-1])
    assert ranges[0] < ranges[1] < 3 < 6 < ranges[2]


def test_who_depends_on_nothing_has_no_range():
    field = receptive_field(torch.nn.Identity(), torch.ones(3, 1), path_graph(3).edge_index, call=lambda m, x, _: 0 * x)
    assert np.isnan(field.range).all()
