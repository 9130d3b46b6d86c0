"""A GCN with another module for its linear map computes what GCNConv with that module does."""

import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, prune
from torch_geometric.nn import GCNConv, Linear

from gnnseq.graphs import path_graph
from gnnseq.layers import GCN

EDGES = path_graph(5, undirected=True).edge_index


class LowRank(nn.Module):
    """A frozen linear map and a learnt one of low rank beside it, as LoRA has it; it has no weight."""

    def __init__(self, base):
        super().__init__()
        self.base = base.requires_grad_(False)
        self.down, self.up = nn.Linear(base.in_features, 2, bias=False), nn.Linear(2, base.out_features, bias=False)

    def forward(self, x):
        return self.base(x) + self.up(self.down(x))


class Scaled(nn.Linear):
    """Overrides what a linear map does, and keeps its parameters."""

    def forward(self, x):
        return torch.tanh(super().forward(x))


class Rounded(nn.Module):
    """Weights as integers, with no floating-point number of its own."""

    def __init__(self, base):
        super().__init__()
        self.register_buffer("weight_int8", (base.weight.detach() * 64).round().to(torch.int8))

    def forward(self, x):
        return x @ (self.weight_int8.to(x.dtype) / 64).T


def quantized(base):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.ao is to move
        return torch.ao.quantization.quantize_dynamic(nn.Sequential(base), {nn.Linear})[0]


def pruned(base):
    return prune.random_unstructured(base, "weight", 0.5)


def hooked(base):
    base.register_forward_hook(lambda _module, _inputs, out: out.relu())
    return base


MAPS = {
    "LoRA": LowRank,
    "integers": Rounded,
    "quantized": quantized,
    "parametrised": parametrizations.weight_norm,
    "pruned": pruned,
    "hooked": hooked,
    "subclass": lambda base: Scaled(base.in_features, base.out_features, bias=False),
    "with a bias": lambda base: nn.Linear(base.in_features, base.out_features),
    "torch_geometric's": lambda base: Linear(base.in_features, base.out_features),
    "network": lambda base: nn.Sequential(base, nn.ReLU(), nn.Linear(base.out_features, base.out_features)),
}


@pytest.mark.parametrize("kind", MAPS.values(), ids=MAPS)
@pytest.mark.parametrize("widths", [(3, 8), (4, 4), (8, 3)])
@pytest.mark.parametrize("watched", [False, True])
def test_equals_gcnconv_with_the_same_map(kind, widths, watched):
    mine, theirs, x = GCN(*widths), GCNConv(*widths), torch.randn(5, widths[0])
    mine.lin = theirs.lin = kind(mine.lin)
    if watched:
        mine.register_message_forward_hook(lambda _module, _inputs, _out: None)
    found, parameters = [], [parameter for parameter in mine.lin.parameters() if parameter.requires_grad]
    for layer in (mine, theirs):
        y = layer(x, EDGES)
        found.append([y, *torch.autograd.grad(y.square().sum(), [layer.bias, *parameters])])
    torch.testing.assert_close(*found)


def test_such_a_layer_keeps_double_precision_and_takes_sparse_features():
    layer, other, x = GCN(3, 4).double(), GCNConv(3, 4).double(), torch.randn(5, 3).double()
    layer.lin = LowRank(layer.lin).double()
    other.lin = layer.lin
    torch.testing.assert_close(layer(x, EDGES), other(x, EDGES), rtol=0, atol=1e-12)
    torch.testing.assert_close(layer(x.to_sparse(), EDGES), other(x, EDGES), rtol=0, atol=1e-12)


def test_what_such_a_layer_cannot_take_is_refused():
    layer = GCN(3, 4)
    layer.lin = LowRank(layer.lin)
    with pytest.raises(ValueError, match=r"x has shape \[5, 2\]; expected \[..., N, 3\]"):
        layer(torch.ones(5, 2), EDGES)
    with pytest.raises(ValueError, match=r"x has type torch.int64; expected floating point"):
        layer(torch.ones(5, 3).long(), EDGES)


@pytest.mark.parametrize("init", ["glorot", "torch", "he", "orthogonal"])
@pytest.mark.parametrize("kind", MAPS)
def test_reset_draws_every_parameter_of_any_map_anew(kind, init):
    layer, x = GCN(8, 6), torch.randn(5, 8)
    layer.lin = MAPS[kind](layer.lin)
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.fill_(7.0)
    layer(x, EDGES)
    if init in ("he", "orthogonal") and kind in ("LoRA", "integers", "quantized", "network"):
        with pytest.raises(ValueError, match=f"init='{init}' draws lin.weight, and lin is a .* use init='glorot'"):
            layer.reset_parameters(init)
        return
    layer.reset_parameters(init)
    assert not any((parameter == 7.0).any() for parameter in layer.parameters())
    layer(x, EDGES)  # a pruned weight is computed in a call
    if init == "orthogonal" and kind != "pruned":
        torch.testing.assert_close(layer.lin.weight @ layer.lin.weight.T, torch.eye(6), rtol=0, atol=1e-5)
    elif init == "glorot" and kind in ("parametrised", "subclass", "with a bias", "hooked", "torch_geometric's"):
        assert 0.3 < float(layer.lin.weight.detach().abs().max()) <= (6 / 14) ** 0.5
    assert layer.bias.eq(0).all()


def test_reset_names_what_it_cannot_draw():
    class Bare(nn.Module):
        def __init__(self):
            super().__init__()
            self.kernel = nn.Parameter(torch.ones(3, 4))

    class Softplus(nn.Module):
        def forward(self, weight):
            return nn.functional.softplus(weight)

    layer = GCN(3, 4)
    layer.lin = nn.Sequential(Bare())
    with pytest.raises(ValueError, match="lin holds a Bare with the parameters kernel and no reset_parameters"):
        layer.reset_parameters()
    layer = GCN(3, 4)
    nn.utils.parametrize.register_parametrization(layer.lin, "weight", Softplus())
    with pytest.raises(ValueError, match=r"lin.weight is parametrised by Softplus, .* right_inverse"):
        layer.reset_parameters()
    layer.lin = nn.Identity()
    layer.reset_parameters()
