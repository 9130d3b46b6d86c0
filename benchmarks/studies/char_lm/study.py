"""Every seed of a training, and baselines on the same text, as one JSON value."""

import functools
import hashlib
import os
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from gnnseq.data.text import Corpus, load_corpus
from harness.provenance import provenance
from harness.sweep import run_sweep
from studies.char_lm.ngram import fit_ngram
from studies.char_lm.runs import LanguageRun
from studies.char_lm.training import train

__all__ = ["run"]


def run(settings: Any, console: Console) -> dict[str, Any]:
    """Train what the settings ask for; finished runs are not trained again."""
    corpus = load_corpus(settings.corpus)
    parts = (corpus.training, corpus.validation, corpus.test)
    digest = hashlib.sha256(b"".join(part.numpy().tobytes() for part in parts))
    digest.update(corpus.vocabulary.characters.encode())
    cache = settings.folder / "cache"
    runs = [
        LanguageRun(corpus.name, digest.hexdigest(), settings.kept_as, settings.training(seed))
        for seed in settings.seeds
    ]
    alone = len(runs) == 1
    if alone:  # it prints how far it is
        console = Console(stderr=True, force_terminal=False)
    records = run_sweep(
        functools.partial(
            _learn, source=settings.corpus, cache=cache, resume=settings.resume, save_every=settings.save_every,
            devices=settings.devices, nodes=settings.nodes, progress=alone,
        ),
        runs, cache / "finished", 1 if alone else settings.jobs, console=console,
    )  # fmt: skip
    if any(int(os.environ.get(name, 0)) > 0 for name in ("LOCAL_RANK", "NODE_RANK")):
        sys.exit(0)  # the first process writes for all
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
            {
                "settings": {"preset": settings.kept_as, **record["settings"]["training"]},
                "commit": record["commit"],
                **record["result"],
                **{part: _short(record["result"][part]) for part in ("curves", "validation", "test")},
            }
            for record in records
        ],
        "baselines": _short(_baselines(corpus)),
        "checkpoints": [str((run.folder(cache) / "best.ckpt").relative_to(settings.folder)) for run in runs],
    }


def _learn(run: LanguageRun, source: str, cache: Path, **options: Any) -> dict[str, Any]:
    return train(run.training, load_corpus(source), run.folder(cache), **options)


def _baselines(corpus: Corpus) -> dict[str, dict[str, float]]:
    """Nats a character of what knows next to nothing."""
    orders = {"5-gram, Kneser-Ney": 5, "unigram": 1, "uniform": 0}
    models = {name: fit_ngram(corpus.training, len(corpus.vocabulary), order) for name, order in orders.items()}
    return {
        name: {part: model.nats_per_character(getattr(corpus, part)) for part in ("validation", "test")}
        for name, model in models.items()
    }


def _short(value: Any) -> Any:
    """With five digits: what is behind them is noise."""
    if isinstance(value, dict):
        return {name: _short(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_short(each) for each in value]
    return float(f"{value:.5g}") if isinstance(value, float) else value
