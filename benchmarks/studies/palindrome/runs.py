"""What is run: one training's settings, and the plans that are made of them. Data alone; torch is not imported."""

import dataclasses
from dataclasses import dataclass
from itertools import product
from typing import Any, Literal

Model = Literal["RNN", "LSTM", "GRU", "MinGRU", "MinLSTM", "GCN"]
Encoding = Literal["scalar", "one-hot"]
Optimizer = Literal["sgd", "momentum", "rmsprop", "adam"]


@dataclass(frozen=True)
class PalindromeRun:
    """The settings of one training run; equal settings give equal results."""

    model: Model
    length: int  # L, digits of a palindrome
    seed: int  # of the weights and of both streams of palindromes
    encoding: Encoding = "one-hot"
    hops_short: int = 0  # a GCN has k = L - 1 - hops_short layers: with 0 it reaches the first digit, with 1 it cannot
    layers: int = 1  # of a recurrent network
    hidden: int = 128
    init: str = "he"  # of the recurrent layer
    time_scale: float = 1.0  # for chrono: the longest dependency, as a multiple of L
    input_gain: float = 1.0  # on the initial input kernel of a recurrent layer; small inputs keep tanh nearly linear
    recurrent_gain: float = 1.0  # on its initial recurrent kernel; an identity of 2 or more holds what it once has
    grow_from: int | None = None  # digits that training begins with, doubled up to L whenever a block is at 99 %
    optimizer: Optimizer = "rmsprop"
    learning_rate: float = 1e-3
    clip: float = 10.0  # largest norm of the gradient of all weights together; a longer one is scaled down
    batch: int = 128  # palindromes a step
    steps: int = 3000  # at most
    record_every: int = 10  # the curves are means over blocks of so many steps
    evaluate_every: int = 100  # steps between two measurements on the test stream
    evaluate_on: int = 500  # palindromes of such a measurement
    goal: float = 1.0  # training ends when so many measurements in a row as patience says reach this accuracy
    patience: int = 3
    test_on: int = 10_000  # palindromes, all fresh, of the final accuracy


@dataclass(frozen=True)
class PalindromePlan:
    """The runs behind one figure: every arm at every length, encoding and seed."""

    title: str
    arms: tuple[dict[str, Any], ...]  # what each sets of a run, whose defaults are the rest; "lengths": only these
    lengths: tuple[int, ...]
    encodings: tuple[Encoding, ...]
    seeds: int
    models: tuple[str, ...] = ("RNN", "LSTM", "GRU", "MinGRU", "MinLSTM", "GCN")

    def runs(self) -> list[PalindromeRun]:
        """All of them; a ValueError if there are none."""
        chosen = [
            PalindromeRun(length=length, encoding=encoding, seed=seed, **_without_lengths(arm))
            for encoding, arm, length, seed in product(self.encodings, self.arms, self.lengths, range(self.seeds))
            if arm["model"] in self.models and length in arm.get("lengths", self.lengths)
        ]
        if not chosen:
            raise ValueError(f"nothing to run: this study has no {' or '.join(self.models)} with {self.seeds} seeds")
        return chosen

    def changed(self, given: dict[str, Any]) -> "PalindromePlan":
        """With these values in place of its own: fields of the plan, and of the runs of all arms."""
        of_run, of_plan = (
            {field.name: given[field.name] for field in dataclasses.fields(kind) if field.name in given}
            for kind in (PalindromeRun, PalindromePlan)
        )
        kept = map(_without_lengths, self.arms) if "lengths" in given else self.arms
        return dataclasses.replace(self, arms=tuple({**arm, **of_run} for arm in kept), **of_plan)


def _without_lengths(arm: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in arm.items() if name != "lengths"}


def _arms(*models: str, **shared: Any) -> tuple[dict[str, Any], ...]:
    return tuple({"model": model, **shared} for model in models)


_LIGHT = {"hidden": 64, "optimizer": "adam", "learning_rate": 5e-3, "steps": 1500}
_GCN = {**_LIGHT, "hidden": 32, "lengths": (5, 9)}
_SHORTER = (50, 100, 200)
_LONG = {"optimizer": "adam", "clip": 1.0, "evaluate_every": 50, "goal": 0.995}
_GROWN = {**_LONG, "hidden": 64, "init": "chrono", "time_scale": 3.0, "learning_rate": 1e-2, "steps": 5000}
_THOUSAND = {
    **_GROWN, "grow_from": 25, "lengths": (1000,), "batch": 64,
    "evaluate_every": 10, "evaluate_on": 200, "test_on": 2000,
}  # fmt: skip
_TINY = {"hidden": 16, "batch": 32, "optimizer": "adam", "steps": 20, "evaluate_every": 10, "test_on": 2000}

PLANS = {
    "quick": PalindromePlan(
        "the same code on the shortest palindromes",
        _arms("RNN", "LSTM", "GRU", **_TINY) + _arms("GCN", hops_short=1, **_TINY) + _arms("GCN", **_TINY),
        lengths=(3, 5), encodings=("one-hot",), seeds=1,
    ),
    "story": PalindromePlan(
        "who remembers the first digit?",
        _arms("RNN", "LSTM", "GRU", **_LIGHT) + _arms("GCN", hops_short=1, **_GCN) + _arms("GCN", **_GCN),
        lengths=(5, 9, 17), encodings=("scalar",), seeds=3,
    ),
    "full": PalindromePlan(
        "RNN against LSTM by length",
        _arms("RNN", "LSTM", "GRU", steps=3000),
        lengths=tuple(range(5, 24, 2)), encodings=("scalar", "one-hot"), seeds=10, models=("RNN", "LSTM"),
    ),
    "long": PalindromePlan(
        "past every report",
        _arms("LSTM", "GRU", lengths=_SHORTER, **{**_GROWN, "steps": 10_000})
        + _arms("RNN", init="orthogonal", input_gain=0.2, steps=2000, lengths=_SHORTER, **_LONG)
        + _arms("LSTM", hidden=64, init="torch", learning_rate=1e-2, steps=2000, lengths=(50,), **_LONG)
        + _arms("RNN", init="identity", recurrent_gain=2.0, input_gain=2.4, steps=2000, lengths=(200,), **_LONG)
        + _arms("MinGRU", lengths=(50,), **{**_GROWN, "steps": 2000})
        + _arms("MinGRU", "MinLSTM", layers=2, lengths=(50,), **{**_GROWN, "steps": 2000})
        + _arms("LSTM", "GRU", **_THOUSAND)
        + _arms("MinGRU", "MinLSTM", layers=2, **_THOUSAND),
        lengths=(50, 100, 200, 1000), encodings=("one-hot",), seeds=10,
    ),
}  # fmt: skip
