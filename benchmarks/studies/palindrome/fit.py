"""Training on palindromes: from the settings of one run to its curves.

A plain loop on purpose: what is compared here is layers, so everything around them is in sight.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from gnnseq.data.palindromes import DIGITS, Encoding, Palindromes
from gnnseq.models import GraphClassifier, SequenceClassifier

__all__ = ["OPTIMIZERS", "Optimizer", "Run", "accuracy", "fit", "make_model"]

Model = Literal["RNN", "LSTM", "GRU", "GCN"]
Optimizer = Literal["sgd", "momentum", "rmsprop", "adam"]

# torch's own, called with parameters and lr; what else they take is torch's default, but for the momentum.
OPTIMIZERS: dict[Optimizer, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "momentum": partial(torch.optim.SGD, momentum=0.9),
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
}

EVALUATION_BATCH = 500  # sequences in one forward pass: bounds memory, changes no number


@dataclass(frozen=True)
class Run:
    """The settings of one training run; equal settings give equal results.

    Attributes:
        model: Which layer reads the palindrome.
        length: L, digits of a palindrome.
        seed: Of the weights and of both data streams, see :class:`~gnnseq.data.palindromes.Palindromes`.
        encoding: How a digit is given.
        hops_short: A GCN has k = L - 1 - hops_short layers: with 0 it reaches the first digit, with 1 it cannot.
        hidden: Hidden channels.
        init: Initialisation of the recurrent layer.
        time_scale: For ``init="chrono"``: the longest dependency, as a multiple of L.
        input_gain: Factor on the initial input kernel of a recurrent layer. Small inputs keep tanh nearly linear, so
            that an RNN with orthogonal recurrent kernels passes them on almost unchanged.
        optimizer: One of ``OPTIMIZERS``.
        learning_rate: Its step size.
        clip: Largest norm of the gradient of all weights together; a longer one is scaled down.
        batch: Palindromes a step.
        steps: Most steps.
        record_every: The curves are means over blocks of this many steps.
        evaluate_every: Steps between two measurements on the test stream.
        evaluate_on: Test palindromes of such a measurement.
        goal: Training ends early when ``patience`` measurements in a row reach this accuracy.
        patience: See ``goal``.
        test_on: Test palindromes, all fresh, that give the final accuracy.
    """

    model: Model
    length: int
    seed: int
    encoding: Encoding = "one-hot"
    hops_short: int = 0
    hidden: int = 128
    init: str = "he"
    time_scale: float = 1.0
    input_gain: float = 1.0
    optimizer: Optimizer = "rmsprop"
    learning_rate: float = 1e-3
    clip: float = 10.0
    batch: int = 128
    steps: int = 3000
    record_every: int = 10
    evaluate_every: int = 100
    evaluate_on: int = 500
    goal: float = 1.0
    patience: int = 3
    test_on: int = 10_000


def make_model(run: Run) -> nn.Module:
    """The untrained model of a run; its weights are drawn with the seed ``3 * run.seed``.

    Example:
        >>> type(make_model(Run("GCN", length=5, seed=0))).__name__
        'GraphClassifier'
    """
    features = Palindromes(run.length, run.encoding).num_features
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3 * run.seed)
        if run.model == "GCN":
            return GraphClassifier(features, run.hidden, DIGITS, run.length - 1 - run.hops_short)
        time_scale = run.time_scale * run.length if run.init == "chrono" else None
        model = SequenceClassifier(run.model, features, run.hidden, DIGITS, run.init, time_scale)
    with torch.no_grad():
        model.layer.weight_ih_l0.mul_(run.input_gain)
    return model


def accuracy(model: nn.Module, stream: Palindromes, size: int) -> float:
    """Fraction of ``size`` fresh palindromes whose last digit the model names."""
    correct = 0
    with torch.no_grad():
        for start in range(0, size, EVALUATION_BATCH):
            x, target = stream.sample(min(EVALUATION_BATCH, size - start))
            correct += int((model(x).argmax(1) == target).sum())
    return correct / size


def fit(run: Run, model: nn.Module | None = None) -> dict[str, Any]:
    """Train a model and say how it went.

    Args:
        run: The settings.
        model: What to train, in place; ``make_model(run)`` by default.

    Returns:
        JSON values: ``loss`` and ``accuracy``, means over each ``record_every`` training batches; ``tests``, pairs of
        step and accuracy on the test stream; ``test_accuracy`` of the trained model; ``steps`` taken; ``converged``
        (the goal was reached), ``diverged`` (the loss became infinite or NaN, which ends the run) and ``milliseconds``,
        what a step of training took.

    Example:
        >>> result = fit(Run("RNN", length=3, seed=0, hidden=16, steps=20, evaluate_every=20))
        >>> len(result["loss"]), result["steps"]
        (2, 20)
    """
    model = make_model(run) if model is None else model
    train = Palindromes(run.length, run.encoding, run.seed, "train")
    test = Palindromes(run.length, run.encoding, run.seed, "test")
    optimizer = OPTIMIZERS[run.optimizer](model.parameters(), lr=run.learning_rate)

    losses: list[float] = []
    accuracies: list[float] = []
    tests: list[tuple[int, float]] = []
    seconds = 0.0
    step = 0
    converged = diverged = False
    while step < run.steps and not converged and not diverged:
        start = time.perf_counter()
        loss_sum = correct = 0.0
        block = min(run.record_every, run.steps - step)
        for _ in range(block):
            x, target = train.sample(run.batch)
            logits = model(x)
            loss = cross_entropy(logits, target)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), run.clip)
            optimizer.step()
            loss_sum += loss.item()
            correct += float((logits.argmax(1) == target).sum())
        seconds += time.perf_counter() - start
        step += block
        diverged = not torch.isfinite(torch.tensor(loss_sum)).item()
        if not diverged:
            losses.append(round(loss_sum / block, 5))
            accuracies.append(round(correct / block / run.batch, 5))
        if step % run.evaluate_every == 0:
            tests.append((step, accuracy(model, test, run.evaluate_on)))
            recent = [score for _, score in tests[-run.patience :]]
            converged = len(recent) == run.patience and min(recent) >= run.goal
    return {
        "loss": losses,
        "accuracy": accuracies,
        "tests": tests,
        "test_accuracy": accuracy(model, test, run.test_on),
        "steps": step,
        "converged": converged,
        "diverged": diverged,
        "milliseconds": round(1e3 * seconds / max(step, 1), 3),
    }
