"""An LSTM's compiled sweep over trees and directed acyclic graphs is torch's in float64, rounded.

N nodes, E edges, F inputs, H hidden channels, B rows of state.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseq import topological
from gnnseq.graphs import tree_graph
from gnnseq.kernels.dispatch import choose_kernel
from gnnseq.kernels.frontier import frontier_sweep
from gnnseq.kernels.fused_tree import fused_tree_sweep
from gnnseq.layers import LSTM
from gnnseq.schedule import packed_paths
from meter import Meter
from strategies import dags, forests

F, H = 3, 5
CLOSE = {"rtol": 1e-5, "atol": 2e-6}  # float32 carries 6e-8


pytestmark = pytest.mark.usefixtures("compiled")


def star(leaves):
    return torch.stack([torch.arange(1, leaves + 1), torch.zeros(leaves, dtype=torch.long)])


def tree(nodes, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return tree_graph([-1, *(int(torch.randint(i, (), generator=generator)) for i in range(1, nodes))]).edge_index


def dag(nodes, edges, seed=0):
    ends = torch.randint(nodes, (2, edges), generator=torch.Generator().manual_seed(seed)).sort(dim=0).values
    return ends[:, ends[0] < ends[1]]


@st.composite
def graphs(draw):
    """edge_index [2, E] and N: nodes that read several, one or none, and that are read by several, one or none."""
    kind = draw(st.sampled_from(["dag", "forest", "reversed forest", "paths"]))
    if kind == "dag":
        graph = draw(dags())
        return graph.edge_index, graph.num_nodes
    if kind == "paths":
        schedule = packed_paths(draw(st.lists(st.integers(1, 6), min_size=1, max_size=6)))
        return schedule.edge_index, schedule.num_nodes
    parents = draw(forests())
    edge_index = tree_graph(parents).edge_index
    return edge_index.flip(0) if "reversed" in kind else edge_index, len(parents)


def swept(dtype, edge_index, nodes, bias=True, state=True, weights="learnt", size=1.0, twice=False, index=False):
    """Values and gradients of everything, and gradients of those where they are asked for twice."""
    torch.manual_seed(nodes)
    layer = LSTM(F, H, bias=bias)
    x = torch.randint(F, (nodes,)) if index else (size * torch.randn(nodes, F)).to(dtype).requires_grad_()
    weight = torch.randn(edge_index.size(1)).to(dtype).requires_grad_(weights == "learnt")
    schedule = topological(edge_index, nodes, None if weights is None else weight).in_order
    initial = torch.randn(len(schedule.starts), 2 * H).to(dtype).requires_grad_() if state else None
    cotangents = torch.randn(nodes, H).to(dtype), torch.randn(len(schedule.ends), 2 * H).to(dtype)
    layer = layer.to(dtype)
    kernel = fused_tree_sweep if dtype == torch.float32 and nodes > 0 else frontier_sweep
    if schedule.lengths is None or schedule.edge_weight is not None:
        assert choose_kernel(layer.cell, x, schedule, initial, layer.weights("l0")) is kernel
    h, final = kernel(layer.cell, x, schedule, initial, layer.weights("l0"), layer.step_by_step)
    assert ("Tree" in h.grad_fn.name()) == (dtype == torch.float32 and nodes > 0)
    inputs = [each for each in (x, initial, weight, *layer.parameters()) if each is not None and each.requires_grad]
    loss = sum((part * cotangent).sum() for part, cotangent in zip((h, final), cotangents, strict=True))
    found = [h, final, *torch.autograd.grad(loss, inputs, retain_graph=True, allow_unused=True)]
    if twice:
        once = torch.autograd.grad(h.sin().sum() + final.square().sum(), inputs, create_graph=True)
        found += [*once, *torch.autograd.grad(sum(part.square().sum() for part in once), inputs)]
    return found


def assert_rounded(*graph, close=CLOSE, **options):
    found = (swept(dtype, *graph, **options) for dtype in (torch.float32, torch.float64))
    for mine, exact in zip(*found, strict=True):
        if exact is None:
            assert mine is None
        else:
            scale = float(exact.detach().abs().max()) + 1.0 if exact.numel() > 0 else 1.0
            torch.testing.assert_close(mine.double() / scale, exact / scale, **close)


@pytest.mark.parametrize("size", [1.0, 8.0])  # gates that move, and gates that are shut
@pytest.mark.parametrize("weights", ["learnt", "given", None])
@pytest.mark.parametrize("state", [False, True])
@settings(max_examples=20)
@given(graph=graphs())
def test_float32_is_float64_rounded(graph, state, weights, size):
    assert_rounded(*graph, state=state, weights=weights, size=size, bias=weights is not None)


@pytest.mark.parametrize("state", [False, True])
@pytest.mark.parametrize("weights", ["learnt", None])
@settings(max_examples=8)
@given(graph=graphs())
def test_second_derivatives(graph, weights, state):
    edge_index, nodes = graph
    if edge_index.size(1) > 0 or weights is None:
        assert_rounded(edge_index, nodes, weights=weights, state=state, twice=True)


@pytest.mark.parametrize("state", [False, True])
@pytest.mark.parametrize(
    "graph",
    [
        (star(5000), 5001),
        (star(5000).flip(0), 5001),
        (tree(3000), 3000),
        (dag(700, 4000), 700),
        (star(1), 2),
        (torch.zeros(2, 0, dtype=torch.long), 1),
        (torch.zeros(2, 0, dtype=torch.long), 0),
        (torch.zeros(2, 9, dtype=torch.long) + torch.tensor([[0], [1]]), 2),  # parallel edges
    ],
    ids=["star", "star outwards", "tree", "dag", "pair", "node", "nothing", "parallel"],
)
def test_however_many_threads_share_a_step(graph, state):
    edge_index, nodes = graph
    threads = torch.get_num_threads()
    for number in (1, 2, 5):
        torch.set_num_threads(number)
        try:
            assert_rounded(edge_index, nodes, state=state, close={"rtol": 1e-4, "atol": 5e-5})  # sums of 5,000
        finally:
            torch.set_num_threads(threads)


@pytest.mark.parametrize("numbers", [1, 4 * H * 7])
@pytest.mark.parametrize("state", [False, True])
@pytest.mark.parametrize("edge_index", [tree(60), tree(60).flip(0), dag(60, 200), dag(60, 10)])
def test_many_runs_of_nodes_add_up_to_one(edge_index, state, numbers, monkeypatch):
    """Gradients are gathered from runs of nodes that fit a cache, and may end within a step."""
    monkeypatch.setattr("gnnseq.kernels.fused_tree.CHUNK", numbers)
    assert_rounded(edge_index, 60, state=state)


def test_indices_as_inputs():
    assert_rounded(tree(40), 40, index=True)


@pytest.mark.parametrize("graph", [tree(30), dag(30, 60)])
def test_both_directions_and_layers(graph):
    layer, x = LSTM(F, H, num_layers=2, bidirectional=True), torch.randn(30, F)
    found = [layer.to(dtype)(x.to(dtype), graph)[0] for dtype in (torch.float32, torch.float64)]
    torch.testing.assert_close(found[0].double(), found[1], **CLOSE)


@pytest.mark.parametrize("make", [lambda h, f: h.sum(), lambda h, f: f.square().sum(), lambda h, f: h[:2].sum()])
def test_gradients_of_some_results(make):
    """Of one of them, expanded from a single number, and zero almost everywhere."""
    layer, x, schedule = LSTM(F, H), torch.randn(30, F), topological(tree(30), 30)
    found = []
    for dtype in (torch.float32, torch.float64):
        h, (final_h, final_c) = layer.to(dtype)(x.to(dtype), schedule)
        found.append(torch.autograd.grad(make(h, torch.cat([final_h, final_c])), list(layer.parameters())))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a.double(), b, **CLOSE)


def test_gradients_keep_no_memory_of_one_another():
    """An optimiser changes them in place."""
    layer = LSTM(F, H)
    layer(torch.randn(30, F), tree(30))[0].sum().backward()
    before = layer.bias_hh_l0.grad.clone()
    layer.bias_ih_l0.grad.zero_()
    assert torch.equal(layer.bias_hh_l0.grad, before)


def test_a_gradient_that_is_a_negative_view():
    layer, x = LSTM(F, H), torch.randn(30, F, requires_grad=True)
    h, negative = layer(x, topological(tree(30), 30).in_order)[0], torch.randn(30, H, dtype=torch.complex64).conj().imag
    assert negative.is_neg()
    (found,) = torch.autograd.grad(h, x, negative, retain_graph=True)
    torch.testing.assert_close(found, torch.autograd.grad(h, x, negative.resolve_neg())[0])


def test_a_gradient_is_left_as_it_was():
    layer, x, grad = LSTM(F, H), torch.randn(30, F), torch.ones(30, H)
    layer(x, topological(tree(30), 30).in_order)[0].backward(grad)
    assert torch.equal(grad, torch.ones(30, H))


def test_torch_may_make_new_tensors_elsewhere():
    layer, x = LSTM(F, H), torch.randn(30, F)
    mine, other = (topological(tree(30), 30).in_order for _ in range(2))
    with torch.device("meta"):
        h, _ = fused_tree_sweep(layer.cell, x, mine, None, layer.weights("l0"), layer.step_by_step)
        h.sum().backward()
    assert torch.equal(h, fused_tree_sweep(layer.cell, x, other, None, layer.weights("l0"), layer.step_by_step)[0])


def test_what_a_schedule_remembers_serves_training_after_evaluation():
    layer, x, schedule = LSTM(F, H), torch.randn(30, F, requires_grad=True), topological(tree(30), 30)
    with torch.inference_mode():
        layer(x, schedule)
    layer(x, schedule)[0].sum().backward()
    assert x.grad.abs().sum() > 0


def test_what_is_saved_may_come_back_in_another_layout():
    layer, x, schedule = LSTM(F, H, bias=False), torch.randn(30, F), topological(tree(30), 30)
    expected = torch.autograd.grad(layer(x, schedule)[0].sin().sum(), list(layer.parameters()))
    with torch.autograd.graph.saved_tensors_hooks(lambda t: t.t().contiguous(), torch.Tensor.t):
        loss = layer(x, schedule)[0].sin().sum()
    for a, b in zip(torch.autograd.grad(loss, list(layer.parameters())), expected, strict=True):
        torch.testing.assert_close(a, b)


def test_parameters_and_weights_of_any_layout():
    layer, x, weight = LSTM(F, H), torch.randn(30, F), torch.rand(29, 2, dtype=torch.float64)
    schedule = topological(tree(30), 30, weight[:, 0].contiguous())
    expected = layer(x, schedule)[0]
    for parameter in layer.parameters():
        if parameter.dim() == 2:
            parameter.data = parameter.data.t().contiguous().t()
        else:
            parameter.data = torch.stack([parameter.data, torch.zeros_like(parameter)], dim=1)[:, 0]
    torch.testing.assert_close(layer(x, topological(tree(30), 30, weight[:, 0]))[0], expected)


def test_edges_of_any_layout():
    pairs = dag(30, 60).t().contiguous()
    layer, x = LSTM(F, H), torch.randn(30, F)
    found, expected = (layer(x, topological(each, 30))[0] for each in (pairs.t(), pairs.t().contiguous()))
    found.sum().backward()
    assert torch.equal(found, expected)


@pytest.mark.parametrize("name", ["weight_ih_l0", "weight_hh_l0", "bias_hh_l0"])
def test_parameters_of_another_type_are_an_error(name):
    layer = LSTM(F, H)
    setattr(layer, name, torch.nn.Parameter(getattr(layer, name).double()))
    with pytest.raises((RuntimeError, ValueError), match=r"dtype|type"):
        layer(torch.randn(30, F), tree(30))


def test_a_batch_of_gradients_is_refused():
    layer, x = LSTM(F, H), torch.randn(30, F, requires_grad=True)
    h, _ = layer(x, tree(30))
    with pytest.raises(NotImplementedError, match="one gradient at a time"):
        torch.autograd.grad(h, x, torch.randn(2, 30, H), is_grads_batched=True)


def work(schedule):
    layer, x = LSTM(F, H), torch.randn(schedule.num_nodes, F)
    with Meter() as meter:
        fused_tree_sweep(layer.cell, x, schedule, None, layer.weights("l0"), layer.step_by_step)[0].sum().backward()
    return meter


def test_operations_do_not_grow_with_depth():
    shallow, deep = (topological(torch.stack([torch.arange(n - 1), torch.arange(1, n)]), n) for n in (3, 200))
    assert work(shallow).operations.total() == work(deep).operations.total()


def test_nothing_is_as_large_as_edges_times_channels():
    assert work(topological(dag(20, 3000), 20).in_order).largest <= 3000
