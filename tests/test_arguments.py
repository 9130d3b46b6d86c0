"""Arguments by place mean what they mean in the peer, or are refused; sizes and flags are of their kind."""

import re

import numpy as np
import pytest
import torch
from torch import nn

from gnnseq import packed_paths, synchronous, topological
from gnnseq.checks import flag, whole
from gnnseq.graphs import path_graph, space_time_graph
from gnnseq.layers import GCN, GRU, LSTM, RNN, EvolveGCN, GatedGraph, RelationalGCN, TemporalGCN
from gnnseq.models import GraphClassifier, LanguageModel, SequenceClassifier

EDGES = torch.tensor([[0, 1], [1, 2]])
SIZES = {
    "path_graph": path_graph,
    "topological": lambda size: topological(EDGES, size),
    "synchronous": lambda size: synchronous(EDGES, size),
    "rounds": lambda size: synchronous(EDGES, 3, rounds=size),
    "steps": lambda size: space_time_graph(EDGES, 3, size),
    "RNN": lambda size: RNN(size, 4),
    "LSTM": lambda size: LSTM(3, size),
    "GRU": lambda size: GRU(3, 4, num_layers=size),
    "GCN": lambda size: GCN(size, 4),
    "GCN out": lambda size: GCN(4, size),
    "GatedGraph": lambda size: GatedGraph(size, 2),
    "GatedGraph rounds": lambda size: GatedGraph(4, num_rounds=size),
    "RelationalGCN": lambda size: RelationalGCN(size, 2, strength="implicit"),
    "RelationalGCN types": lambda size: RelationalGCN(2, size, strength="implicit"),
    "TemporalGCN": lambda size: TemporalGCN(size, 4, 2),
    "TemporalGCN hidden": lambda size: TemporalGCN(2, size, 2),
    "TemporalGCN out": lambda size: TemporalGCN(2, 4, size),
    "TemporalGCN layers": lambda size: TemporalGCN(2, 4, 2, num_layers=size),
    "TemporalGCN exogenous": lambda size: TemporalGCN(2, 4, 2, exogenous_channels=size),
    "EvolveGCN": lambda size: EvolveGCN(size, 4),
    "EvolveGCN out": lambda size: EvolveGCN(4, size),
    "SequenceClassifier": lambda size: SequenceClassifier("RNN", size, 4, 2),
    "SequenceClassifier classes": lambda size: SequenceClassifier("RNN", 3, 4, size),
    "GraphClassifier": lambda size: GraphClassifier(size, 4, 2, num_layers=2),
    "GraphClassifier hidden": lambda size: GraphClassifier(3, size, 2, num_layers=2),
    "GraphClassifier classes": lambda size: GraphClassifier(3, 4, size, num_layers=2),
    "GraphClassifier layers": lambda size: GraphClassifier(3, 4, 2, num_layers=size),
    "LanguageModel": lambda size: LanguageModel(size, 4),
    "LanguageModel hidden": lambda size: LanguageModel(3, size),
    "LanguageModel layers": lambda size: LanguageModel(3, 4, layers=size),
    "LanguageModel embedding": lambda size: LanguageModel(3, 4, embedding=size),
}
THREE = [3, np.int32(3), np.uint8(3), np.array(3), torch.tensor(3), torch.tensor(3, dtype=torch.uint8)]
NO_SIZES = [
    True, np.True_, np.array(True), torch.tensor(True), 3.0, np.float64(3), np.array(3.0), torch.tensor(3.0), [3],
    np.array([3]), torch.tensor([3]), "3", None, 3 + 0j, -1,
]  # fmt: skip
NO_FLAGS = [0, 1, 0.2, None, "False", torch.tensor(True), [True]]


def test_what_is_a_size_and_what_is_none():
    for size in THREE:
        found = whole(0, size=size)
        assert (found, type(found)) == (3, int)
    for size in NO_SIZES:
        with pytest.raises(ValueError, match=f"size={re.escape(repr(size))}; expected an integer of 0 or more"):
            whole(0, size=size)


@pytest.mark.parametrize("make", SIZES.values(), ids=SIZES)
def test_a_size_is_an_integer_of_any_library(make):
    known = make(3)
    for size in (np.array(3), torch.tensor(3)):
        made = make(size)
        assert repr(made) == repr(known)
        if isinstance(made, nn.Module):
            assert [p.shape for p in made.parameters()] == [p.shape for p in known.parameters()]


@pytest.mark.parametrize("make", SIZES.values(), ids=SIZES)
def test_anything_else_is_refused_by_name(make):
    for size in (True, 3.0, torch.tensor([3])):
        with pytest.raises(ValueError, match=rf"\w+={re.escape(repr(size))}; expected an integer"):
            make(size)


@pytest.mark.parametrize(
    ("make", "names"),
    [
        (lambda **flags: GCN(3, 4, **flags), ["improved", "cached", "add_self_loops", "normalize", "bias"]),
        (lambda **flags: GatedGraph(3, 4, **flags), ["bias"]),
        (lambda **flags: RNN(3, 4, **flags), ["bias", "batch_first", "bidirectional"]),
        (lambda **flags: LSTM(3, 4, **flags), ["bias", "batch_first", "bidirectional"]),
        (lambda **flags: GRU(3, 4, **flags), ["bias", "batch_first", "bidirectional"]),
        (lambda **flags: TemporalGCN(3, 4, 2, **flags), ["bias", "improved"]),
        (lambda **flags: EvolveGCN(3, 4, **flags), ["improved"]),
        (lambda **flags: path_graph(3, **flags), ["undirected"]),
    ],
)
def test_flags_are_true_or_false(make, names):
    make(**dict.fromkeys(names, np.True_))
    for name in names:
        with pytest.raises(ValueError, match=rf"{name}=.*expected True or False"):
            make(**{name: 1})


def test_what_is_no_flag():
    for value in NO_FLAGS:
        with pytest.raises(ValueError, match=f"cached={re.escape(repr(value))}; expected True or False"):
            flag(cached=value)


@pytest.mark.parametrize("dropout", [True, "0.1", None, float("nan"), -0.1, torch.tensor(0.1)])
def test_dropout_is_a_probability(dropout):
    for make in (RNN, LSTM, GRU):
        with pytest.raises(ValueError, match=r"dropout=.*expected a probability"):
            make(3, 4, num_layers=2, dropout=dropout)


@pytest.mark.parametrize(("ours", "torchs"), [(RNN, nn.RNN), (LSTM, nn.LSTM), (GRU, nn.GRU)])
def test_recurrent_layers_take_arguments_in_torchs_order(ours, torchs):
    options = (False, True, 0.2, True)
    sizes = (3, 4, 2, "relu") if ours is RNN else (3, 4, 2)
    for count in range(len(options) + 1):
        mine, known = ours(*sizes, *options[:count]), torchs(*sizes, *options[:count])
        for name in ("num_layers", "bias", "batch_first", "dropout", "bidirectional", "input_size", "hidden_size"):
            assert getattr(mine, name) == getattr(known, name)
        mine.load_state_dict(known.state_dict())
    assert RNN(3, 4, 1, "relu").nonlinearity == "relu"


@pytest.mark.parametrize(
    ("make", "error", "words"),
    [
        (lambda: LSTM(3, 4, 2, True, 0.2), ValueError, ["batch_first=0.2", "torch.nn", "dropout="]),
        (lambda: LSTM(3, 4, 2, True, 0.0, True), ValueError, ["batch_first=0.0", "torch.nn", "bidirectional="]),
        (lambda: GRU(3, 4, 2, True, False, True), ValueError, ["dropout=True", "probability"]),
        (lambda: RNN(3, 4, 1, False), ValueError, ["nonlinearity=False", "'relu'", "bias="]),
        (lambda: LSTM(3, 4, 1, True, False, 0.0, False, "he"), TypeError, ["LSTM", "'he'", "init=", "time_scale="]),
        (lambda: RNN(3, 4, 1, "tanh", True, False, 0.0, False, 0), TypeError, ["RNN", "0 by place", "init="]),
        (
            lambda: GCN(3, 4, False, False),
            TypeError,
            ["GCN", "False", "cached=", "add_self_loops=", "normalize=", "bias="],
        ),
        (lambda: GatedGraph(4, 2, "mean"), TypeError, ["GatedGraph", "'mean'", "bias="]),
        (lambda: TemporalGCN(3, 4, 2, "space_time", "GRU", 2), TypeError, ["TemporalGCN", "2 by place", "num_layers="]),
        (lambda: LanguageModel(9, 4, "GRU", 2), TypeError, ["LanguageModel", "2 by place", "layers=", "embedding="]),
        (lambda: SequenceClassifier("RNN", 3, 4, 2, "he"), TypeError, ["SequenceClassifier", "'he'", "init="]),
        (lambda: GraphClassifier(3, 4, 2, 10), TypeError, ["GraphClassifier", "10 by place", "num_layers="]),
        (lambda: RelationalGCN(4, 2, 3), ValueError, ["strength=3", "'implicit'"]),
        (lambda: TemporalGCN(3, 4, 2, 2), ValueError, ["order=2", "'space_time'"]),
        (lambda: LanguageModel(9, 4, 2), ValueError, ["kind=2", "LSTM"]),
        (lambda: LanguageModel(9, 4, ["LSTM"]), ValueError, ["kind=", "LSTM"]),
        (lambda: SequenceClassifier(["RNN"], 3, 4, 2), ValueError, ["cell", "'RNN'"]),
        (lambda: synchronous(EDGES, 3, torch.ones(2)), ValueError, ["rounds=", "integer", "edge_weight="]),
        (lambda: topological(EDGES, torch.ones(2)), ValueError, ["num_nodes=", "integer"]),
        (lambda: topological(EDGES, 3, 2), ValueError, ["edge_weight", "int", "tensor"]),
        (lambda: packed_paths([True, False]), ValueError, ["lengths", "integer"]),
    ],
)
def test_what_has_no_place_says_what_to_write(make, error, words):
    with pytest.raises(error) as raised:
        make()
    for word in words:
        assert word in str(raised.value)


def test_time_scale_is_a_number():
    with pytest.raises(ValueError, match="time_scale='9'"):
        LSTM(3, 4, init="chrono", time_scale="9")


def test_layers_of_a_model_do_not_share_a_name_by_place():
    assert not GCN(3, 4, improved=False, normalize=False).normalize
    assert GCN(3, 4, True).improved
