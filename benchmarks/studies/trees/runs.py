"""What is trained: a task, a network and a seed. Data alone; torch is not imported."""

from dataclasses import dataclass
from typing import Literal

Task = Literal["SST-5", "SST-2", "labels", "tags"]  # labels: of brackets that are not SST's
Model = Literal["tree LSTM", "path LSTM", "no edges", "bag of words"]

MODELS: tuple[Model, ...] = ("tree LSTM", "path LSTM", "no edges", "bag of words")


@dataclass(frozen=True)
class TreeRun:
    """The settings of one training; equal settings give equal results."""

    task: Task
    model: Model
    seed: int  # of the weights, of the minibatches and of dropout
    files: tuple[str, ...]  # training, validation and test; none are made-up trees
    digest: str  # of what they hold
    hidden: int = 64
    embedding: int = 64
    batch: int = 50  # trees a step
    epochs: int = 8  # at most; the best of validation is tested
    patience: int = 3  # epochs without a better one that end the training
    learning_rate: float = 0.05  # Adagrad's
    weight_decay: float = 1e-4  # of all but the words' vectors
    dropout: float = 0.5  # of what the readout reads
