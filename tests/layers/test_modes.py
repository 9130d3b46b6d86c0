"""A schedule is made once and used in every mode: evaluation, training, mixed precision, one after the other."""

import pytest
import torch
from torch.autograd import forward_ad
from torch.fx.experimental.proxy_tensor import make_fx

from gnnseq import layers, synchronous, topological
from gnnseq.graphs import tree_graph
from gnnseq.kernels import Adjacency, aggregate
from gnnseq.kernels.native import functions as native
from gnnseq.layers import GCN, GRU, LSTM, RNN, EvolveGCN, GatedGraph, MinGRU, MinLSTM, RelationalGCN, TemporalGCN
from gnnseq.schedule import packed_paths

GRAPHS = {
    "tree": tree_graph([2, 2, 3, -1]).edge_index,
    "shuffled tree": tree_graph([-1, 0, 0, 1]).edge_index,
    "shuffled path": torch.tensor([[3, 0, 2], [0, 2, 1]]),
}
SWEPT = [RNN, LSTM, GRU, MinGRU, MinLSTM]
LAYERS = pytest.mark.parametrize("layer_type", SWEPT)


def gradients(layer, x, schedule, weight):
    parameters = [x, *layer.parameters()] + ([] if weight is None else [weight])
    return torch.autograd.grad(layer(x, schedule)[0].square().sum(), parameters)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("graph", GRAPHS)
@LAYERS
def test_evaluation_before_training_changes_no_gradient(layer_type, graph, bidirectional, weighted, mode):
    """What a schedule works out for itself, once, must not be worked out without gradients for good."""
    layer, x = layer_type(3, 2, bidirectional=bidirectional).double(), torch.randn(4, 3).double().requires_grad_()
    weight = torch.rand(3, dtype=torch.float64, requires_grad=True) if weighted else None
    used, fresh = topological(GRAPHS[graph], 4, weight), topological(GRAPHS[graph], 4, weight)
    with mode():
        layer(x, used)
    for a, b in zip(gradients(layer, x, used, weight), gradients(layer, x, fresh, weight), strict=True):
        assert torch.equal(a, b)


@LAYERS
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("make", [topological, lambda edges, size: synchronous(edges, size, 3)])
@pytest.mark.parametrize("graph", GRAPHS)
def test_mixed_precision_leaves_recurrences_alone(layer_type, graph, make, num_layers):
    x, schedule = torch.randn(4, 3), make(GRAPHS[graph], 4)
    layer = layer_type(3, 5, num_layers=num_layers)
    expected, _ = layer(x, schedule)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        h, _ = layer(x, schedule)
        torch.testing.assert_close(layer(x.bfloat16(), schedule)[0], expected, rtol=0, atol=0.03)  # x is rounded
    assert torch.equal(h, expected)
    h.sum().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in layer.parameters())


def test_mixed_precision_leaves_gated_rounds_alone():
    layer, x = GatedGraph(4, num_rounds=3), torch.randn(4, 3)
    expected = layer(x, GRAPHS["tree"])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(layer(x, GRAPHS["tree"]), expected)
        rounded = layer(x.bfloat16(), GRAPHS["tree"])
    torch.testing.assert_close(rounded, expected, rtol=0, atol=0.03)  # x is rounded


ON_A_GRAPH = {
    "GCN": (lambda: GCN(8, 8), (40, 8), torch.bfloat16),
    "GatedGraph": (lambda: GatedGraph(8, num_rounds=2), (40, 8), torch.float32),
    **{
        f"RelationalGCN, {strength}, {len(shape)} dimensions": (
            lambda strength=strength: RelationalGCN(8, 2, strength), shape, torch.float32
        )
        for strength in ("uniform", "explicit", "implicit") for shape in ((40, 8), (3, 40, 8))
    },
    **{
        f"EvolveGCN, {version}": (lambda version=version: EvolveGCN(8, 8, version), (3, 40, 8), torch.bfloat16)
        for version in ("O", "H")
    },
    **{
        f"TemporalGCN, {order}, {cell}": (
            lambda order=order, cell=cell: TemporalGCN(8, 8, 8, order, cell), (3, 40, 8), torch.bfloat16
        )
        for order in ("time_then_space", "space_then_time", "space_time") for cell in ("RNN", "LSTM", "GRU", "MinGRU")
    },
}  # fmt: skip


@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("name", ON_A_GRAPH)
def test_mixed_precision_on_a_graph(name, half):
    """Sums over neighbours are in the type of what is summed: of linear maps' outputs rounded, of x as it came."""
    torch.manual_seed(0)
    make, shape, kind = ON_A_GRAPH[name]
    layer, x = make(), torch.randn(shape)
    edge_index = torch.randint(40, (2, 200))
    given = [torch.eye(2)[torch.arange(200) % 2]] if name.startswith("RelationalGCN") else []

    def run(x):
        h = layer(x, edge_index, *given)
        return h[0] if isinstance(h, tuple) else h

    def gradients(h, x):
        found = torch.autograd.grad(h, [x, *layer.parameters()], torch.linspace(-1, 1, h.numel()).view(h.shape).to(h))
        return torch.cat([gradient.flatten().float() for gradient in found])

    exact_x, rounded_x = x.requires_grad_(), (x.bfloat16() if half else x).detach().requires_grad_()
    exact = run(exact_x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        h = run(rounded_x)
    assert h.dtype == (torch.bfloat16 if half and name.startswith("RelationalGCN") else kind)
    for found, known in ((h.float(), exact), (gradients(h, rounded_x), gradients(exact, exact_x))):
        assert (found - known).norm() < 0.03 * known.norm()  # 8 bits, and relus that open or close by their rounding


def test_mixed_precision_is_asked_of_every_layer():
    swept = {layer.__name__ for layer in SWEPT}
    assert swept | {name.split(",")[0] for name in ON_A_GRAPH} == set(layers.__all__)


class Swept(torch.nn.Module):
    def __init__(self, layer, schedule):
        super().__init__()
        self.layer, self.schedule = layer, schedule

    def forward(self, x):
        return self.layer(x, self.schedule)[0]


@pytest.mark.parametrize(
    ("layer_type", "graph", "weighted"),
    [(RNN, "tree", False), (GRU, "shuffled tree", False), (LSTM, "shuffled path", False), (LSTM, "tree", True)],
)
def test_a_sweep_compiles_whole_and_exports(layer_type, graph, weighted):
    x, weight = torch.randn(4, 3), torch.rand(3) if weighted else None
    layer = layer_type(3, 2, bidirectional=True)

    def fresh():  # no sweep has made its schedule remember anything
        return Swept(layer, topological(GRAPHS[graph], 4, weight))

    expected = fresh()(x)
    torch.compiler.reset()
    torch.testing.assert_close(torch.compile(fresh(), fullgraph=True, backend="eager")(x), expected)
    torch.testing.assert_close(torch.export.export(fresh(), (x,)).module()(x), expected)


@pytest.mark.parametrize("transform", [torch.func.jacrev, torch.func.jacfwd])
@pytest.mark.parametrize("graph", GRAPHS)
@LAYERS
def test_jacobians_by_torch_func(layer_type, graph, transform):
    layer, x = layer_type(3, 2).double(), torch.randn(4, 3).double()
    schedule = topological(GRAPHS[graph], 4)
    expected = torch.autograd.functional.jacobian(lambda x: layer(x, schedule)[0], x)
    torch.testing.assert_close(transform(lambda x: layer(x, schedule)[0])(x), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("graph", GRAPHS)
@LAYERS
def test_gradients_of_many_inputs_at_once(layer_type, graph):
    layer, x = layer_type(3, 2).double(), torch.randn(5, 4, 3).double()
    schedule = topological(GRAPHS[graph], 4)
    parameters = dict(layer.named_parameters())

    def loss(parameters, x):
        return torch.func.functional_call(layer, parameters, (x, schedule))[0].square().sum()

    found = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, x)
    for number, one in enumerate(x):
        expected = torch.autograd.grad(loss(parameters, one), list(parameters.values()))
        for name, gradient in zip(parameters, expected, strict=True):
            torch.testing.assert_close(found[name][number], gradient, rtol=0, atol=1e-12)


@pytest.mark.parametrize("nodes", [4, 300])
@LAYERS
def test_many_cotangents_at_once(layer_type, nodes):
    """As torch.func would take them; a sweep takes one at a time, and says so than be a thousand times slower."""
    layer, x = layer_type(3, 16), torch.randn(nodes, 3, requires_grad=True)
    schedule = topological(tree_graph([nodes - 1] * (nodes - 1) + [-1]).edge_index, nodes)
    cotangents = torch.randn(2, nodes, 16)
    h = layer(x, schedule)[0]
    with pytest.raises(NotImplementedError, match=r"one gradient at a time: call .* torch.func.vjp"):
        torch.autograd.grad(h, x, cotangents, is_grads_batched=True, retain_graph=True)
    expected = torch.stack([torch.autograd.grad(h, x, each, retain_graph=True)[0] for each in cotangents])
    (found,) = torch.func.vmap(torch.func.vjp(lambda x: layer(x, schedule)[0], x)[1])(cotangents)
    torch.testing.assert_close(found, expected)


@LAYERS
def test_paths_that_a_transform_looks_at(layer_type, monkeypatch):
    """Wherever it is wrapped: around the input, a head's weight, a tangent, or all operations as make_fx is."""
    monkeypatch.setattr(native, "LEAST_SIZE", 0)  # where there is a compiler, its code would take these paths
    layer, schedule = layer_type(3, 16), packed_paths([9, 6])
    x, tangent = torch.randn(2, 15, 3).unbind()

    def h(x):
        return layer(x, schedule)[0]

    expected = torch.autograd.functional.jvp(h, x, tangent)[1]
    torch.testing.assert_close(torch.func.jvp(h, (x,), (tangent,))[1], expected)
    with forward_ad.dual_level():
        torch.testing.assert_close(forward_ad.unpack_dual(h(forward_ad.make_dual(x, tangent))).tangent, expected)
    torch.testing.assert_close(torch.func.vmap(h)(torch.stack([x, tangent])), torch.stack([h(x), h(tangent)]))
    torch.testing.assert_close(torch.func.grad(lambda w: (w * h(x)).sum())(torch.ones(())), h(x).sum())
    torch.testing.assert_close(make_fx(h)(x)(tangent), h(tangent))


@pytest.mark.parametrize("nodes", [5, 300])
def test_forward_mode_derivatives_of_sums_over_neighbours(nodes):
    torch.manual_seed(0)
    adjacency = Adjacency.of(torch.randint(nodes, (2, 4 * nodes)), nodes)
    x, weight = torch.randn(nodes, 16).double(), torch.rand(4 * nodes).double()
    d_x, d_weight = torch.randn_like(x), torch.randn_like(weight)

    def total(x, weight):
        return aggregate(x, weight, adjacency)

    for d, expected in (
        ((d_x, torch.zeros_like(weight)), total(d_x, weight)),
        ((torch.zeros_like(x), d_weight), total(x, d_weight)),
        ((d_x, d_weight), total(d_x, weight) + total(x, d_weight)),
    ):
        torch.testing.assert_close(torch.func.jvp(total, (x, weight), d)[1], expected)
    layer, edge_index = GCN(16, 8).double(), tree_graph([nodes - 1] * (nodes - 1) + [-1]).edge_index
    found = torch.func.jvp(lambda x: layer(x, edge_index), (x,), (d_x,))[1]
    torch.testing.assert_close(found, layer(x + d_x, edge_index) - layer(x, edge_index))
    if nodes < 10:
        ahead, back = (make(lambda x: total(x, weight).square())(x) for make in (torch.func.jacfwd, torch.func.jacrev))
        torch.testing.assert_close(ahead, back)
        hessian = torch.func.hessian(lambda x: total(x, weight).square().sum())(x)
        torch.testing.assert_close(
            hessian, torch.func.jacrev(torch.func.jacrev(lambda x: total(x, weight).square().sum()))(x)
        )
