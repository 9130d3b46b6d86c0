"""Settings that a language model's training depends on.

Letters: T steps of a window, B windows of a batch.
"""

import math
from dataclasses import dataclass
from typing import Literal

from gnnseq.checks import check_whole
from gnnseq.layers.cells import CellName
from gnnseq.models.language_model import LanguageModel

__all__ = ["Training"]


@dataclass(frozen=True)
class Training:
    """All that a training's numbers depend on.

    Attributes:
        kind: Of the recurrent layers.
        hidden: Their channels.
        layers: How many are stacked.
        embedding: Channels of a learnt embedding; 0 for one-hot characters.
        dropout: After every layer.
        init: Of the layers.
        window: Characters from the first of which to the last gradients flow, T.
        batch: Windows a step, B, on each device.
        random_windows: Windows begin anywhere and from a zero state. Otherwise they are contiguous streams, and the
            state is carried from window to window: truncated backpropagation.
        steps: Of training.
        learning_rate: Adam's.
        schedule: ``"decay"``: times 0.96 every 5,000 steps; ``"cosine"``: down to a hundredth of it at the
            end, after warming up for a tenth of the steps, at most 100.
        clip: Largest norm of the gradient of all weights; a longer one is scaled down. None leaves it as it is.
        seed: Of all that is random.
        precision: Lightning's name; mixed precision leaves the recurrence itself in 32 bits.
        record_every: Steps between entries of the curves.
        validate_every: Steps between scores on the validation part.
        sample_at: Steps at which samples are drawn.
    """

    kind: CellName = "LSTM"
    hidden: int = 128
    layers: int = 2
    embedding: int = 0
    dropout: float = 0.05
    init: Literal["torch", "he", "orthogonal"] = "torch"
    window: int = 30
    batch: int = 64
    random_windows: bool = False
    steps: int = 100_000
    learning_rate: float = 2e-3
    schedule: Literal["decay", "cosine"] = "decay"
    clip: float | None = None
    seed: int = 0
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] = "32-true"
    record_every: int = 100
    validate_every: int = 1000
    sample_at: tuple[int, ...] = (0, 10_000, 20_000, 30_000, 40_000, 50_000, 100_000)

    def __post_init__(self) -> None:
        check_whole(0, seed=self.seed)
        for name in ("window", "batch", "steps", "record_every", "validate_every"):
            check_whole(1, **{name: getattr(self, name)})
        if not 0 < self.learning_rate < math.inf:
            raise ValueError(f"learning_rate={self.learning_rate}; expected a positive number, 2e-3 say")
        if self.clip is not None and not self.clip > 0:
            raise ValueError(f"clip={self.clip}; expected a positive norm, or None to leave gradients as they are")

    def rate(self, step: int) -> float:
        """What the learning rate is multiplied with at a step, the first of which is 0."""
        if self.schedule == "decay":
            return float(0.96 ** (step // 5000))
        warm = max(1, min(100, self.steps // 10))
        return min(1.0, (step + 1) / warm) * (0.505 + 0.495 * math.cos(math.pi * step / self.steps))

    def model(self, vocabulary: int) -> LanguageModel:
        """A model with weights drawn from torch's random state."""
        return LanguageModel(
            vocabulary, self.hidden, self.kind, self.layers, self.embedding, self.dropout, self.init
        )  # fmt: skip
