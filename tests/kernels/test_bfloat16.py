"""Under autocast, sweeps over paths multiply what is rounded to bfloat16, and keep sums and states in float32.

N nodes, F inputs, H hidden channels, B paths of T steps.
"""

import pytest
import torch
from torch.nn import functional

from gnnseq.checkpoint import sweep_in_chunks
from gnnseq.kernels import fused_path
from gnnseq.kernels.native import build, functions, panels
from gnnseq.layers import GRU, LSTM, RNN
from gnnseq.schedule import packed_paths

RULES = pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
WIDE = 0.03  # 8 bits a factor


@pytest.fixture
def rounding(compiled):
    if not functions.compiled("has_rounded")():
        pytest.skip("this processor has no bfloat16 instructions")


@pytest.fixture
def by_vectors(rounding, monkeypatch):
    """As where the processor has no tiles, or the system does not let them be used."""
    monkeypatch.setattr(build, "FLAGS", [*build.FLAGS, "-mno-amx-bf16"])
    monkeypatch.setattr(functions.build, "library", build.library.__wrapped__)
    functions.compiled.cache_clear()
    yield
    functions.compiled.cache_clear()


def mixed(run):
    with torch.autocast("cpu", dtype=torch.bfloat16):
        return run()


class Rounded(torch.autograd.Function):
    """x W^T of rounded factors; so are those of its gradients."""

    @staticmethod
    def forward(ctx, x, weight):
        x, weight = x.bfloat16().double(), weight.bfloat16().double()
        ctx.save_for_backward(x, weight)
        return x @ weight.t()

    @staticmethod
    def backward(ctx, grad):
        x, weight = ctx.saved_tensors
        grad = grad.float().bfloat16().double()  # sums are float32's before they are rounded
        return grad @ weight, grad.t() @ x


def reference(layer, x, state):
    """torch.nn's equations over [T, B, F], in float64 but for what is multiplied: h [T * B, H]."""
    weight_ih, weight_hh, bias_ih, bias_hh = (parameter.double() for parameter in layer.weights("l0"))
    states, outputs = [part.double() for part in state], []
    for step in x.double():
        sent, read = Rounded.apply(step, weight_ih) + bias_ih, Rounded.apply(states[0], weight_hh) + bias_hh
        if isinstance(layer, LSTM):
            i, f, g, o = (sent + read).chunk(4, dim=1)
            c = f.sigmoid() * states[1] + i.sigmoid() * g.tanh()
            states = [o.sigmoid() * c.tanh(), c]
        elif isinstance(layer, GRU):
            (r, z, n), (read_r, read_z, read_n) = sent.chunk(3, dim=1), read.chunk(3, dim=1)
            new = (n + (r + read_r).sigmoid() * read_n).tanh()
            states = [new + (z + read_z).sigmoid() * (states[0] - new)]
        else:
            states = [(sent + read).tanh()]
        outputs.append(states[0])
    return torch.cat(outputs)


def gradients(h, inputs):
    return torch.autograd.grad(h, inputs, torch.linspace(-1, 1, h.numel()).view(h.shape).to(h))


def errors(found, exact):
    """Of the numbers taken together: a state that is rounded the other way is off by itself alone."""
    pairs = [(a.detach().double(), b.detach().double()) for a, b in zip(found, exact, strict=True)]
    return [float((a - b).norm() / b.norm()) for a, b in pairs]


@RULES
@pytest.mark.parametrize("route", ["rounding", "by_vectors"])
@pytest.mark.parametrize(
    ("steps", "paths", "features", "hidden"), [(6, 23, 7, 37), (5, 1, 40, 64), (3, 70, 300, 33), (9, 16, 32, 128)]
)
def test_what_is_multiplied_is_rounded_and_nothing_else(layer_type, steps, paths, features, hidden, route, request):
    request.getfixturevalue(route)
    torch.manual_seed(0)
    layer, x = layer_type(features, hidden), torch.randn(steps, paths, features, requires_grad=True)
    state = [torch.randn(paths, hidden, requires_grad=True) for _ in range(layer.cell.states)]
    inputs = [x, *state, *layer.parameters()]
    rows = tuple(part.unsqueeze(0) for part in state)
    given = x.flatten(0, 1), packed_paths([steps] * paths), rows if len(rows) > 1 else rows[0]
    h = mixed(lambda: layer(*given)[0])
    expected, exact = reference(layer, x, state), layer(*given)[0]
    found, plain = [h, *gradients(h, inputs)], [exact, *gradients(exact, inputs)]
    known = [expected, *gradients(expected, inputs)]
    assert max(errors(found, known)) < 4e-4  # a few are rounded the other way
    assert min(errors(plain, known)) > 4e-4  # what is not rounded would be told apart


@pytest.mark.usefixtures("rounding")
@RULES
def test_ragged_paths_threads_runs_and_chunks(layer_type, monkeypatch):
    """Rows do not depend on one another, and gradients are sums over all of them."""
    torch.manual_seed(0)
    lengths = [9, 0, 7, 7, 3, 1, 9, 4, 4, 2, 9, 9, 5]
    layer, schedule = layer_type(19, 64), packed_paths(lengths)
    x = torch.randn(sum(lengths), 19, requires_grad=True)
    inputs = [x, *layer.parameters()]

    def run():
        h = mixed(lambda: layer(x, schedule)[0])
        return [h, *gradients(h, inputs)]

    threads, whole = torch.get_num_threads(), run()
    with torch.no_grad():
        assert torch.equal(mixed(lambda: layer(x, schedule)[0]), whole[0])
        alone = packed_paths([9])
        first = schedule.rows[:1]
        at = torch.tensor([schedule.node_offsets[step] for step in range(9)])
        assert lengths[int(first)] == 9
        assert torch.equal(mixed(lambda: layer(x[at], alone)[0]), whole[0][at])
    monkeypatch.setattr(fused_path, "CHUNK", 4 * 64 * 7)
    try:
        torch.set_num_threads(3 - min(threads, 2))
        again = run()
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(again[0], whole[0])
    for a, b in zip(again[1:], whole[1:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)
    chunked = mixed(lambda: sweep_in_chunks(layer, x, schedule, chunks=3)[0])
    assert torch.equal(chunked, whole[0])
    for a, b in zip(gradients(chunked, inputs), whole[1:], strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)


@RULES
def test_states_and_gradients_keep_their_type_wherever_it_runs(layer_type):
    """Also on a processor without such instructions, where they are float32's to the bit."""
    torch.manual_seed(0)
    layer, x, schedule = layer_type(24, 64), torch.randn(400, 24, requires_grad=True), packed_paths([40] * 10)
    index = torch.randint(24, (400,))
    for given in (x, x.detach().bfloat16(), index):
        exact, state = layer(given if given is index else given.float(), schedule)
        h, own = mixed(lambda given=given: layer(given, schedule))
        assert h.dtype == torch.float32
        torch.testing.assert_close(h, exact, rtol=0, atol=WIDE)
        torch.testing.assert_close(own, state, rtol=0, atol=WIDE)
        found, known = gradients(h, list(layer.parameters())), gradients(exact, list(layer.parameters()))
        assert max(errors(found, known)) < WIDE
        assert {grad.dtype for grad in found} == {torch.float32}
    with torch.autocast("cpu", dtype=torch.float16):
        half = layer(x, schedule)[0]
    assert torch.equal(half, layer(x, schedule)[0])


@pytest.mark.usefixtures("rounding")
@RULES
def test_second_derivatives_are_those_of_float32(layer_type):
    layer, x, schedule = layer_type(8, 32), torch.randn(60, 8, requires_grad=True), packed_paths([6] * 10)
    found = []
    for run in (lambda: layer(x, schedule)[0], lambda: mixed(lambda: layer(x, schedule)[0])):
        (first,) = torch.autograd.grad(run().sin().sum(), x, create_graph=True)
        found.append(torch.autograd.grad(first.square().sum(), layer.weight_hh_l0)[0])
    assert errors(found[1:], found[:1])[0] < WIDE


@pytest.mark.usefixtures("rounding")
def test_rounding_is_to_the_nearest_and_keeps_what_is_no_number():
    numbers = torch.randn(25) * 10.0 ** torch.arange(-12, 13)
    ties = (torch.arange(1, 6, dtype=torch.int32) * 0x8000 + 0x3F80_0000).view(torch.float32)
    own = torch.tensor([0.0, -0.0, float("inf"), -float("inf"), float("nan")])
    numbers = torch.cat([numbers, ties, own])
    laid_out = panels(numbers.repeat(2, 1), "rounded").view(2, 2, 16, 16, 2)  # pairs of rows of 16 columns
    assert torch.equal(laid_out[:, :, 0, :, 0].flatten()[:35].nan_to_num(7.0), numbers.bfloat16().nan_to_num(7.0))
    layer = RNN(35, 35, nonlinearity="relu", bias=False)
    with torch.no_grad():
        layer.weight_ih_l0.copy_(torch.eye(35))
        finite = numbers.nan_to_num(1.0, 1.0, -1.0)
        h = mixed(lambda: layer(finite.repeat(64, 1), packed_paths([1] * 64))[0])
    assert torch.equal(h, functional.relu(finite.bfloat16().float()).repeat(64, 1))


@pytest.mark.usefixtures("rounding")
def test_a_compiled_call_is_an_eager_one():
    torch.manual_seed(0)
    layer, x, schedule = LSTM(16, 64), torch.randn(200, 16), packed_paths([20] * 10)
    run = torch.compile(layer, backend="aot_eager", fullgraph=True)
    assert torch.equal(mixed(lambda: run(x, schedule)[0]), mixed(lambda: layer(x, schedule)[0]))
    assert not torch.equal(mixed(lambda: run(x, schedule)[0]), run(x, schedule)[0])
