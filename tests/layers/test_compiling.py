"""torch.compile: one function for ever new schedules, values and gradients as in eager calls; exports of any size."""

import copy
import gc
import io
import pickle

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend
from torch.autograd.graph import save_on_cpu
from torch.export import Dim
from torch.utils.checkpoint import checkpoint

from gnnseq import synchronous, topological
from gnnseq.layers import GCN, GRU, LSTM, RNN, GatedGraph, MinGRU, MinLSTM, RelationalGCN, TemporalGCN
from gnnseq.schedule import packed_paths, tickets


def draw(most, least=2):
    return int(torch.randint(least, most, ()))


def ragged():
    schedule = packed_paths(torch.randint(1, 9, (draw(6),)).tolist())
    return (torch.randn(schedule.num_nodes, 3), schedule), ()


def weighted_tree():
    nodes = draw(20, 4)
    child, weight = torch.arange(1, nodes), torch.rand(nodes - 1, requires_grad=True)
    edges = torch.randperm(nodes)[torch.stack([child, child // 2])]
    return (torch.randn(nodes, 3), topological(edges, nodes, weight)), (weight,)


def rounds():
    nodes = draw(20, 4)
    return (torch.randn(nodes, 3), synchronous(torch.randint(nodes, (2, 40)), nodes, draw(4, 1))), ()


def dense():
    return (torch.randn(draw(9), draw(9), 3),), ()


def relations():
    nodes = draw(20, 4)
    return (torch.randn(nodes, 3), torch.randint(nodes, (2, draw(60, nodes)))), ()


def typed_relations():
    (x, edges), _ = relations()
    return (x, edges, torch.rand(edges.size(1), 2)), ()


def history(masked):
    nodes = draw(12, 4)
    edges = torch.randint(nodes, (2, draw(60, nodes)))
    weight = torch.rand(edges.size(1), requires_grad=True)
    x = torch.randn(4, nodes, 3)
    return (x, edges, weight, None, torch.rand(4, nodes) < 0.7 if masked else None), (weight,)


def outputs(found):
    return [found] if isinstance(found, torch.Tensor) else [part for each in found for part in outputs(each)]


def step(run, layer, given, learnt):
    x = given[0].requires_grad_()
    found = outputs(run(*given))
    loss = sum((part.sin() * part).sum() for part in found)
    leaves = [x, *learnt, *layer.parameters()]
    return found, torch.autograd.grad(loss, leaves, allow_unused=True, retain_graph=bool(learnt))


@pytest.mark.parametrize(
    ("layer", "batch"),
    [
        (LSTM(3, 4, 2, bidirectional=True), ragged),
        (GRU(3, 4, bidirectional=True), weighted_tree),
        (RNN(3, 4), rounds),
        (GRU(3, 4), dense),
        (MinGRU(3, 4, bidirectional=True), weighted_tree),
        (GCN(3, 4), relations),
        (GatedGraph(4, 2), relations),
        (RelationalGCN(3, 2, "explicit"), typed_relations),
        (TemporalGCN(3, 4, 2, "space_time"), lambda: history(masked=True)),
    ],
    ids=lambda each: repr(each) if isinstance(each, torch.nn.Module) else "",
)
@pytest.mark.filterwarnings("ignore:The .grad attribute")  # torch's own look at learnt weights
def test_ever_new_graphs_are_compiled_a_few_times(layer, batch):
    torch.manual_seed(0)
    torch.compiler.reset()
    counter = CompileCounterWithBackend("eager")
    compiled = torch.compile(layer, fullgraph=True, backend=counter)
    for _ in range(5):
        given, learnt = batch()
        found, expected = step(compiled, layer, given, learnt), step(layer, layer, given, learnt)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert counter.frame_count <= 3  # sizes as they are, any sizes, and once more if one was the same by chance


class Several(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm, self.gru, self.gcn, self.rnn = LSTM(3, 4), GRU(4, 4), GCN(4, 4), RNN(4, 2)

    def forward(self, x, paths, tree, edges, rounds):
        h, _ = self.lstm(x, paths)
        h, _ = self.gru(torch.relu(h), tree)
        return self.rnn(self.gcn(h, edges), rounds)


def test_training_steps_by_the_default_backend():
    torch.manual_seed(0)
    torch.compiler.reset()
    model = Several()
    compiled = torch.compile(model, fullgraph=True, dynamic=True)
    for lengths in ([5, 2], [4, 4, 3]):
        nodes = sum(lengths)
        child = torch.arange(1, nodes)
        tree, edges = torch.stack([child, child // 2]), torch.randint(nodes, (2, 3 * nodes))
        given = torch.randn(nodes, 3), packed_paths(lengths), topological(tree, nodes), edges, synchronous(edges, nodes)
        found, expected = step(compiled, model, given, ()), step(model, model, given, ())
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


def test_a_stream_of_schedules_leaves_nothing():
    torch.compiler.reset()
    layer = LSTM(3, 4)
    compiled = torch.compile(layer, fullgraph=True, backend="eager", dynamic=True)

    def train():
        h, _ = compiled(torch.randn(6, 3), packed_paths([4, 2]))
        h.sum().backward()  # whose schedule is gone, but for what the tape holds

    train()
    gc.collect()
    gc.disable()
    try:
        before = len(tickets._TICKETS)
        for _ in range(5):
            train()
        assert len(tickets._TICKETS) == before
    finally:
        gc.enable()


def test_a_number_is_of_one_schedule_for_ever():
    schedule = packed_paths([2, 3])
    others = [copy.copy(schedule), copy.deepcopy(schedule), pickle.loads(pickle.dumps(schedule)), packed_paths([2, 3])]
    numbers = [int(each.number) for each in (schedule, *others)]
    assert len(set(numbers)) == 5
    gone = schedule.number.clone()
    del schedule
    with pytest.raises(RuntimeError, match=r"of a schedule that is gone; .* keep a reference"):
        tickets.find(gone)


@pytest.mark.parametrize("around", ["checkpoint", "hooks"])
def test_saved_tensors_that_come_back_as_copies(around):
    torch.manual_seed(0)
    torch.compiler.reset()
    layer, schedule, x = GRU(3, 4), packed_paths([4, 2]), torch.randn(6, 3, requires_grad=True)
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    if around == "checkpoint":
        h = checkpoint(lambda x: compiled(x, schedule)[0], x, use_reentrant=False)
    else:
        with save_on_cpu():
            h = compiled(x, schedule)[0]
    found = torch.autograd.grad(h.sin().sum(), [x, *layer.parameters()])
    expected = torch.autograd.grad(layer(x, schedule)[0].sin().sum(), [x, *layer.parameters()])
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("given", [(torch.randn(5, 4, 3),), (torch.randn(20, 3), packed_paths([5] * 4))])
def test_what_eager_calls_leave_to_torch_compiles_whole_without_gradients(given, mode):
    torch.compiler.reset()
    layer = LSTM(3, 4)
    with mode():
        compiled = torch.compile(layer, fullgraph=True, backend="eager")
        torch.testing.assert_close(compiled(*given)[0], layer(*given)[0])


def test_a_compiled_layer_says_what_is_wrong_when_it_runs():
    torch.compiler.reset()
    compiled = torch.compile(LSTM(3, 4), fullgraph=True, backend="eager")
    with pytest.raises(ValueError, match="x has 5 rows and the graph 6 nodes"):
        compiled(torch.randn(5, 3), packed_paths([4, 2]))


def test_what_was_compiled_can_be_copied_and_used_without():
    torch.compiler.reset()
    layer, x, schedule = GRU(3, 4), torch.randn(6, 3), packed_paths([4, 2])
    expected = layer(x, schedule)[0]
    layer.compile(fullgraph=True, backend="eager")
    torch.testing.assert_close(layer(x, schedule)[0], expected)
    for again in (copy.deepcopy(layer), pickle.loads(pickle.dumps(layer))):
        torch.testing.assert_close(again(x, schedule)[0], expected)
    torch.testing.assert_close(layer(x, copy.deepcopy(schedule))[0], expected)


@pytest.mark.parametrize(
    ("layer", "given", "more", "dynamic"),
    [
        (GRU(3, 4), (5, 3, 3), (8, 7, 3), {0: Dim("T", min=2), 1: Dim("B", min=2)}),
        (LSTM(3, 4), (5, 3, 3), (5, 7, 3), {1: Dim("B", min=2)}),
        (MinLSTM(3, 4), (5, 3, 3), (8, 7, 3), {0: Dim("T", min=2), 1: Dim("B", min=2)}),
        (TemporalGCN(3, 4, 2), (3, 6, 3), (3, 9, 3), {1: Dim("N", min=2)}),
        (GCN(3, 4), (6, 3), (9, 3), {0: Dim("N", min=2)}),
    ],
    ids=lambda each: repr(each) if isinstance(each, torch.nn.Module) else "",
)
@pytest.mark.filterwarnings("ignore")
def test_exports_take_other_sizes_and_files(layer, given, more, dynamic):
    def inputs(shape):
        graph = () if isinstance(layer, GRU | LSTM | MinLSTM) else (torch.randint(shape[-2], (2, 3 * shape[-2])),)
        return torch.randn(shape), *graph

    first = inputs(given)
    sizes = (dynamic, *[{1: Dim("E", min=2)} for _ in first[1:]])
    file = io.BytesIO()
    torch.export.save(torch.export.export(layer, first, dynamic_shapes=sizes), file)
    file.seek(0)
    loaded = torch.export.load(file).module()
    for each in (first, inputs(more)):
        torch.testing.assert_close(loaded(*each), layer(*each))
