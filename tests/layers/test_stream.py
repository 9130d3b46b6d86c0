"""A stream gives step by step what the layer gives at once."""

import copy
import io
import pickle

import pytest
import torch

from gnnseq.layers import GRU, LSTM, RNN, MinGRU, MinLSTM
from gnnseq.schedule import packed_paths
from gnnseq.stream import Stream

T, F, H = 6, 3, 4
LAYERS = pytest.mark.parametrize(
    "make",
    [RNN, lambda *sizes, **kw: RNN(*sizes, nonlinearity="relu", **kw), LSTM, GRU, MinGRU, MinLSTM],
    ids=["tanh", "relu", "lstm", "gru", "mingru", "minlstm"],
)


def parts(state):
    return state if isinstance(state, tuple) else (state,)


@pytest.mark.parametrize("given", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("batch", [0, 1, 3])
@pytest.mark.parametrize("num_layers", [1, 2])
@LAYERS
def test_steps_equal_the_sweep(make, num_layers, batch, bias, given):
    layer = make(F, H, num_layers=num_layers, bias=bias).double()
    state = None
    if given:
        state = tuple(torch.randn(num_layers, batch, H, dtype=torch.float64) for _ in range(layer.cell.states))
        state = state if layer.cell.states > 1 else state[0]
    x = torch.randn(T, batch, F, dtype=torch.float64)
    expected, final = layer(x.flatten(0, 1), packed_paths([T] * batch), state)
    stream = Stream(layer, batch, state)
    found = torch.stack([stream(step) for step in x])
    torch.testing.assert_close(found.flatten(0, 1), expected, rtol=0, atol=1e-12)
    for a, b in zip(parts(stream.state), parts(final), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("embedded", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("num_layers", [1, 2])
@LAYERS
def test_indices_equal_the_sweep_over_what_they_stand_for(make, num_layers, bias, embedded):
    batch, V = 3, 5
    rows = torch.randn(V, F, dtype=torch.float64) if embedded else torch.eye(F, dtype=torch.float64)
    layer = make(F, H, num_layers=num_layers, bias=bias).double()
    index = torch.randint(len(rows), (T, batch))
    expected, _ = layer(rows[index].flatten(0, 1), packed_paths([T] * batch))
    stream = Stream(layer, batch, embedding=rows if embedded else None)
    found = torch.stack([stream(step) for step in index])
    torch.testing.assert_close(found.flatten(0, 1), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("fused", [True, False])
def test_one_float32_stream_is_the_float64_one_rounded(fused, monkeypatch):
    """By compiled cells, where there is a compiler, and by torch's operations; states given, selected and read."""
    if not fused:
        monkeypatch.setattr("gnnseq.stream.library", lambda: None)
    layer = LSTM(F, 40, num_layers=2)
    state = tuple(torch.randn(2, 1, 40) for _ in range(2))
    x = 3 * torch.randn(50, 1, F)
    stream = Stream(layer, 1, state)
    found = []
    for step in x:
        found.append(stream(step))
        stream.select(torch.tensor([0]))
    h, final = layer.double()(x.double().flatten(0, 1), packed_paths([50]), tuple(part.double() for part in state))
    close = {"rtol": 1e-5, "atol": 5e-6}  # float32 carries 6e-8; rounding adds up over 50 steps
    torch.testing.assert_close(torch.cat(found).double(), h, **close)
    for one, other in zip(stream.state, final, strict=True):
        torch.testing.assert_close(one.double(), other, **close)


def test_indices_and_vectors_may_alternate():
    layer, index = LSTM(F, H).double(), torch.randint(F, (T, 2))
    dense = torch.eye(F, dtype=torch.float64)[index]
    expected, _ = layer(dense.flatten(0, 1), packed_paths([T] * 2))
    stream = Stream(layer, 2)
    found = torch.stack([stream(step if t % 2 else dense[t]) for t, step in enumerate(index)])
    torch.testing.assert_close(found.flatten(0, 1), expected, rtol=0, atol=1e-12)


@LAYERS
def test_selected_paths_go_on_from_each_other(make):
    layer, x, rows = make(F, H, num_layers=2), torch.randn(T, 3, F), torch.tensor([2, 0, 2])
    stream, fresh = Stream(layer, 3), Stream(layer, 3)
    for step in x[:3]:
        stream(step)
        fresh(step[rows])
    stream.select(rows)
    for a, b in zip(parts(stream.state), parts(fresh.state), strict=True):
        # Rows of a product of matrices may be summed in another order.
        torch.testing.assert_close(a, b)
    for step in x[3:]:
        torch.testing.assert_close(stream(step), fresh(step))


@LAYERS
def test_a_stream_goes_on_from_another(make):
    layer, x = make(F, H, num_layers=2), torch.randn(T, 1, F)
    first = Stream(layer)
    whole = [first(step) for step in x]
    half = Stream(layer)
    for step in x[:3]:
        half(step)
    rest = Stream(layer, state=half.state)
    for step, expected in zip(x[3:], whole[3:], strict=True):
        assert torch.equal(rest(step), expected)


def saved(stream):
    file = io.BytesIO()
    torch.save(stream, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = {
    "pickle": lambda stream: pickle.loads(pickle.dumps(stream)),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "save": saved,
}


@pytest.mark.parametrize("num_layers", [1, 2])
@LAYERS
def test_a_copy_goes_on_from_the_same_state_and_on_its_own(make, num_layers):
    """Also of a float32 LSTM, whose step holds addresses in memory."""
    x, stream = torch.randn(3, 2, F), Stream(make(F, H, num_layers=num_layers), 2)
    stream(x[0])
    copies = [duplicate(duplicate(stream)) for duplicate in COPIES.values()]
    expected = [stream(step) for step in x[1:]]
    for again in copies:
        before = parts(stream.state)
        for step, known in zip(x[1:], expected, strict=True):
            assert torch.equal(again(step), known)
        assert all(map(torch.equal, parts(again.state), before))
        again(x[0])  # neither writes into the other
        again.select(torch.tensor([1, 1]))
        assert all(map(torch.equal, parts(stream.state), before))
        with pytest.raises(ValueError, match=r"expected \[2, 3\]"):
            again(torch.zeros(3, F))


@pytest.mark.parametrize("looked_up", [False, True])
@pytest.mark.parametrize("embedded", [False, True])
def test_a_copy_looks_the_same_indices_up(embedded, looked_up):
    embedding = torch.nn.Parameter(torch.randn(5, F)) * 1.0 if embedded else None  # no leaf, which torch cannot copy
    stream, index = Stream(LSTM(F, H), embedding=embedding), torch.tensor([2])
    if looked_up:
        stream(index)
    copies = [duplicate(stream) for duplicate in COPIES.values()]
    expected = stream(index)
    for again in copies:
        assert torch.equal(again(index), expected)
        with pytest.raises(ValueError, match="x has indices of 9 to 9"):
            again(torch.tensor([9]))


def test_a_copy_made_in_inference_mode_is_used_outside():
    stream, x = Stream(LSTM(F, H)), torch.randn(1, F)
    with torch.inference_mode():
        copies = [duplicate(stream) for duplicate in COPIES.values()]
    expected = stream(x), stream(x)
    for again in copies:
        assert all(map(torch.equal, (again(x), again(x)), expected))


def test_outputs_and_state_are_not_written_over():
    stream = Stream(LSTM(F, H))
    h, state = stream(torch.randn(1, F)), stream.state
    kept = h.clone(), state[1].clone()
    stream(torch.randn(1, F))
    assert torch.equal(h, kept[0])
    assert torch.equal(state[1], kept[1])


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda: Stream(LSTM(F, H, bidirectional=True)), "two directions"),
        (lambda: Stream(LSTM(F, H), batch=-1), "batch=-1"),
        (lambda: Stream(LSTM(F, H), state=torch.zeros(1, 1, H)), r"\[1, 1, 4\]; expected 2 of \[1, 1, 4\]"),
        (lambda: Stream(GRU(F, H), batch=2, state=torch.zeros(1, 1, H)), r"\[1, 1, 4\]; expected 1 of \[1, 2, 4\]"),
        (lambda: Stream(LSTM(F, H))(torch.zeros(F)), r"x has shape \[3\]; expected \[1, 3\]"),
        (lambda: Stream(LSTM(F, H))(torch.zeros(2, dtype=torch.int64)), r"indices of shape \[2\]; expected \[1\]"),
        (lambda: Stream(LSTM(F, H))(torch.tensor([3])), "x has indices of 3 to 3; expected 0 to 2"),
        (lambda: Stream(LSTM(F, H))(torch.tensor([-1])), "x has indices of -1 to -1; expected 0 to 2"),
        (lambda: Stream(LSTM(F, H), embedding=torch.zeros(9, 4)), r"embedding has shape \[9, 4\]; expected \[V, 3\]"),
    ],
)
def test_what_does_not_fit(function, words):
    with pytest.raises(ValueError, match=words):
        function()


def test_mixed_precision_leaves_indices_alone():
    layer, embedding, index = LSTM(5, 7), torch.randn(9, 5), torch.tensor([4])
    expected = Stream(layer, embedding=embedding)(index)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        assert torch.equal(Stream(layer, embedding=embedding)(index), expected)


def test_one_made_in_inference_mode_is_used_outside():
    layer, x = LSTM(5, 7), torch.randn(1, 5)
    with torch.inference_mode():
        stream = Stream(layer)
    assert torch.equal(stream(x), Stream(layer)(x))


def test_selecting_needs_a_path_for_each_path():
    with pytest.raises(ValueError, match=r"rows has shape \[1\]; expected \[3\]"):
        Stream(LSTM(5, 7), batch=3).select(torch.tensor([1]))


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (torch.randn(1, 3).double(), r"x has type torch.float64 and the parameters torch.float32"),
        (torch.randn(1, 3).half(), r"x has type torch.float16"),
        (torch.zeros(1, 3, dtype=torch.bool), r"x has type torch.bool"),
        (torch.zeros(1, 3, dtype=torch.complex64), r"x has type torch.complex64"),
        (torch.zeros(1, 3, device="meta"), r"x is on meta"),
        (torch.zeros(1, 3).to_sparse(), r"x is torch.sparse_coo"),
        (torch.zeros(1, 3).numpy(), r"x is a ndarray; .*torch.as_tensor"),
        ([[1.0, 2.0, 3.0]], r"x is a list"),
        (None, r"x is a NoneType"),
    ],
)
def test_a_step_takes_tensors_of_the_layers_type(x, message):
    stream = Stream(LSTM(3, 4))
    with pytest.raises(ValueError, match=message):
        stream(x)
    with torch.autocast("cpu"):  # under which a layer takes any type
        assert stream(torch.randn(1, 3).bfloat16()).dtype == torch.float32


def test_what_a_stream_is_made_of_is_checked():
    for layer in (None, torch.nn.LSTM(3, 4), "LSTM"):
        with pytest.raises(ValueError, match=r"layer is a .*; expected a recurrent layer"):
            Stream(layer)
    for embedding in (torch.randn(5, 3).double(), torch.zeros(5, 3).numpy(), [[1.0, 2.0, 3.0]]):
        with pytest.raises(ValueError, match=r"^embedding "):
            Stream(GRU(3, 4), embedding=embedding)
    for rows in (None, torch.zeros(2).numpy(), torch.zeros(2), torch.tensor([0, 2]), torch.tensor([-1, 0])):
        with pytest.raises(ValueError, match=r"^rows "):
            Stream(GRU(3, 4), batch=2).select(rows)
