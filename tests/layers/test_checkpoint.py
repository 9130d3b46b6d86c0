"""Chunks of time change neither values nor gradients, and keep less."""

import pytest
import torch

from gnnseq import pack_paths, synchronous, topological
from gnnseq.checkpoint import sweep_in_chunks
from gnnseq.layers import GRU, LSTM, RNN, MinGRU
from gnnseq.schedule import packed_paths

LAYERS = pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU, MinGRU])
SHUFFLED = torch.tensor([[3, 0, 2, 6], [0, 2, 1, 4]])  # 3 -> 0 -> 2 -> 1, 6 -> 4, and 5


def flat(h, state):
    return [h, *(state if isinstance(state, tuple) else (state,))]


@pytest.mark.parametrize(
    "schedule",
    [packed_paths([7]), packed_paths([2, 0, 5, 5, 1]), packed_paths([]), packed_paths([0]), topological(SHUFFLED, 7)],
    ids=["one", "ragged", "none", "empty", "shuffled"],
)
@pytest.mark.parametrize("chunks", [None, 1, 2, 3, 20])
@LAYERS
def test_chunks_change_nothing(layer_type, chunks, schedule):
    layer = layer_type(3, 2, num_layers=2).double()
    x = torch.randn(schedule.num_nodes, 3, dtype=torch.float64, requires_grad=True)
    shape = (2, len(schedule.lengths), 2)
    state = tuple(torch.randn(shape, dtype=torch.float64, requires_grad=True) for _ in range(layer.cell.states))
    given = state if layer.cell.states > 1 else state[0]
    expected, found = flat(*layer(x, schedule, given)), flat(*sweep_in_chunks(layer, x, schedule, given, chunks))
    cotangents = [torch.randn_like(part) for part in expected]
    inputs = [x, *state, *layer.parameters()]
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)
    old = torch.autograd.grad(expected, inputs, cotangents, allow_unused=True)
    for a, b in zip(torch.autograd.grad(found, inputs, cotangents, allow_unused=True), old, strict=True):
        torch.testing.assert_close(
            torch.zeros(()) if a is None else a, torch.zeros(()) if b is None else b, rtol=0, atol=1e-12
        )


@LAYERS
def test_zeros_are_the_usual_state(layer_type):
    layer, (x, schedule) = layer_type(3, 2), pack_paths([torch.randn(9, 3), torch.randn(4, 3)])
    for a, b in zip(flat(*sweep_in_chunks(layer, x, schedule)), flat(*layer(x, schedule)), strict=True):
        torch.testing.assert_close(a, b)


@LAYERS
def test_memory_grows_as_the_root(layer_type):
    """Bytes that the graph of gradients holds after the forward pass, beside x and h, whose size nobody can avoid."""

    def held(steps):
        layer, x = layer_type(1, 8), torch.randn(steps, 1)
        kept = {}

        def pack(tensor):
            kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            h, _ = sweep_in_chunks(layer, x, packed_paths([steps]))
        own = {x.untyped_storage().data_ptr(), h.untyped_storage().data_ptr()}
        own |= {weight.untyped_storage().data_ptr() for weight in layer.parameters()}
        return sum(size for place, size in kept.items() if place not in own)

    assert held(3600) < 6.6 * held(100)  # 36 times as long, six times as much and the rounding of the root


def test_dropout_is_the_same_when_computed_again():
    torch.manual_seed(0)
    layer, x, schedule = LSTM(3, 4, num_layers=2, dropout=0.5), torch.randn(9, 3), packed_paths([9])
    h, _ = sweep_in_chunks(layer, x.requires_grad_(), schedule)
    for row in range(9):  # were the masks others, the gradient would see outputs that never were
        (gradient,) = torch.autograd.grad(h[row].sum(), x, retain_graph=True)
        assert not gradient[row + 1 :].any()
    torch.manual_seed(1)
    h, _ = sweep_in_chunks(layer, x, schedule)
    torch.manual_seed(1)
    again, _ = sweep_in_chunks(layer, x, schedule)
    old = torch.autograd.grad(h.sum(), list(layer.parameters()))
    torch.manual_seed(2)  # whatever happens between
    for a, b in zip(torch.autograd.grad(again.sum(), list(layer.parameters())), old, strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize(
    ("layer", "schedule", "chunks", "words"),
    [
        (LSTM(1, 2, bidirectional=True), packed_paths([3]), None, "two directions.*schedule.reversed"),
        (LSTM(1, 2), synchronous(torch.tensor([[0], [1]]), 3), None, "not one of unweighted paths"),
        (LSTM(1, 2), topological(torch.tensor([[0], [1]]), 3, torch.ones(1)), None, "not one of unweighted paths"),
        (LSTM(1, 2), packed_paths([3]), 0, "chunks=0"),
        (LSTM(1, 2), packed_paths([3]), 1.5, r"chunks=1\.5"),
    ],
)
def test_what_cannot_be_cut(layer, schedule, chunks, words):
    with pytest.raises(ValueError, match=words):
        sweep_in_chunks(layer, torch.randn(3, 1), schedule, chunks=chunks)


def test_what_the_layer_would_refuse_is_refused():
    layer, schedule = LSTM(3, 8), packed_paths([10])
    with pytest.raises(ValueError, match="x has 12 rows and the graph 10 nodes"):
        sweep_in_chunks(layer, torch.randn(12, 3), schedule)
    with pytest.raises(ValueError, match="state has shape"):
        sweep_in_chunks(layer, torch.randn(10, 3), schedule, (torch.zeros(1, 3, 8), torch.zeros(1, 3, 8)))
