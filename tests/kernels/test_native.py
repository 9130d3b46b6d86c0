"""Compiled sweeps over paths, and compiled cells, are torch's operations, to float32's rounding.

N nodes, F inputs, H hidden channels.
"""

from contextlib import contextmanager
from functools import partial

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseq import topological
from gnnseq.kernels.dense_path import dense_path_sweep
from gnnseq.kernels.fused_path import fused_path_sweep
from gnnseq.kernels.native import functions
from gnnseq.layers import GRU, LSTM, RNN, MinGRU
from gnnseq.schedule import packed_paths
from strategies import dags

F, H = 3, 5
CLOSE = {"rtol": 1e-5, "atol": 2e-6}  # float32 carries 6e-8; sums along 40 steps


@pytest.fixture(autouse=True)
def _allowed(monkeypatch):
    """Also if the other tests are run without."""
    monkeypatch.delenv("GNNSEQ_NATIVE", raising=False)


def results(layer, x, schedule, state):
    layer, x = layer.to(x.dtype), x.detach().clone().requires_grad_()
    state = tuple(part.detach().to(x.dtype).requires_grad_() for part in state[: layer.cell.states])
    h, final = layer(x, schedule, state if layer.cell.states > 1 else state[0])
    final = final if isinstance(final, tuple) else (final,)
    torch.manual_seed(1)
    loss = sum((part * torch.randn(part.shape).to(x.dtype)).sum() for part in (h, *final))
    return [part.detach() for part in (h, *final, *torch.autograd.grad(loss, [x, *state, *layer.parameters()]))]


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
@settings(max_examples=8)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=12).filter(any), st.booleans(), st.booleans())
def test_second_derivatives_of_paths(layer_type, lengths, bias, given_state):
    """Values, states, first derivatives, and second ones, beside torch's in float64."""
    torch.manual_seed(sum(lengths))
    layer, schedule = layer_type(F, H, bias=bias), packed_paths(lengths)
    x, state = torch.randn(schedule.num_nodes, F), torch.randn(len(lengths), layer.state_channels)
    found = []
    for kernel, dtype in ((fused_path_sweep, torch.float32), (dense_path_sweep, torch.float64)):
        inputs = [x.to(dtype).requires_grad_(), *layer.to(dtype).parameters()]
        entering = state.to(dtype).requires_grad_() if given_state else None
        inputs += [entering] * given_state
        h, final = kernel(layer.cell, inputs[0], schedule, entering, layer.weights("l0"), layer.step_by_step)
        loss = h.sin().sum() + final.square().sum()
        once = torch.autograd.grad(loss, inputs, retain_graph=True)
        again = torch.autograd.grad(loss, inputs, create_graph=True)
        twice = torch.autograd.grad(sum(part.square().sum() for part in again), inputs)
        found.append([h, final, *once, *again, *twice])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5 * (1 + float(b.detach().abs().max())))


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("size", [1.0, 30.0])  # gates that move, and gates that are shut
@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
@settings(max_examples=8)
@given(lengths=st.lists(st.integers(0, 40), min_size=1, max_size=5).filter(any))
def test_float32_is_float64_rounded(lengths, layer_type, size, bias):
    """Float64 has no compiled cells. Ragged, equal, and empty paths, a single node, states in and out."""
    torch.manual_seed(sum(lengths))
    assert_rounded(layer_type(F, H, bias=bias), packed_paths(lengths), size)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
@settings(max_examples=8)
@given(graph=dags())
def test_float32_is_float64_rounded_on_dags(graph, layer_type):
    schedule = topological(graph.edge_index, graph.num_nodes, graph.edge_weight)
    assert_rounded(layer_type(F, H), schedule, 1.0)
    assert_rounded(layer_type(F, H), topological(graph.edge_index, graph.num_nodes), 1.0)


def assert_rounded(layer, schedule, size):
    x, state = size * torch.randn(schedule.num_nodes, F), torch.randn(2, 1, len(schedule.starts), H)
    for mine, exact in zip(
        results(layer, x, schedule, state), results(layer, x.double(), schedule, state), strict=True
    ):
        scale = float(exact.abs().max()) + 1.0
        torch.testing.assert_close(mine.double() / scale, exact / scale, **CLOSE)


@pytest.mark.parametrize("least_size", [0, 1 << 60])
@pytest.mark.parametrize("edge_index", [[[0, 1, 2], [1, 2, 3]], [[0, 1, 2], [2, 2, 3]]], ids=["path", "tree"])
@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
def test_no_two_gradients_share_memory(layer_type, edge_index, least_size, monkeypatch):
    """In place, as clipping works, one would change the other."""
    monkeypatch.setattr(functions, "LEAST_SIZE", least_size)
    layer = layer_type(F, H, num_layers=2, bidirectional=True)
    layer(torch.randn(4, F), torch.tensor(edge_index))[0].sum().backward()
    places = [parameter.grad.untyped_storage().data_ptr() for parameter in layer.parameters()]
    assert len(set(places)) == len(places)


@pytest.mark.usefixtures("compiled")
def test_what_is_not_a_number_passes_through_relu():
    layer, x = RNN(F, H, nonlinearity="relu", bias=False), torch.randn(4, F)
    x[1, 0] = float("nan")
    schedule, found = packed_paths([4]), []
    for sweep in (fused_path_sweep, dense_path_sweep):
        leaf = x.clone().requires_grad_()
        h, _ = sweep(layer.cell, leaf, schedule, None, layer.weights("l0"), layer.step_by_step)
        found.append((h, *torch.autograd.grad(h.sum(), [leaf, *layer.parameters()])))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, equal_nan=True)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_parameters_of_several_types(layer_type, dtype):
    """They are refused by name: torch would promote the bias, and compiled code take it for float32."""
    layer, x, schedule = layer_type(F, H), torch.randn(8, F), packed_paths([5, 3])
    layer.bias_ih_l0 = torch.nn.Parameter(layer.bias_ih_l0.to(dtype))
    with pytest.raises(ValueError, match=f"bias_ih_l0 has .* type {dtype}; expected"):
        layer(x, schedule)
    layer.weight_hh_l0 = torch.nn.Parameter(layer.weight_hh_l0.to(dtype))
    with pytest.raises(ValueError, match=f"weight_hh_l0 has .* type {dtype}; expected"):
        layer(x, schedule)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
def test_torch_may_make_new_tensors_elsewhere(layer_type):
    layer, x, schedule = layer_type(F, H), torch.randn(8, F), packed_paths([5, 3])
    expected = layer(x, schedule)[0]
    with torch.device("meta"):
        found = layer(x, schedule)[0]
        found.sum().backward()
    assert torch.equal(found, expected)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
def test_what_is_saved_may_come_back_in_another_layout(layer_type):
    layer, x, schedule = layer_type(F, H), torch.randn(8, F), packed_paths([5, 3])
    expected = torch.autograd.grad(layer(x, schedule)[0].sin().sum(), list(layer.parameters()))
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.t().contiguous(), torch.Tensor.t):
        loss = layer(x, schedule)[0].sin().sum()
    found = torch.autograd.grad(loss, list(layer.parameters()))
    for a, b in zip(found, expected, strict=True):
        assert torch.equal(a, b)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
def test_a_gradient_that_is_a_negative_view(layer_type):
    layer, x, schedule = layer_type(F, H), torch.randn(8, F, requires_grad=True), packed_paths([5, 3])
    h = layer(x, schedule)[0]
    negative = torch.randn(8, H, dtype=torch.complex64).conj().imag
    assert negative.is_neg()
    (found,) = torch.autograd.grad(h, x, negative, retain_graph=True)
    torch.testing.assert_close(found, torch.autograd.grad(h, x, negative.resolve_neg())[0])


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("make", [lambda h: h.sum(), lambda h: h[:2].square().sum()])
def test_gradients_of_any_layout(make):
    """One that was expanded from a single number, and one that is zero almost everywhere."""
    layer, x, schedule = LSTM(F, H), torch.randn(9, F), packed_paths([5, 4])
    parameters = list(layer.parameters())
    found = torch.autograd.grad(make(layer(x, schedule)[0]), parameters)
    layer.double()
    for a, b in zip(found, torch.autograd.grad(make(layer(x.double(), schedule)[0]), parameters), strict=True):
        torch.testing.assert_close(a.double(), b, **CLOSE)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
def test_parameters_of_any_layout(layer_type):
    """Kernels stored by columns, and biases that are every second number of another tensor."""
    layer, x = layer_type(F, H), torch.randn(9, F)
    expected = layer(x, packed_paths([5, 4]))[0]
    for parameter in layer.parameters():
        if parameter.dim() == 2:
            parameter.data = parameter.data.t().contiguous().t()
        else:
            parameter.data = torch.stack([parameter.data, torch.zeros_like(parameter)], dim=1)[:, 0]
    torch.testing.assert_close(layer(x, packed_paths([5, 4]))[0], expected)


@pytest.mark.parametrize("least_size", [0, 1 << 30])
@pytest.mark.parametrize("graph", [packed_paths([5, 4]), topological(torch.tensor([[0, 1, 3], [2, 2, 4]]), 9)])
@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
def test_a_backward_pass_inside_autocast_is_the_one_outside(layer_type, graph, least_size, monkeypatch):
    monkeypatch.setattr(functions, "LEAST_SIZE", least_size)
    layer, x = layer_type(F, H), torch.randn(9, F, requires_grad=True)
    inputs = [x, *layer.parameters()]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = layer(x, graph)[0].square().sum()
        inside = torch.autograd.grad(loss, inputs, retain_graph=True)
    outside = torch.autograd.grad(loss, inputs, retain_graph=True)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        first = torch.autograd.grad(loss, inputs, create_graph=True)
        torch.autograd.grad(first[0].sum(), inputs, allow_unused=True)
    exact = torch.autograd.grad(layer(x, graph)[0].square().sum(), inputs)
    rounds = graph.lengths is not None and (layer_type is LSTM or least_size == 0)  # by torch's own LSTM, or compiled
    for a, b, c, d in zip(inside, outside, first, exact, strict=True):
        torch.testing.assert_close(a, b, **CLOSE)
        torch.testing.assert_close(c, d, **({"rtol": 0.05, "atol": 0.05} if rounds else CLOSE))


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
def test_many_runs_of_steps_add_up_to_one(layer_type, monkeypatch):
    """Gradients are gathered from runs of steps that fit a cache."""
    layer, x, schedule = layer_type(F, H), torch.randn(50, F), packed_paths([20, 16, 0, 9, 5])
    parameters = list(layer.parameters())
    whole = torch.autograd.grad(layer(x, schedule)[0].square().sum(), parameters)
    for numbers in (1, 4 * H * 7):
        monkeypatch.setattr("gnnseq.kernels.fused_path.CHUNK", numbers)
        parts = torch.autograd.grad(layer(x, schedule)[0].square().sum(), parameters)
        for a, b in zip(parts, whole, strict=True):
            torch.testing.assert_close(a, b, **CLOSE)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("make", [RNN, partial(RNN, nonlinearity="relu"), LSTM, GRU])
@pytest.mark.parametrize("lengths", [[9] * 40, [*range(40)], [40] + [1] * 50, [3, 2, 2, 1]])
def test_however_many_threads_share_the_paths(make, lengths):
    found, exact = by_threads(make(F, H), torch.randn(sum(lengths), F), lengths, (1, 2, 5))
    for parts in found:
        for a, b in zip(parts, exact, strict=True):
            torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5 * (1 + float(b.detach().abs().max())))


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("make", [RNN, partial(RNN, nonlinearity="relu"), LSTM, GRU])
@pytest.mark.parametrize("lengths", [[3] * 16, [7, 5, 5, 2], [9]])
def test_however_many_threads_share_the_channels(make, lengths):
    """A wide kernel and few rows: a state's numbers are the same whoever computes them, to the last bit."""
    layer = make(20, 256)
    found, exact = by_threads(layer, torch.randn(sum(lengths), 20), lengths, (1, 2, 4))
    for parts in found:
        for a, b in zip(parts, exact, strict=True):
            torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5 * (1 + float(b.detach().abs().max())))
        assert torch.equal(parts[0], found[0][0])
    index, schedule = torch.randint(20, (sum(lengths),)), packed_paths(lengths)
    with threads(4):
        looked_up = layer.float()(index, schedule)[0]
    torch.testing.assert_close(looked_up, layer(torch.nn.functional.one_hot(index, 20).float(), schedule)[0], **CLOSE)


def by_threads(layer, x, lengths, numbers):
    """What a layer does for some numbers of threads, and in float64."""
    schedule = packed_paths(lengths)
    state = torch.randn(2, 1, len(lengths), layer.hidden_channels)
    found = []
    for number in numbers:
        with threads(number):
            found.append(results(layer, x, schedule, state))
    return found, results(layer, x.double(), schedule, state)


@contextmanager
def threads(number):
    """Torch with so many threads."""
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@pytest.mark.usefixtures("compiled")
@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU, MinGRU])
@pytest.mark.parametrize("indices", [False, True])
def test_gradients_lie_as_parameters_do(layer_type, indices):
    """Whoever shares them among processes copies them otherwise, and says so."""
    tree = topological(torch.tensor([[0, 1], [2, 2]]), 3)
    for schedule in (packed_paths([3]), tree):
        layer = layer_type(1 if not indices else 4, H)
        x = torch.randint(4, (3,)) if indices else torch.randn(3, 1)
        grads = torch.autograd.grad(layer(x, schedule)[0].sum(), list(layer.parameters()))
        for gradient, parameter in zip(grads, layer.parameters(), strict=True):
            assert gradient.stride() == parameter.stride()
