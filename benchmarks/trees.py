"""Does structure help to read a sentence? An LSTM along trees, along the words, and along nothing.

    python benchmarks/trees.py                                              SST-5 and SST-2; about ten minutes
    python benchmarks/trees.py --train T.txt --valid V.txt --test W.txt     your trees, in brackets labelled 0 to 4
    python benchmarks/trees.py --train T.conllu --valid V.conllu --test W.conllu     UD: a tag for every word
    python benchmarks/trees.py --quick                                      made-up trees, no data, seconds

The Stanford Sentiment Treebank is read from the folder that GNNSEQ_DATA names, trees/sst/. Every network learns its own
words' vectors, from the training part alone, is taught all labelled phrases, and is scored on whole sentences. Tags are
read by bidirectional LSTMs along the dependencies as annotated, or along the words.

Ctrl-C is safe: finished runs are kept and the same command continues. Exit code 0: all runs finished; 2: an argument or
a file is wrong; 130: interrupted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.cli import SweepSettings, run_study
from harness.files import name_of
from studies.trees.runs import MODELS, Model, Task, TreeRun

QUICK = {"hidden": 16, "embedding": 8, "batch": 10, "epochs": 3}
FIELDS = ("hidden", "embedding", "batch", "epochs")  # of a run, that may be given
SECONDS = {"tree LSTM": 9.0, "path LSTM": 9.0, "no edges": 5.0, "bag of words": 4.0}  # of an epoch of SST's


@dataclass(frozen=True)
class Settings(SweepSettings):
    """LSTMs on trees: sentiment of sentences in brackets, or tags of words in CoNLL-U."""

    study = "trees"
    least = dict.fromkeys(("seeds", "hidden", "embedding", "batch", "epochs"), 1)

    train: Path | None = None  # Trees to train on; the form is told by the first line
    valid: Path | None = None  # To choose the epoch on
    test: Path | None = None  # Scored once
    models: tuple[Model, ...] = MODELS  # Only these
    seeds: int | None = None
    """Networks of each kind; 3, or 1 with --quick, where not given."""
    hidden: int | None = None  # Hidden channels
    embedding: int | None = None  # Channels of a word's vector
    batch: int | None = None  # Trees a step
    epochs: int | None = None  # At most

    def __post_init__(self) -> None:
        super().__post_init__()
        given = {f"--{name}": getattr(self, name) for name in ("train", "valid", "test")}
        missing = [name for name, path in given.items() if path is None]
        if 0 < len(missing) < len(given):
            raise ValueError(f"{' and '.join(missing)}: expected all three of {', '.join(given)}, or none of them")
        if self.files and self.record:
            raise ValueError("--record with --train: the committed evidence is of the published trees; choose one")
        if not self.models:
            raise ValueError(f"--models: expected some of {', '.join(MODELS)}")

    @property
    def files(self) -> tuple[str, ...]:
        """Those given."""
        return tuple(str(path) for path in (self.train, self.valid, self.test) if path is not None)

    @property
    def name(self) -> str:
        """What the results are called: neither other trees nor other settings overwrite the published trees'."""
        changed = any(getattr(self, name) is not None for name in FIELDS)
        stem = "quick" if self.quick else "custom" if changed or self.models != MODELS or self.seeds else self.study
        return f"{name_of([Path(file) for file in self.files])}-{stem}" if self.files else stem

    def runs(self, tasks: Sequence[Task], files: tuple[str, ...], digest: str) -> list[TreeRun]:
        """Every network that is trained."""
        given = {name: getattr(self, name) for name in FIELDS if getattr(self, name) is not None}
        options = {**(QUICK if self.quick else {}), **given}
        seeds = range(self.seeds or (1 if self.quick else 3))
        return [TreeRun(task, model, seed, files, digest, **options)
                for task in tasks for model in self.models for seed in seeds]  # fmt: skip

    def seconds(self, run: TreeRun) -> float:
        """How long a run takes at most."""
        return (0.1 if self.quick else SECONDS[run.model]) * run.epochs


if __name__ == "__main__":
    run_study(Settings)
