"""Training on palindromes, from the settings of one run to its curves: a plain loop with everything in sight."""

import dataclasses
import math
import time
from collections.abc import Callable
from functools import lru_cache, partial
from typing import Any

import torch
from torch import nn
from torch.nn.functional import cross_entropy

from gnnseq.data.palindromes import DIGITS, Palindromes
from gnnseq.models import GraphClassifier, SequenceClassifier
from harness.sweep import one_thread
from studies.palindrome.runs import Optimizer, PalindromeRun

OPTIMIZERS: dict[Optimizer, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "momentum": partial(torch.optim.SGD, momentum=0.9),
    "rmsprop": torch.optim.RMSprop,
    "adam": torch.optim.Adam,
}

GROWS_AT = 0.99  # of the palindromes of a block right, and the next are longer
EVALUATION_BATCH = 500  # sequences in one forward pass: bounds memory, changes no number


def make_model(run: PalindromeRun) -> nn.Module:
    """The untrained model of a run; its weights are drawn with the seed ``3 * run.seed``."""
    features = Palindromes(run.length, run.encoding).num_features
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3 * run.seed)
        if run.model == "GCN":
            return GraphClassifier(features, run.hidden, DIGITS, num_layers=run.length - 1 - run.hops_short)
        time_scale = run.time_scale * run.length if run.init == "chrono" else None
        sizes = (features, run.hidden, DIGITS)
        model = SequenceClassifier(run.model, *sizes, init=run.init, time_scale=time_scale, num_layers=run.layers)
    with torch.no_grad():
        model.layer.weight_ih_l0.mul_(run.input_gain)
        if run.recurrent_gain != 1.0:
            model.layer.weight_hh_l0.mul_(run.recurrent_gain)
    return model


def accuracy(model: nn.Module, stream: Palindromes, size: int) -> float:
    """Fraction of ``size`` fresh palindromes whose last digit the model names."""
    correct = 0
    with torch.no_grad():
        for start in range(0, size, EVALUATION_BATCH):
            x, target = stream.sample(min(EVALUATION_BATCH, size - start))
            correct += int((model(x).argmax(1) == target).sum())
    return correct / size


def fit(run: PalindromeRun, model: nn.Module | None = None) -> dict[str, Any]:
    """Train a model, in place, ``make_model(run)`` by default, and say in JSON values how it went."""
    model = make_model(run) if model is None else model
    length = run.length if run.grow_from is None else min(run.grow_from, run.length)
    train = Palindromes(length, run.encoding, run.seed, "train")
    test = Palindromes(run.length, run.encoding, run.seed, "test")
    optimizer = OPTIMIZERS[run.optimizer](model.parameters(), lr=run.learning_rate)
    curves: dict[str, list[float]] = {"loss": [], "accuracy": []}  # means over each record_every training batches
    tests: list[tuple[int, float]] = []  # step, and accuracy on the test stream
    seconds, step = 0.0, 0
    converged = diverged = False
    while step < run.steps and not converged and not diverged:
        start = time.perf_counter()
        block = min(run.record_every, run.steps - step)
        loss_sum = correct = 0.0
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
        diverged = not math.isfinite(loss_sum)
        if not diverged:
            curves["loss"].append(round(loss_sum / block, 5))
            curves["accuracy"].append(round(correct / block / run.batch, 5))
        if length < run.length and correct >= GROWS_AT * block * run.batch:
            length = min(2 * length, run.length)
            train = Palindromes(length, run.encoding, run.seed, "train")
        elif step % run.evaluate_every == 0:
            tests.append((step, accuracy(model, test, run.evaluate_on)))
            recent = [score for _, score in tests[-run.patience :]]
            converged = len(recent) == run.patience and min(recent) >= run.goal
    return {
        **curves,
        "tests": tests,
        "test_accuracy": accuracy(model, test, run.test_on),
        "steps": step,
        "converged": converged,  # the goal was reached
        "diverged": diverged,  # the loss became infinite or NaN, which ends the run
        "milliseconds": round(1e3 * seconds / max(step, 1), 3),  # of a step
    }


def seconds_at_most(run: PalindromeRun) -> float:
    """Time of the run if it takes all its steps, from ten steps of it done now; seeds and rates change nothing."""
    ten = dataclasses.replace(
        run, seed=0, learning_rate=1e-3, steps=10, evaluate_every=10**9, test_on=1, grow_from=None
    )
    return 1e-3 * _milliseconds(ten) * run.steps


@lru_cache
def _milliseconds(run: PalindromeRun) -> float:
    with one_thread():
        return float(fit(run)["milliseconds"])
