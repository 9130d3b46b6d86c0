"""Recording by torch: a fresh schedule serves it, is whole afterwards, and what is recorded computes the same."""

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.fx.experimental.proxy_tensor import make_fx
from torch_geometric.nn import GCNConv

from gnnseq import synchronous, topological
from gnnseq.graphs import path_graph
from gnnseq.kernels.native import compiled, library
from gnnseq.layers import GCN, GRU, LSTM, RNN, GatedGraph, MinGRU, RelationalGCN, TemporalGCN
from gnnseq.schedule import packed_paths

TREE, DAG = [[0, 1, 2], [2, 2, 3]], [[3, 1, 0, 3], [0, 0, 2, 2]]
RAGGED = [[0, 1, 4], [1, 3, 2]]


class Swept(torch.nn.Module):
    """A layer on a schedule that no sweep has seen."""

    def __init__(self, layer, schedule):
        super().__init__()
        self.layer, self.schedule = layer, schedule

    def forward(self, x, *state):
        return self.layer(x, self.schedule, *([state if len(state) > 1 else state[0]] if state else []))[0]


def compile_it(model, x):
    torch.compiler.reset()
    return torch.compile(model, fullgraph=True, backend="eager")(x)


def export_it(model, x):
    return torch.export.export(model, (x,)).module()(x)


def trace_it(model, x):
    return torch.jit.trace(model, x)(x)


def make_fx_of_it(model, x):
    return make_fx(model)(x)(x)


def fake_it(model, x):
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        assert model(mode.from_tensor(x)).shape == model(mode.from_tensor(x)).shape
    return model(x)


RECORDERS = (compile_it, export_it, trace_it, make_fx_of_it, fake_it)  # the first two take seconds: see test_modes.py


@pytest.mark.parametrize(
    ("record", "layer_type", "edges", "weighted", "rounds"),
    [
        *((record, GRU, RAGGED, False, None) for record in RECORDERS),
        *((record, RNN, RAGGED, False, 2) for record in RECORDERS[2:]),
        *((record, RNN, TREE, False, None) for record in RECORDERS[2:]),
        *((record, LSTM, DAG, True, None) for record in RECORDERS[2:]),
    ],
)
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_a_fresh_schedule_is_recorded_and_lives_on(record, layer_type, edges, weighted, rounds):
    edges, x = torch.tensor(edges), torch.randn(5, 3)
    layer, weight = layer_type(3, 2, bidirectional=True), torch.rand(edges.size(1)) if weighted else None

    def fresh():
        if rounds is None:
            return topological(edges, 5, weight)
        return synchronous(edges, 5, rounds)

    expected = Swept(layer, fresh())(x)
    model = Swept(layer, fresh())
    torch.testing.assert_close(record(model, x), expected)
    found = model(x)  # the schedule has remembered numbers
    torch.testing.assert_close(found, expected)
    found.sum().backward()


@pytest.mark.parametrize(
    "make",
    [
        *(lambda kind=kind: Swept(kind(32, 32), topological(*tree(300))) for kind in (RNN, GRU, LSTM, MinGRU)),
        *(lambda kind=kind: Swept(kind(32, 32), packed_paths([100, 200])) for kind in (RNN, GRU, LSTM, MinGRU)),
    ],
)
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_a_trace_of_work_that_is_worth_compiled_code(make):
    model = make()
    traced, x = torch.jit.trace(model, torch.randn(300, 32)), torch.randn(300, 32)
    torch.testing.assert_close(traced(x), model(x))


def tree(nodes):
    child = torch.arange(1, nodes)
    return torch.stack([child, (child - 1) // 2]), nodes


@pytest.mark.parametrize(
    "layer", [GCN(3, 4), GCN(4, 3), GatedGraph(4, 2), GCNConv(3, 4), RelationalGCN(4, 2)], ids=lambda layer: f"{layer}"
)
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_graph_layers_trace_as_gcnconv_does(layer):
    edges = path_graph(5, undirected=True).edge_index
    x = torch.randn(5, 4 if getattr(layer, "in_channels", 4) == 4 else 3)
    given = (edges, torch.rand(edges.size(1), 2)) if isinstance(layer, RelationalGCN) else (edges,)
    traced = torch.jit.trace(layer, (x, *given))
    more = torch.randn_like(x)
    torch.testing.assert_close(traced(more, *given), layer(more, *given))


@pytest.mark.parametrize("layer_type", [RNN, LSTM])
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_states_are_traced(layer_type):
    model = Swept(layer_type(3, 4), packed_paths([2, 3]))
    given = [torch.randn(5, 3), *(torch.randn(1, 2, 4) for _ in range(model.layer.cell.states))]
    traced = torch.jit.trace(model, given)
    more = [each + 1 for each in given]
    torch.testing.assert_close(traced(*more), model(*more))


@pytest.mark.parametrize("order", ["time_then_space", "space_then_time", "space_time"])
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_networks_in_time_trace(order):
    model = Swept(TemporalGCN(8, 16, 8, order=order, recurrent="GRU"), path_graph(40, undirected=True).edge_index)
    x, more = torch.randn(2, 12, 40, 8)
    traced = torch.jit.trace(model, x)
    torch.testing.assert_close(traced(more), model(more))
    model(more).sum().backward()


@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning", "ignore:.*torch.jit:DeprecationWarning")
def test_windows_trace_with_states_and_exogenous_features():
    class Windows(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.layer, self.edges = TemporalGCN(2, 3, 2, exogenous_channels=1), path_graph(4).edge_index

        def forward(self, x, exogenous, h, c):
            return self.layer(x, self.edges, state=(h, c), exogenous=exogenous)[0]

    model, given = Windows(), [torch.randn(shape) for shape in ((3, 5, 4, 2), (3, 5, 1), (1, 3, 4, 3), (1, 3, 4, 3))]
    traced = torch.jit.trace(model, given)
    more = [each + 1 for each in given]
    torch.testing.assert_close(traced(*more), model(*more))


@pytest.mark.parametrize("argument", [torch.tensor(3), torch.ones(2, 3).t(), "3", 3.0])
def test_nothing_passes_to_compiled_code_that_only_seems_to_be_a_number_or_memory(argument):
    if library() is None:
        pytest.skip("no C compiler here, so there is no compiled code to call")
    with pytest.raises(TypeError, match="a compiled function got"):
        compiled("tanh_forward")(argument)


@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
def test_a_compiled_training_step(layer_type):
    """All that the default backend does but making machine code, which takes a minute a layer."""
    model, x = Swept(layer_type(3, 2), packed_paths([3, 1])), torch.randn(4, 3)
    torch.compiler.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager_decomp_partition")
    found, expected = (torch.autograd.grad(run(x).sum(), list(model.parameters())) for run in (compiled, model))
    torch.testing.assert_close(found, expected)
