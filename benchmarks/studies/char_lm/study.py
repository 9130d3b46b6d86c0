"""Every seed of a training, and baselines on the same text, as one JSON value."""

import functools
import json
import sys
from pathlib import Path
from typing import Any

from rich.console import Console

from gnnseq.data.text import Corpus, load_corpus, load_parts
from harness import processes
from harness.provenance import provenance
from harness.sweep import run_sweep
from studies.char_lm.ngram import fit_ngram
from studies.char_lm.runs import LanguageRun
from studies.char_lm.training import train

BASELINES = {"5-gram, Kneser-Ney": 5, "unigram": 1, "uniform": 0}  # order of the n-gram: nats of what knows little


def run(settings: Any, console: Console) -> dict[str, Any]:
    """Train what the settings ask for; finished runs are not trained again."""
    source = settings.texts or settings.corpus
    corpus = _load(source)
    parts = (corpus.training, corpus.validation, corpus.test)
    text = corpus.name, corpus.digest, settings.kept_as
    cache = (settings.folder / "cache").absolute()  # a worker's folder may be another one
    runs = [LanguageRun(*text, settings.training(seed)) for seed in settings.seeds]
    alone = len(runs) == 1
    told = alone or not console.is_terminal  # of every validation, where no bar stands that lines would cut
    if alone:
        console = Console(stderr=True, force_terminal=False)
    options = {name: getattr(settings, name) for name in ("resume", "save_every")}
    learn = functools.partial(_learn, source=source, cache=cache, progress=told, **options)
    records = run_sweep(learn, runs, cache / "finished", 1 if alone else settings.jobs, console=console)
    if not processes.is_first():
        sys.exit(0)  # which writes for all
    ngrams = {name: fit_ngram(corpus.training, len(corpus.vocabulary), order) for name, order in BASELINES.items()}
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
        "baselines": {
            name: {part: _short(model.nats_per_character(getattr(corpus, part))) for part in ("validation", "test")}
            for name, model in ngrams.items()
        },
        "checkpoints": [str((run.folder(cache) / "best.ckpt").relative_to(settings.folder.absolute())) for run in runs],
    }


def _load(source: str | tuple[Path, ...]) -> Corpus:
    return load_corpus(source) if isinstance(source, str) else load_parts(*source)


def _learn(run: LanguageRun, source: str | tuple[Path, ...], cache: Path, **options: Any) -> dict[str, Any]:
    return train(run.training, _load(source), run.folder(cache), **options)


def _short(value: Any) -> Any:
    """With five digits: what is behind them is noise."""
    return json.loads(json.dumps(value), parse_float=lambda digits: float(f"{float(digits):.5g}"))
