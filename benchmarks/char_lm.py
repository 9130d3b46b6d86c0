"""Character language models: trained on any text, asked for more of it.

    python benchmarks/char_lm.py                                 Python's own help texts, no network: two minutes
    python benchmarks/char_lm.py --corpus tinyshakespeare        downloaded once; GNNSEQ_DATA names a folder that has it
    python benchmarks/char_lm.py --corpus southpark --preset report    the report's settings: forty minutes
    python benchmarks/char_lm.py --corpus my_novel.txt --resume  your text, from the last checkpoint if there is one
    python benchmarks/char_lm.py sample CHECKPOINT --prompt "To be" --temperature 0.5

Tables, curves and samples come from the JSON that a training writes. Every run has one thread, so two seeds run side by
side on two cores. Ctrl-C and SIGTERM save after the step being done; the same command with --resume goes on to the same
numbers.

Exit code 0: done; 2: a setting or a file is wrong, or the disk is full; 130 and 143: stopped by Ctrl-C and SIGTERM.
"""

import dataclasses
import functools
import hashlib
import json
import math
import os
import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import tyro
from rich.console import Console

from gnnseq.data.text import Corpus, load_corpus
from harness import cli as command
from harness.sweep import provenance, run_sweep, write_json
from studies.char_lm.ngram import fit_ngram
from studies.char_lm.report import figures, print_report
from studies.char_lm.sample import Sample, show
from studies.char_lm.settings import Training
from studies.char_lm.training import Stopped, train

PRESETS = {
    # The report's section 2.1; it does not say there how weights begin, and names He's way for its other networks.
    "report": Training(init="he", steps=50_000),
    # Two minutes on one core.
    "fast": Training(
        hidden=256, layers=1, embedding=64, dropout=0.1, init="orthogonal", window=64, batch=32, steps=2400,
        learning_rate=4e-3, schedule="cosine", clip=1.0, record_every=50, validate_every=200,
        sample_at=(0, 200, 800, 2400),
    ),
    # Half an hour on one core.
    "best": Training(
        hidden=512, layers=1, embedding=64, dropout=0.3, init="orthogonal", window=64, batch=32, steps=7000,
        learning_rate=3e-3, schedule="cosine", clip=1.0, validate_every=250, sample_at=(0, 1000, 7000),
    ),
}  # fmt: skip
QUICK = {"hidden": 32, "embedding": 0, "layers": 1, "window": 20, "batch": 16, "steps": 60, "record_every": 5,
         "validate_every": 20, "sample_at": (0, 60)}  # fmt: skip


@dataclass(frozen=True)
class Settings:
    """Trains a character language model; `char_lm.py sample CHECKPOINT` lets it write.

    The settings from --kind on are the preset's unless they are given.
    """

    corpus: str = "pydoc"
    """pydoc, tinyshakespeare, southpark, or a UTF-8 file or folder."""
    preset: Literal["report", "fast", "best"] = "fast"
    """report: two LSTMs of 128, forty minutes; fast: two minutes; best: half an hour; each on one core."""
    seeds: tuple[int, ...] = (0,)
    """One run each."""
    resume: bool = False
    """Go on from the last checkpoint of an unfinished run; without it such a run begins anew."""
    quick: bool = False
    """The form that CI runs: a tiny model, seconds."""
    report_only: bool = False
    """Rebuild tables and figures from the JSON, train nothing."""
    results: Path = Path(__file__).resolve().parent / "results" / "char_lm"
    """Folder of JSON and figures; checkpoints, logs and finished runs are in its subfolder cache/."""
    jobs: int = -1
    """Runs at a time, one thread each; -1 means one a core."""
    save_every: int = 1000
    """Steps between checkpoints."""
    devices: int = 1
    """Processes, or GPUs, on each machine."""
    nodes: int = 1
    """Machines, started as Lightning says for your cluster."""

    kind: Literal["LSTM", "GRU", "RNN"] | None = None
    """Recurrent layers."""
    hidden: int | None = None
    """Their channels."""
    layers: int | None = None
    """How many."""
    embedding: int | None = None
    """Channels of a learnt embedding; 0 for one-hot characters."""
    dropout: float | None = None
    """After every layer."""
    init: Literal["torch", "he", "orthogonal"] | None = None
    """Initialisation of recurrent layers."""
    window: int | None = None
    """Characters that gradients flow back through."""
    batch: int | None = None
    """Windows a step."""
    random_windows: bool | None = None
    """Windows from anywhere, each from a zero state, in place of streams that carry it on."""
    steps: int | None = None
    """Of training."""
    learning_rate: float | None = None
    """Adam's."""
    schedule: Literal["decay", "cosine"] | None = None
    """decay: times 0.96 every 5,000 steps; cosine: down to a hundredth at the end."""
    clip: float | None = None
    """Largest norm of the gradient."""
    precision: Literal["32-true", "bf16-mixed", "16-mixed"] | None = None
    """Mixed precision is for readout and embedding; the recurrence stays in 32 bits."""

    def __post_init__(self) -> None:
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise ValueError(f"--seeds: got {self.seeds}; expected different numbers, at least one")
        if len(self.seeds) > 1 and (self.devices, self.nodes) != (1, 1):
            raise ValueError(
                f"--devices {self.devices} --nodes {self.nodes}: expected a single seed with more than one"
            )

    def training(self, seed: int) -> Training:
        preset = PRESETS[self.preset]
        return dataclasses.replace(preset, **{**(QUICK if self.quick else {}), **self.changes(), "seed": seed})

    def changes(self) -> dict[str, Any]:
        names = {field.name for field in dataclasses.fields(Training)}
        return {name: value for name, value in vars(self).items() if name in names and value is not None}

    @property
    def name(self) -> str:
        """What the results are called: a changed training must not overwrite the preset's."""
        corpus = Path(self.corpus).stem
        return f"{corpus}-quick" if self.quick else f"{corpus}-{'custom' if self.changes() else self.preset}"


@dataclass(frozen=True)
class Run:
    """What a run's numbers depend on."""

    corpus: str
    digest: str
    preset: str
    training: Training

    def folder(self, cache: Path) -> Path:
        """Where its checkpoints are; training longer is the same run."""
        settings = {**dataclasses.asdict(self), "training": {**dataclasses.asdict(self.training), "steps": None}}
        digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:8]
        return cache / f"{Path(self.corpus).stem}-{self.preset}-{digest}-seed{self.training.seed}"


def learn(run: Run, source: str, cache: Path, **options: Any) -> dict[str, Any]:
    return train(run.training, load_corpus(source), run.folder(cache), **options)


def baselines(corpus: Corpus) -> dict[str, dict[str, float]]:
    """Nats a character of what knows next to nothing."""
    models = {
        "5-gram, Kneser-Ney": fit_ngram(corpus.training, len(corpus.vocabulary), order=5),
        "unigram": fit_ngram(corpus.training, len(corpus.vocabulary), order=1),
    }
    found = {
        name: {part: model.nats_per_character(getattr(corpus, part)) for part in ("validation", "test")}
        for name, model in models.items()
    }
    uniform = math.log(len(corpus.vocabulary))
    return {**found, "uniform": {"validation": uniform, "test": uniform}}


def study(settings: Settings, console: Console) -> dict[str, Any]:
    """Trains every seed, and puts their results and the baselines' together."""
    corpus = load_corpus(settings.corpus)
    parts = (corpus.training, corpus.validation, corpus.test)
    digest = hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts))
    digest.update(corpus.vocabulary.characters.encode())
    cache = settings.results / "cache"
    preset = "quick" if settings.quick else "custom" if settings.changes() else settings.preset
    runs = [Run(corpus.name, digest.hexdigest(), preset, settings.training(seed)) for seed in settings.seeds]
    alone = len(runs) == 1
    if alone:  # Lightning's own bar: a second one would be in its way
        console = Console(stderr=True, force_terminal=False)
    records = run_sweep(
        functools.partial(
            learn, source=settings.corpus, cache=cache, resume=settings.resume, save_every=settings.save_every,
            devices=settings.devices, nodes=settings.nodes, progress=alone and sys.stderr.isatty(),
        ),
        runs, cache / "finished", 1 if alone else settings.jobs, console=console,
    )  # fmt: skip
    return {
        "experiment": "char_lm",
        "provenance": provenance(),
        "corpus": {
            "name": corpus.name,
            "characters": sum(map(len, parts)),
            "vocabulary": len(corpus.vocabulary),
            "split": [len(part) for part in parts],
        },
        "runs": [
            {"settings": {"preset": preset, **record["settings"]["training"]}, "commit": record["commit"],
             **compact(record["result"])}
            for record in records
        ],
        "baselines": {name: digits(values) for name, values in baselines(corpus).items()},
        "checkpoints": [str((run.folder(cache) / "best.ckpt").relative_to(settings.results)) for run in runs],
    }  # fmt: skip


def digits(values: dict[str, float]) -> dict[str, float]:
    return {name: float(f"{value:.5g}") for name, value in values.items()}


def compact(result: dict[str, Any]) -> dict[str, Any]:
    """With five digits: what is behind them is noise."""
    short = {
        part: {name: [float(f"{each:.5g}") if isinstance(each, float) else each for each in values]
               for name, values in result[part].items()}
        for part in ("curves", "validation")
    }  # fmt: skip
    return {**result, **short, "test": digits(result["test"])}


def main(settings: Settings) -> int:
    console = Console()
    path = settings.results / f"{settings.name}.json"
    if not settings.report_only:
        result = study(settings, console)
        if int(os.environ.get("LOCAL_RANK", 0)) > 0 or int(os.environ.get("NODE_RANK", 0)) > 0:
            return 0  # the first process writes for all
        write_json(path, result, indent=None)
    result = command.report(path, print_report, figures, console)
    best = settings.results / result["checkpoints"][0]
    if best.exists():
        console.print(f"more: python benchmarks/char_lm.py sample {best}", highlight=False, soft_wrap=True)
    return 0


def run(arguments: list[str]) -> int:
    """The command line: exit code."""
    try:
        if arguments[:1] == ["sample"]:
            return show(tyro.cli(Sample, prog="char_lm.py sample", args=arguments[1:]))
        config = (tyro.conf.FlagCreatePairsOff, tyro.conf.DisallowNone)
        return main(tyro.cli(Settings, description=f"{__doc__}", args=arguments, config=config))
    except BrokenPipeError:  # who reads has had enough, as in `sample ... | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is not written yet goes there
        return 0
    except (OSError, ValueError) as error:
        print(f"char_lm.py: {error}", file=sys.stderr)
        return 2
    except Stopped as stopped:
        print(f"\nchar_lm.py: {stopped}; to go on: {resuming(arguments)}", file=sys.stderr)
        return 128 + stopped.number
    except KeyboardInterrupt:
        print(f"\nchar_lm.py: interrupted; checkpoints are kept, to go on: {resuming(arguments)}", file=sys.stderr)
        return 130


def resuming(arguments: list[str]) -> str:
    return shlex.join(["python", sys.argv[0], *(each for each in arguments if each != "--resume"), "--resume"])


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
