"""A batch with nothing in it has zero gradients for every parameter: under DDP one rank of several may get one."""

import pytest
import torch
from torch import Tensor

from gnnseq import packed_paths, synchronous, topological
from gnnseq.checkpoint import sweep_in_chunks
from gnnseq.layers import GCN, GRU, LSTM, RNN, GatedGraph, MinGRU, RelationalGCN, TemporalGCN

NONE, F = torch.empty(2, 0, dtype=torch.int64), 3
GRAPHS = {
    "edge_index": NONE,
    "topological": topological(NONE, 0),
    "synchronous": synchronous(NONE, 0, rounds=2),
    "no paths": packed_paths([]),
    "empty paths": packed_paths([0, 0]),
}


def leaves(y):
    return [y] if isinstance(y, Tensor) else [part for each in y for part in leaves(each)]


def assert_zero_gradients(layer, y):
    for part in leaves(y):
        gradients = torch.autograd.grad(part.sum(), list(layer.parameters()), retain_graph=True)  # None is an error
        assert not any(gradient.any() for gradient in gradients)


@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU, MinGRU])
@pytest.mark.parametrize("graph", GRAPHS.values(), ids=GRAPHS)
def test_recurrent_layers(layer_type, graph):
    for options in ({}, {"num_layers": 2, "bidirectional": True}):
        layer = layer_type(F, 4, **options)
        assert_zero_gradients(layer, layer(torch.empty(0, F), graph))
        assert_zero_gradients(layer, layer(torch.empty(0, dtype=torch.int64), graph))


@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU, MinGRU])
def test_a_state_passes_through_empty_paths_with_its_gradient(layer_type):
    layer, state = layer_type(F, 4), torch.randn(1, 2, 4, requires_grad=True)
    given = (state, state) if layer_type is LSTM else state
    for sweep in (layer, lambda *args: sweep_in_chunks(layer, *args)):
        h, last = sweep(torch.empty(0, F), GRAPHS["empty paths"], given)
        assert all(torch.equal(part, state) for part in leaves(last))
        assert torch.autograd.grad(leaves(last)[0].sum(), state)[0].eq(1).all()
        assert_zero_gradients(layer, h)


@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU, MinGRU])
def test_no_rounds(layer_type):
    layer = layer_type(F, 4)
    assert_zero_gradients(layer, layer(torch.randn(2, F), synchronous(NONE, 2, rounds=0)))


@pytest.mark.parametrize("watched", [False, True])
def test_convolutions(watched):
    layers = [GCN(F, 4), GCN(4, F), GCN(F, 4, normalize=False), GatedGraph(4, 2)]
    for layer in layers:
        if watched:
            layer.register_message_forward_hook(lambda _module, _inputs, _out: None)
        x = torch.empty(0, getattr(layer, "in_channels", F))
        for given in [x] if isinstance(layer, GatedGraph) else [x, x.expand(2, 0, -1), x.to_sparse()]:
            assert_zero_gradients(layer, layer(given, NONE))


@pytest.mark.parametrize("strength", ["explicit", "implicit"])
def test_typed_relations(strength):
    layer = RelationalGCN(F, 2, strength)
    for shape in [(0, F), (2, F), (2, 0, F), (0, 2, F)]:
        assert_zero_gradients(layer, layer(torch.randn(shape), NONE, torch.empty(0, 2)))


@pytest.mark.parametrize("order", ["time_then_space", "space_then_time", "space_time"])
@pytest.mark.parametrize("shape", [(0, 0), (0, 4), (3, 0)])
def test_histories(order, shape):
    layer, x = TemporalGCN(F, 4, 1, order=order), torch.empty(*shape, F)
    for mask in (None, torch.ones(shape, dtype=torch.bool)):
        for edges in (NONE, [NONE] * shape[0]):
            assert_zero_gradients(layer, layer(x, edges, mask=mask)[0])


@pytest.mark.parametrize("order", ["time_then_space", "space_then_time", "space_time"])
def test_a_history_whose_nodes_are_all_away(order):
    layer = TemporalGCN(F, 4, 1, order=order)
    y, _ = layer(torch.randn(3, 2, F), NONE, mask=torch.zeros(3, 2, dtype=torch.bool))
    assert_zero_gradients(layer, y)
