"""RelationalGCN: strengths as in the paper, against a reference node by node."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks

import reference
from gnnseq import receptive_field
from gnnseq.kernels import Adjacency
from gnnseq.kernels.sddmm import edge_products
from gnnseq.layers import RelationalGCN
from strategies import graphs

STRENGTHS = ("uniform", "explicit", "implicit")
EXACT = {"rtol": 0, "atol": 1e-12}
EDGES = torch.tensor([[0, 1, 1, 2, 3, 0], [1, 0, 2, 1, 1, 0]])
TYPES = torch.tensor([[1, 0, 0], [1, 0, 1], [0, 1, 0], [0, 1, 1], [1, 1, 1], [0, 0, 1]], dtype=torch.float64)


def make(strength):
    torch.manual_seed(0)
    layer = RelationalGCN(2, 3, strength).double()
    for parameter in layer.parameters():
        torch.nn.init.normal_(parameter)
    return layer


def features(*shape, seed=0):
    return torch.randn(*shape, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def types(edges, seed):
    generator = torch.Generator().manual_seed(seed)
    hot = torch.rand(edges, 3, generator=generator) < 0.4
    hot[torch.arange(edges), torch.randint(3, (edges,), generator=generator)] = True
    return hot.double()


@pytest.mark.parametrize("strength", STRENGTHS)
@settings(max_examples=20)
@given(graph=graphs(max_nodes=6))
def test_equals_the_reference(strength, graph):
    layer, relations = make(strength), types(graph.edge_index.size(1), graph.seed)
    x = graph.features(2).requires_grad_()
    z = layer(x, graph.edge_index, relations)
    p = dict(layer.named_parameters())
    expected = reference.relational_gcn(strength, x, graph.edge_index, relations, p)
    torch.testing.assert_close(z, expected, **EXACT)
    if graph.edge_index.size(1) == 0:
        return
    wanted = [x, *p.values()]
    gradients = [
        torch.autograd.grad(out.square().sum(), wanted, allow_unused=True, materialize_grads=True)
        for out in (z, expected)
    ]
    for actual, known in zip(*gradients, strict=True):
        torch.testing.assert_close(actual, known, rtol=1e-11, atol=1e-11)  # sums in another order


@pytest.mark.parametrize("strength", STRENGTHS)
@settings(max_examples=15)
@given(graph=graphs(max_nodes=6), data=st.data())
def test_node_order_is_carried_along_and_edge_order_does_not_matter(strength, graph, data):
    layer, relations, x = make(strength), types(graph.edge_index.size(1), graph.seed), graph.features(2)
    new = torch.tensor(data.draw(st.permutations(range(graph.num_nodes))))
    listed = torch.tensor(data.draw(st.permutations(range(graph.edge_index.size(1)))), dtype=torch.long)
    moved = layer(x[new.argsort()], new[graph.edge_index][:, listed], relations[listed])
    torch.testing.assert_close(moved[new], layer(x, graph.edge_index, relations), **EXACT)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_all_steps_at_once_are_the_steps_alone(strength):
    layer, x = make(strength), features(5, 4)
    alone = torch.stack([layer(step, EDGES, TYPES) for step in x])
    torch.testing.assert_close(layer(x, EDGES, TYPES), alone, **EXACT)
    assert layer(x[:0], EDGES, TYPES).shape == (0, 4, 2)


def test_strengths_by_hand():
    """Node 1 hears 0, 2 and 3, who speak to two, one and one."""
    x = features(4)
    uniform = make("uniform").strengths(x, EDGES, TYPES)
    assert uniform.tolist() == [0.5, 0.5, 0.5, 1.0, 1.0, 0.5]
    explicit = make("explicit")
    heard = torch.nn.functional.leaky_relu(explicit.relation(TYPES[3]), 0.2) * (x[1] @ x[2])
    torch.testing.assert_close(explicit.strengths(x, EDGES, TYPES)[3], heard.squeeze(), **EXACT)
    implicit = make("implicit").strengths(features(3, 4), EDGES, TYPES)
    into_1 = EDGES[1] == 1
    torch.testing.assert_close(implicit[:, into_1].sum(1), torch.ones(3, dtype=torch.float64), **EXACT)
    assert (implicit > 0).all()


@pytest.mark.parametrize("strength", STRENGTHS)
def test_gradients(strength):
    layer = make(strength)
    for x in (features(4), features(2, 4)):
        inputs = (x.requires_grad_(), *layer.parameters())
        assert torch.autograd.gradcheck(lambda x, *_: layer(x, EDGES, TYPES), inputs)
    assert torch.autograd.gradgradcheck(lambda x: layer(x, EDGES, TYPES), features(4).requires_grad_())


def test_gradients_of_products_along_edges():
    x, y = features(4).requires_grad_(), features(4, seed=1).requires_grad_()
    adjacency = Adjacency.of(EDGES, 4)
    products = edge_products(x, y, adjacency)
    torch.testing.assert_close(products, (x[EDGES[1]] * y[EDGES[0]]).sum(1), **EXACT)
    assert torch.autograd.gradcheck(lambda *ends: edge_products(*ends, adjacency), (x, y))


@pytest.mark.parametrize("strength", STRENGTHS)
def test_reach_is_one_hop(strength):
    layer = make(strength)
    field = receptive_field(
        layer, features(4), EDGES, call=lambda m, x, e: m(x, e, TYPES.to(x.dtype)), use_structure=False
    )
    expected = torch.zeros(4, 4, dtype=torch.bool)
    expected[EDGES[1], EDGES[0]] = True
    if strength != "uniform":
        expected[EDGES[1], EDGES[1]] = True
    assert (layer.reach(EDGES, 4).toarray() == expected.numpy()).all()
    if strength == "implicit":  # one message alone has the strength 1, whatever it is
        expected[2, 2] = False
    assert (field.reach.toarray() == expected.numpy()).all()


@pytest.mark.parametrize("strength", STRENGTHS)
def test_a_hook_sees_the_edges_as_they_are_listed(strength):
    layer, x, seen = make(strength), features(4), []
    z = layer(x, EDGES, TYPES)
    layer.register_message_forward_hook(lambda _module, _inputs, out: seen.append(out))
    torch.testing.assert_close(layer(x, EDGES, TYPES), z, **EXACT)
    torch.testing.assert_close(seen[0], layer.strengths(x, EDGES, TYPES)[:, None] * x[EDGES[0]], **EXACT)


@pytest.mark.parametrize("strength", STRENGTHS)
def test_an_explainers_mask_is_of_the_listed_edges(strength):
    layer, x = make(strength), features(4)
    set_masks(layer, torch.tensor([1.0, 1, 1, 0, 1, 1], dtype=torch.float64), EDGES, apply_sigmoid=False)
    z = layer(x, EDGES, TYPES)
    clear_masks(layer)
    missing = layer.strengths(x, EDGES, TYPES)[3] * x[2]
    torch.testing.assert_close(z[1], layer(x, EDGES, TYPES)[1] - missing, **EXACT)


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"x": torch.zeros(4, 2)}, "x has type torch.float32"),
        ({"x": features(4)[:, :1]}, r"x has shape \[4, 1\]; expected \[N, 2\] or \[T, N, 2\]"),
        ({"edge_index": EDGES + 1}, r"edge_index holds node 4; expected 0\.\.3"),
        ({"edge_index": torch.eye(4).to_sparse()}, "edge_index is a sparse adjacency"),
        ({"relations": TYPES[1:]}, r"relations has shape \[5, 3\]; expected \[6, 3\]"),
        ({"relations": None}, "relations has shape NoneType"),
        ({"relations": TYPES * (torch.arange(6) != 4)[:, None]}, r"relations\[4\] has no type"),
    ],
)
def test_what_cannot_be_is_refused(given, words):
    with pytest.raises(ValueError, match=words):
        make("explicit")(**{"x": features(4), "edge_index": EDGES, "relations": TYPES, **given})


def test_settings_that_cannot_be_are_refused():
    with pytest.raises(ValueError, match="strength='equal'; expected one of 'uniform', 'explicit', 'implicit'"):
        RelationalGCN(2, 3, "equal")
    with pytest.raises(ValueError, match="num_relations=0"):
        RelationalGCN(2, 0)
    with pytest.raises(ValueError, match="expected floating-point embeddings"):
        RelationalGCN(2, 3)(torch.zeros(4, 2, dtype=torch.long), EDGES, TYPES)
    assert repr(make("implicit")) == "RelationalGCN(2, 3, strength='implicit')"
