"""The norms that benchmarks/gradients.py draws are those of the recursions derived by hand."""

import dataclasses
import json

import pytest
import torch

import gradients
from gnnseq.data.palindromes import Palindromes
from harness.cli import publish
from studies.gradients import study
from studies.palindrome.fit import make_model
from studies.palindrome.runs import PalindromeRun


def measured(cell):
    torch.manual_seed(0)
    model = make_model(PalindromeRun(cell, length=9, seed=0, hidden=6, init="orthogonal")).double()
    x, target = Palindromes(9).sample(5)
    return model, x.double(), target, study.state_gradients(model, x.double(), target)


def test_an_rnns_gradient_is_the_product_of_the_reports_jacobians():
    # dL/dh_t = W_hh^T (1 - h_{t+1}^2) dL/dh_{t+1}, from dL/dh_T = W^T (softmax(p) - y)
    model, x, target, norms = measured("RNN")
    weights = dict(model.layer.named_parameters())
    h, states = torch.zeros(5, 6).double(), []
    for digit in x:
        bias = weights["bias_ih_l0"] + weights["bias_hh_l0"]
        h = torch.tanh(digit @ weights["weight_ih_l0"].T + h @ weights["weight_hh_l0"].T + bias)
        states.append(h)
    gradient = (model.readout(h).softmax(1) - torch.eye(10).double()[target]) @ model.readout.weight
    expected = [gradient.norm(dim=1).mean().item()]
    for state in reversed(states[1:]):
        gradient = (gradient * (1 - state**2)) @ weights["weight_hh_l0"]
        expected.insert(0, gradient.norm(dim=1).mean().item())
    assert norms["h"] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("cell", ["LSTM", "GRU"])
def test_the_states_are_those_of_one_sweep_and_both_of_an_lstms_are_measured(cell):
    model, x, target, norms = measured(cell)
    assert norms.keys() == ({"h", "c"} if cell == "LSTM" else {"h"})
    # The gradient in the state after 3 digits, handed to one sweep over all the others.
    twin = getattr(torch.nn, cell)(10, 6).double()
    twin.load_state_dict(model.layer.state_dict())
    _, state = twin(x[:3])
    parts = [part.detach().requires_grad_() for part in (state if cell == "LSTM" else (state,))]
    h, _ = twin(x[3:], tuple(parts) if cell == "LSTM" else parts[0])
    loss = torch.nn.functional.cross_entropy(model.readout(h[-1]), target, reduction="sum")
    for name, gradient in zip("hc", torch.autograd.grad(loss, parts), strict=False):
        assert norms[name][2] == pytest.approx(gradient[0].norm(dim=1).mean().item(), rel=1e-12)


def test_the_script_writes_json_and_a_figure_drawn_from_it_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(gradients, "INITS", {"LSTM": ("torch", "chrono")})
    settings = gradients.Settings(results=tmp_path, length=6, seeds=2, steps=10, hidden=4, batch=4, jobs=1)
    assert publish(settings) == 0
    assert {path.name for path in tmp_path.iterdir()} == {"cache", "gradients.json", "gradients.png", "gradients.svg"}
    result = json.loads((tmp_path / "gradients.json").read_text())
    assert len(result["runs"]) == 4
    assert len(result["runs"][0]["result"]["trained"]["c"]) == 5
    before = (tmp_path / "gradients.png").read_bytes()
    monkeypatch.setattr(study, "run_sweep", None)
    assert publish(dataclasses.replace(settings, report_only=True)) == 0
    assert (tmp_path / "gradients.png").read_bytes() == before


@pytest.mark.parametrize(
    ("given", "sizes"),
    [({}, (100, 3, 300)), ({"quick": True}, (12, 1, 10)), ({"quick": True, "seeds": 2, "length": 9}, (9, 2, 10))],
)
def test_quick_makes_small_what_is_not_given(given, sizes):
    runs = gradients.Settings(**given).runs()
    assert (runs[0].length, len({run.seed for run in runs}), runs[0].steps) == sizes
