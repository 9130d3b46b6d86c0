"""Layers handed to torch whole: the numbers of the sweep, states included, and only where nobody looks inside."""

import pytest
import torch
from torch.nn.utils import prune

from gnnseq.layers import GRU, LSTM, RNN
from gnnseq.layers import recurrent as module
from gnnseq.layers.torch_recurrence import in_torch
from gnnseq.schedule import packed_paths

RULES = pytest.mark.parametrize(
    "make", [RNN, lambda *a, **k: RNN(*a, nonlinearity="relu", **k), LSTM, GRU], ids=["tanh", "relu", "lstm", "gru"]
)


def flat(h, state):
    return [h, *(state if isinstance(state, tuple) else (state,))]


@RULES
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("form", ["dense", "schedule"])
@torch.no_grad()
def test_the_numbers_of_the_sweep(make, bidirectional, bias, form, monkeypatch):
    layer = make(3, 4, num_layers=2, bidirectional=bidirectional, bias=bias)
    x, graph = torch.randn(5, 2, 3), None
    if form == "schedule":
        x, graph = x.flatten(0, 1), packed_paths([5, 5])
    parts = tuple(torch.randn(2 * (1 + bidirectional), 2, 4) for _ in range(layer.cell.states))
    for state in (None, parts if layer.cell.states > 1 else parts[0]):
        assert in_torch(layer, x, graph, state) is not None
        found = flat(*layer(x, graph, state))
        with monkeypatch.context() as patch:
            patch.setattr(module, "in_torch", lambda *given: None)
            expected = flat(*layer(x, graph, state))
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b)
            assert a.shape == b.shape


@torch.no_grad()
def test_only_short_or_few_wide_sequences_are_handed_over():
    few, many = torch.randn(9, 11, 3), torch.randn(9, 12, 3)
    assert in_torch(LSTM(3, 256), few, None, None) is not None
    assert in_torch(LSTM(3, 256), many, None, None) is None
    assert in_torch(LSTM(3, 255), few, None, None) is None
    assert in_torch(GRU(3, 256), few, None, None) is None


@torch.no_grad()
def test_where_it_is_not_asked():
    """Hooks, explainers, own rules, pruned weights, ragged paths, other types, autocast, transforms and empty input."""
    layer, x = LSTM(3, 4), torch.randn(5, 2, 3)
    assert in_torch(layer, x, None, None) is not None
    assert in_torch(layer, x, None, (torch.zeros(1, 3, 4),) * 2) is None
    assert in_torch(layer, x[:0], None, None) is None
    assert in_torch(layer, x.flatten(0, 1), packed_paths([6, 4]), None) is None
    assert in_torch(layer, x.flatten(0, 1), packed_paths([5, 5, 0]), None) is None
    assert in_torch(LSTM(3, 4).double(), x.double(), None, None) is None
    assert in_torch(LSTM(3, 4, 2, dropout=0.5), x, None, None) is None
    assert in_torch(LSTM(3, 4, 2, dropout=0.5).eval(), x, None, None) is not None
    with torch.enable_grad():
        assert in_torch(layer, x, None, None) is None
    with torch.autocast("cpu"):
        assert in_torch(layer, x, None, None) is None
    seen = []
    torch.func.vmap(lambda x: seen.append(in_torch(layer, x, None, None)) or x)(x.unsqueeze(0))
    assert seen == [None]
    hooked = LSTM(3, 4)
    hooked.register_message_forward_hook(lambda *given: None)
    assert in_torch(hooked, x, None, None) is None
    unsaid = LSTM(3, 4)
    unsaid.bias = False  # the parameters are there all the same
    assert in_torch(unsaid, x, None, None) is None
    pruned = prune.random_unstructured(LSTM(3, 4), "weight_hh_l0", 0.5)
    assert in_torch(pruned, x, None, None) is None
