"""What layers cost: the counts are torch's own, and what waits for the backward pass is what is kept."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from studies.speed.cost import cases, gcn, recurrent


@pytest.mark.parametrize(
    ("name", "cell"), [("LSTM", torch.nn.LSTMCell), ("GRU", torch.nn.GRUCell), ("RNN", torch.nn.RNNCell)]
)
def test_operations_of_a_cell_are_those_that_torch_counts(name, cell):
    made, x = cell(16, 32), torch.randn(5, 16, requires_grad=True)
    h = torch.randn(5, 32, requires_grad=True)
    with FlopCounterMode(display=False) as forward:
        y = made(x, (h, torch.randn(5, 32)) if name == "LSTM" else h)
    with FlopCounterMode(display=False) as backward:
        (y[0] if name == "LSTM" else y).sum().backward()
    assert forward.get_total_flops() == recurrent(name, 5, 16, 32, training=False).products
    assert forward.get_total_flops() + backward.get_total_flops() == recurrent(name, 5, 16, 32, training=True).products


def test_operations_of_a_convolution_are_those_that_torch_counts():
    x, weight = torch.randn(7, 16, requires_grad=True), torch.randn(16, 32, requires_grad=True)
    with FlopCounterMode(display=False) as counted:
        (x @ weight).sum().backward()
    assert counted.get_total_flops() == gcn(7, 20, 16, 32, training=True).products


@pytest.mark.parametrize("name", ["GCN", "LSTM", "GRU"])
def test_what_is_kept_is_what_autograd_keeps(name):
    call, cost = cases(nodes=2000, steps=50)[name]
    call(True)  # the graph's own arrays are made once
    kept = {}

    def pack(tensor):
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        call(True)
    assert sum(kept.values()) == pytest.approx(cost(True).kept, rel=0.25)
