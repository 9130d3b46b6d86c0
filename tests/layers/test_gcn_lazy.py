"""GCN(-1, n) takes its width from the first call, or from what is loaded, as GCNConv(-1, n) does."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn
from torch.nn.parameter import is_lazy
from torch_geometric.nn import GCNConv, HeteroConv, Linear, Sequential
from torch_geometric.nn.models.basic_gnn import BasicGNN

from gnnseq import receptive_field
from gnnseq.graphs import path_graph
from gnnseq.layers import GCN

EDGES = path_graph(5, undirected=True).edge_index


def again(layer):
    file = io.BytesIO()
    torch.save(layer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def test_the_first_call_draws_what_the_eager_peer_draws():
    x, drawn = torch.randn(5, 3), []
    for kind in (GCN, GCNConv):
        layer = kind(-1, 4)
        assert is_lazy(layer.lin.weight)
        torch.manual_seed(3)
        drawn.append((layer(x, EDGES), layer.lin.weight))
    torch.testing.assert_close(*drawn)
    layer = GCN(-1, 4)
    assert repr(layer) == "GCN(-1, 4)"
    layer(x, EDGES)
    assert (repr(layer), layer.in_channels, type(layer.lin)) == ("GCN(3, 4)", 3, nn.Linear)
    assert repr(layer.lin) == repr(GCN(3, 4).lin)
    assert (layer.state_dict().keys(), list(layer._forward_pre_hooks)) == (GCN(3, 4).state_dict().keys(), [])


def test_an_eager_layer_begins_as_before():
    torch.manual_seed(0)
    found = GCN(3, 2).lin.weight
    torch.manual_seed(0)
    expected = nn.Linear(3, 2, bias=False).weight
    nn.init.xavier_uniform_(expected)
    assert torch.equal(found, expected)


@pytest.mark.parametrize("init", ["he", "orthogonal", "torch", "glorot"])
def test_reset_before_the_first_call_names_how_it_draws(init):
    lazy, eager, x = GCN(-1, 4), GCN(30, 4), torch.randn(5, 30)
    lazy.reset_parameters(init)
    torch.manual_seed(5)
    lazy(x, EDGES)
    torch.manual_seed(5)
    eager.reset_parameters(init)
    assert torch.equal(lazy.lin.weight, eager.lin.weight)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda layer: pickle.loads(pickle.dumps(layer)), again])
def test_copies_before_the_first_call_are_layers_of_their_own(copied):
    layer = GCN(-1, 4)
    layer.reset_parameters("orthogonal")
    other = copied(layer)
    assert other(torch.randn(5, 7), EDGES).shape == (5, 4)
    torch.testing.assert_close(other.lin.weight @ other.lin.weight.T, torch.eye(4))
    assert is_lazy(layer.lin.weight)
    assert layer(torch.randn(5, 3), EDGES).shape == (5, 4)
    assert copied(layer).in_channels == 3


@pytest.mark.parametrize("kind", [GCN, GCNConv])
def test_states_load_in_every_direction(kind):
    x, known = torch.randn(5, 3), GCN(3, 4)
    layer = GCN(-1, 4)
    peer = kind(3, 4)
    layer.load_state_dict(peer.state_dict())
    assert (layer.in_channels, layer.lin.weight.shape) == (3, (4, 3))
    generator = torch.get_rng_state()
    for loaded in (copy.deepcopy(layer), layer):
        torch.testing.assert_close(loaded(x, EDGES), peer(x, EDGES))
    assert torch.equal(generator, torch.get_rng_state())  # nothing was drawn
    assert type(layer.lin) is nn.Linear

    known.load_state_dict(kind(-1, 4).state_dict())
    assert (known.in_channels, is_lazy(known.lin.weight)) == (-1, True)
    assert known(torch.randn(5, 6), EDGES).shape == (5, 4)
    GCN(-1, 4).load_state_dict(kind(-1, 4).state_dict())
    kind(-1, 4).load_state_dict(GCN(-1, 4).state_dict())
    model = nn.ModuleList([GCN(-1, 4)])
    model.load_state_dict(nn.ModuleList([peer]).state_dict(), assign=True)
    torch.testing.assert_close(model[0](x, EDGES), peer(x, EDGES))


def test_a_loaded_layer_refuses_another_width_and_resets():
    layer = GCN(-1, 4)
    layer.load_state_dict(GCN(3, 4).state_dict())
    with pytest.raises(ValueError, match=r"x has shape \[5, 2\]; expected \[..., N, 3\]"):
        layer(torch.randn(5, 2), EDGES)
    before = layer.lin.weight.clone()
    layer.reset_parameters()
    assert not torch.equal(layer.lin.weight, before)


@pytest.mark.parametrize("x", [torch.randn(2, 5, 3), torch.randn(5, 3).to_sparse(), torch.zeros(0, 3)])
def test_every_form_of_features_tells_its_width(x):
    layer, edges = GCN(-1, 4), EDGES if x.size(-2) else EDGES[:, :0]
    y = layer(x, edges)
    assert y.shape == (*x.shape[:-1], 4)
    eager = GCN(x.size(-1), 4)
    eager.load_state_dict(layer.state_dict())
    torch.testing.assert_close(eager(x, edges), y)


def test_types_devices_and_modes():
    x = torch.randn(5, 3)
    assert GCN(-1, 4).double()(x.double(), EDGES).dtype == torch.float64
    layer = GCN(-1, 4).double()
    with pytest.raises(ValueError, match=r"x has type torch.float32 and the parameters torch.float64"):
        layer(x, EDGES)
    with torch.inference_mode():  # the usual dry run; the layer can be trained after it
        layer(x.double(), EDGES)
    layer(x.double(), EDGES).sum().backward()
    assert layer.lin.weight.grad.shape == (4, 3)


def test_what_tells_no_width_leaves_the_layer_as_it_was():
    layer = GCN(-1, 4)
    for x, words in [(torch.randn(3), r"\[..., N, F\]"), (torch.ones(5, 3).long(), "x.float"), (None, "NoneType")]:
        with pytest.raises(ValueError, match=words):
            layer(x, EDGES)
    with pytest.raises(RuntimeError, match="randomness"):
        torch.vmap(lambda x: layer(x, EDGES))(torch.randn(2, 5, 3))
    with pytest.raises(RuntimeError, match="call the layer once before"):  # a ValueError, as dynamo hands it on
        torch.compile(layer, backend="eager", fullgraph=True)(torch.randn(5, 3), EDGES)
    assert is_lazy(layer.lin.weight)


@pytest.mark.parametrize("size", [-2, -1.0, "-1", None, True, torch.tensor([-1])])
def test_only_minus_one_is_lazy(size):
    with pytest.raises(ValueError, match=r"in_channels=.*; expected an integer of 0 or more, or -1 to take it from"):
        GCN(size, 4)
    assert GCN(torch.tensor(-1), 4).in_channels == -1


def test_hooks_and_maps_of_the_users_own():
    layer, seen = GCN(-1, 4), []
    layer.lin.register_forward_hook(lambda _module, inputs, _out: seen.append(inputs[0].size(0)))
    layer(torch.randn(5, 3), EDGES)
    assert seen[-1] == 5
    layer = GCN(-1, 4)
    layer.lin = Linear(-1, 4)  # torch_geometric's is lazy too
    layer(torch.randn(5, 3), EDGES)
    assert (layer.in_channels, layer.lin.in_channels) == (3, 3)


class Network(BasicGNN):
    """torch_geometric's base of networks, of our layer."""

    supports_edge_weight, supports_edge_attr, supports_norm_batch = True, False, False

    def init_conv(self, in_channels, out_channels, **options):
        return GCN(in_channels, out_channels, **options)


def test_in_torch_geometrics_containers():
    x = torch.randn(5, 3)
    parts = [(GCN(-1, 8), "x, edge_index -> x"), nn.ReLU(), (GCN(-1, 2), "x, edge_index -> x")]
    assert Sequential("x, edge_index", parts)(x, EDGES).shape == (5, 2)
    assert Network(-1, 8, 2, out_channels=2, cached=True)(x, EDGES).shape == (5, 2)
    kind = ("stock", "trades", "stock")
    assert HeteroConv({kind: GCN(-1, 4)})({"stock": x}, {kind: EDGES})["stock"].shape == (5, 4)
    field = receptive_field(GCN(-1, 4), x, EDGES)
    assert field.certain
    assert (field.hops == receptive_field(GCN(3, 4), x, EDGES).hops).all()
