"""Sweeps of MinGRU and MinLSTM in compiled code: values, gradients and gates at their ends, next to float64."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseq import topological
from gnnseq.kernels import fused_linear
from gnnseq.kernels.dispatch import choose_kernel
from gnnseq.kernels.frontier import frontier_sweep
from gnnseq.kernels.fused_linear import fused_linear_sweep
from gnnseq.layers import GRU, LSTM, RNN, MinGRU, MinLSTM
from gnnseq.schedule import packed_paths
from strategies import dags

LINEAR = pytest.mark.parametrize("layer_type", [MinGRU, MinLSTM])
pytestmark = pytest.mark.usefixtures("compiled")


@pytest.fixture(autouse=True)
def _allowed(monkeypatch):
    """Also if the other tests are run without."""
    monkeypatch.delenv("GNNSEQ_NATIVE", raising=False)


def results(layer, kernel, dtype, schedule, x, state, weight, once=False):
    """Values, first derivatives, and the second ones unless once."""
    layer = layer.to(dtype)
    inputs = [None if part is None else part.to(dtype).requires_grad_() for part in (x, state, weight)]
    along = schedule if weight is None else schedule.weighted(inputs[2])
    h, final = kernel(layer.cell, inputs[0], along, inputs[1], layer.weights("l0"), layer.step_by_step)
    wanted = [part for part in (*inputs, *layer.parameters()) if part is not None]
    loss = h.sin().sum() + final.square().sum()
    found = [h, final, *torch.autograd.grad(loss, wanted, retain_graph=True)]
    if once:
        return found
    again = torch.autograd.grad(loss, wanted, create_graph=True)
    return [*found, *torch.autograd.grad(sum(part.square().sum() for part in again), wanted)]


def assert_rounded(found, expected):
    for a, b in zip(found, expected, strict=True):
        largest = float(b.detach().norm(torch.inf)) if b.numel() > 0 else 0.0
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=2e-6 * (1 + largest))


@LINEAR
@settings(max_examples=10)
@given(dags(max_nodes=8), st.booleans(), st.booleans(), st.booleans(), st.sampled_from([1, 17, 40]))
def test_any_graph(layer_type, graph, bias, weighted, given_state, hidden):
    torch.manual_seed(graph.seed)
    schedule = topological(graph.edge_index, graph.num_nodes).in_order
    state = torch.randn(schedule.starts.numel(), hidden) if given_state else None
    weight = graph.edge_weight[schedule.edge_id] if weighted else None
    given_ = schedule, graph.features(3), state, weight
    layer = layer_type(3, hidden, bias=bias)
    found = results(layer, fused_linear_sweep, torch.float32, *given_)
    assert_rounded(found, results(layer, frontier_sweep, torch.float64, *given_))


@LINEAR
@pytest.mark.parametrize("threads", [1, 2])
def test_runs_of_nodes_and_shares_of_channels(layer_type, threads, monkeypatch):
    """So much work that nodes go through in several runs, and channels in several threads and pieces."""
    monkeypatch.setattr(fused_linear, "CHUNK", 1 << 13)
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        schedule, layer = packed_paths([70, 3, 0, 41]), layer_type(5, 600)
        x, state = torch.randn(schedule.num_nodes, 5), torch.randn(4, 600)
        weight = torch.rand(schedule.edge_index.size(1))
        for edge_weight in (None, weight):
            given_ = schedule, x, state, edge_weight, True
            found = results(layer, fused_linear_sweep, torch.float32, *given_)
            assert_rounded(found, results(layer, frontier_sweep, torch.float64, *given_))
    finally:
        torch.set_num_threads(before)


@LINEAR
@pytest.mark.parametrize(("hidden", "threads"), [(20, 1), (1, 8), (600, 3), (48, 2)])
@pytest.mark.parametrize("bias", [True, False])
def test_indices_are_looked_up(layer_type, hidden, threads, bias):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        layer, schedule, x = layer_type(7, hidden, bias=bias), packed_paths([90, 40]), torch.randint(7, (130,))
        x_hot = torch.nn.functional.one_hot(x, 7).float()
        for a, b in zip(*(run(layer, given_, schedule) for given_ in (x, x_hot)), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("layer_type", [MinGRU, MinLSTM, RNN, LSTM, GRU])
def test_without_input_channels_biases_are_what_is_projected(layer_type):
    layer, schedule, x = layer_type(0, 64), packed_paths([100, 50]), torch.zeros(150, 0)
    expected = layer.double()(x.double(), schedule)[0].float()
    layer.float()
    for _ in range(3):
        torch.empty(1 << 20).fill_(7.0)  # memory that comes next is not zero
        torch.testing.assert_close(layer(x, schedule)[0], expected)
        with torch.no_grad(), torch.autocast("cpu", dtype=torch.bfloat16):
            torch.testing.assert_close(layer(x, schedule)[0], expected, rtol=0.03, atol=0.03)


@LINEAR
@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("hidden", [16, 40, 48, 150])
def test_chunks_and_shares_do_not_change_a_number_forward(layer_type, hidden, threads, monkeypatch):
    """Also where a thread's channels begin within a panel; gradients of kernels are added up in another order."""
    torch.manual_seed(0)
    layer, schedule, x = layer_type(9, hidden), packed_paths([200, 160, 7]), torch.randn(367, 9, requires_grad=True)

    def both(chunk):
        monkeypatch.setattr(fused_linear, "CHUNK", chunk)
        h, _ = layer(x, schedule)
        return h, *torch.autograd.grad(h.sin().sum(), [x, *layer.parameters()])

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        h, *expected = both(1 << 20)
        torch.set_num_threads(threads)
        again, *found = both(1)
        assert torch.equal(again, h)
        with torch.no_grad():
            assert torch.equal(layer(x, schedule)[0], h)
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)
    finally:
        torch.set_num_threads(before)


def run(layer, x, schedule):
    h, final = fused_linear_sweep(layer.cell, x, schedule, None, layer.weights("l0"), layer.step_by_step)
    return h, final, *torch.autograd.grad(h.sin().sum(), list(layer.parameters()))


@LINEAR
def test_which_work_it_takes(layer_type):
    layer, paths = layer_type(3, 64), packed_paths([64, 10])
    tree = topological(torch.stack([torch.arange(1, 100), torch.arange(1, 100) // 2]), 100)
    for schedule in (paths, tree, tree.weighted(torch.rand(99))):
        x = torch.randn(schedule.num_nodes, 3)
        assert choose_kernel(layer.cell, x, schedule, None, layer.weights("l0")) is fused_linear_sweep
        double = layer_type(3, 64).double()
        assert choose_kernel(double.cell, x.double(), schedule, None, double.weights("l0")) is frontier_sweep


@pytest.mark.parametrize("size", [5.0, 200.0, 3e4])
def test_gates_that_are_shut(size):
    """Shares of two gates that are both smaller than a number can be, and sums beyond the exponential's range."""
    totals = torch.tensor([[f, i, 1.0] for f in (-size, -size / 2, 0.0, size) for i in (-size, -size / 2, 0.0, size)])
    for layer, x in ((MinGRU(1, 1), totals[:, :1]), (MinLSTM(3, 1), totals)):
        with torch.no_grad():
            layer.bias_ih_l0.zero_()
            layer.weight_ih_l0.copy_(torch.eye(3) if isinstance(layer, MinLSTM) else torch.tensor([[1.0], [0.5]]))
        given_ = packed_paths([len(x)]), x, torch.ones(1, 1), None, True
        found = results(layer, fused_linear_sweep, torch.float32, *given_)
        assert all(part.isfinite().all() for part in found)
        assert_rounded(found, results(layer, frontier_sweep, torch.float64, *given_))


@LINEAR
def test_a_gate_that_is_one_forgets_large_numbers(layer_type):
    """Nothing is left of a state of 10^8 where all of a node is its candidate, and nothing is lost beside one."""
    layer = layer_type(2, 8)
    sums = [-100.0, 100.0, 1.0][-layer.cell.gates :]  # of the gates f, i and the candidate; a MinGRU has one gate
    with torch.no_grad():
        layer.weight_ih_l0.zero_()
        layer.bias_ih_l0.copy_(torch.tensor(sums).repeat_interleave(8))
    given_ = torch.zeros(3, 2), packed_paths([3]), torch.full((1, 8), 1e8), layer.weights("l0"), layer.step_by_step
    h, _ = fused_linear_sweep(layer.cell, *given_)
    assert (h == 1.0).all()


@LINEAR
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_learns_what_hardly_changes_the_state(layer_type, dtype):
    """A gate that keeps all but 10^-5 has gradients as exact as others: what is written is no difference from 1."""
    torch.manual_seed(0)
    layer, schedule = layer_type(4, 32, init="chrono", time_scale=1e5).to(dtype), packed_paths([20])
    x = torch.randn(20, 4, dtype=dtype)
    found = results(layer, frontier_sweep, dtype, schedule, x, None, None, once=True)
    exact = results(layer, frontier_sweep, torch.float64, schedule, x, None, None, once=True)
    for a, b in zip(found, exact, strict=True):
        assert (a - b).norm() < 0.05 * b.norm()


def test_two_gates_in_float64_are_as_exact_as_float64():
    """Where torch's softplus is a straight line, 10^-9 off."""
    f, i = torch.tensor([-21.0, -25.0, 5.0]).double(), torch.tensor([-1.0, -19.0, -20.5]).double()
    layer = MinLSTM(3, 1, bias=False).double()
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.eye(3))
    x = torch.stack([f, i, torch.ones(3).double()], dim=1)
    expected = i.sigmoid() / (f.sigmoid() + i.sigmoid())
    for h in (
        layer(x, packed_paths([1] * 3))[0],
        layer.step_by_step(x, packed_paths([1] * 3), None, layer.weights("l0")),
    ):
        torch.testing.assert_close(h[:, 0], expected, rtol=1e-13, atol=0)
