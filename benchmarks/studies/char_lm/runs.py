"""What is trained: the settings of a training, presets of them, and one run. Data alone; torch is not imported."""

import dataclasses
import hashlib
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal


@dataclass(frozen=True)
class LanguageTraining:
    """All that a training's numbers depend on, besides the text; ``char_lm.py --help`` says what the options are."""

    kind: Literal["RNN", "LSTM", "GRU", "MinGRU", "MinLSTM"] = "LSTM"
    residual: bool = False  # each layer in a block of its own
    expansion: int = 1  # channels of such a layer's state, as a multiple of `hidden`
    hidden: int = 128
    layers: int = 2
    embedding: int = 0
    dropout: float = 0.05
    init: Literal["torch", "he", "orthogonal"] = "torch"
    window: int = 30
    batch: int = 64  # windows a step
    streams: int | None = None  # stretches of the text that take turns in batches; as many as a batch has if None
    shifted: bool = False  # streams are cut elsewhere at every pass through the text
    random_windows: bool = False  # otherwise the state is carried from window to window: truncated backpropagation
    steps: int = 100_000
    learning_rate: float = 2e-3
    weight_decay: float = 0.0  # of the kernels, a share of the learning rate, apart from the gradient
    schedule: Literal["decay", "cosine"] = "decay"
    warm_up: int = 100  # steps that cosine warms up for, at most a tenth of all
    clip: float | None = None
    seed: int = 0
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    record_every: int = 100  # steps between entries of the curves
    validate_every: int = 1000  # steps between scores on the validation part
    sample_at: tuple[int, ...] = (0, 10_000, 20_000, 30_000, 40_000, 50_000, 100_000)  # steps

    def __post_init__(self) -> None:
        for name in ("seed", "window", "batch", "steps", "warm_up", "record_every", "validate_every"):
            value, least = getattr(self, name), int(name != "seed")
            if not isinstance(value, int) or value < least:
                raise ValueError(f"{name}={value!r}; expected an integer of {least} or more")
        streams = self.batch if self.streams is None else self.streams
        if streams < self.batch or streams % self.batch != 0 or (self.random_windows and streams != self.batch):
            raise ValueError(f"streams={self.streams}; expected a multiple of the batch, {self.batch}, and as many "
                             "or None with random windows")  # fmt: skip
        if self.shifted and self.random_windows:
            raise ValueError("shifted=True with random windows, which begin anywhere; expected one of them")
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate={self.learning_rate}; expected a positive number, 2e-3 say")
        if not 0 <= self.weight_decay < math.inf:
            raise ValueError(f"weight_decay={self.weight_decay}; expected 0 or a positive number, 0.1 say")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip={self.clip}; expected a positive norm, or None to leave gradients as they are")

    def rate(self, step: int) -> float:
        """What the learning rate is multiplied with at a step, the first of which is 0."""
        if self.schedule == "decay":
            return float(0.96 ** (step // 5000))
        warm = max(1, min(self.warm_up, self.steps // 10))
        return min(1.0, (step + 1) / warm) * (0.505 + 0.495 * math.cos(math.pi * step / self.steps))


_MODERN: dict[str, Any] = {"layers": 1, "embedding": 64, "init": "orthogonal", "window": 64, "batch": 32,
                           "schedule": "cosine", "clip": 1.0}  # fmt: skip
PRESETS = {
    # The report's section 2.1; it does not say there how weights begin, and names He's way for its other networks.
    "report": LanguageTraining(init="he", steps=50_000),
    "fast": LanguageTraining(hidden=256, dropout=0.1, steps=2400, learning_rate=4e-3, record_every=50,
                             validate_every=200, sample_at=(0, 200, 800, 2400), **_MODERN),
    "best": LanguageTraining(streams=64, hidden=384, dropout=0.25, steps=12_000, learning_rate=3e-3, validate_every=500,
                             sample_at=(0, 2000, 12_000), **_MODERN | {"batch": 8}),
    "scan": LanguageTraining(kind="MinGRU", residual=True, hidden=128, expansion=3, layers=4, dropout=0.15, window=128,
                             batch=8, streams=64, shifted=True, steps=11_000, learning_rate=6e-3, schedule="cosine",
                             warm_up=1000, clip=1.0, validate_every=1000, sample_at=(0, 1000, 11_000)),
}  # fmt: skip
QUICK = {"hidden": 32, "embedding": 0, "layers": 1, "window": 20, "batch": 16, "steps": 60, "record_every": 5,
         "validate_every": 20, "sample_at": (0, 60)}  # fmt: skip


@dataclass(frozen=True)
class LanguageRun:
    """What a run's numbers depend on: a training, and the text by its name and the digest of its parts."""

    corpus: str
    digest: str
    preset: str
    training: LanguageTraining

    def folder(self, cache: Path) -> Path:
        """Where its checkpoints are; training longer is the same run."""
        settings = {**dataclasses.asdict(self), "training": {**dataclasses.asdict(self.training), "steps": None}}
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
        return cache / f"{Path(self.corpus).stem[:80]}-{self.preset}-{digest}-seed{self.training.seed}"
