"""Recurrent layers called as torch.nn's are: the same shapes and numbers from packed, dense and single sequences."""

import copy
import pickle
import warnings

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pack_sequence, unpack_sequence

from gnnseq import pack_paths, packed_paths, unpack_paths
from gnnseq.checkpoint import sweep_in_chunks
from gnnseq.layers import GRU, LSTM, RNN
from gnnseq.models import LanguageModel

F, H = 3, 4
EXACT = {"rtol": 0, "atol": 1e-12}
PAIRS = pytest.mark.parametrize(("ours", "torchs"), [(RNN, nn.RNN), (LSTM, nn.LSTM), (GRU, nn.GRU)])


def twins(ours, torchs, **options):
    known = torchs(F, H, dtype=torch.float64, **options)
    mine = ours(F, H, dtype=torch.float64, **options)
    mine.load_state_dict(known.state_dict())
    return mine, known


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def states(kind, *shape):
    pair = tuple(torch.randn(*shape, dtype=torch.float64) for _ in range(2))
    return pair if kind is LSTM else pair[0]


def assert_alike(found, expected):
    for one, other in zip(parts(found[1]), parts(expected[1]), strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, **EXACT)
    if isinstance(expected[0], PackedSequence):
        assert isinstance(found[0], PackedSequence)
        torch.testing.assert_close(found[0].data, expected[0].data, **EXACT)
        for one, other in zip(found[0][1:], expected[0][1:], strict=True):
            assert (one is None and other is None) or torch.equal(one, other)
    else:
        assert found[0].shape == expected[0].shape
        torch.testing.assert_close(found[0], expected[0], **EXACT)


def ragged(count):
    """Many of few lengths: torch's sort moves those of one length past each other from 17 sequences on."""
    lengths = torch.randint(1, 4, (count,)).tolist()
    return [torch.randn(n, F, dtype=torch.float64) for n in lengths]


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True, "bias": False}])
@PAIRS
def test_a_packed_sequence_is_torchs(ours, torchs, options):
    mine, known = twins(ours, torchs, **options)
    rows = options.get("num_layers", 1) * (2 if options else 1)
    for packed in (
        pack_sequence(ragged(40), enforce_sorted=False),
        pack_sequence(sorted(ragged(20), key=len, reverse=True)),
        pack_padded_sequence(torch.randn(5, 3, F).double(), [2, 4, 1], batch_first=False, enforce_sorted=False),
    ):
        state = states(ours, rows, packed.batch_sizes[0], H)
        assert_alike(mine(packed), known(packed))
        expected = known(packed, state)
        assert_alike(mine(packed, state=state), expected)
        assert_alike(mine(packed, list(state) if ours is LSTM else state), expected)


def test_paths_of_a_packed_sequence_are_the_callers():
    sequences = ragged(40)
    packed = pack_sequence(sequences, enforce_sorted=False)
    for x, schedule in (pack_paths(packed), (packed.data, packed_paths(packed))):
        assert schedule.lengths == tuple(map(len, sequences))
        for one, other in zip(unpack_paths(x, schedule), sequences, strict=True):
            assert torch.equal(one, other)
    wrong = unpack_paths(packed.data, packed_paths([len(sequence) for sequence in sequences]))
    assert not all(map(torch.equal, wrong, sequences))  # why lengths alone do not do


@PAIRS
def test_gradients_of_a_packed_sequence_are_torchs(ours, torchs):
    mine, known = twins(ours, torchs, bidirectional=True)
    grads = []
    for layer in (mine, known):
        torch.manual_seed(1)
        sequences = [sequence.requires_grad_() for sequence in ragged(20)]
        h, final = layer(pack_sequence(sequences, enforce_sorted=False))
        loss = h.data.square().sum() + sum((p * torch.arange(20.0).unsqueeze(1)).sum() for p in parts(final))
        grads.append(torch.autograd.grad(loss, [*sequences, *layer.parameters()]))
    for one, other in zip(*grads, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)  # sums of hundreds of terms


def test_what_comes_out_goes_on_into_torchs_functions_and_the_next_layer():
    sequences = ragged(20)
    h, _ = GRU(F, H).double()(pack_sequence(sequences, enforce_sorted=False))
    assert [len(part) for part in unpack_sequence(h)] == [len(part) for part in sequences]
    again, _ = nn.GRU(H, H).double()(h)
    assert torch.equal(again.unsorted_indices, h.unsorted_indices)


def test_packed_indices_are_looked_up():
    index = [torch.randint(F, (n,)) for n in (2, 4, 1)]
    layer, one_hot = RNN(F, H).double(), torch.eye(F).double()
    h, final = layer(pack_sequence(index, enforce_sorted=False))
    expected = layer(pack_sequence([one_hot[row] for row in index], enforce_sorted=False))
    assert_alike((h, final), expected)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}, {"batch_first": True}])
@PAIRS
def test_dense_batches_and_single_sequences_are_torchs(ours, torchs, options):
    mine, known = twins(ours, torchs, **options)
    rows = options.get("num_layers", 1) * (2 if "bidirectional" in options else 1)
    for shape in ((5, 3, F), (1, 1, F), (3, 1, F)):
        batch = shape[0] if options.get("batch_first") else shape[1]
        x, state = torch.randn(shape).double(), states(ours, rows, batch, H)
        assert_alike(mine(x), known(x))
        assert_alike(mine(x, state), known(x, state))
        assert_alike(mine(x, None, state), known(x, state))
    x, state = torch.randn(6, F).double(), states(ours, rows, H)
    assert_alike(mine(x), known(x))
    assert_alike(mine(x, state), known(x, state))


def test_no_steps_and_no_sequences():
    layer, state = LSTM(F, H), (torch.randn(1, 2, H), torch.randn(1, 2, H))
    h, final = layer(torch.zeros(0, 2, F), state)
    assert h.shape == (0, 2, H)
    assert all(map(torch.equal, final, state))
    h, (h_n, _) = layer(torch.zeros(3, 0, F))
    assert (h.shape, h_n.shape) == ((3, 0, H), (1, 0, H))


@PAIRS
def test_final_states_are_contiguous_and_their_own(ours, torchs):
    for x in (torch.randn(5, 3, F), torch.randn(5, F), pack_sequence([torch.randn(2, F)])):
        h, final = ours(F, H, num_layers=2)(x)
        places = {part.untyped_storage().data_ptr() for part in (h.data, *parts(final))}
        assert len(places) == 1 + len(parts(final))
        assert all(part.is_contiguous() for part in parts(final))


@PAIRS
def test_names_devices_and_types_of_torch(ours, torchs):
    layer = ours(F, H, device="meta", dtype=torch.float64)
    assert {(p.device.type, p.dtype) for p in layer.parameters()} == {("meta", torch.float64)}
    assert (layer.input_size, layer.hidden_size) == (F, H)
    assert layer.flatten_parameters() is None
    again = pickle.loads(pickle.dumps(copy.deepcopy(ours(F, H, batch_first=True))))
    assert again.batch_first
    assert "batch_first=True" in repr(again)


@PAIRS
def test_dropout_of_one_layer_warns(ours, torchs):
    with pytest.warns(UserWarning, match=r"dropout=0.5 drops nothing.*num_layers=2") as caught:
        ours(F, H, dropout=0.5)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ours(F, H, num_layers=2, dropout=0.5)
        LanguageModel(5, 4, dropout=0.5)  # which drops after its last layer too


def test_states_as_lists():
    x, schedule = pack_paths(ragged(3))
    layer, state = LSTM(F, H).double(), states(LSTM, 1, 3, H)
    assert_alike(layer(x, schedule, list(state)), layer(x, schedule, state))
    assert_alike(sweep_in_chunks(layer, x, schedule, list(state)), layer(x, schedule, state))


PACKED = pack_sequence([torch.zeros(2, F), torch.zeros(1, F)])
BROKEN = PackedSequence(torch.zeros(3, F), torch.tensor([2, 2]))
TWICE = PackedSequence(torch.zeros(3, F), torch.tensor([2, 1]), torch.tensor([0, 0]), torch.tensor([0, 0]))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda: RNN(F, H)(PACKED, packed_paths([2, 1])), ["x is a PackedSequence", "drop the graph", "x.data"]),
        (lambda: RNN(F, H)(PACKED, torch.tensor([[0], [2]])), ["x is a PackedSequence", "drop the graph"]),
        (lambda: RNN(F, H)(PACKED, torch.zeros(1, 2, H), torch.zeros(1, 2, H)), ["state came twice", "one of the two"]),
        (lambda: RNN(F, H)(PACKED, torch.zeros(2, H)), ["state", "[2, 4]", "[1, 2, 4]"]),
        (lambda: RNN(F, H)(BROKEN), ["batch_sizes", "[2, 2]", "3 rows", "pack_sequence"]),
        (lambda: packed_paths(TWICE), ["unsorted_indices", "[0, 0]", "once"]),
        (lambda: unpack_paths(PACKED, packed_paths(PACKED)), ["h is a PackedSequence", "h.data", "unpack_sequence"]),
        (lambda: RNN(F, H)(torch.zeros(5, 3, 2)), ["x has shape [5, 3, 2]", "[T, B, 3]", "[T, 3]", "graph"]),
        (lambda: RNN(F, H, batch_first=True)(torch.zeros(5, 3, 2)), ["[B, T, 3]"]),
        (lambda: RNN(F, H)(torch.zeros(F)), ["x has shape [3]", "without a graph"]),
        (lambda: RNN(F, H)(torch.zeros(5, 3, dtype=torch.int64)), ["x has type torch.int64", "float32"]),
        (lambda: RNN(F, H)(torch.zeros(5, F), None, torch.zeros(1, 1, H)), ["state", "[1, 1, 4]", "state[:, 0]"]),
        (lambda: LSTM(F, H)(torch.zeros(5, 2, F), torch.zeros(1, 2, H)), ["state", "pair (h, c)"]),
        (lambda: RNN(F, H)(torch.zeros(5, F), torch.zeros(2, 4)), ["edge_index has type torch.float32", ".long()"]),
        (lambda: RNN(F, H)(None), ["x is a NoneType", "tensor"]),
    ],
)
def test_what_does_not_fit_says_so(function, words):
    with pytest.raises(ValueError, match=r"\S") as raised:
        function()
    for word in words:
        assert word in str(raised.value)
