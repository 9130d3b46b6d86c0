"""What can be learnt of palindromes is learnt; equal settings give equal runs."""

import dataclasses
import math

import pytest
import torch
from torch import nn

from gnnseq.data import Palindromes
from studies.palindrome.fit import accuracy, fit, make_model
from studies.palindrome.runs import PalindromeRun

QUICK = PalindromeRun(
    "LSTM", length=3, seed=0, hidden=16, batch=32, steps=60, evaluate_every=20, evaluate_on=100, test_on=500
)


@pytest.fixture(autouse=True)
def _float64():
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize("model", ["RNN", "LSTM", "GRU"])
def test_a_recurrent_network_learns_short_palindromes(model):
    result = fit(dataclasses.replace(QUICK, model=model, optimizer="adam", learning_rate=2e-2, steps=400))
    assert result["converged"]
    assert result["test_accuracy"] > 0.99
    assert result["steps"] < 400
    assert len(result["loss"]) == len(result["accuracy"]) == result["steps"] // 10


def test_equal_settings_give_equal_runs_and_other_seeds_others():
    first, second = fit(QUICK), fit(QUICK)
    del first["milliseconds"], second["milliseconds"]
    assert first == second
    assert fit(dataclasses.replace(QUICK, seed=1))["loss"] != first["loss"]


def test_a_run_leaves_the_global_generator_alone():
    before = torch.get_rng_state()
    fit(dataclasses.replace(QUICK, steps=10))
    assert torch.equal(torch.get_rng_state(), before)


def test_a_run_that_diverges_says_so_and_ends():
    result = fit(dataclasses.replace(QUICK, optimizer="adam", learning_rate=float("inf")))
    assert result["diverged"]
    assert not result["converged"]
    assert result["steps"] == QUICK.record_every
    assert result["loss"] == []


def test_chrono_reads_its_time_scale_from_the_length():
    bias = make_model(PalindromeRun("LSTM", length=50, seed=0, init="chrono", time_scale=3.0)).layer.bias_ih_l0
    forget = bias.view(4, -1)[1]
    assert forget.min() >= 0
    assert math.log(100) < forget.max() <= math.log(149)


def test_accuracy_of_a_guess_is_chance():
    class Guess(nn.Module):
        def forward(self, x):
            return torch.eye(10)[torch.full((x.size(1),), 3)]

    assert accuracy(Guess(), Palindromes(5), 10_000) == pytest.approx(0.1, abs=0.015)  # five standard deviations
