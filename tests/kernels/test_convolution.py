"""Graph convolutions with their inputs' gradient in compiled code: values and derivatives, next to float64 ones."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseq.kernels import Adjacency, fused_convolution
from gnnseq.kernels.fused_convolution import fused_convolution as convolve
from gnnseq.kernels.native import functions, panels
from gnnseq.layers import GCN, GatedGraph

pytestmark = pytest.mark.usefixtures("compiled")
N, E, F = 90, 400, 20


@pytest.fixture(autouse=True)
def _of_any_size(monkeypatch):
    monkeypatch.delenv("GNNSEQ_NATIVE", raising=False)
    monkeypatch.setattr(functions, "LEAST_SIZE", 0)
    monkeypatch.setattr(fused_convolution, "BLOCK", 1)  # several blocks of few rows
    monkeypatch.setattr(fused_convolution, "FEWEST", 16)


def made(nodes=N, edges=E, features=F, channels=F, seed=0, bias=True):
    torch.manual_seed(seed)
    graph = Adjacency.of(torch.randint(nodes, (2, edges)), nodes).weighted(torch.rand(edges) * min(1, nodes / edges))
    given_ = (
        torch.randn(nodes, features),
        torch.randn(channels, features) / features**0.5,
        torch.randn(channels) if bias else None,
    )
    return graph, [None if part is None else part.requires_grad_() for part in given_]


def dense(graph, x, weight, bias):
    """``A @ x @ weight.T + bias`` in float64."""
    rows = graph.by_target
    adjacency = torch.zeros(len(x), len(x), dtype=torch.float64)
    target = torch.repeat_interleave(torch.arange(len(x)), rows.indptr.diff())
    adjacency.index_put_((target, rows.indices.long()), rows.weight.double(), accumulate=True)
    out = adjacency @ x.double() @ weight.double().t()
    return out if bias is None else out + bias.double()


def derivatives(out, given_):
    """First ones, then second ones."""
    wanted = [part for part in given_ if part is not None]
    loss = out.sin().sum()
    once = torch.autograd.grad(loss, wanted, retain_graph=True)
    again = torch.autograd.grad(loss, wanted, create_graph=True)
    return [*once, *torch.autograd.grad(sum(part.square().sum() for part in again), wanted)]


def assert_dense(graph, given_):
    out, expected = convolve(*given_, graph), dense(graph, *given_)
    found = [out, *derivatives(out, given_)]
    for a, b in zip(found, [expected, *derivatives(expected, given_)], strict=True):
        largest = float(b.detach().abs().max()) if b.numel() else 0.0
        torch.testing.assert_close(a.double(), b.double(), rtol=1e-4, atol=3e-6 * (1 + largest))


@settings(max_examples=25)
@given(st.integers(1, 80), st.integers(1, 300), st.integers(1, 70), st.data(), st.booleans())
def test_it_is_the_dense_product(nodes, edges, features, data, bias):
    channels = data.draw(st.integers(1, features))
    assert_dense(*made(nodes, edges, features, channels, nodes, bias))


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.parametrize("channels", [F, 7])
def test_threads_share_rows(threads, channels):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert_dense(*made(nodes=500, edges=3000, channels=channels))
    finally:
        torch.set_num_threads(before)


def test_wide_indices():
    graph, given_ = made()
    rows = [
        side._replace(indptr=side.indptr.long(), indices=side.indices.long())
        for side in (graph.by_target, graph.by_source)
    ]
    assert_dense(Adjacency(*rows), given_)


def test_gradients_that_are_not_wanted_are_not_made():
    graph, (x, weight, bias) = made()
    out = convolve(x, weight.detach(), None, graph)
    (d_x,) = torch.autograd.grad(out.sum(), [x])
    expected = dense(graph, x, weight.detach(), None)
    torch.testing.assert_close(d_x, torch.autograd.grad(expected.sum(), [x])[0], rtol=1e-4, atol=1e-4)
    out = convolve(x, weight, bias, graph)
    assert torch.equal(torch.autograd.grad(out.sum(), [bias])[0], torch.full((F,), float(N)))


def test_what_torch_does_as_well_or_has_to_see():
    graph, (x, weight, bias) = made()
    with torch.no_grad():
        assert convolve(x, weight, bias, graph) is None
    assert convolve(x.detach(), weight, bias, graph) is None
    assert convolve(x, torch.randn(F + 1, F), None, graph) is None  # sums on the narrower side are not these
    assert convolve(x.double(), weight.double(), None, graph) is None
    with torch.autocast("cpu"):
        assert convolve(x, weight, bias, graph) is None
    seen = []
    torch.func.grad(lambda x: (seen.append(convolve(x, weight, bias, graph)), x.sum())[1])(x.detach())
    assert seen == [None]


def test_a_batch_of_gradients():
    graph, (x, weight, bias) = made()
    batch = torch.randn(3, N, F)
    found = torch.autograd.grad(convolve(x, weight, bias, graph), [x, weight, bias], batch, is_grads_batched=True)
    for number, grad in enumerate(batch):
        one = torch.autograd.grad(convolve(x, weight, bias, graph), [x, weight, bias], grad)
        for a, b in zip(found, one, strict=True):
            torch.testing.assert_close(a[number], b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("altered", [N, -1])
def test_a_node_that_is_not_there(altered):
    graph, given_ = made()
    graph.by_target.indices[7] = altered
    with pytest.raises(ValueError, match="nodes that are not there"):
        convolve(*given_, graph)


@pytest.mark.filterwarnings("ignore:Initializing zero-element tensors")
def test_no_channels_and_rows_that_are_not_the_graphs():
    graph, (x, _, _) = made()
    layer = GCN(F, 0)
    h = layer(x, torch.randint(N, (2, E)))
    assert h.shape == (N, 0)
    assert torch.equal(torch.autograd.grad(h.sum(), [x])[0], torch.zeros(N, F))
    assert convolve(x[:-1], torch.randn(F, F), None, graph) is None


def test_a_backward_pass_under_autocast_is_exact():
    """Products there would else be rounded, and compiled code be given their bfloat16 numbers as float32."""
    edges = torch.randint(N, (2, E))
    for layer in (GCN(F, F), GatedGraph(F, num_rounds=2)):
        x = torch.randn(N, F, requires_grad=True)
        wanted = [x, *layer.parameters()]
        exact = torch.autograd.grad(layer(x, edges).sin().sum(), wanted)
        loss = layer(x, edges).sin().sum()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            found = torch.autograd.grad(loss, wanted)
        for a, b in zip(found, exact, strict=True):
            assert torch.equal(a, b)


def test_panels_are_of_float32_alone():
    with pytest.raises(TypeError, match=r"a kernel of torch\.bfloat16 came to compiled code"):
        panels(torch.ones(3, 3, dtype=torch.bfloat16), "convolution")
