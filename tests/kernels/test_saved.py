"""What reaches compiled code is what it was made for, also in a backward pass: an error otherwise, never a signal."""

import contextlib
import ctypes
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from gnnseq.graphs import tree_graph
from gnnseq.kernels.native import address, compiled, library
from gnnseq.layers import GCN, GRU, LSTM, RNN, MinGRU
from gnnseq.schedule import Schedule, packed_paths, synchronous, topological

NODES, FEATURES, HIDDEN = 300, 8, 32
LAYERS = {"relu": lambda: RNN(FEATURES, HIDDEN, nonlinearity="relu"), "tanh": lambda: RNN(FEATURES, HIDDEN)} | {
    "lstm": lambda: LSTM(FEATURES, HIDDEN),
    "gru": lambda: GRU(FEATURES, HIDDEN),
    "mingru": lambda: MinGRU(FEATURES, HIDDEN),
}
HOOKS = {
    "another type": lambda t: t.double() if t.is_floating_point() else t,
    "half precision": lambda t: t.half() if t.is_floating_point() else t,
    "another shape": lambda t: t[:1].clone(),
    "nothing": lambda t: t.new_empty(0),
    "another device": lambda t: t.to("meta"),
    "a sparse one": lambda t: t.to_sparse(),
}


def tree() -> Schedule:
    return topological(tree_graph([-1, *((i - 1) // 2 for i in range(1, NODES))]).edge_index, NODES)


SCHEDULES = {
    "tree": tree,
    "weighted tree": lambda: tree().weighted(torch.rand(NODES - 1)),
    "paths": lambda: packed_paths([100, 80, 60, 40, 20]),
    "equal paths": lambda: packed_paths([50] * 6),
    "rounds": lambda: synchronous(tree().edge_index, NODES, 2),
}


@pytest.mark.parametrize("kind", SCHEDULES)
@pytest.mark.parametrize("cell", LAYERS)
def test_a_hook_on_saved_tensors_that_alters_them_is_named(cell: str, kind: str) -> None:
    layer, schedule, x = LAYERS[cell](), SCHEDULES[kind](), torch.randn(NODES, FEATURES, requires_grad=True)
    for unpack in HOOKS.values():
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, unpack):
            h, _ = layer(x, schedule)
        with pytest.raises((RuntimeError, IndexError)):
            h.sum().backward()


@pytest.mark.parametrize("sizes", [[5, 3], [4, 4]])
def test_where_hooks_may_alter_it_torchs_lstm_saves_nothing_in_a_form_of_its_own(sizes: list[int]) -> None:
    layer, x, seen = LSTM(FEATURES, 5), torch.randn(8, FEATURES), []  # too small to be compiled
    expected = torch.autograd.grad(layer(x, packed_paths(sizes))[0].sum(), [*layer.parameters()])
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: seen.append(tensor.dtype) or tensor, lambda t: t):
        h, _ = layer(x, packed_paths(sizes))
    assert torch.uint8 not in seen
    assert seen
    torch.testing.assert_close(torch.autograd.grad(h.sum(), [*layer.parameters()]), expected)
    assert torch._C._get_mkldnn_enabled()


@pytest.mark.parametrize("kind", SCHEDULES)
@pytest.mark.parametrize("cell", LAYERS)
def test_gradients_do_not_depend_on_how_saved_tensors_and_gradients_lie(cell: str, kind: str) -> None:
    layer, schedule, x = LAYERS[cell](), SCHEDULES[kind](), torch.randn(NODES, FEATURES, requires_grad=True)
    weight = torch.randn(NODES, HIDDEN)

    def gradients(unpack: object, negate: bool) -> tuple[Tensor, ...]:
        with torch.autograd.graph.saved_tensors_hooks(lambda tensor: tensor, unpack):
            h, _ = layer(x, schedule)
        if negate:
            h.register_hook(lambda grad: torch._neg_view(-grad))
        return torch.autograd.grad((h * weight).sum(), [x, *layer.parameters()])

    def lazily(tensor: Tensor) -> Tensor:
        if not tensor.is_floating_point():
            return tensor
        turned = tensor.t().contiguous().t() if tensor.dim() == 2 else tensor
        return torch._neg_view(-turned)

    for found, expected in zip(gradients(lazily, True), gradients(lambda tensor: tensor, False), strict=True):
        torch.testing.assert_close(found, expected)


def test_edges_altered_between_forward_and_backward_are_named() -> None:
    for make in (LSTM, GRU):
        schedule = tree().in_order  # the one whose edges are read
        h, _ = make(FEATURES, HIDDEN)(torch.randn(NODES, FEATURES), schedule)
        schedule.edge_index[0, 0] += 1
        with pytest.raises(RuntimeError, match=r"schedule's edge_index was altered in place"):
            h.sum().backward()


@pytest.mark.parametrize("node", [-1, NODES, 1 << 40])
@pytest.mark.parametrize("end", [0, 1])
def test_edges_altered_behind_torchs_back_read_no_foreign_memory(node: int, end: int) -> None:
    schedule, layer = tree().in_order, LSTM(FEATURES, HIDDEN)
    x = torch.randn(NODES, FEATURES)
    h, _ = layer(x, schedule)
    schedule.edge_index.numpy()[end, 5] = node
    if end == 0:
        with pytest.raises((ValueError, RuntimeError, IndexError)):
            layer(x, schedule)
    with pytest.raises((ValueError, RuntimeError, IndexError)):
        h.sum().backward()


def test_fields_that_do_not_fit_one_another_are_refused() -> None:
    x, paths, graph = torch.randn(NODES, FEATURES), packed_paths([50] * 6), tree()
    wrong = [
        replace(paths, step_sizes=(*paths.step_sizes, 600)),
        replace(paths, step_sizes=tuple(range(1, 24))),
        replace(graph, step_sizes=(NODES + 100, *graph.step_sizes[1:])),
        replace(graph, edge_weight=torch.rand(3)),
    ]
    for schedule in wrong:
        for make in LAYERS.values():
            with pytest.raises((ValueError, RuntimeError, IndexError)):
                make()(x, schedule)


def test_sparse_features_altered_between_forward_and_backward_are_named() -> None:
    x = (torch.rand(NODES, 800) < 0.02).float().to_sparse_csr()
    edges = torch.stack([torch.arange(NODES - 1), torch.arange(1, NODES)])
    out = GCN(800, HIDDEN)(x, edges)
    x.crow_indices().numpy()[7] = 1 << 40
    with pytest.raises(RuntimeError, match="altered"):
        out.sum().backward()


def test_compiled_functions_take_real_memory_alone() -> None:
    for tensor in (
        torch.zeros(3, dtype=torch.float64),
        torch.zeros(3, device="meta"),
        torch.zeros(3, 3).t()[1:],
        torch._neg_view(torch.zeros(3)),
        torch._efficientzerotensor(3),
        torch.tensor(3.0),
        torch.zeros(3).as_subclass(type("Traced", (Tensor,), {})),
    ):
        with pytest.raises(TypeError, match="compiled function got"):
            address(tensor)
    if library() is not None:
        for argument in (torch.zeros(3, dtype=torch.bool), 1.5, torch.tensor(3), ctypes.c_int(3)):
            with pytest.raises(TypeError, match="compiled function got"):
                compiled("tanh_forward")(1, 1, 3, argument)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_relu_gradients_after_values_that_are_not_finite_are_those_of_torch(
    value: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    x = torch.randn(10, 32, 4)
    x[4, 3, 1] = value

    def gradients(layer: torch.nn.Module) -> tuple[Tensor, ...]:
        layer.load_state_dict(reference.state_dict())
        given = x.clone().requires_grad_()
        return torch.autograd.grad(layer(given)[0].sum(), [given, *layer.parameters()])

    reference = torch.nn.RNN(4, 32, nonlinearity="relu")
    expected = gradients(torch.nn.RNN(4, 32, nonlinearity="relu"))
    torch.testing.assert_close(gradients(RNN(4, 32, nonlinearity="relu")), expected, equal_nan=True)
    monkeypatch.setattr("gnnseq.kernels.dispatch.runs_compiled", lambda *_: False)
    torch.testing.assert_close(gradients(RNN(4, 32, nonlinearity="relu")), expected, equal_nan=True)


@pytest.mark.parametrize("kind", SCHEDULES)
@pytest.mark.parametrize("cell", LAYERS)
def test_tensors_without_memory_reach_no_compiled_code(cell: str, kind: str) -> None:
    """As those of torch.func.functionalize lie nowhere, and say they are float32 on a CPU."""
    layer, schedule, x = LAYERS[cell](), SCHEDULES[kind](), torch.randn(NODES, FEATURES)
    expected = layer(x, schedule)[0]
    found = torch.func.functionalize(lambda given: layer(given, schedule)[0])(x)
    torch.testing.assert_close(found, expected)
    for given in (torch._to_functional_tensor(x), torch._to_functional_tensor(torch.zeros(NODES, dtype=torch.int64))):
        with contextlib.suppress(RuntimeError, TypeError):
            layer(given, schedule)
    with pytest.raises((ValueError, RuntimeError)):
        layer(x.to("meta"), schedule)


def test_layers_that_wait_for_their_width_are_given_it_outside_of_transforms() -> None:
    edges, x = torch.tensor([[0, 1], [1, 2]]), torch.randn(3, 5)
    layer = GCN(-1, 4)
    for transform in (
        lambda: torch.func.functionalize(lambda given: layer(given, edges))(x),
        lambda: torch.func.jvp(lambda given: layer(given, edges), (x,), (x,)),
        lambda: torch.func.grad(lambda given: layer(given, edges).sum())(x),
    ):
        with pytest.raises(ValueError, match="call the layer once before"):
            transform()
    assert layer(x, edges).shape == (3, 4)
