"""GCN and GatedGraph are called as GCNConv and GatedGraphConv are: arguments, forms of a graph, what is refused."""

import pickle

import pytest
import torch
from torch import nn
from torch_geometric import EdgeIndex
from torch_geometric.nn import GatedGraphConv, GCNConv
from torch_geometric.utils import to_torch_coo_tensor, to_torch_csc_tensor, to_torch_csr_tensor

from gnnseq.layers import GCN, LSTM, GatedGraph, RelationalGCN

EXACT = {"rtol": 0, "atol": 1e-12}
STAR = torch.tensor([[0, 0, 0, 1, 2, 3], [1, 2, 3, 0, 0, 0]])
WEIGHT = torch.tensor([0.5, 2.0, 3.0]).double().repeat(2)  # one number for both directions
SIZE = (4, 4)


def forms(weight):
    """The same graph in every form that GCNConv takes."""
    yield STAR, weight
    yield EdgeIndex(STAR, sparse_size=SIZE, is_undirected=False), weight
    values = torch.ones(6).double() if weight is None else weight
    for make in (to_torch_coo_tensor, to_torch_csr_tensor):
        yield make(STAR.flip(0), values, SIZE), None  # a row is a target
    yield to_torch_csc_tensor(STAR, values, SIZE).t(), None


@pytest.mark.parametrize("weight", [None, WEIGHT])
@pytest.mark.parametrize("options", [{}, {"cached": True}, {"normalize": False}, {"add_self_loops": False}])
def test_every_form_of_a_graph_is_gcnconvs(weight, options):
    mine, theirs = GCN(3, 2, **options).double(), GCNConv(3, 2, **options | {"cached": False}).double()
    mine.load_state_dict(theirs.state_dict())
    for x in (torch.randn(4, 3).double(), torch.randn(2, 4, 3).double()):
        expected = theirs(x, STAR, weight)
        for graph, own in forms(weight):
            torch.testing.assert_close(mine(x, graph, own), expected, **EXACT)


@pytest.mark.parametrize("weight", [None, WEIGHT])
def test_every_form_of_a_graph_is_gatedgraphconvs(weight):
    mine, theirs = GatedGraph(5, num_layers=3).double(), GatedGraphConv(5, num_layers=3).double()
    mine.load_state_dict(theirs.state_dict())
    x = torch.randn(4, 3).double()
    expected = theirs(x, STAR, weight)
    for graph, own in forms(weight):
        torch.testing.assert_close(mine(x, graph, own), expected, **EXACT)
    assert mine.num_layers == theirs.num_layers == mine.num_rounds


def test_cached_is_always_safe():
    """GCNConv with the flag goes on with the first graph; here every graph counts."""
    path, x = torch.tensor([[0, 1], [1, 0]]), torch.randn(4, 3).double()
    layer, theirs, plain = GCN(3, 2, cached=True).double(), GCNConv(3, 2, cached=True).double(), GCN(3, 2).double()
    for other in (layer, plain):
        other.load_state_dict(theirs.state_dict())
    torch.testing.assert_close(layer(x, STAR), theirs(x, STAR), **EXACT)
    assert torch.equal(layer(x, path), plain(x, path))
    assert not torch.allclose(theirs(x, path), plain(x, path))
    layer.cached = False
    assert torch.equal(layer(x, STAR), plain(x, STAR))
    assert (GCN(3, 2).cached, pickle.loads(pickle.dumps(GCN(3, 2, cached=True))).cached) == (False, True)


def test_self_loops_follow_the_normalisation():
    for options in ({}, {"normalize": False}, {"add_self_loops": None}, {"add_self_loops": False}):
        assert GCN(3, 2, **options).add_self_loops == GCNConv(3, 2, **options).add_self_loops
    for kind in (GCN, GCNConv):
        with pytest.raises(ValueError, match="does not support adding self-loops"):
            kind(3, 2, add_self_loops=True, normalize=False)


@pytest.mark.parametrize("make", [lambda **o: GCN(3, 3, **o), lambda **o: GatedGraph(3, 2, **o)])
def test_settings_at_construction_are_the_layers_own_or_refused(make):
    x = torch.randn(4, 3)
    torch.manual_seed(0)
    y = make()(x, STAR)
    for aggr in ("add", "sum"):
        torch.manual_seed(0)
        assert torch.equal(make(aggr=aggr, flow="source_to_target")(x, STAR), y)
    for wrong, words in [({"flow": "target_to_source"}, r"edge_index.flip\(0\)"), ({"aggr": "mean"}, "expected 'sum'"),
                         ({"aggr": "max"}, "sums over neighbours"), ({"aggr": None}, "expected 'sum'"),
                         ({"flow": "up"}, "flow")]:  # fmt: skip
        with pytest.raises(ValueError, match=words):
            make(**wrong)
    with pytest.raises(TypeError, match="num_rounds and num_layers, which are two names of one argument"):
        GatedGraph(3, 2, num_layers=2)


def test_parts_of_the_features_at_once_change_nothing():
    layer, x, seen = GCN(3, 8), torch.randn(4, 3), []
    layer.register_message_forward_pre_hook(lambda _layer, inputs: seen.append(inputs[0]["x_j"].shape))
    y = layer(x, STAR)
    layer.decomposed_layers = 2
    torch.testing.assert_close(layer(x, STAR), y)
    assert seen == [(10, 8), (10, 4), (10, 4)]  # six edges, four self-loops


@pytest.mark.filterwarnings("ignore:`torch.jit.script`:DeprecationWarning")
@pytest.mark.parametrize("layer", [GCN(3, 2), GatedGraph(3, 2), LSTM(3, 2), RelationalGCN(3, 2)])
def test_scripting_is_refused_by_name(layer):
    for module in (layer, nn.Sequential(layer)):
        with pytest.raises(NotImplementedError, match=rf"{type(layer).__name__} cannot be scripted; use torch.compile"):
            torch.jit.script(module)
