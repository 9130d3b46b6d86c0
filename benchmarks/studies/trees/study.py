"""All runs of the settings, and what knows little beside them, as one JSON value."""

from collections import Counter
from typing import Any

from rich.console import Console

from harness.provenance import provenance
from harness.sweep import run_sweep
from studies.trees.dgl_cell import compare
from studies.trees.fit import fit
from studies.trees.sources import Trees, load, number, tasks_of

SST = tuple(f"trees/sst/{part}.txt" for part in ("train", "dev", "test"))
WHERE = (
    "The Stanford Sentiment Treebank is trainDevTestTrees_PTB.zip of https://nlp.stanford.edu/sentiment/: unpack its "
    "trees/*.txt as trees/sst/ into the folder that GNNSEQ_DATA names; or name files by --train, --valid and --test"
)


def run(settings: Any, console: Console) -> dict[str, Any]:
    """Train what is asked for; finished runs are not trained again."""
    files = settings.files or (() if settings.quick else SST)
    try:
        _, digest = load(files)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error}. {WHERE}" if files == SST else str(error)) from error
    tasks = tasks_of(files)
    runs = settings.runs(tasks, files, digest)
    baselines = {task: _baselines(number(files, task), task) for task in tasks}
    records = run_sweep(fit, runs, settings.folder / "cache", settings.jobs, settings.seconds, console)
    peer = None if runs[0].task == "tags" else compare(runs[0])
    about = {"experiment": "trees", "provenance": provenance(), "peer": peer}
    return {**about, "baselines": baselines, "runs": records}


def _baselines(trees: Trees, task: str) -> dict[str, Any]:
    """Sizes, and the test accuracy of the commonest class, for tags of each word's commonest too."""
    scored = [
        [(word, label) for each, target in zip(words, targets, strict=True)
         for word, label in list(zip(each.tolist(), target.tolist(), strict=True))[: None if task == "tags" else 1]]
        for words, targets in zip(trees.words, trees.targets, strict=True)
    ]  # fmt: skip
    (common, _), *_ = Counter(label for _, label in scored[0]).most_common(1)
    found = {"majority": sum(label == common for _, label in scored[2]) / len(scored[2])}
    if task == "tags":
        counts: dict[int, Counter[int]] = {}
        for word, label in scored[0]:
            counts.setdefault(word, Counter())[label] += 1
        tags = {word: counter.most_common(1)[0][0] for word, counter in counts.items()}
        right = sum(tags.get(word, common) == label for word, label in scored[2])
        found["commonest tag of each word"] = right / len(scored[2])
    sizes = [len(part) for part in trees.parts]
    return {"trees": sizes, "classes": trees.classes, "words": trees.vocabulary, "test": found}
