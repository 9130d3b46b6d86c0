"""What is run: one training's settings, and the studies that are made of them. Data alone; torch is not imported."""

import dataclasses
from dataclasses import dataclass
from typing import Any, Literal

__all__ = ["OF_RUN", "STUDIES", "Encoding", "Model", "Optimizer", "PalindromeRun", "Plan"]

Model = Literal["RNN", "LSTM", "GRU", "GCN"]
Encoding = Literal["scalar", "one-hot"]
Optimizer = Literal["sgd", "momentum", "rmsprop", "adam"]


@dataclass(frozen=True)
class PalindromeRun:
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
        optimizer: One of ``studies.palindrome.fit.OPTIMIZERS``.
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


# What the runs of an arm share; the rest spans the grid.
OF_RUN = {field.name for field in dataclasses.fields(PalindromeRun)} - {"model", "length", "encoding", "seed"}


@dataclass(frozen=True)
class Plan:
    """The runs behind one figure: every arm at every length, encoding and seed.

    Attributes:
        arms: What an arm sets of a run; the rest are the run's defaults. "lengths" restricts an arm to some.
    """

    title: str
    arms: tuple[dict[str, Any], ...]
    lengths: tuple[int, ...]
    encodings: tuple[Encoding, ...]
    seeds: int
    models: tuple[str, ...] = ("RNN", "LSTM", "GRU", "GCN")

    def runs(self) -> list[PalindromeRun]:
        """All of them.

        Raises:
            ValueError: If there are none.
        """
        chosen = [
            PalindromeRun(
                length=length, encoding=encoding, seed=seed, **{k: v for k, v in arm.items() if k != "lengths"}
            )
            for encoding in self.encodings
            for arm in self.arms
            if arm["model"] in self.models
            for length in self.lengths
            if length in arm.get("lengths", self.lengths)
            for seed in range(self.seeds)
        ]
        if not chosen:
            raise ValueError(f"nothing to run: this study has no {' or '.join(self.models)} with {self.seeds} seeds")
        return chosen

    def changed(self, given: dict[str, Any]) -> "Plan":
        """With these values in place of its own: fields of the plan, and of the runs of all arms."""
        of_run = {name: value for name, value in given.items() if name in OF_RUN}
        kept = ({k: v for k, v in arm.items() if k != "lengths" or "lengths" not in given} for arm in self.arms)
        fields = {field.name for field in dataclasses.fields(self)} & given.keys()
        arms = tuple({**arm, **of_run} for arm in kept)
        return dataclasses.replace(self, arms=arms, **{name: given[name] for name in fields})


def _arms(*models: str, **shared: Any) -> tuple[dict[str, Any], ...]:
    return tuple({"model": model, **shared} for model in models)


_LIGHT = {"hidden": 64, "optimizer": "adam", "learning_rate": 5e-3, "steps": 1500}
_GCN = {"hidden": 32, "optimizer": "adam", "learning_rate": 5e-3, "steps": 1500, "lengths": (5, 9)}
_LONG = {"optimizer": "adam", "clip": 1.0, "evaluate_every": 50, "goal": 0.995}
_TINY = {"hidden": 32, "batch": 64, "optimizer": "adam", "learning_rate": 1e-2, "steps": 300, "test_on": 2000}

STUDIES = {
    "quick": Plan(
        "the same code on the shortest palindromes",
        _arms("RNN", "LSTM", "GRU", **_TINY) + _arms("GCN", hops_short=1, **_TINY) + _arms("GCN", **_TINY),
        lengths=(3, 5),
        encodings=("one-hot",),
        seeds=2,
    ),
    "story": Plan(
        "who remembers the first digit?",
        _arms("RNN", "LSTM", "GRU", **_LIGHT) + _arms("GCN", hops_short=1, **_GCN) + _arms("GCN", **_GCN),
        lengths=(5, 9, 17),
        encodings=("scalar",),
        seeds=3,
    ),
    "full": Plan(
        "RNN against LSTM by length",
        _arms("RNN", "LSTM", "GRU", steps=3000),
        lengths=tuple(range(5, 24, 2)),
        encodings=("scalar", "one-hot"),
        seeds=10,
        models=("RNN", "LSTM"),
    ),
    "long": Plan(
        "past every report",
        _arms("LSTM", "GRU", hidden=64, init="chrono", time_scale=3.0, learning_rate=1e-2, steps=10_000, **_LONG)
        + _arms("RNN", init="orthogonal", input_gain=0.2, steps=2000, **_LONG)
        + _arms("LSTM", hidden=64, init="torch", learning_rate=1e-2, steps=2000, lengths=(50,), **_LONG),
        lengths=(50, 100, 200),
        encodings=("one-hot",),
        seeds=10,
    ),
}
