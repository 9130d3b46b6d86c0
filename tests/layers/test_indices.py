"""An integer input is the one-hot row it stands for: values, states, gradients, in every shape of graph and mode.

N nodes, V input channels, H hidden channels.
"""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnseq import pack_paths, synchronous, topological
from gnnseq.checkpoint import sweep_in_chunks
from gnnseq.graphs import tree_graph
from gnnseq.layers import GRU, LSTM, RNN, MinGRU
from gnnseq.schedule import packed_paths
from strategies import dags, forests

EXACT = {"rtol": 0, "atol": 1e-12}
H = 4
NARROW, WIDE = 3, 11  # V below and above H: other kernels
LAYERS = pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU, MinGRU])
WIDTHS = pytest.mark.parametrize("channels", [NARROW, WIDE])
RING = torch.tensor([[0, 1, 2, 3, 4, 5], [1, 2, 3, 4, 5, 0]])
SCHEDULES = {
    "equal paths": lambda: packed_paths([2] * 3),
    "ragged paths": lambda: packed_paths([1, 0, 3, 2]),
    "shuffled path": lambda: topological(torch.tensor([[3, 0, 2], [0, 2, 1]]), 6),
    "tree": lambda: topological(tree_graph([2, 2, 3, -1, 3, 3]).edge_index, 6),
    "weighted dag": lambda: topological(torch.tensor([[0, 1, 1, 2], [2, 2, 3, 5]]), 6, torch.rand(4).double()),
    "no edges": lambda: topological(torch.empty(2, 0, dtype=torch.long), 6),
    "rounds": lambda: synchronous(RING, 6, rounds=3),
}


def one_hot(index, channels):
    return torch.nn.functional.one_hot(index.long(), channels).double()


def run(layer, x, schedule, state=None):
    """Output, final states, and the gradients of random directions through all of them."""
    h, final = layer(x, schedule, state)
    outputs = [h, *(final if isinstance(final, tuple) else (final,))]
    torch.manual_seed(1)
    loss = sum((output * torch.randn_like(output)).sum() for output in outputs)
    inputs = [*layer.parameters(), *(() if state is None else state if isinstance(state, tuple) else (state,))]
    found = torch.autograd.grad(loss, inputs, allow_unused=True, materialize_grads=True)
    return [*outputs, *found]


def assert_same(layer, index, schedule, state=None):
    found = run(layer, index, schedule, state)
    for a, b in zip(found, run(layer, one_hot(index, layer.in_channels), schedule, state), strict=True):
        torch.testing.assert_close(a, b, **EXACT)


@LAYERS
@WIDTHS
@pytest.mark.parametrize("shape", SCHEDULES)
@pytest.mark.parametrize("options", [{}, {"bidirectional": True, "num_layers": 2}, {"bias": False}], ids=str)
def test_an_index_is_its_one_hot_row(layer_type, channels, shape, options):
    layer, schedule = layer_type(channels, H, **options).double(), SCHEDULES[shape]()
    assert_same(layer, torch.randint(channels, (6,)), schedule)
    assert_same(layer, torch.randint(channels, (6,), dtype=torch.int32), schedule)


@LAYERS
@WIDTHS
@settings(max_examples=10)
@given(st.lists(st.integers(0, 6), min_size=1, max_size=5), st.booleans())
def test_on_paths(layer_type, channels, lengths, given_state):
    """Empty ones and empty batches included, states carried in and out."""
    layer, schedule = layer_type(channels, H).double(), packed_paths(lengths)
    state = None
    if given_state:
        parts = tuple(torch.randn(1, len(lengths), H).double().requires_grad_() for _ in range(layer.cell.states))
        state = parts if layer.cell.states > 1 else parts[0]
    assert_same(layer, torch.randint(channels, (schedule.num_nodes,)), schedule, state)


@LAYERS
@settings(max_examples=10)
@given(dags())
def test_on_dags(layer_type, graph):
    schedule = topological(graph.edge_index, graph.num_nodes, graph.edge_weight)
    assert_same(layer_type(WIDE, H).double(), torch.randint(WIDE, (graph.num_nodes,)), schedule)


@LAYERS
@settings(max_examples=10)
@given(forests())
def test_on_trees(layer_type, parents):
    assert_same(layer_type(WIDE, H).double(), torch.randint(WIDE, (len(parents),)), tree_graph(parents).edge_index)


@LAYERS
@WIDTHS
def test_second_derivatives(layer_type, channels):
    layer, index, schedule = layer_type(channels, H).double(), torch.randint(channels, (6,)), packed_paths([4, 2])
    parameters = list(layer.parameters())

    def second(x):
        first = torch.autograd.grad(layer(x, schedule)[0].square().sum(), parameters, create_graph=True)
        return torch.autograd.grad(sum(gradient.square().sum() for gradient in first), parameters)

    for a, b in zip(second(index), second(one_hot(index, channels)), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)  # sums of products of first derivatives, up to 100


@LAYERS
@WIDTHS
def test_without_gradients_and_in_mixed_precision(layer_type, channels):
    layer, index, schedule = layer_type(channels, H), torch.randint(channels, (6,)), packed_paths([3, 3])
    expected = layer(one_hot(index, channels).float(), schedule)[0]
    with torch.no_grad():
        torch.testing.assert_close(layer(index, schedule)[0], expected)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        h = layer(index, schedule)[0]
        # Integer features are still features.
        torch.testing.assert_close(layer(one_hot(index, channels).long(), schedule)[0], expected)
    torch.testing.assert_close(h, expected)
    h.sum().backward()


@pytest.mark.parametrize("layer_type", [LSTM, GRU])
@pytest.mark.parametrize("shape", ["equal paths", "tree"])
def test_under_torch_func_and_compile(layer_type, shape):
    layer, schedule = layer_type(WIDE, H).double(), SCHEDULES[shape]()
    index, parameters = torch.randint(WIDE, (3, 6)), dict(layer.named_parameters())

    def loss(parameters, x):
        return torch.func.functional_call(layer, parameters, (x, schedule))[0].square().sum()

    found = torch.func.vmap(torch.func.grad(loss), in_dims=(None, 0))(parameters, index)
    for number, one in enumerate(index):
        expected = torch.autograd.grad(loss(parameters, one), list(parameters.values()))
        for name, gradient in zip(parameters, expected, strict=True):
            torch.testing.assert_close(found[name][number], gradient, **EXACT)
    torch.compiler.reset()
    compiled = torch.compile(lambda x: layer(x, schedule)[0], fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(index[0]), layer(index[0], schedule)[0], **EXACT)


@LAYERS
def test_messages_can_be_watched(layer_type):
    layer, index = layer_type(WIDE, H).double(), torch.randint(WIDE, (6,))
    expected = layer(index, packed_paths([6]))[0]
    handle = layer.register_message_forward_hook(lambda module, inputs, output: None)
    torch.testing.assert_close(layer(index, packed_paths([6]))[0], expected, **EXACT)
    handle.remove()


@LAYERS
def test_packed_and_in_chunks(layer_type):
    layer, sequences = layer_type(WIDE, H), [torch.tensor([4, 10, 0]), torch.empty(0, dtype=torch.long)]
    index, schedule = pack_paths([*sequences, torch.tensor([7])])
    assert index.tolist() == [4, 7, 10, 0]
    torch.testing.assert_close(sweep_in_chunks(layer, index, schedule)[0], layer(index, schedule)[0])


@LAYERS
@WIDTHS
def test_an_index_out_of_range(layer_type, channels):
    for wrong in (-1, channels):
        index = torch.tensor([0, wrong, 1])
        with pytest.raises(ValueError, match=rf"x has the index {wrong}; expected 0 to {channels - 1}"):
            layer_type(channels, H)(index, packed_paths([3]))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bool, torch.int16])
def test_other_types_are_no_indices(dtype):
    with pytest.raises(ValueError, match=r"x has (type|shape)"):
        LSTM(WIDE, H)(torch.zeros(3, dtype=dtype), packed_paths([3]))
