"""What torch_geometric's layers can be told after they are made: it is obeyed or refused."""

import pytest
import torch
from torch_geometric.nn import MaxAggregation, MeanAggregation, SumAggregation

from gnnseq.graphs import path_graph
from gnnseq.layers import GCN, GRU, LSTM, RNN, GatedGraph, RelationalGCN
from gnnseq.stream import Stream

EXACT = {"rtol": 0, "atol": 1e-12}
EDGES = path_graph(4).edge_index
X = torch.linspace(-1, 1, 8, dtype=torch.float64).view(4, 2)
LAYERS = {
    "GCN": lambda: GCN(2, 3),
    "GatedGraph": lambda: GatedGraph(3, num_rounds=2),
    "RelationalGCN": lambda: RelationalGCN(2, 1),
    "RNN": lambda: RNN(2, 3),
    "LSTM": lambda: LSTM(2, 3),
    "GRU": lambda: GRU(2, 3),
}
EVERY_LAYER = pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS)


def run(layer):
    y = layer(X, EDGES, torch.ones(3, 1)) if isinstance(layer, RelationalGCN) else layer(X, EDGES)
    return y[0] if isinstance(y, tuple) else y


@EVERY_LAYER
@pytest.mark.parametrize(
    ("setting", "value", "words"),
    [
        ("flow", "target_to_source", r"flow='target_to_source'; expected 'source_to_target'.*edge_index.flip\(0\)"),
        ("aggr_module", MeanAggregation(), r"aggr_module=MeanAggregation\(\); expected 'sum'"),
        ("aggr_module", MaxAggregation(), r"aggr_module=MaxAggregation\(\); expected 'sum'"),
        ("aggr", "mean", "aggr='mean'"),
        ("node_dim", 0, "node_dim=0; expected -2"),
    ],
)
def test_what_the_equation_does_not_have_is_refused(make, setting, value, words):
    layer = make().double()
    setattr(layer, setting, value)
    with pytest.raises(ValueError, match=words):
        run(layer)


@EVERY_LAYER
def test_another_sum_is_still_a_sum(make):
    layer = make().double()
    y = run(layer)
    layer.aggr_module = SumAggregation()
    assert torch.equal(run(layer), y)


@EVERY_LAYER
@pytest.mark.parametrize("part", ["message", "aggregate", "update"])
def test_an_overridden_part_of_the_rule_is_obeyed(make, part):
    """In a subclass and on one layer alone."""
    layer = make().double()
    y, known = run(layer), getattr(layer, part)

    def twice(*args, **kwargs):
        return 2 * known(*args, **kwargs)

    setattr(layer, part, twice)
    changed = run(layer)
    assert not torch.allclose(changed, y)
    delattr(layer, part)
    assert torch.equal(run(layer), y)
    layer.__class__ = type("Own", (type(layer),), {part: staticmethod(twice)})
    assert torch.equal(run(layer), changed)


def test_a_stream_refuses_a_rule_it_does_not_run():
    layer = GRU(2, 3)
    layer.update = layer.update
    with pytest.raises(ValueError, match="layer is a GRU with a message, aggregate or update of its own"):
        Stream(layer)


def test_a_cell_follows_its_nonlinearity():
    layer, other = RNN(2, 3).double(), RNN(2, 3, nonlinearity="relu").double()
    other.load_state_dict(layer.state_dict())
    layer.nonlinearity = "relu"
    torch.testing.assert_close(run(layer), run(other), **EXACT)
