"""What is asked: the scenes of a source, a row a pair, in folds of images or of albums.

Letters: N pairs, F columns.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from gnnseq.data.scenes import Scene, Scenes, load_scenes, pipa, pisc
from harness.files import cached_while_unchanged
from studies.social_relations.features import labels_of, table_of
from studies.social_relations.folds import check_apart, grouped_folds
from studies.social_relations.planted import planted_scenes
from studies.social_relations.runs import SceneRun, Task

__all__ = ["IMAGES", "LEAST", "Problem", "Split", "digest_of", "problem_of", "scenes_of", "split_of"]

IMAGES = {"planted": 400, "planted small": 90}
LEAST = 8  # training images that have a column, for it to be kept; a twentieth of them, if that is less


@dataclass(frozen=True, eq=False)
class Problem:
    """Scenes with a table; rows are pairs, image by image.

    Attributes:
        scenes: Images with pairs whose relation is known; other pairs are left out.
        relations: Names.
        categories: How many kinds of objects.
        columns: Parts of the table by name. [N, *] each
        y: int64 [N]
        image: Of each pair, its place in ``scenes``. int64 [N]
        group: Of each pair, its album or image, numbered. int64 [N]
        groups: Their names.
        known: Pairs whose label others may read: none, for completion all, or half of those of each image. bool [N]
        scored: Pairs to train on: all, or for completion those of images with several. bool [N]
        asked: Of these the ones that count in a test: where half are known, the others. bool [N]
        official: Of each pair, whether it is in the published test part; None where nothing is published. bool [N]
    """

    scenes: tuple[Scene, ...]
    relations: tuple[str, ...]
    categories: int
    columns: dict[str, NDArray[np.float64]]
    y: NDArray[np.int64]
    image: NDArray[np.int64]
    group: NDArray[np.int64]
    groups: tuple[str, ...]
    known: NDArray[np.bool_]
    scored: NDArray[np.bool_]
    asked: NDArray[np.bool_]
    official: NDArray[np.bool_] | None

    def table(self, kinds: Sequence[str]) -> NDArray[np.float64]:
        """The columns of some parts, as far as the problem has them. [N, F]"""
        return np.concatenate([self.columns[kind] for kind in kinds if kind in self.columns], 1)


@dataclass(frozen=True, eq=False)
class Split:
    """Rows of the training part's members, of each member's validation part, and of the test."""

    training: NDArray[np.int64]
    validation: tuple[NDArray[np.int64], ...]
    test: NDArray[np.int64]

    def member(self, number: int) -> NDArray[np.int64]:
        """What a member is trained on."""
        return np.setdiff1d(self.training, self.validation[number])


@cached_while_unchanged(2)
def scenes_of(data: str, boxes: str | None, person: str) -> Scenes:
    """The source's scenes."""
    if data in IMAGES:
        return planted_scenes(IMAGES[data])
    published = {"pisc": pisc, "pipa": pipa}
    return published[data]() if data in published else load_scenes(data, boxes, person)  # type: ignore[arg-type]


def digest_of(data: str, boxes: str | None, person: str) -> str:
    """Of all that a source holds."""
    scenes = scenes_of(data, boxes, person)
    made = hashlib.sha256(repr([scenes.relations, scenes.categories, scenes.parts]).encode())
    for scene in scenes.scenes:
        made.update(repr([scene.image, scene.group, scene.size]).encode())
        for array in (scene.persons, scene.objects, scene.categories, scene.pairs, scene.relations):
            made.update(np.ascontiguousarray(array).tobytes())
    return made.hexdigest()


@cached_while_unchanged(2)
def problem_of(data: str, task: Task, boxes: str | None = None, person: str = "person") -> Problem:
    """The pairs of a source, and what is known of each.

    Raises:
        ValueError: There are not two relations that are known of some pair, or for completion no image with several.
    """
    found, scenes, official = scenes_of(data, boxes, person), [], []
    test = found.parts.get("test", range(0))
    for number, scene in enumerate(found.scenes):
        known = scene.relations >= 0
        if known.any():
            scenes.append(replace(scene, pairs=scene.pairs[known], relations=scene.relations[known]))
            official.append(number in test)
    y = np.concatenate([scene.relations for scene in scenes]) if scenes else np.empty(0, dtype=np.int64)
    if len(np.unique(y)) < 2:
        raise ValueError(f"{data}: {len(y)} pairs of {len(np.unique(y))} relations; expected two relations or more")
    counts = np.array([len(scene.pairs) for scene in scenes])
    image = np.arange(len(scenes)).repeat(counts)
    scored = np.ones(len(y), dtype=bool) if task == "relations" else counts[image] > 1
    if not scored.any():
        raise ValueError(f"{data}: no image with several pairs, of which some could be told by the others")
    names = {group: code for code, group in enumerate(sorted({scene.group for scene in scenes}))}
    parts = [table_of(scene, len(found.categories)) for scene in scenes]
    known = np.concatenate([_known(len(scene.pairs), task, number) for number, scene in enumerate(scenes)])
    if task != "relations":
        own = np.split(known, np.cumsum(counts)[:-1])
        parts = [part | labels_of(scene, len(found.relations), told)
                 for part, scene, told in zip(parts, scenes, own, strict=True)]  # fmt: skip
    columns = {kind: np.concatenate([part[kind] for part in parts]) for kind in parts[0]}
    if not found.categories:
        del columns["object"]
    return Problem(
        tuple(scenes), found.relations, len(found.categories), columns, y, image,
        np.array([names[scene.group] for scene in scenes])[image], tuple(names), known, scored,
        scored & ~known if task == "half" else scored,
        np.array(official)[image] if len(test) else None,
    )  # fmt: skip


def _known(pairs: int, task: Task, number: int) -> NDArray[np.bool_]:
    """Whose labels the image's others may read; half of them are drawn by the image's place alone. [N]"""
    if task == "half":
        return np.random.default_rng([number, 7]).permutation(pairs) < pairs // 2
    return np.full(pairs, task == "completion")


def split_of(problem: Problem, run: SceneRun) -> Split:
    """The rows of a fold: albums, or images where there are none larger, are in one part alone."""
    if run.split == "official":
        if problem.official is None:
            raise ValueError(f"{run.data} has no published parts; expected pipa")
        outside = np.flatnonzero(problem.official)
    else:
        outside = np.flatnonzero(grouped_folds(problem.group, problem.y, run.folds, seed=run.partition) == run.fold)
    training = np.setdiff1d(np.arange(len(problem.y)), outside)
    parts = max(run.members, min(run.parts, len(np.unique(problem.group[training]))))
    inner = grouped_folds(problem.group[training], problem.y[training], parts, seed=1 + run.fold)
    validation = tuple(training[inner == member] for member in range(run.members))
    made, named = Split(training, validation, outside), np.array(problem.groups)[problem.group]
    for number, held in enumerate(validation):
        check_apart(named, training=made.member(number), validation=held, test=outside)
    return made
