"""Synchronous rounds without messages are the layers' loop: values, states, gradients, and second ones.

N nodes, E edges, F inputs, H hidden channels.
"""

from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseq import synchronous
from gnnseq.kernels.dispatch import choose_kernel
from gnnseq.kernels.fused_rounds import fused_rounds_sweep
from gnnseq.kernels.rounds import rounds_sweep
from gnnseq.layers import GRU, LSTM, RNN, MinGRU, MinLSTM
from meter import Meter
from strategies import graphs
from studies.speed.graphs import random_graph
from studies.speed.measure import peak_memory

F, H = 3, 5
EXACT = {"rtol": 1e-11, "atol": 1e-11}
CELLS = {"tanh": RNN, "relu": partial(RNN, nonlinearity="relu"), "gru": GRU, "lstm": LSTM, "mingru": MinGRU,
         "minlstm": MinLSTM}  # fmt: skip


def results(layer, x, schedule, state, dtype, kernel=None, twice=False):
    """Values and first derivatives, second ones if asked for; by the loop if there is no kernel."""
    layer = layer.to(dtype)
    x = x if not x.is_floating_point() else x.to(dtype).requires_grad_()
    weight, initial = schedule.edge_weight, None if state is None else state.to(dtype).requires_grad_()
    weight = None if weight is None else weight.detach().to(dtype).requires_grad_()
    along = schedule if weight is None else schedule.weighted(weight)
    weights = layer.weights("l0")
    if kernel is None:
        states = layer.step_by_step(x, along, initial, weights)
        h, final = states[:, : weights.weight_hh.size(1)], states
    else:
        kernel = choose_kernel(layer.cell, x, along, initial, weights) if kernel == "chosen" else kernel
        h, final = kernel(layer.cell, x, along, initial, weights, layer.step_by_step)
    inputs = [each for each in (x, initial, weight, *layer.parameters()) if each is not None and each.requires_grad]
    loss = h.sin().sum() + final.square().sum()
    found = [h, final, *torch.autograd.grad(loss, inputs, retain_graph=True)]
    if twice:
        once = torch.autograd.grad(loss, inputs, create_graph=True)
        found += [*once, *torch.autograd.grad(sum(part.square().sum() for part in once), inputs)]
    return [part.detach() for part in found]


def drawn(cell, graph, rounds, bias, weighted, given_state, index):
    """A layer, inputs as float32 has them, a schedule, and initial states."""
    torch.manual_seed(graph.seed)
    layer = CELLS[cell](F, H, bias=bias)
    schedule = synchronous(graph.edge_index, graph.num_nodes, rounds, graph.edge_weight if weighted else None)
    state = torch.randn(graph.num_nodes, layer.state_channels) if given_state else None
    x = torch.randint(F, (graph.num_nodes,)) if index else graph.features(F).float()
    return layer, x, schedule, state


def assert_rounded(found, exact):
    for a, b in zip(found, exact, strict=True):
        scale = 1.0 + (float(b.abs().max()) if b.numel() > 0 else 0.0)
        torch.testing.assert_close(a.double() / scale, b / scale, rtol=1e-5, atol=3e-6)


@pytest.mark.parametrize("cell", CELLS)
@settings(max_examples=8)
@given(graphs(), st.integers(1, 4), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_rounds_equal_the_loop(cell, graph, rounds, bias, weighted, given_state, index):
    layer, x, schedule, state = drawn(cell, graph, rounds, bias, weighted, given_state, index)
    known = results(layer, x, schedule, state, torch.float64)
    for a, b in zip(results(layer, x, schedule, state, torch.float64, rounds_sweep), known, strict=True):
        torch.testing.assert_close(a, b, **EXACT)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("cell", ["tanh", "relu", "gru", "lstm"])
@settings(max_examples=8)
@given(graphs(), st.integers(1, 4), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_compiled_rounds_are_the_loop_in_float64_rounded(cell, graph, rounds, bias, weighted, given_state, index):
    layer, x, schedule, state = drawn(cell, graph, rounds, bias, weighted, given_state, index)
    found = results(layer, x, schedule, state, torch.float32, "chosen", twice=True)
    assert_rounded(found, results(layer, x, schedule, state, torch.float64, twice=True))


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("layer_type", [RNN, GRU, LSTM])
def test_which_rounds_are_compiled(layer_type):
    edges = random_graph(9, 12)
    layer, x = layer_type(F, H), torch.randn(9, F)
    kinds = [synchronous(edges, 9, 2), synchronous(edges, 9, 2, torch.rand(12)), synchronous(edges, 9, 2)]
    kinds[2] = kinds[2].weighted(torch.rand(12).requires_grad_())
    found = [choose_kernel(layer.cell, x, kind, None, layer.weights("l0")) for kind in kinds]
    fused = {RNN: 0, GRU: 2, LSTM: 3}[layer_type]
    assert found == [fused_rounds_sweep] * fused + [rounds_sweep] * (3 - fused)
    double = layer.double()
    assert choose_kernel(layer.cell, x.double(), kinds[0], None, double.weights("l0")) is rounds_sweep
    assert choose_kernel(layer.cell, x, synchronous(edges, 9, 0), None, layer.weights("l0")) is None


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("layer_type", [GRU, LSTM])
@pytest.mark.parametrize("threads", [1, 3])
def test_many_nodes_and_threads(layer_type, threads):
    """More than a run of rows, and more than a thread's share."""
    layer, schedule, before = layer_type(F, H), synchronous(random_graph(3000, 9000), 3000, 3), torch.get_num_threads()
    x = torch.randn(3000, F, generator=torch.Generator().manual_seed(0))
    torch.set_num_threads(threads)
    try:
        found = results(layer, x, schedule, None, torch.float32, fused_rounds_sweep)
    finally:
        torch.set_num_threads(before)
    for a, b in zip(found, results(layer, x, schedule, None, torch.float64, rounds_sweep), strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5 * float(b.abs().max()))


@pytest.mark.parametrize("layer_type", [RNN, GRU, LSTM])
def test_no_message_per_edge_and_nothing_kept_without_gradients(layer_type):
    nodes, edges = 40, 1500
    ends = torch.randint(nodes, (2, edges), generator=torch.Generator().manual_seed(0))
    layer, x = layer_type(F, 16), torch.randn(nodes, F, requires_grad=True)
    few, many = (synchronous(ends, nodes, rounds) for rounds in (2, 20))
    for schedule in (few, many):
        layer(x, schedule)
    with Meter() as meter:
        layer(x, few)[0].sum().backward()
    if layer_type is not LSTM:  # whose gates on edges only compiled code need not hold
        assert meter.largest <= 2 * edges
    with torch.no_grad():
        peaks = [peak_memory(lambda s=schedule: layer(x, s), torch.device("cpu")) for schedule in (few, many)]
    assert peaks[1] < 1.5 * peaks[0]


@pytest.mark.parametrize("layer_type", [RNN, GRU, LSTM])
def test_gradients_of_rounds_in_batches_and_after_writing_into_h(layer_type):
    layer, schedule = layer_type(F, H), synchronous(random_graph(9, 12), 9, 3)
    x = torch.randn(9, F, requires_grad=True)
    h, _ = layer(x, schedule)
    cotangents = torch.randn(2, 9, H)
    (found,) = torch.autograd.grad(h, x, cotangents, is_grads_batched=True, retain_graph=True)
    each = torch.stack([torch.autograd.grad(h, x, one, retain_graph=True)[0] for one in cotangents])
    torch.testing.assert_close(found, each)
    known = torch.autograd.grad(h.clamp_min(0).sum(), x)[0]
    torch.testing.assert_close(torch.autograd.grad(layer(x, schedule)[0].relu_().sum(), x)[0], known)
