"""Receptive fields: theorems against networkx, modules of every kind, and the promise to leave the caller's alone."""

import copy
import random

import networkx as nx
import numpy as np
import pytest
import torch
import torch_geometric.nn as pyg
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional

from gnnseq import receptive_field, synchronous, topological
from gnnseq.graphs import path_graph
from gnnseq.layers import GCN, GRU, LSTM, RNN
from gnnseq.reach import jacobian as jacobian_module
from strategies import dags, graphs

N, F = 12, 4
PATH = path_graph(N, undirected=True).edge_index


class Model(nn.Module):
    """A forward pass written as a function of its parts."""

    def __init__(self, forward, *parts):
        super().__init__()
        self.parts = nn.ModuleList(parts)
        self.function = forward

    def forward(self, x, edge_index):
        return self.function(x, edge_index, *self.parts)


def two_layers(kind=pyg.GCNConv, activation=torch.tanh, hidden=8):
    return Model(lambda x, e, a, b: b(activation(a(x, e)), e), kind(F, hidden), kind(hidden, 3))


def within(edge_index, num_nodes, hops):
    """Row v: the nodes from which v is reached in so many steps, by networkx."""
    graph = nx.DiGraph(edge_index.t().tolist())
    graph.add_nodes_from(range(num_nodes))
    reach = np.zeros((num_nodes, num_nodes), dtype=bool)
    for u, distances in nx.all_pairs_shortest_path_length(graph, cutoff=hops):
        reach[list(distances), u] = True
    return reach


def assert_reach(field, expected, **attributes):
    np.testing.assert_array_equal(field.reach.toarray(), expected)
    assert {name: getattr(field, name) for name in attributes} == attributes


# Theorems


@given(graphs(), st.integers(1, 3), st.booleans())
def test_k_layers_of_gcn_reach_exactly_k_hops(graph, k, use_structure):
    stack = Model(
        lambda x, e, *all: [x := layer(x, e).tanh() for layer in all][-1], *(GCN(F, F) for _ in range(k))
    ).double()
    field = receptive_field(stack, graph.features(F), graph.edge_index, use_structure=use_structure)
    assert_reach(field, within(graph.edge_index, graph.num_nodes, k), certain=True, unconnected=0)
    assert field.method == ("structure" if use_structure else "gradients")
    assert len(field.influence) == field.hops.max() + 1


@settings(max_examples=12)
@given(dags(), st.sampled_from([RNN, LSTM, GRU]), st.booleans())
def test_a_sweep_reaches_all_ancestors_and_nothing_else(graph, kind, use_structure):
    field = receptive_field(kind(F, 3).double(), graph.features(F), graph.edge_index, use_structure=use_structure)
    assert_reach(field, within(graph.edge_index, graph.num_nodes, None), certain=True)


@settings(max_examples=8)
@given(graphs(max_nodes=7), st.integers(1, 3), st.booleans())
def test_k_rounds_from_zero_reach_k_minus_1_hops(graph, k, use_structure):
    schedule = synchronous(graph.edge_index, graph.num_nodes, rounds=k)
    field = receptive_field(LSTM(F, 3).double(), graph.features(F), schedule, use_structure=use_structure)
    assert_reach(field, within(graph.edge_index, graph.num_nodes, k - 1), certain=True)


def test_hops_and_influence_of_a_path_by_hand():
    """Linear and without self-loops: out_v = 3 x_{v-1}, so the only block is 3 at distance 1."""
    layer = GCN(1, 1, normalize=False, bias=False)
    nn.init.constant_(layer.lin.weight, 3.0)
    field = receptive_field(layer, torch.ones(4, 1), path_graph(4).edge_index)
    assert field.hops.tolist() == [-1, 1, 1, 1]
    assert field.influence.tolist() == [0.0, 3.0]
    assert field.influence_nodes.tolist() == [0, 1, 2, 3]


def test_against_direction_distance_ignores_direction():
    field = receptive_field(LSTM(F, 2, bidirectional=True), torch.randn(5, F), path_graph(5).edge_index)
    assert field.hops.tolist() == [4, 3, 2, 3, 4]
    assert (field.influence > 0).all()


def test_pairs_without_a_path_are_counted_apart():
    field = receptive_field(Model(lambda x, e: x.cumsum(0)), torch.randn(3, F), torch.tensor([[0], [1]]))
    assert_reach(field, np.tril(np.ones((3, 3), dtype=bool)), unconnected=2)
    assert field.hops.tolist() == [0, 1, 0]


def test_torch_geometric_layers_reach_what_their_equations_say():
    x, within_hops = torch.randn(N, F), {hops: within(PATH, N, hops) for hops in (1, 2, 3, 4)}
    for layer, hops in [(pyg.ChebConv(F, 3, K=4), 3), (pyg.APPNP(4, 0.1), 4), (pyg.GatedGraphConv(6, 3), 3),
                        (pyg.GATConv(F, 3, heads=2), 1), (pyg.SAGEConv(F, 3, aggr="max"), 1)]:  # fmt: skip
        assert_reach(receptive_field(layer, x, PATH), within_hops[hops], method="gradients", certain=True)


# Random zeros


@pytest.mark.parametrize("kind", [GCN, pyg.GCNConv])
@pytest.mark.parametrize("bias", [-1.0, -1e3])
def test_units_that_are_off_do_not_hide_a_node(kind, bias):
    model = two_layers(kind, torch.relu)
    nn.init.constant_(model.parts[0].bias, bias)
    field = receptive_field(model, torch.rand(N, F) * 1e-3, PATH)
    assert field.influence.max() == 0.0, "every unit is off at this x"
    assert_reach(field, within(PATH, N, 2), certain=True)


def test_saturated_units_do_not_hide_a_node():
    model = two_layers()
    with torch.no_grad():
        model.parts[0].lin.weight.mul_(1e6)
    assert_reach(receptive_field(model, torch.randn(N, F), PATH), within(PATH, N, 2), certain=True)


@pytest.mark.parametrize("seed", range(5))
def test_narrow_networks_with_relu_are_never_wrong_and_certain(seed):
    torch.manual_seed(seed)
    model = two_layers(activation=torch.relu, hidden=1)
    field = receptive_field(model, torch.randn(N, F), PATH)
    assert not field.certain or (field.reach.toarray() == within(PATH, N, 2)).all()


def test_a_fading_derivative_still_reaches():
    length = 700  # 0.3^700 is below the smallest float64
    layer = RNN(1, 1)
    for name, weight in layer.named_parameters():
        nn.init.constant_(weight, 0.3 if "hh" in name else 1.0)
    field = receptive_field(layer, torch.zeros(length, 1), path_graph(length).edge_index, influence_nodes=[length - 1])
    assert field.influence[-1] == 0.0
    assert (field.method, field.certain, field.hops[-1]) == ("structure", True, length - 1)


# What structure cannot see


@pytest.mark.parametrize("use_structure", [True, False])
@pytest.mark.parametrize(
    ("forward", "hops"),
    [
        (lambda x, e, a: a(x, e) - a(x, e), None),
        (lambda x, e, a: (a(x, e) * 1.0).relu() - a(x, e).relu() + x[:, :3], 0),
    ],
)
def test_weights_and_terms_that_cancel_are_found(forward, hops, use_structure):
    field = receptive_field(Model(forward, GCN(F, 3)), torch.randn(N, F), PATH, use_structure=use_structure)
    expected = np.zeros((N, N), dtype=bool) if hops is None else within(PATH, N, hops)
    assert_reach(field, expected, certain=False, method="gradients")
    np.testing.assert_array_equal(field.possible.toarray(), within(PATH, N, 1))


def test_one_node_at_which_terms_cancel_is_found():
    """What a convolution adds to a node's own features, which is nothing where the node is alone."""
    model = Model(lambda x, e, a: a(x, e) - a.lin(x), GCN(F, 3))
    alone = path_graph(N - 1, undirected=True).edge_index
    expected = within(alone, N, 1) & ~np.diag(np.arange(N) == N - 1)
    assert_reach(receptive_field(model, torch.randn(N, F), alone, influence_nodes=[0]), expected, certain=False)


def test_a_layer_without_weight_reaches_nothing():
    layer = GCN(F, 3)
    nn.init.zeros_(layer.lin.weight)
    assert_reach(receptive_field(layer, torch.randn(N, F), PATH), np.zeros((N, N), dtype=bool), certain=False)


def test_whole_graph_operations_reach_everything():
    for forward in (lambda x, e, a: a(x, e) + x.mean(), lambda x, e, a: a(x, e).softmax(dim=0)):
        model = Model(forward, GCN(F, 3))
        assert_reach(receptive_field(model, torch.randn(N, F), PATH), np.ones((N, N), dtype=bool), certain=True)


def test_a_dense_matrix_of_zeros_leaves_doubt_where_only_numbers_tell():
    adjacency = torch.from_numpy(within(PATH, N, 1)).float()
    model = Model(lambda x, e: (adjacency + 0 * x.sum()) @ x)
    assert_reach(receptive_field(model, torch.randn(N, F), PATH), within(PATH, N, 1), certain=False)


def test_thresholds_are_not_certain():
    field = receptive_field(Model(lambda x, e, a: x * (a(x, e) > 0), GCN(F, F)), torch.randn(N, F), PATH)
    assert_reach(field, within(PATH, N, 0), certain=False)
    assert "NaN is swallowed" in repr(field)


@pytest.mark.parametrize("seed", range(8))
def test_edges_dropped_at_random_are_not_certain(seed):
    def forward(x, e):
        kept = e[:, torch.rand(e.size(1)) < 0.5]
        return x.index_add(0, kept[1], x[kept[0]])

    torch.manual_seed(seed)
    assert not receptive_field(Model(forward), torch.randn(2, F), torch.tensor([[0], [1]])).certain


class OutOfSight(torch.autograd.Function):
    """Sums over all nodes in NumPy, where no operation is seen and NaN counts as 0."""

    @staticmethod
    def forward(ctx, x):
        return torch.from_numpy(np.nansum(x.detach().numpy(), axis=0, keepdims=True).repeat(len(x), axis=0))

    @staticmethod
    def backward(ctx, grad):
        return grad.sum(0, keepdim=True).expand_as(grad)


def test_derivatives_are_believed_where_nan_was_swallowed_unseen():
    field = receptive_field(Model(lambda x, e: OutOfSight.apply(x)), torch.randn(N, F), PATH, influence_nodes=1)
    assert_reach(field, np.ones((N, N), dtype=bool), certain=False)


class Wrong(GCN):
    def reach(self, edge_index, num_nodes):
        return super().reach(edge_index[:, 1:], num_nodes)


def test_a_structure_that_derivatives_contradict_is_an_error():
    with pytest.raises(
        RuntimeError, match=r"by structure output \d+ does not depend on input \d+, by a derivative it does"
    ):
        receptive_field(Wrong(F, 3), torch.randn(N, F), PATH)


# The caller's things


class Restless(nn.Module):
    """Everything that could leave a trace: modes, buffers, gradients, random numbers."""

    def __init__(self):
        super().__init__()
        self.layer, self.norm = GCN(F, F), nn.BatchNorm1d(F)
        self.register_buffer("calls", torch.zeros(()))

    def forward(self, x, edge_index):
        self.calls += 1
        noise = random.random() + np.random.random()  # noqa: NPY002
        return functional.dropout(self.norm(self.layer(x, edge_index)), 0.5, self.training) + 0 * noise


class Uncopyable(Restless):
    def __deepcopy__(self, memo):
        raise TypeError("not this one")


@pytest.mark.parametrize("kind", [Restless, Uncopyable])
def test_nothing_of_the_callers_changes(kind):
    model, x = kind(), torch.randn(N, F, requires_grad=True)
    model.norm.eval()
    model(x, PATH).sum().backward()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    grads = [weight.grad.clone() for weight in (*model.parameters(), x)]
    modes = [part.training for part in model.modules()]
    states = torch.random.get_rng_state(), random.getstate(), np.random.get_state()[2]  # noqa: NPY002
    field = receptive_field(model, x, PATH)
    assert_reach(field, within(PATH, N, 1), certain=True)
    assert [part.training for part in model.modules()] == modes
    assert all(value.equal(before[name]) for name, value in model.state_dict().items())
    assert all(weight.grad.equal(grad) for weight, grad in zip((*model.parameters(), x), grads, strict=True))
    assert all(weight.requires_grad for weight in model.parameters())
    assert torch.random.get_rng_state().equal(states[0])
    assert random.getstate() == states[1]
    assert np.random.get_state()[2] == states[2]  # noqa: NPY002


def test_inference_mode_does_not_matter():
    with torch.inference_mode():
        field = receptive_field(two_layers(), torch.randn(N, F), PATH)
    assert_reach(field, within(PATH, N, 2), certain=True)


def test_the_same_seed_gives_the_same_field():
    x = torch.randn(N, F)
    one, two = (receptive_field(copy.deepcopy(two_layers()), x, PATH, influence_nodes=3, seed=5) for _ in range(2))
    assert one.influence_nodes.tolist() == two.influence_nodes.tolist()


# Ways to call


def test_output_is_the_first_of_a_tuple_or_what_call_picks():
    x, edge_index = torch.randn(N, F), path_graph(N).edge_index
    ancestors = within(edge_index, N, None)
    assert_reach(receptive_field(RNN(F, 3), x, edge_index), ancestors)
    native = nn.LSTM(F, 3)
    field = receptive_field(native, x, edge_index, call=lambda module, x, e: module(x.unsqueeze(1))[0].squeeze(1))
    assert_reach(field, ancestors, certain=True)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_precision(dtype):
    assert_reach(receptive_field(GCN(F, 3).to(dtype), torch.randn(N, F).to(dtype), PATH), within(PATH, N, 1))


def test_every_form_of_a_graph():
    x, edge_index = torch.randn(N, F), path_graph(N).edge_index
    sparse = torch.zeros(N, N).index_put(tuple(edge_index.flip(0)), torch.tensor(1.0)).to_sparse()
    assert_reach(receptive_field(GCN(F, 3), x, sparse), within(edge_index, N, 1), certain=True)
    assert_reach(receptive_field(RNN(F, 3), x, topological(edge_index, N)), within(edge_index, N, None), certain=True)


def test_modules_that_cannot_be_converted_are_measured_as_they_are():
    constant = torch.ones(F)  # stays float32
    model = Model(lambda x, e, a: torch.addmv(x[:, 0], a(x, e), constant).unsqueeze(1), GCN(F, F))
    assert_reach(receptive_field(model, torch.randn(N, F), PATH), within(PATH, N, 1), certain=True)


def test_lazy_parameters_get_their_shapes():
    assert_reach(receptive_field(pyg.GCNConv(-1, 3), torch.randn(N, F), PATH), within(PATH, N, 1), certain=True)


@pytest.mark.parametrize("num_nodes", [0, 1])
def test_empty_and_single_node_graphs(num_nodes):
    none = torch.empty(2, 0, dtype=torch.long)
    field = receptive_field(two_layers(), torch.randn(num_nodes, F), none)
    assert_reach(field, np.eye(num_nodes, dtype=bool), certain=True)
    assert field.hops.tolist() == [0] * num_nodes
    assert field.influence.shape == (num_nodes,)


def test_features_may_have_more_dimensions():
    field = receptive_field(Model(lambda x, e: x.cumsum(0)), torch.randn(N, 2, 3), PATH)
    assert_reach(field, np.tril(np.ones((N, N), dtype=bool)), certain=True)


def test_influence_nodes_can_be_chosen_or_counted():
    x = torch.randn(N, F)
    full = receptive_field(two_layers(GCN), x, PATH)
    assert full.influence_nodes.tolist() == list(range(N))
    assert receptive_field(two_layers(GCN), x, PATH, influence_nodes=[5, 2]).influence_nodes.tolist() == [2, 5]
    assert len(receptive_field(two_layers(GCN), x, PATH, influence_nodes=5).influence_nodes) == 5


def test_memory_is_bounded_by_the_chunk(monkeypatch):
    """Three layers on as many nodes as Cora has, with fewer features; the bound is 1 MiB a chunk."""
    monkeypatch.setattr(jacobian_module, "CHUNK_BYTES", 2**20)
    random_graph = nx.gnm_random_graph(2708, 5278, seed=0)
    edge_index = torch.tensor(list(random_graph.edges)).t()
    edge_index = torch.cat([edge_index, edge_index.flip(0)], dim=1)
    model = Model(lambda x, e, a, b, c: c(b(a(x, e).relu(), e).relu(), e), GCN(16, 16), GCN(16, 16), GCN(16, 7))
    field = receptive_field(model, torch.randn(2708, 16), edge_index, influence_nodes=4)
    assert_reach(field, within(edge_index, 2708, 3), certain=True, method="structure")


# Bad input


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"x": torch.ones(N, F, dtype=torch.long)}, "x is torch.int64; expected floating-point"),
        ({"x": torch.ones(N)}, r"x has shape \[12\]; expected \[N, F\]"),
        ({"x": torch.full((N, F), torch.nan)}, "x has NaN or infinity at node 0"),
        ({"x": torch.ones(N - 1, F)}, r"edge_index holds node 11; expected 0\.\.10"),
        ({"edge_index": topological(path_graph(3).edge_index, 3)}, "schedule of 3 nodes and x has 12 rows"),
        ({"influence_nodes": 0}, r"influence_nodes=0; expected 1\.\.12 nodes"),
        ({"influence_nodes": 13}, r"influence_nodes=13; expected 1\.\.12 nodes"),
        ({"influence_nodes": [3, 12]}, r"influence_nodes=\[3, 12\]; expected one or more of the nodes 0\.\.11"),
        ({"influence_nodes": []}, r"influence_nodes=\[\]; expected one or more"),
        ({"call": lambda module, x, e: module(x, e).sum(0)}, r"module returns shape \[3\]; expected \[12, C\]"),
        ({"call": lambda module, x, e: module(x, e)[:, :0]}, r"module returns shape \[12, 0\]; expected \[12, C\]"),
        ({"call": lambda module, x, e: module(x, e).argmax(1)}, "module returns torch.int64, which has no derivative"),
        ({"call": lambda module, x, e: {"h": module(x, e)}}, "module returns a dict; expected a tensor"),
        ({"call": lambda module, x, e: module(x, e).detach()}, "carries no gradient"),
        ({"call": lambda module, x, e: (module(x, e) - 1e9).log()}, "module's output is NaN or infinite at 12 of 12"),
        (
            {"call": lambda module, x, e: module(x, e).index_fill(0, torch.tensor([3]), torch.inf)},
            "infinite at 1 of 12 nodes, the first of which is 3, though x is finite",
        ),
    ],
)
def test_errors_say_what_came_and_what_is_expected(change, message):
    arguments = {"x": torch.randn(N, F), "edge_index": PATH} | change
    with pytest.raises(ValueError, match=message):
        receptive_field(GCN(F, 3), **arguments)


# Output


def test_influence_is_the_mean_of_what_is_kept_of_pairs():
    module, x = two_layers(GCN), torch.randn(N, F, dtype=torch.float64)
    field = receptive_field(module.double(), x, PATH, influence_nodes=[2, 7])
    blocks = torch.func.jacrev(lambda x: module(x, PATH))(x).detach()  # [N, C, N, F]
    norms = blocks.pow(2).sum(dim=(1, 3)).sqrt().numpy()
    np.testing.assert_allclose(field.pair_influence, norms[[2, 7]], rtol=1e-12, atol=1e-15)
    away = np.abs(np.arange(N) - np.array([[2], [7]]))
    means = [field.pair_influence[away == d].mean() for d in range(3)]
    np.testing.assert_allclose(field.influence, means, rtol=1e-12)
    v, u = field.edges.nonzero()
    assert {*zip(u.tolist(), v.tolist(), strict=True)} == {*map(tuple, PATH.t().tolist())}


def test_plot_draws_influence_and_leaves_gaps_where_there_is_none():
    field = receptive_field(two_layers(GCN), torch.randn(N, F), PATH)
    axes = field.plot(label="GCN")
    assert axes.lines[0].get_ydata().tolist() == field.influence.tolist()
    assert field.plot(ax=axes) is axes
    assert len(axes.lines) == 2
    assert repr(field) == "ReceptiveField(nodes=12, pairs=54, hops<=2, by structure, certain)"
