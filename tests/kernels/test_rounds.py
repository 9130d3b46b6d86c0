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
from gnnseq.kernels.native import functions
from gnnseq.kernels.rounds import rounds_sweep
from gnnseq.layers import GRU, LSTM, RNN, MinGRU, MinLSTM
from meter import Meter
from strategies import graphs
from studies.speed.graphs import random_graph

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
        h, final = kernel(layer.cell, x, along, initial, weights, layer.step_by_step)
    inputs = [each for each in (x, initial, weight, *layer.parameters()) if each is not None and each.requires_grad]
    loss = h.sin().sum() + final.square().sum()
    found = [h, final, *torch.autograd.grad(loss, inputs, retain_graph=True)]
    if twice:
        once = torch.autograd.grad(loss, inputs, create_graph=True)
        found += [*once, *torch.autograd.grad(sum(part.square().sum() for part in once), inputs)]
    return [part.detach() for part in found]


def assert_rounded(found, exact):
    for a, b in zip(found, exact, strict=True):
        scale = 1.0 + (float(b.abs().max()) if b.numel() > 0 else 0.0)
        torch.testing.assert_close(a.double() / scale, b / scale, rtol=1e-5, atol=3e-6)


@pytest.mark.parametrize("cell", CELLS)
@settings(max_examples=15)
@given(graphs(), st.integers(1, 4), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_rounds_equal_the_loop(cell, graph, rounds, bias, weighted, given_state, index):
    torch.manual_seed(graph.seed)
    layer = CELLS[cell](F, H, bias=bias)
    schedule = synchronous(graph.edge_index, graph.num_nodes, rounds, graph.edge_weight if weighted else None)
    state = torch.randn(graph.num_nodes, layer.state_channels) if given_state else None
    x = torch.randint(F, (graph.num_nodes,)) if index else graph.features(F)
    known = results(layer, x, schedule, state, torch.float64)
    for a, b in zip(results(layer, x, schedule, state, torch.float64, rounds_sweep), known, strict=True):
        torch.testing.assert_close(a, b, **EXACT)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("cell", ["tanh", "relu", "gru", "lstm"])
@settings(max_examples=15)
@given(graphs(), st.integers(1, 4), st.booleans(), st.booleans(), st.booleans(), st.booleans())
def test_compiled_rounds_are_the_loop_in_float64_rounded(cell, graph, rounds, bias, weighted, given_state, index):
    torch.manual_seed(graph.seed)
    layer = CELLS[cell](F, H, bias=bias)
    schedule = synchronous(graph.edge_index, graph.num_nodes, rounds, graph.edge_weight if weighted else None)
    state = torch.randn(graph.num_nodes, layer.state_channels) if given_state else None
    x = torch.randint(F, (graph.num_nodes,)) if index else graph.features(F).float()
    kernel = choose_kernel(layer.cell, x, schedule, state, layer.weights("l0"))
    found = results(layer, x, schedule, state, torch.float32, kernel, twice=True)
    assert_rounded(found, results(layer, x, schedule, state, torch.float64, twice=True))
