"""Parameters that were put in others' places by hand: one of another shape or type is named, whoever reads it."""

import re

import pytest
import torch
from torch import nn

from gnnseq import doubling, packed_paths, topological
from gnnseq.graphs import path_graph
from gnnseq.layers import GCN, GRU, LSTM, RNN, EvolveGCN, GatedGraph, MinGRU, MinLSTM, RelationalGCN, TemporalGCN
from gnnseq.stream import Stream

EDGES = path_graph(5, undirected=True).edge_index
TYPES = torch.ones(8, 2)
CELLS = {cell.__name__: cell for cell in (RNN, GRU, LSTM, MinGRU, MinLSTM)}
WAYS = {  # in which a recurrent layer is called: kernels, torch's recurrence, the readable loop
    "sequences": lambda layer: layer(torch.ones(4, 2, 3)),
    "paths": lambda layer: layer(torch.ones(8, 3), packed_paths([4, 4])),
    "graph": lambda layer: layer(torch.ones(5, 3), topological(EDGES[:, EDGES[0] < EDGES[1]], 5)),
    "many": lambda layer: layer(torch.ones(600, 3), packed_paths([300, 200, 100])),
    "stream": lambda layer: Stream(layer)(torch.ones(1, 3)),
}
OTHERS = {
    "GCN": (lambda: GCN(3, 4), lambda layer: layer(torch.ones(5, 3), EDGES)),
    "GCN, sparse": (lambda: GCN(3, 4), lambda layer: layer(torch.ones(5, 3).to_sparse(), EDGES)),
    "RelationalGCN": (
        lambda: RelationalGCN(3, 2, strength="implicit"), lambda layer: layer(torch.ones(5, 3), EDGES, TYPES)
    ),
    "RelationalGCN, explicit": (
        lambda: RelationalGCN(3, 2, strength="explicit"), lambda layer: layer(torch.ones(5, 3), EDGES, TYPES)
    ),
    "GatedGraph": (lambda: GatedGraph(3, 2), lambda layer: layer(torch.ones(5, 3), EDGES)),
    "TemporalGCN": (lambda: TemporalGCN(3, 4, 2), lambda layer: layer(torch.ones(2, 5, 3), EDGES)),
    "TemporalGCN, space_time": (
        lambda: TemporalGCN(3, 4, 2, order="space_time"), lambda layer: layer(torch.ones(2, 5, 3), EDGES)
    ),
    "EvolveGCN": (lambda: EvolveGCN(3, 4, version="H"), lambda layer: layer(torch.ones(2, 5, 3), EDGES)),
}  # fmt: skip


def wrong(shape):
    """Other shapes: one that would be broadcast, one with an axis more, and one larger in each axis."""
    larger = [[size + (place == axis) for place, size in enumerate(shape)] for axis in range(len(shape))]
    return [each for each in ([1], [*shape, 1], [3, 3], *larger) if each != shape]


def assert_named(layer, call):
    """By assignment and by ``.data``, in every parameter; what is right again is taken again."""
    call(layer)
    for name, parameter in layer.named_parameters():
        *inside, own = name.split(".")
        owner, right = layer.get_submodule(".".join(inside)), parameter.detach().clone()
        shapes = wrong(list(right.shape))
        if name == "weight" and type(layer) is GatedGraph:
            shapes = [shape for shape in shapes if shape[1:] != [3, 3]]  # those are of other rounds
        for number, shape in enumerate(shapes):
            if number % 2:
                setattr(owner, own, nn.Parameter(torch.randn(shape)))
            else:
                parameter.data = torch.randn(shape)
            message = rf"{own} has shape {re.escape(str(shape))} and type torch.float32; expected \["
            # The second one acts as soon as it is made, so that it must be made within the first.
            with (
                torch.inference_mode(mode=number % 3 == 0),
                torch.set_grad_enabled(number % 3 == 1),
                pytest.raises(ValueError, match=message),
            ):
                call(layer)
            parameter.data = right
            setattr(owner, own, parameter)
        if len([*layer.parameters()]) > 1:
            parameter.data = right.double()
            with torch.no_grad(), pytest.raises(ValueError, match=r"float64"):
                call(layer)
            parameter.data = right
    call(layer)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("cell", CELLS)
def test_of_recurrent_layers(cell, way):
    assert_named(CELLS[cell](3, 4), WAYS[way])


@pytest.mark.parametrize("way", ["sequences", "paths"])
def test_of_further_layers_and_directions(way):
    layer = GRU(3, 4, num_layers=2, bidirectional=True)
    for name, shape, expected in (
        ("weight_ih_l1_reverse", [12, 4], [12, 8]),
        ("weight_hh_l1", [12, 8], [12, 4]),
        ("bias_hh_l0_reverse", [1], [12]),
    ):
        parameter = getattr(layer, name)
        right, parameter.data = parameter.data, torch.randn(shape)
        message = rf"{name} has shape {re.escape(str(shape))} .* expected {re.escape(str(expected))}"
        with torch.no_grad(), pytest.raises(ValueError, match=message):
            WAYS[way](layer)
        parameter.data = right
    WAYS[way](layer)


@pytest.mark.parametrize("name", OTHERS)
def test_of_other_layers(name):
    make, call = OTHERS[name]
    assert_named(make(), call)


def test_of_doubling():
    layer = MinGRU(3, 4)
    layer.weight_ih_l0.data = torch.randn(7, 3)
    with pytest.raises(ValueError, match=r"weight_ih_l0 has shape \[7, 3\] .*; expected \[8, 3\]"):
        layer(torch.ones(5, 3), doubling(EDGES[:, EDGES[0] < EDGES[1]], 5))


def test_sizes_that_are_set_later_are_no_other_layer():
    layer = LSTM(3, 4)
    layer.hidden_channels = 5
    with torch.no_grad(), pytest.raises(ValueError, match=r"weight_ih_l0 has shape \[16, 3\] .*; expected \[20, 3\]"):
        layer(torch.ones(4, 2, 3))


def test_what_a_parameter_is_computed_from_has_its_own_shape():
    layer = GatedGraph(3, 2)
    expected = layer(torch.ones(5, 3), EDGES)
    with pytest.warns(FutureWarning, match="weight_norm"):
        nn.utils.weight_norm(layer.rnn, "weight_hh")
    assert layer.rnn.weight_hh_g.shape == (9, 1)
    torch.testing.assert_close(layer(torch.ones(5, 3), EDGES), expected)
