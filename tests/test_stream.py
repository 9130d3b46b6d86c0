"""A stream gives step by step what the layer gives at once."""

import pytest
import torch

from gnnseq.layers import GRU, LSTM, RNN
from gnnseq.schedule import packed_paths
from gnnseq.stream import Stream

T, F, H = 6, 3, 4
LAYERS = pytest.mark.parametrize(
    "make",
    [RNN, lambda *sizes, **kw: RNN(*sizes, nonlinearity="relu", **kw), LSTM, GRU],
    ids=["tanh", "relu", "lstm", "gru"],
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
        state = tuple(torch.randn(num_layers, batch, H, dtype=torch.float64) for _ in range(layer.states))
        state = state if layer.states > 1 else state[0]
    x = torch.randn(T, batch, F, dtype=torch.float64)
    expected, final = layer(x.flatten(0, 1), packed_paths([T] * batch), state)
    stream = Stream(layer, batch, state)
    found = torch.stack([stream(step) for step in x])
    torch.testing.assert_close(found.flatten(0, 1), expected, rtol=0, atol=1e-12)
    for a, b in zip(parts(stream.state), parts(final), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


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
    ],
)
def test_what_does_not_fit(function, words):
    with pytest.raises(ValueError, match=words):
        function()
