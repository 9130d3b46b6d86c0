"""All models on all folds, their blends, and which is better than which, as one JSON value."""

from collections.abc import Sequence
from itertools import pairwise, product
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from gnnseq.data.scenes import Scenes
from harness.provenance import provenance
from harness.report import PLAIN
from harness.sweep import now_and_then, run_sweep
from studies.social_relations.fit import fit
from studies.social_relations.planted import best_of
from studies.social_relations.results import BEST
from studies.social_relations.runs import BLENDS, COMPARED, SceneRun
from studies.social_relations.scores import bootstrap, scores_of
from studies.social_relations.sources import IMAGES, Problem, digest_of, problem_of, scenes_of, split_of

STEPS = 4  # of blends' weights: quarters

__all__ = ["blend_weights", "run"]

Numbers = NDArray[np.float64]
Integers = NDArray[np.int64]
Record = dict[str, Any]
Run = tuple[SceneRun, Record]


def run(settings: Any, console: Console) -> dict[str, Any]:
    """Train what is asked for; finished runs are not trained again."""
    source = settings.source_of_scenes
    digest = digest_of(source, settings.boxes, settings.person)
    runs: list[SceneRun] = []
    several = any((scene.relations >= 0).sum() > 1
                  for scene in scenes_of(source, settings.boxes, settings.person).scenes)  # fmt: skip
    for task in settings.tasks:
        if task != "relations" and "relations" in settings.tasks and not several:
            console.print(f"note: no image has several pairs whose relation is known: {task} is not asked", **PLAIN)
            continue
        problem = problem_of(source, task, settings.boxes, settings.person)
        runs += settings.runs(task, digest, bool(problem.categories), problem.official is not None)
    records = run_sweep(fit, runs, settings.folder / "cache", settings.jobs, settings.seconds, console)
    tell = now_and_then(console)
    asked: list[tuple[Any, str]] = list(dict.fromkeys((one.task, one.split) for one in runs))
    parts = []
    for task, split in asked:
        own = [
            (one, record) for one, record in zip(runs, records, strict=True) if (one.task, one.split) == (task, split)
        ]
        tell(f"intervals of {task}, {split} parts")
        parts.append(
            _scored(
                problem_of(source, task, settings.boxes, settings.person), own, 20 if settings.quick else settings.draws
            )
        )
    common = {name: value for name, value in records[0]["settings"].items()
              if all(record["settings"][name] == value for record in records)}  # fmt: skip
    kept = [{"settings": {name: value for name, value in record["settings"].items() if name not in common},
             "seconds": record["seconds"], "commit": record["commit"][:8],
             "result": {name: value for name, value in record["result"].items() if name not in ("test", "validation")}}
            for record in records]  # fmt: skip
    about = {"experiment": "social_relations", "provenance": provenance(), "data": settings.shown}
    return {
        **about,
        "example": _example(scenes_of(source, settings.boxes, settings.person)),
        "parts": parts,
        "settings": common,
        "runs": kept,
    }


def _example(scenes: Scenes) -> dict[str, Any]:
    """The first scene of a few persons and a few objects, or the first of all, as JSON values."""
    few = (scene for scene in scenes.scenes if len(scene.persons) in (3, 4) and 4 <= len(scene.objects) <= 7
           and (scene.relations >= 0).all() and len(scene.pairs) > 1)  # fmt: skip
    scene = next(few, scenes.scenes[0])
    told = ["?", *scenes.relations]
    return {
        "image": scene.image, "size": scene.size, "persons": scene.persons.tolist(), "objects": scene.objects.tolist(),
        "names": [scenes.categories[kind] for kind in scene.categories], "pairs": scene.pairs.tolist(),
        "relations": [told[code + 1] for code in scene.relations],
    }  # fmt: skip


def _scored(problem: Problem, runs: Sequence[Run], draws: int) -> dict[str, Any]:
    """Scores of all models of a task on all its test pairs together, and by partition where there are several."""
    first, several = runs[0][0], []
    for partition in dict.fromkeys(one.partition for one, _ in runs):
        own = [(one, record) for one, record in runs if one.partition == partition]
        several.append(_answers(problem, own))
    models, rows, weights, parts = several[0]
    y = problem.y[rows]
    folds = [np.bincount(problem.y[part], minlength=len(problem.relations)).tolist() for part in parts]
    pairs = [pair for pair in COMPARED if all(name in models for name in pair)]
    by_fold = np.cumsum([0, *map(sum, folds)])
    right = {name: p.argmax(1) == y for name, p in models.items()}
    own_accuracy = {name: [round(float(hits[a:b].mean()), 4) for a, b in pairwise(by_fold)]
                    for name, hits in right.items()}  # fmt: skip
    found = [{name: {kind: round(value, 5) for kind, value in scores_of(p, problem.y[at]).items()}
              for name, p in each.items()} for each, at, _, _ in several]  # fmt: skip
    return {
        "task": first.task, "split": first.split, "relations": problem.relations, "pairs": len(y),
        "images": len(np.unique(problem.image[rows])), "groups": len(np.unique(problem.group[rows])), "folds": folds,
        "scores": found[0], "partitions": {name: [each[name] for each in found if name in each] for name in found[0]},
        "accuracy by fold": own_accuracy, "weights": weights,
        **bootstrap(models, y, problem.group[rows], pairs, draws),
    }  # fmt: skip


def _answers(
    problem: Problem, runs: Sequence[Run]
) -> tuple[dict[str, Numbers], Integers, dict[str, list[list[float]]], list[Integers]]:
    """Of one partition: probabilities by model and blend, of which rows, weights of blends, and the rows by fold."""
    first = runs[0][0]
    splits = {one.fold: split_of(problem, one) for one, _ in runs}
    asked = {fold: problem.asked[split.test] for fold, split in splits.items()}
    parts = [split.test[asked[fold]] for fold, split in splits.items()]
    of_fold = {name: {one.fold: record["result"] for one, record in runs if one.model == name}
               for name in dict.fromkeys(one.model for one, _ in runs)}  # fmt: skip

    def tested(model: str, fold: int) -> Numbers:
        return np.array(of_fold[model][fold]["test"])[asked[fold]]

    models = {name: np.concatenate([tested(name, fold) for fold in splits]) for name in of_fold}
    weights: dict[str, list[list[float]]] = {}
    blends = {blend: [name for name in names if name in of_fold] for blend, names in BLENDS.items()}
    for blend, names in blends.items():
        if len(names) < 2 or any(names == blends[other] for other in weights):
            continue
        weights[blend], mixed = [], []
        for fold, split in splits.items():
            held = np.concatenate(split.validation)
            seen = [np.concatenate([np.array(p) for p in of_fold[name][fold]["validation"]]) for name in names]
            chosen = blend_weights([p[problem.asked[held]] for p in seen], problem.y[held[problem.asked[held]]])
            weights[blend].append(chosen)
            mixed.append(sum(w * tested(name, fold) for w, name in zip(chosen, names, strict=True)))
        models[blend] = np.concatenate(mixed)
    rows = np.concatenate(parts)
    if first.data in IMAGES:
        told = np.split(problem.known, np.flatnonzero(np.diff(problem.image)) + 1)
        best = [best_of(scene, known) for scene, known in zip(problem.scenes, told, strict=True)]
        models[BEST] = np.concatenate(best)[rows]
    return models, rows, weights, parts


def blend_weights(parts: Sequence[Numbers], y: NDArray[np.int64]) -> list[float]:
    """The weights, in quarters, that give the least log loss on validation; the first of equals.

    Example:
        >>> sure, wrong = np.array([[0.9, 0.1]]), np.array([[0.2, 0.8]])
        >>> blend_weights([sure, wrong], np.array([0]))
        [1.0, 0.0]
    """
    own = np.stack([part[np.arange(len(y)), y] for part in parts])  # [parts, N]
    grid = [each for each in product(range(STEPS, -1, -1), repeat=len(parts)) if sum(each) == STEPS]
    losses = [-np.log(np.maximum(np.array(each) / STEPS @ own, 1e-4)).mean() for each in grid]
    return [step / STEPS for step in grid[int(np.argmin(losses))]]
