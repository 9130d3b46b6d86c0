"""A recurrent classifier is torch's; what a graph network cannot reach it cannot use."""

import math

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from gnnseq.data import Palindromes
from gnnseq.models import GraphClassifier, SequenceClassifier


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU"])
def test_a_sequence_classifier_is_torchs_network_and_its_last_output(cell):
    model = SequenceClassifier(cell, in_channels=3, hidden_channels=5, num_classes=4)
    twin = getattr(nn, cell)(3, 5)
    twin.load_state_dict(model.layer.state_dict())
    x = torch.randn(7, 6, 3)
    torch.testing.assert_close(model(x), model.readout(twin(x)[0][-1]), rtol=1e-12, atol=1e-12)


def test_a_sequence_classifier_takes_any_length_and_batch_in_turn():
    model = SequenceClassifier("GRU", in_channels=3, hidden_channels=5, num_classes=4)
    x = torch.randn(6, 4, 3)
    whole = model(x)
    torch.testing.assert_close(model(x[:, :2]), whole[:2], rtol=1e-12, atol=1e-12)
    assert model(x[:2]).shape == (4, 4)
    torch.testing.assert_close(model(x), whole, rtol=0, atol=0)


@pytest.mark.parametrize("length", [3, 5, 8])
def test_the_query_sees_exactly_as_many_hops_as_there_are_layers(length):
    steps = length - 1
    x = torch.randn(steps, 2, 3, requires_grad=True)
    for hops in range(1, length + 2):
        model = GraphClassifier(in_channels=3, hidden_channels=16, num_classes=4, num_layers=hops)
        (gradient,) = torch.autograd.grad(model(x).square().sum(), x)
        seen = gradient.abs().sum((1, 2)) > 0
        assert seen.tolist() == [steps - node <= hops for node in range(steps)]


@pytest.mark.parametrize("hops", [1, 3])
def test_a_graph_network_one_hop_short_is_blind_to_the_answer(hops):
    # The other digits stay as they are and the first, so the answer too, takes all ten values: one logit for all.
    length = hops + 2
    digits = Palindromes(length).digits(1).repeat(1, 10)
    digits[0] = digits[-1] = torch.arange(10)
    x = torch.eye(10)[digits[:-1]]
    logits = GraphClassifier(10, 32, 10, num_layers=hops)(x)
    torch.testing.assert_close(logits, logits[:1].expand(10, -1), rtol=1e-12, atol=1e-12)
    logits = GraphClassifier(10, 32, 10, num_layers=hops + 1)(x)
    assert (logits - logits[:1]).abs().sum(1)[1:].min() > 1e-9


def test_gradients_of_softmax_and_readout_are_those_of_the_report():
    # dL/dp = softmax(p) - y and dL/dW = (softmax(p) - y) h^T, through the model's own readout.
    model = SequenceClassifier("RNN", in_channels=3, hidden_channels=5, num_classes=4)
    x, target = torch.randn(6, 1, 3), torch.tensor([2])
    logits = model(x)
    logits.retain_grad()
    cross_entropy(logits, target).backward()
    h = model.layer(x.flatten(0, 1), model._schedule)[0][-1:]
    residual = logits.softmax(1) - torch.eye(4)[target]
    torch.testing.assert_close(logits.grad, residual, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(model.readout.weight.grad, residual.T @ h, rtol=1e-12, atol=1e-12)


def test_he_initialisation_reaches_the_readout():
    model = SequenceClassifier("LSTM", 10, 400, 10, init="he")
    assert model.readout.bias.abs().max() == 0
    assert model.readout.weight.std().item() == pytest.approx(math.sqrt(2 / 400), rel=0.1)  # 4000 draws


def test_bad_arguments_are_named():
    with pytest.raises(ValueError, match="cell='TRNN'; expected one of 'RNN', 'LSTM', 'GRU'"):
        SequenceClassifier("TRNN", 3, 4, 5)
    with pytest.raises(ValueError, match="num_layers: got 0; expected at least 1"):
        GraphClassifier(3, 4, 5, num_layers=0)
