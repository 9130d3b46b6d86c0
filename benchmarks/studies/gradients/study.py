"""Norms of the gradients in all states of a recurrent network, before and after training."""

import dataclasses
from typing import Any

import torch
from rich.console import Console
from torch import Tensor
from torch.nn.functional import cross_entropy

from gnnseq.data.palindromes import Palindromes
from gnnseq.models import SequenceClassifier
from gnnseq.schedule import packed_paths
from harness.provenance import provenance
from harness.sweep import run_sweep
from studies.palindrome import fit
from studies.palindrome.runs import PalindromeRun


def state_gradients(model: SequenceClassifier, x: Tensor, target: Tensor) -> dict[str, list[float]]:
    """Norms of the gradients of the loss in the states after each digit of x [T, B, F]; target [B].

    "h" and, for an LSTM, "c": for t = 1 ... T the mean over the B sequences of |dL_b/dh_{t,b}|. The last cell state is
    read by nothing but h_T, which counts as a variable of its own: its gradient is 0.
    """
    one_step = packed_paths([1] * x.size(1))
    states: list[tuple[Tensor, ...]] = []
    state: Any = None
    for digit in x:
        _, state = model.layer(digit, one_step, state)
        states.append(state if isinstance(state, tuple) else (state,))  # each [1, B, H]
    loss = cross_entropy(model.readout(states[-1][0][0]), target, reduction="sum")
    gradients = torch.autograd.grad(loss, [part for parts in states for part in parts], materialize_grads=True)
    norms = [gradient[0].norm(dim=1).mean().item() for gradient in gradients]
    return {name: norms[index :: len(states[0])] for index, name in enumerate(("h", "c")[: len(states[0])])}


def measure(run: PalindromeRun) -> dict[str, Any]:
    """Gradients of a fresh network, then of the trained one, on the same test palindromes, in float64."""
    x, target = Palindromes(run.length, run.encoding, run.seed, "test").sample(run.batch)
    model: Any = fit.make_model(run)

    def norms() -> dict[str, list[float]]:
        found = state_gradients(model.double(), x.double(), target)  # float32 would underflow below 1e-45
        return {name: [float(f"{norm:.4g}") for norm in of_state] for name, of_state in found.items()}

    untrained = norms()
    accuracy = fit.fit(run, model.float())["test_accuracy"]
    return {"untrained": untrained, "trained": norms(), "test_accuracy": accuracy}


def run(settings: Any, console: Console) -> dict[str, Any]:
    """Measure every network; finished ones are not trained again."""

    def seconds(run: PalindromeRun) -> float:
        return fit.seconds_at_most(dataclasses.replace(run, init="torch"))  # no init changes what a step costs

    records = run_sweep(measure, settings.runs(), settings.folder / "cache", settings.jobs, seconds, console)
    return {"experiment": "gradients", "provenance": provenance(), "runs": records}
