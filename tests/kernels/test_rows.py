"""Sums of rows are the dense products, whatever is in them: over mostly-zero features, and over neighbours.

N nodes, F features, H output channels.
"""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.autograd import forward_ad

from gnnseq.graphs import path_graph
from gnnseq.kernels import Adjacency, aggregate
from gnnseq.kernels.native import functions as module
from gnnseq.kernels.native import library
from gnnseq.kernels.sparse_features import feature_product
from gnnseq.layers import GCN, GatedGraph
from gnnseq.normalization import gcn_normalize

CLOSE = {"rtol": 1e-4, "atol": 1e-5}  # float32 carries 6e-8; sums of up to 700 products
FORMS = {"dense": lambda x: x, "csr": torch.Tensor.to_sparse_csr, "coo": torch.Tensor.to_sparse_coo}


@pytest.fixture(autouse=True)
def _compiled(monkeypatch):
    monkeypatch.delenv("GNNSEQ_NATIVE", raising=False)
    monkeypatch.setattr(module, "LEAST_SIZE", 0)
    if library() is None:
        pytest.skip("no C compiler")


def sparse_features(nodes, features, share=0.02, seed=0):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(nodes, features, generator=generator)
    return x * (torch.rand(nodes, features, generator=generator) < share)


def assert_dense(x, weight, form):
    weight = weight.clone().requires_grad_()
    found = feature_product(FORMS[form](x), weight)
    expected = x.double() @ weight.double().t()
    cotangent = torch.randn(expected.shape)
    torch.testing.assert_close(found.double(), expected, **CLOSE, equal_nan=True)
    (d_found,), (d_expected,) = (
        torch.autograd.grad(h, weight, c) for h, c in ((found, cotangent), (expected, cotangent.double()))
    )
    torch.testing.assert_close(d_found, d_expected, **CLOSE, equal_nan=True)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=25)
@given(st.integers(1, 80), st.integers(1, 70), st.integers(1, 20), st.integers(0, 1000))
def test_products_and_gradients_are_the_dense_ones(form, nodes, features, channels, seed):
    torch.manual_seed(seed)
    x, rare = torch.zeros(nodes, features), min(nodes, 16) * features // 20  # few enough wherever a sample looks
    x.view(-1)[torch.randperm(x.numel())[:rare]] = torch.randn(rare)
    assert_dense(x, torch.randn(channels, features), form)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("threads", [1, 2, 5])
def test_large_ones_by_any_number_of_threads(form, threads):
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        assert_dense(sparse_features(700, 1433, 0.01), torch.randn(16, 1433), form)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("form", FORMS)
@settings(max_examples=25)
@given(
    st.integers(1, 60), st.integers(0, 200), st.integers(1, 70), st.integers(1, 40), st.booleans(), st.integers(0, 9)
)
def test_convolutions_and_gradients_are_the_dense_ones(form, nodes, edges, features, channels, biased, seed):
    torch.manual_seed(seed)
    x, edge_index, each = sparse_features(nodes, features), torch.randint(nodes, (2, edges)), torch.randn(edges)
    adjacency = Adjacency.of(edge_index, nodes).weighted(each)
    dense = torch.zeros(nodes, nodes, dtype=torch.float64).index_put(
        (edge_index[1], edge_index[0]), each.double(), True
    )
    learnt = [torch.randn(channels, features), *[torch.randn(channels)] * biased]
    exact = [each.double().requires_grad_() for each in learnt]
    learnt = [each.requires_grad_() for each in learnt]
    found = feature_product(FORMS[form](x), learnt[0], adjacency, learnt[1] if biased else None)
    if found is None:  # a sample of the rows has too many
        assert form == "dense"
        return
    expected = dense @ x.double() @ exact[0].t() + (exact[1] if biased else 0)
    torch.testing.assert_close(found.double(), expected, **CLOSE)
    cotangent = torch.randn(nodes, channels)
    once = torch.autograd.grad(found.square(), learnt, cotangent, create_graph=True)
    exactly = torch.autograd.grad(expected.square(), exact, cotangent.double(), create_graph=True)
    plainly = torch.autograd.grad(found.square(), learnt, cotangent, retain_graph=True)
    for a, b, c in zip(once, plainly, exactly, strict=True):
        scale = float(c.detach().abs().max()) if c.numel() else 1.0
        for each in (a, b):
            torch.testing.assert_close(each.double(), c, rtol=1e-4, atol=1e-5 * max(scale, 1.0))
    twice, exactly_twice = (
        torch.autograd.grad(sum(g.square().sum() for g in first), parameters)
        for first, parameters in ((once, learnt), (exactly, exact))
    )
    for a, c in zip(twice, exactly_twice, strict=True):
        torch.testing.assert_close(a.double(), c, rtol=1e-3, atol=1e-4 * max(float(c.abs().max()), 1.0))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_not_finite_is_as_in_a_dense_product(value):
    x, weight = sparse_features(50, 300, 0.01), torch.randn(4, 300)
    x[7, 5] = value
    assert_dense(x, weight, "dense")
    weight[1, 3] = value
    assert feature_product(x, weight) is None
    x[7, 5] = 1.0
    weight = torch.randn(4, 300).requires_grad_()
    cotangent = torch.ones(50, 4)
    cotangent[3, 2] = value
    (found,) = torch.autograd.grad(feature_product(x, weight), weight, cotangent)
    torch.testing.assert_close(found, cotangent.t() @ x, equal_nan=True)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("nodes", "features", "channels"), [(0, 5, 3), (4, 0, 3), (3, 5, 0), (3, 5, 2)])
def test_nothing_but_zeros(form, nodes, features, channels):
    assert_dense(torch.zeros(nodes, features), torch.randn(channels, features), form)


@pytest.mark.parametrize("form", FORMS)
def test_many_gradients_at_once(form):
    x, cotangents = sparse_features(50, 300, 0.01), torch.randn(3, 50, 4)
    weight = torch.randn(4, 300, requires_grad=True)
    (found,) = torch.autograd.grad(feature_product(FORMS[form](x), weight), weight, cotangents, is_grads_batched=True)
    torch.testing.assert_close(found, cotangents.mT @ x)


@pytest.mark.parametrize("form", FORMS)
def test_features_changed_before_the_backward_pass_are_an_error(form):
    x, weight = FORMS[form](sparse_features(50, 300, 0.01)), torch.randn(4, 300, requires_grad=True)
    product = feature_product(x, weight)
    (x if form == "dense" else x.values()).mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        product.sum().backward()


def test_second_derivatives():
    x, weight = sparse_features(50, 300, 0.01), torch.randn(4, 300, requires_grad=True)
    for form in FORMS.values():
        found = []
        for h in (feature_product(form(x), weight), x @ weight.t()):
            (once,) = torch.autograd.grad(h.pow(3).sum(), weight, create_graph=True)
            found.append(torch.autograd.grad(once.square().sum(), weight)[0])
        torch.testing.assert_close(*found, rtol=1e-4, atol=1e-3)


def test_dense_features_and_learnt_ones_are_left_to_torch():
    weight = torch.randn(4, 300)
    assert feature_product(torch.randn(50, 300), weight) is None
    assert feature_product(sparse_features(50, 300).requires_grad_(), weight) is None
    assert feature_product(sparse_features(50, 300).double(), weight.double()) is None
    assert feature_product(sparse_features(50, 300).t(), torch.randn(4, 50)) is None


def test_changed_features_are_seen():
    x, layer, edge_index = sparse_features(50, 300, 0.01), GCN(300, 4), path_graph(50).edge_index
    before = layer(x, edge_index)
    x.numpy()[3, 200] = 5.0
    after = layer(x, edge_index)
    assert not torch.equal(before, after)
    torch.testing.assert_close(after, layer.double()(x.double(), edge_index).float())


def test_a_column_out_of_range_is_named():
    with torch.sparse.check_sparse_tensor_invariants(False):
        x = torch.sparse_csr_tensor(torch.tensor([0, 1, 2]), torch.tensor([0, 7]), torch.ones(2), (2, 5))
    with pytest.raises(ValueError, match="column 7; expected 0 to 4"):
        feature_product(x, torch.randn(3, 5))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda crow, col, val: (crow, col, val[:-20]), "values and 60 col_indices"),
        (lambda crow, col, val: (crow, col, val[:0]), "0 values"),
        (lambda crow, col, val: (crow[:1], col, val), "1 crow_indices; expected 31"),
        (lambda crow, col, val: (torch.tensor([0, len(col)]), col, val), "2 crow_indices"),
        (lambda crow, col, val: (torch.cat([crow, crow[-1:] + 10**9]), col, val), "32 crow_indices"),
        (lambda crow, col, val: (crow.flip(0), col, val), "rising order"),
    ],
)
def test_compressed_features_that_do_not_fit_are_named(change, message):
    crow, col, val = torch.arange(31) * 2, torch.arange(60), torch.ones(60)
    with torch.sparse.check_sparse_tensor_invariants(False):
        x = torch.sparse_csr_tensor(*change(crow, col, val), (30, 60))
    with pytest.raises(ValueError, match=message):
        GCN(60, 4)(x, path_graph(30).edge_index)


def test_indices_of_two_types():
    x, layer, edge_index = sparse_features(30, 60), GCN(60, 4), path_graph(30).edge_index
    csr = x.to_sparse_csr()
    with torch.sparse.check_sparse_tensor_invariants(False):
        mixed = torch.sparse_csr_tensor(csr.crow_indices().int(), csr.col_indices(), csr.values(), x.shape)
    torch.testing.assert_close(layer(mixed, edge_index), layer(x, edge_index))


@pytest.mark.parametrize("shape", [(), (1,), (1, 4), (50, 1), (50, 4)])
def test_biases_of_other_shapes_are_refused(shape):
    layer, x, edge_index = GCN(300, 4), sparse_features(50, 300, 0.01), path_graph(50).edge_index
    layer.bias = torch.nn.Parameter(torch.randn(shape))
    with pytest.raises(ValueError, match=r"bias has shape .*; expected \[4\]"):
        layer(x, edge_index)


@pytest.mark.parametrize("shape", [(4, 100), (16, 4, 300), (300,)])
def test_kernels_of_other_shapes_are_refused(shape):
    x, edge_index = sparse_features(50, 300, 0.01), path_graph(50).edge_index
    with pytest.raises((IndexError, RuntimeError, ValueError)):
        torch.func.functional_call(GCN(300, 4), {"lin.weight": torch.randn(shape)}, (x, edge_index)).view(50, 4)


@pytest.mark.parametrize("form", FORMS)
def test_a_gradient_of_mere_zeros(form):
    layer, x = GCN(300, 4), FORMS[form](sparse_features(50, 300, 0.01))
    found = torch.autograd.grad(
        layer(x, path_graph(50).edge_index), list(layer.parameters()), torch._efficientzerotensor((50, 4))
    )
    assert all(torch.equal(grad, torch.zeros_like(grad)) for grad in found)


def test_a_frozen_kernel_costs_no_gradient():
    layer, x, calls = GCN(300, 4), sparse_features(50, 300, 0.01), []
    layer.lin.weight.requires_grad_(False)
    out = layer(x, path_graph(50).edge_index)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("gnnseq.kernels.sparse_features.compiled", calls.append)
        out.sum().backward()
    assert calls == []
    torch.testing.assert_close(layer.bias.grad, torch.full((4,), 50.0))


def test_a_large_bias_costs_no_digits():
    layer, x = GCN(300, 4), sparse_features(500, 300, 0.01)
    edge_index = torch.randint(500, (2, 20_000))
    torch.nn.init.constant_(layer.bias, 1000.0)
    exact = copy.deepcopy(layer).double()(x.double(), edge_index)
    assert (layer(x, edge_index) - exact).abs().max() < 1e-4  # half of float32's step there is 3e-5


def test_sums_of_gradients_that_overflow_are_as_in_a_dense_product():
    weight, x = torch.randn(4, 300, requires_grad=True), sparse_features(50, 300, 0.01)
    edge_index = torch.stack([torch.zeros(49, dtype=torch.int64), torch.arange(1, 50)])
    adjacency = Adjacency.of(edge_index, 50).weighted(torch.ones(49))
    cotangent = torch.full((50, 4), 1e38)
    (found,) = torch.autograd.grad(feature_product(x, weight, adjacency), weight, cotangent)
    dense = aggregate(cotangent, None, adjacency.transposed).t() @ x
    torch.testing.assert_close(found, dense, equal_nan=True)


@pytest.mark.parametrize("form", FORMS)
def test_hooks_on_saved_tensors_may_give_strided_ones(form):
    weight, x = torch.randn(4, 300, requires_grad=True), sparse_features(50, 300, 0.01)
    strided = lambda tensor: torch.stack([tensor, torch.zeros_like(tensor)], -1)[..., 0]  # noqa: E731
    with torch.autograd.graph.saved_tensors_hooks(strided, lambda tensor: tensor):
        product = feature_product(FORMS[form](x), weight)
    torch.testing.assert_close(torch.autograd.grad(product.sum(), weight)[0], x.sum(0).expand(4, 300))


@pytest.mark.parametrize("form", FORMS)
def test_learnt_edge_weights_leave_the_product_compiled(form):
    layer, x = GCN(300, 4), sparse_features(50, 300, 0.01)
    edge_index, weight = path_graph(50).edge_index, torch.rand(49, requires_grad=True)
    out, exact = layer(FORMS[form](x), edge_index, weight), copy.deepcopy(layer).double()
    double = weight.detach().double().requires_grad_()
    expected = exact(x.double(), edge_index, double)
    torch.testing.assert_close(out.double(), expected, **CLOSE)
    found = torch.autograd.grad(out.square().sum(), [weight, layer.lin.weight])
    wanted = torch.autograd.grad(expected.square().sum(), [double, exact.lin.weight])
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a.double(), b, **CLOSE)
    names, nodes = set(), [out.grad_fn]
    while nodes:
        node = nodes.pop()
        names.add(node.name())
        nodes += [following for following, _ in node.next_functions if following is not None]
    assert "_FeatureProductBackward" in names


def test_a_linear_map_with_a_bias_or_a_forward_of_its_own_is_called():
    x, edge_index = sparse_features(50, 300, 0.01), path_graph(50).edge_index
    layer = GCN(300, 4)
    layer.lin = torch.nn.Linear(300, 4)
    torch.testing.assert_close(
        layer(x, edge_index).double(), copy.deepcopy(layer).double()(x.double(), edge_index), **CLOSE
    )
    layer = GCN(300, 4)
    layer.lin.forward = lambda features: features[:, :4]
    edges, weight = gcn_normalize(edge_index, None, 50)
    adjacency = Adjacency.of(edges, 50).weighted(weight)
    torch.testing.assert_close(layer(x, edge_index), aggregate(x[:, :4], None, adjacency))


def test_columns_in_any_order_and_twice():
    x = torch.sparse_csr_tensor(torch.tensor([0, 3, 4]), torch.tensor([4, 1, 4, 0]), torch.arange(1.0, 5.0), (2, 5))
    weight = torch.randn(3, 5, requires_grad=True)
    dense = torch.tensor([[0.0, 2, 0, 0, 4], [4, 0, 0, 0, 0]])
    product = feature_product(x, weight)
    torch.testing.assert_close(product, dense @ weight.t())
    torch.testing.assert_close(torch.autograd.grad(product.sum(), weight)[0], torch.ones(2, 3).t() @ dense)


def test_hooks_on_the_linear_map_still_run():
    layer, seen = GCN(300, 4), []
    layer.lin.register_forward_hook(lambda module, inputs, output: seen.append(output.shape))
    layer(sparse_features(50, 300, 0.01), path_graph(50).edge_index)
    assert seen == [(50, 4)]


@settings(max_examples=50)
@given(st.integers(1, 60), st.integers(1, 60), st.integers(0, 200), st.integers(1, 150), st.integers(0, 1000))
def test_neighbours_are_summed_as_by_a_dense_matrix(targets, sources, edges, channels, seed):
    torch.manual_seed(seed)
    source, target = torch.randint(sources, (edges,)), torch.randint(targets, (edges,))
    x, weight = torch.randn(sources, channels, requires_grad=True), torch.randn(edges, requires_grad=True)
    adjacency = Adjacency.of(torch.stack([source, target]), targets, sources)
    dense = torch.zeros(targets, sources).index_put((target, source), weight, accumulate=True)
    found, expected, cotangent = aggregate(x, weight, adjacency), dense @ x, torch.randn(targets, channels)
    torch.testing.assert_close(found, expected, **CLOSE)
    for d_found, d_expected in zip(
        *(torch.autograd.grad(h, (x, weight), cotangent) for h in (found, expected)), strict=True
    ):
        torch.testing.assert_close(d_found, d_expected, **CLOSE)


def test_a_sum_over_neighbours_loses_no_tangent_and_no_batch():
    layer, x = GCN(40, 40), torch.randn(200, 40)
    edge_index = path_graph(200, undirected=True).edge_index
    tangent = torch.randn_like(x)
    expected = layer(x + tangent, edge_index) - layer(x, edge_index)  # it is linear but for its bias
    with torch.no_grad(), forward_ad.dual_level():
        found = layer(forward_ad.make_dual(x, tangent), edge_index)
        torch.testing.assert_close(forward_ad.unpack_dual(found).tangent, expected, rtol=1e-4, atol=1e-5)
    out = layer(x.requires_grad_(), edge_index)
    cotangents = torch.randn(3, *out.shape)
    at_once = torch.autograd.grad(out, x, cotangents, is_grads_batched=True, retain_graph=True)[0]
    singly = [torch.autograd.grad(out, x, each, retain_graph=True)[0] for each in cotangents]
    torch.testing.assert_close(at_once, torch.stack(singly))


@pytest.mark.parametrize("form", FORMS)
def test_torch_may_make_new_tensors_elsewhere(form):
    x, weight = sparse_features(40, 60), torch.randn(7, 60, requires_grad=True)
    with torch.device("meta"):
        (found,) = torch.autograd.grad(feature_product(FORMS[form](x), weight).sum(), weight, create_graph=True)
    torch.testing.assert_close(found, x.sum(0).expand(7, 60))


def test_negative_views():
    x = sparse_features(40, 60).to(torch.complex64).mul(1j).conj().imag
    assert x.is_neg()
    layer, edge_index = GCN(60, 7), path_graph(40, undirected=True).edge_index
    torch.testing.assert_close(layer(x, edge_index), layer(x.resolve_neg(), edge_index))
    weight, cotangent = torch.randn(7, 60, requires_grad=True), torch.randn(40, 7, dtype=torch.complex64).conj().imag
    (found,) = torch.autograd.grad(feature_product(x.resolve_neg(), weight), weight, cotangent)
    torch.testing.assert_close(found, cotangent.resolve_neg().t() @ x)


@pytest.mark.parametrize("make", [torch.func.grad, torch.func.jacrev, lambda f: torch.func.grad(torch.func.grad(f))])
@pytest.mark.parametrize("layer_type", [GCN, GatedGraph])
def test_a_first_call_within_a_transform_leaves_nothing_behind(layer_type, make):
    torch.manual_seed(0)
    layer = layer_type(40, 2) if layer_type is GatedGraph else GCN(40, 64)
    x, edge_index = torch.randn(110, 40), path_graph(110, undirected=True).edge_index
    fresh = copy.deepcopy(layer)
    make(lambda scale: layer(scale * x, edge_index).square().sum())(torch.ones(()))
    torch.testing.assert_close(layer(x, edge_index), fresh(x, edge_index))


@pytest.mark.filterwarnings("ignore:Full backward hook is firing")  # as features need no gradient
@pytest.mark.parametrize(("features", "channels"), [(3, 40), (300, 4)])
def test_backward_hooks_on_the_linear_map_run(features, channels):
    layer, calls, x = GCN(features, channels), [], sparse_features(50, features)
    layer.lin.register_full_backward_hook(lambda *gradients: calls.append(gradients))
    layer(x, path_graph(50, undirected=True).edge_index).sum().backward()
    assert len(calls) == 1


def test_what_a_forward_hook_keeps_is_not_overwritten():
    layer, kept = GCN(3, 40), []
    torch.nn.init.ones_(layer.bias)
    layer.lin.register_forward_hook(lambda module, inputs, output: kept.append((output, output.clone())))
    layer(torch.randn(50, 3), path_graph(50, undirected=True).edge_index)
    assert torch.equal(*kept[0])


def test_biases_of_a_batch():
    layer, x, edge_index = GCN(3, 4), torch.randn(5, 3), path_graph(5, undirected=True).edge_index
    biases = torch.randn(2, 4)
    found = torch.func.vmap(lambda bias: torch.func.functional_call(layer, {"bias": bias}, (x, edge_index)))(biases)
    torch.testing.assert_close(found, torch.stack([layer(x, edge_index) - layer.bias + bias for bias in biases]))


def test_kernels_of_a_batch_on_sparse_features():
    layer, x = GCN(60, 4), sparse_features(30, 60).to_sparse_coo()
    edge_index, kernels = path_graph(30, undirected=True).edge_index, torch.randn(2, 4, 60)

    def call(kernel):
        return torch.func.functional_call(layer, {"lin.weight": kernel}, (x, edge_index))

    torch.testing.assert_close(torch.func.vmap(call)(kernels), torch.stack([call(kernel) for kernel in kernels]))


def test_zeros_without_memory():
    zeros, edge_index = torch._efficientzerotensor((500, 300)), path_graph(500, undirected=True).edge_index
    assert torch.equal(GCN(300, 4)(zeros, edge_index), torch.zeros(500, 4))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize(
    ("x", "message"),
    [
        (lambda v: torch.sparse_csr_tensor(torch.tensor([1, 2, 2]), torch.tensor([0, 1]), v, (2, 60)), "crow_indices"),
        (lambda v: torch.sparse_csr_tensor(torch.tensor([0, 1, 1]), torch.tensor([0, 1]), v, (2, 60)), "crow_indices"),
        (lambda v: torch.sparse_csr_tensor(torch.tensor([0, 1, 2]), torch.tensor([0, 60]), v, (2, 60)), "column 60"),
        (lambda v: torch.sparse_coo_tensor(torch.tensor([[0, 5], [0, 1]]), v, (2, 60), is_coalesced=True), "row 5"),
        (
            lambda v: torch.sparse_coo_tensor(torch.tensor([[0, 1], [0, -1]]), v, (2, 60), is_coalesced=True),
            "column -1",
        ),
    ],
)
def test_malformed_sparse_features_are_named_in_every_type(x, message, dtype):
    with pytest.raises(ValueError, match=message):
        GCN(60, 3).to(dtype)(x(torch.ones(2, dtype=dtype)), path_graph(2).edge_index)
