"""What is MinGRU's and MinLSTM's own: their parameters, memory for a time scale, and numbers after 100,000 steps."""

import pytest
import torch

from gnnseq import doubling, packed_paths
from gnnseq.graphs import path_graph
from gnnseq.layers import MinGRU, MinLSTM, TemporalGCN

LINEAR = pytest.mark.parametrize(("layer_type", "gates"), [(MinGRU, 2), (MinLSTM, 3)])


@LINEAR
def test_parameters_and_states(layer_type, gates):
    layer = layer_type(3, 4, num_layers=2, bidirectional=True)
    names = {f"{name}_l{k}{way}" for name in ("weight_ih", "bias_ih") for k in (0, 1) for way in ("", "_reverse")}
    assert dict(layer.named_parameters()).keys() == layer.state_dict().keys() == names
    assert layer.weight_ih_l1.shape == (gates * 4, 8)
    assert [len(own) for own in layer.all_weights] == [2] * 4
    h, state = layer(torch.randn(5, 2, 3))
    assert (h.shape, state.shape) == ((5, 2, 8), (4, 2, 4))
    assert not dict(layer_type(3, 4, bias=False).named_parameters()).keys() & {"bias_ih_l0"}


@LINEAR
def test_chrono_keeps_a_state_for_as_many_steps(layer_type, gates):
    """At rest, T steps keep between a T-th power of a half and one of 1 - 1 / T of the first state."""
    layer = layer_type(1, 1000, init="chrono", time_scale=50.0)
    _, kept = layer(torch.zeros(1, 1), packed_paths([1]), torch.ones(1, 1, 1000))
    steps = 1 / (1 - kept.double())  # 1 / (1 - sigmoid(log u)) = u + 1
    assert 1.9 < steps.min() < 3
    assert 47 < steps.max() < 50.1
    assert 24 < steps.median() < 28
    with pytest.raises(ValueError, match="time_scale=None"):
        layer_type(1, 2, init="chrono")


@LINEAR
def test_after_100_000_steps_float32_is_right_to_five_digits(layer_type, gates):
    """Also where gates are exactly 0 or 1: published scans in log space are 1.3 % off there, or NaN."""
    torch.manual_seed(0)
    steps, layer = 100_000, layer_type(2, 8, init="chrono", time_scale=1000.0)
    x = torch.randn(steps, 2)
    x[1000::2000] *= 1000.0
    gate = layer.weight_ih_l0[:8] @ x[1000:1001].T + layer.bias_ih_l0[:8, None]
    assert (torch.sigmoid(gate) == 0).any()
    h, _ = layer(x, packed_paths([steps]))
    exact, _ = layer.double()(x.double(), doubling(path_graph(steps).edge_index, steps))  # 17 rounds, not 100,000 steps
    assert (h - exact).norm() < 1e-5 * exact.norm()
    assert ((h - exact).abs() < 1e-5 * exact.abs().amax()).all()


@pytest.mark.parametrize("name", ["mingru", "MinGRU"])
@pytest.mark.parametrize("order", ["time_then_space", "space_then_time", "space_time"])
def test_by_name_in_a_graph_over_time(order, name):
    layer = TemporalGCN(3, 4, 2, order, cell=name).double()
    assert isinstance(layer.recurrence, MinGRU)
    x, edges = torch.randn(6, 5, 3, dtype=torch.float64), path_graph(5, undirected=True).edge_index
    y, _ = layer(x, edges)
    first, half = layer(x[:4], edges)
    last, _ = layer(x[4:], edges, state=half)
    torch.testing.assert_close(torch.cat([first, last]), y, rtol=0, atol=1e-12)
