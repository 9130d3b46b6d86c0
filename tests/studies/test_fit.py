"""torch's optimizers are the textbook's, step by step, and fit trains with the one that a run names."""

import dataclasses

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gnnseq.data.palindromes import Palindromes
from studies.palindrome.fit import OPTIMIZERS, fit, make_model
from studies.palindrome.runs import PalindromeRun

RATE = 0.03


def textbook(name, theta, gradients):
    """All points of the way, by the report's equations 19 to 23 with their slips mended, as torch's documentation has
    them: pluses in Adam's averages and its bias correction, epsilon outside the root."""
    velocity = v = s = torch.zeros_like(theta)
    for t, g in enumerate(gradients, start=1):
        if name == "sgd":
            theta = theta - RATE * g
        elif name == "momentum":
            velocity = 0.9 * velocity + g
            theta = theta - RATE * velocity
        elif name == "rmsprop":
            v = 0.99 * v + (1 - 0.99) * g**2
            theta = theta - RATE * g / (v.sqrt() + 1e-8)
        else:
            v = 0.9 * v + (1 - 0.9) * g
            s = 0.999 * s + (1 - 0.999) * g**2
            theta = theta - RATE * (v / (1 - 0.9**t)) / ((s / (1 - 0.999**t)).sqrt() + 1e-8)
        yield theta


def torchs(name, theta, gradients):
    parameter = theta.clone().requires_grad_()
    optimizer = OPTIMIZERS[name]([parameter], lr=RATE)
    for gradient in gradients:
        parameter.grad = gradient.clone()
        optimizer.step()
        yield parameter.detach().clone()


@pytest.mark.parametrize("name", OPTIMIZERS)
@given(seed=st.integers(0, 2**32 - 1), scale=st.sampled_from([0.0, 1e-8, 1e-4, 1.0, 1e4]))
def test_every_step_is_the_textbooks(name, seed, scale):
    generator = torch.Generator().manual_seed(seed)
    theta = torch.randn(5, generator=generator, dtype=torch.float64)
    gradients = scale * torch.randn(40, 5, generator=generator, dtype=torch.float64)
    for ours, theirs in zip(textbook(name, theta, gradients), torchs(name, theta, gradients), strict=True):
        torch.testing.assert_close(theirs, ours, rtol=1e-12, atol=1e-12)


def test_epsilon_is_outside_the_root():
    # The report has sqrt(v + epsilon), which for a gradient of 1e-6 makes the first step a hundred times smaller.
    gradient = torch.tensor([1e-6], dtype=torch.float64)
    (after,) = torchs("rmsprop", torch.zeros(1, dtype=torch.float64), [gradient])
    assert after.item() == pytest.approx(-RATE * 1e-6 / (0.1 * 1e-6 + 1e-8), rel=1e-12)
    inside = -RATE * 1e-6 / (0.01 * 1e-12 + 1e-8) ** 0.5
    assert after.item() / inside > 90


def test_adams_first_step_is_the_learning_rate_whatever_the_gradient():
    # Bias correction: without it the first step would be (1 - 0.9) / sqrt(1 - 0.999) = 3.2 times as long.
    gradients = [torch.tensor([1e-3, 1.0, -1e3], dtype=torch.float64)]
    (after,) = torchs("adam", torch.zeros(3, dtype=torch.float64), gradients)
    assert after.tolist() == pytest.approx([-RATE, -RATE, RATE], rel=1.1e-5)  # 1e-8 / 1e-3, from epsilon


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_fit_takes_the_step_of_the_optimizer_that_the_run_names(name):
    run = PalindromeRun(
        "RNN", 3, 0, hidden=4, batch=8, steps=1, test_on=1, clip=1e9, optimizer=name, learning_rate=RATE
    )
    trained, model = make_model(run), make_model(run)
    fit(run, trained)
    x, target = Palindromes(3, run.encoding, 0, "train").sample(8)
    torch.nn.functional.cross_entropy(model(x), target).backward()
    for before, after in zip(model.parameters(), trained.parameters(), strict=True):
        (expected,) = textbook(name, before.detach(), [before.grad])
        torch.testing.assert_close(after.detach(), expected, rtol=1e-5, atol=1e-6)  # float32


def test_an_optimizer_that_is_none_of_them_is_no_key():
    with pytest.raises(KeyError, match="adagrad"):
        fit(dataclasses.replace(PalindromeRun("RNN", 3, 0), optimizer="adagrad"))
