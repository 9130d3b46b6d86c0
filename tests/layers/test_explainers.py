"""Explainers: a mask reaches the edges that it was made for, and an explanation stays within the receptive field."""

from itertools import pairwise

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch_geometric.explain import CaptumExplainer, GNNExplainer, GraphMaskExplainer
from torch_geometric.explain.algorithm.utils import clear_masks, set_hetero_masks, set_masks
from torch_geometric.nn import GCNConv, HeteroConv
from torch_geometric.utils import add_remaining_self_loops, add_self_loops, coalesce

import reference
from explaining import explain
from gnnseq import packed_paths, synchronous, topological
from gnnseq.graphs import path_graph, tree_graph
from gnnseq.layers import GCN, GRU, LSTM, RNN, GatedGraph, RelationalGCN, TemporalGCN
from strategies import graphs

EXACT = {"rtol": 0, "atol": 1e-12}
T, F, H = 3, 2, 4


class Days(nn.Module):
    """A history [N, T * F] as explainers can mask it, through a TemporalGCN: the last step's outputs."""

    def __init__(self, order, repeated=False, masked=False):
        super().__init__()
        self.layer, self.repeated, self.masked = TemporalGCN(F, H, 1, order=order), repeated, masked

    def forward(self, x, edge_index):
        steps = x.view(-1, T, F).transpose(0, 1)
        given = [edge_index] * T if self.repeated else edge_index
        return self.layer(steps, given, mask=steps.new_ones(steps.shape[:2]).bool() if self.masked else None)[0][-1]


class Market(nn.Module):
    """An LSTM along each node's steps, then a GCN over relations, the way people write them."""

    def __init__(self, paths):
        super().__init__()
        self.paths, self.lstm, self.gcn = paths, LSTM(F, H), GCN(H, 1)

    def forward(self, x, edge_index):
        nodes = x.size(0)
        h, _ = self.lstm(x.view(nodes, T, F).transpose(0, 1).reshape(T * nodes, F), self.paths(nodes))
        return self.gcn(h[-nodes:], edge_index)


class Stack(nn.Module):
    def __init__(self, *layers, change=None):
        super().__init__()
        self.layers, self.change = nn.ModuleList(layers), change

    def forward(self, x, edge_index):
        for layer in self.layers:
            edges = edge_index if self.change is None else self.change(edge_index, x.size(0))
            x = torch.tanh(layer(x, edges))
        return x


class Rounds(nn.Module):
    def __init__(self, layer_type=GRU):
        super().__init__()
        self.layer = layer_type(T * F, H)

    def forward(self, x, edge_index):
        return self.layer(x, synchronous(edge_index, x.size(0), rounds=2))[0]


class Relations(nn.Module):
    def __init__(self, strength):
        super().__init__()
        self.layer = RelationalGCN(T * F, 1, strength)

    def forward(self, x, edge_index):
        return self.layer(x, edge_index, x.new_ones(edge_index.size(1), 1))


def listed_paths(nodes):
    """The steps of each node as edges [2, (T - 1) * N] that somebody listed."""
    return topological(packed_paths([T] * nodes).edge_index, T * nodes)


MODELS = {
    "time_then_space": lambda: Days("time_then_space"),
    "space_then_time": lambda: Days("space_then_time"),
    "space_time": lambda: Days("space_time"),
    "repeated": lambda: Days("time_then_space", repeated=True),
    "present nodes": lambda: Days("space_then_time", masked=True),
    "LSTM on packed paths, GCN": lambda: Market(lambda nodes: packed_paths([T] * nodes)),
    "LSTM on listed paths, GCN": lambda: Market(listed_paths),
    "GCNs": lambda: Stack(GCN(T * F, H), GCN(H, 1)),
    "GatedGraph": lambda: Stack(GatedGraph(T * F, num_rounds=2)),
    "GRU in rounds": Rounds,
    "RelationalGCN": lambda: Relations("explicit"),
}
EVERY_MODEL = pytest.mark.parametrize("model", MODELS.values(), ids=MODELS)


def simple(graph):
    """The graph without self-loops and parallel edges, in a listing of its own."""
    edges = graph.edge_index[:, graph.edge_index[0] != graph.edge_index[1]].unique(dim=1)
    return edges[:, torch.randperm(edges.size(1), generator=torch.Generator().manual_seed(graph.seed))]


@EVERY_MODEL
@settings(max_examples=4)
@given(graphs(min_nodes=2, max_nodes=6), st.data())
def test_an_explanation_lies_within_the_receptive_field(model, graph, data):
    torch.manual_seed(graph.seed)
    model, x, edges = model().double(), graph.features(T * F).requires_grad_(), simple(graph)
    node = data.draw(st.integers(0, graph.num_nodes - 1))
    y = model(x, edges)
    reach = torch.autograd.grad(y[node].sum(), x)[0].any(1)
    seen = reach[edges].all(0)
    mask = torch.ones(edges.size(1), dtype=torch.float64, requires_grad=True)
    set_masks(model, mask, edges, apply_sigmoid=False)
    masked = model(x, edges)
    torch.testing.assert_close(masked, y, **EXACT)
    (gradient,) = torch.autograd.grad(masked[node].sum(), mask, materialize_grads=True, allow_unused=True)
    assert not gradient[~seen].any()
    set_masks(model, mask.detach() * seen, edges, apply_sigmoid=False)  # what it does not see may as well be gone
    torch.testing.assert_close(model(x, edges)[node], y[node], **EXACT)
    clear_masks(model)
    torch.testing.assert_close(model(x, edges), y, **EXACT)


@pytest.mark.parametrize("name", [name for name in MODELS if name not in ("space_then_time", "GatedGraph")])
def test_an_explainer_leaves_nothing_on_impossible_edges(name):
    model, edges = MODELS[name](), path_graph(7, undirected=True).edge_index
    found = explain(model, GNNExplainer(epochs=2), torch.randn(7, T * F), edges, index=3).edge_mask
    hops = 2 if name in ("GCNs", "space_time") else 1
    near = (edges[1] - 3).abs() < hops
    assert not found[~near].any()
    assert found.any()


def dense(layer, x, mask, edges):
    """A graph convolution whose messages over edges, but not over self-loops, are multiplied by a mask."""
    nodes = x.size(0)
    A = reference.gcn_adjacency(edges, nodes)
    factor = torch.eye(nodes, dtype=x.dtype).index_put((edges[1], edges[0]), mask)
    return (A * factor) @ x @ layer.lin.weight.T + layer.bias


def along_time(lstm, x):
    """The last states of torch's own LSTM over the steps [N, T, F] of each node."""
    own = nn.LSTM(lstm.in_channels, H, batch_first=True).double()
    own.load_state_dict(lstm.state_dict())
    return own(x)[0][:, -1]


@pytest.mark.parametrize("name", [name for name in MODELS if "LSTM" in name or name in ("time_then_space", "repeated")])
@pytest.mark.parametrize("number", [2, 6, 9])  # fewer, as many, and more relations than edges along time, 6
def test_a_mask_of_relations_leaves_time_alone(name, number):
    nodes = 3 if number == 6 else 4
    edges = torch.tensor([[i, j] for i in range(nodes) for j in range(nodes) if i != j]).T[:, :number]
    model, x, mask = MODELS[name]().double(), torch.randn(nodes, T * F).double(), torch.rand(number).double()
    lstm, gcn = (model.layer.recurrence, model.layer.gcn) if isinstance(model, Days) else (model.lstm, model.gcn)
    set_masks(model, mask, edges, apply_sigmoid=False)
    expected = dense(gcn, along_time(lstm, x.view(nodes, T, F)), mask, edges)
    torch.testing.assert_close(model(x, edges), expected, **EXACT)


@pytest.mark.parametrize("order", ["time_then_space", "space_then_time", "space_time"])
@pytest.mark.parametrize("changing", [False, True])
@pytest.mark.parametrize("away", [False, True])
def test_a_mask_is_of_the_steps_that_have_its_graph(order, changing, away):
    """The second step's graph may be another one, as large; nodes may be away, and their edges with them."""
    layer, x = TemporalGCN(F, H, 1, order=order).double(), torch.randn(T, 4, F).double()
    edges, others = torch.tensor([[[0, 1, 2, 3, 0], [1, 2, 3, 0, 2]], [[1, 2, 0, 3, 3], [0, 3, 3, 2, 1]]])
    there = torch.tensor([[1, 1, 1, 0], [1, 1, 1, 1], [0, 1, 1, 1]]).bool() if away else torch.ones(T, 4).bool()
    lists, mask = [edges, others if changing else edges, edges], torch.rand(5).double()
    adjacencies = []
    for t, own in enumerate(lists):
        kept = there[t][own].all(0)
        factor = torch.ones(4, 4).double().index_put((own[1], own[0]), mask if own is edges else torch.ones(5).double())
        adjacencies.append(reference.gcn_adjacency(own[:, kept], 4) * factor)
    set_masks(layer, mask, edges, apply_sigmoid=False)
    expected, _, _ = reference.temporal_gcn(order, "LSTM", x, adjacencies, dict(layer.named_parameters()), 1, there)
    for listed in [lists] if changing else [lists, edges]:
        found, _ = layer(x, listed, mask=there if away else None)
        torch.testing.assert_close(found, expected, **EXACT)


def test_a_mask_is_of_one_of_two_graphs_of_a_model():
    """Both have as many edges and no self-loops, so neither number nor loops tell which is meant."""
    edges, others = torch.tensor([[0, 1, 2], [1, 2, 3]]), torch.tensor([[3, 1, 0], [1, 0, 2]])

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = GCN(2, 3), GCN(3, 1)

        def forward(self, x, edge_index):
            return self.second(self.first(x, edge_index), others)

    model, x, mask = Two().double(), torch.randn(4, 2).double(), torch.rand(3).double()
    set_masks(model, mask, edges, apply_sigmoid=False)
    expected = model.second(dense(model.first, x, mask, edges), others)
    found = model(x, edges)
    clear_masks(model)
    torch.testing.assert_close(found, expected, **EXACT)
    torch.testing.assert_close(expected, model.second(dense(model.first, x, mask, edges), others), **EXACT)


CHANGES = {
    "nothing": lambda edges, nodes: edges,
    "self-loops added": lambda edges, nodes: add_self_loops(edges, num_nodes=nodes)[0],
    "self-loops completed": lambda edges, nodes: add_remaining_self_loops(edges, num_nodes=nodes)[0],
    "sorted": lambda edges, nodes: coalesce(edges),
    "sparse": lambda edges, nodes: torch.sparse_coo_tensor(
        edges.flip(0), torch.ones(edges.size(1)).double(), (nodes, nodes)
    ).coalesce(),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("loop", [False, True])
def test_a_mask_follows_the_edges_that_a_model_relists(change, loop):
    edges = torch.tensor([[3, 0, 1, 2, 0], [0, 1, 2, 3, 2]])
    listed = torch.cat([edges[:, :2], torch.tensor([[2], [2]]), edges[:, 2:]], dim=1) if loop else edges
    model, x, mask = Stack(GCN(2, 1), change=change).double(), torch.randn(4, 2).double(), torch.rand(5 + loop).double()
    set_masks(model, mask, listed, apply_sigmoid=False)
    kept = torch.cat([mask[:2], mask[3:]]) if loop else mask
    torch.testing.assert_close(model(x, listed), torch.tanh(dense(model.layers[0], x, kept, edges)), **EXACT)


@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
def test_a_mask_is_of_a_trees_edges_however_they_are_swept(layer_type):
    """The edge_index, its schedule and that schedule on reversed edges have one list of edges."""
    edges, mask = tree_graph([2, 2, 5, 5, 5, -1]).edge_index, torch.rand(5).double()
    layer, x = layer_type(2, 3).double(), torch.randn(6, 2).double()
    for make in (lambda weight: topological(edges, 6, weight), lambda weight: topological(edges, 6, weight).reversed):
        expected, _ = layer(x, make(mask))
        set_masks(layer, mask, edges, apply_sigmoid=False)
        torch.testing.assert_close(layer(x, make(None))[0], expected, **EXACT)
        set_masks(layer, mask, edges + 1, apply_sigmoid=False)
        masked, _ = layer(x, make(None))
        clear_masks(layer)
        torch.testing.assert_close(masked, layer(x, make(None))[0], **EXACT)


def test_masks_of_heterogeneous_edges():
    own, other = torch.tensor([[0, 1, 2], [1, 2, 0]]), torch.tensor([[2, 0, 1], [1, 2, 0]])
    edges = {("stock", "owns", "stock"): own, ("stock", "supplies", "stock"): other}
    model = HeteroConv({kind: GCN(2, 1) for kind in edges}).double()
    x, masks = torch.randn(3, 2).double(), {kind: torch.rand(3).double() for kind in edges}
    set_hetero_masks(model, masks, edges, apply_sigmoid=False)
    expected = sum(dense(model.convs[kind], x, masks[kind], edges[kind]) for kind in edges)
    torch.testing.assert_close(model({"stock": x}, edges)["stock"], expected, **EXACT)


def test_a_mask_set_by_hand_is_believed_and_a_missing_one_is_an_error():
    edges, mask = torch.tensor([[0, 1], [1, 2]]), torch.tensor([0.25, 0.5]).double()
    layer, x = GCN(2, 1).double(), torch.randn(3, 2).double()
    layer.explain = True
    with pytest.raises(ValueError, match="explain is True and no mask is set"):
        layer(x, edges)
    layer._edge_mask, layer._apply_sigmoid = mask, False
    torch.testing.assert_close(layer(x, edges), dense(layer, x, mask, edges), **EXACT)


def twins(*channels):
    """The same network of GCN and of GCNConv."""
    nets = [Stack(*(kind(a, b) for a, b in pairwise(channels))) for kind in (GCN, GCNConv)]
    nets[1].load_state_dict(nets[0].state_dict())
    return nets


@pytest.mark.parametrize("channels", [(3, 8), (8, 3), (4, 4, 4)])
def test_graph_mask_explainer_finds_what_it_finds_of_gcnconv(channels):
    x, edges, found = torch.randn(6, channels[0]), path_graph(6, undirected=True).edge_index, []
    for net in twins(*channels):
        torch.manual_seed(1)
        algorithm = GraphMaskExplainer(len(channels) - 1, epochs=3, log=False)
        found.append(explain(net, algorithm, x, edges, index=2, node_mask_type="attributes"))
    torch.testing.assert_close(found[0].edge_mask, found[1].edge_mask)
    torch.testing.assert_close(found[0].node_mask, found[1].node_mask)


@pytest.mark.parametrize("channels", [(3, 8), (8, 3), (4, 4)])
def test_a_hook_sees_the_messages_of_gcnconv(channels):
    seen, edges = [], path_graph(6, undirected=True).edge_index
    for net in twins(*channels):
        net.double().layers[0].register_message_forward_hook(lambda _module, _inputs, out: seen.append(out))
        net(torch.ones(6, channels[0]).double().cumsum(0), edges)
    torch.testing.assert_close(*seen, **EXACT)


def test_captum_credits_relations_alone():
    """An LSTM and a linear readout: integrated gradients of the relations are their messages, time gets nothing."""
    model, x = Market(lambda nodes: packed_paths([T] * nodes)).double(), torch.randn(3, T * F).double()
    edges = torch.tensor([[0, 1, 2, 0, 1, 2], [1, 2, 0, 2, 0, 1]])
    found = explain(model, CaptumExplainer("IntegratedGradients", n_steps=5), x, edges, index=1).edge_mask
    message = reference.gcn_adjacency(edges, 3)[1] * (along_time(model.lstm, x.view(3, T, F)) @ model.gcn.lin.weight[0])
    expected = torch.where(edges[1] == 1, message[edges[0]], 0.0).detach()
    # Integrated gradients are a quadrature that sums its weights to 1 in float32.
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
