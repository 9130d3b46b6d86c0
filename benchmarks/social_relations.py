"""Do graphs of people and things tell how people are related? Boxes of an image, without its pixels.

    python benchmarks/social_relations.py                         made-up scenes whose best score is known; minutes
    python benchmarks/social_relations.py --data pisc             1,250 images, persons and objects, 6 relations
    python benchmarks/social_relations.py --data pipa             8,305 images, persons alone, 16 relations
    python benchmarks/social_relations.py --scenes mine.json      your images, as COCO-like JSON with relations
    python benchmarks/social_relations.py --quick                 little of what is made up, seconds

Three tasks: the relation of each pair of persons, and the same where all other pairs of the image are known, or half of
the image's pairs, drawn at random. Each fold is
of whole images, of whole albums where there are any. Boosted trees and a network read a table of each pair's numbers;
networks on the graph of persons, pairs, objects and the image have the same with messages and without. Choices are
made on parts of the training part. Intervals are of a bootstrap over images or albums. PISC and PIPA are read from the
folder that GNNSEQ_DATA names, scenes/.

Ctrl-C is safe: finished runs are kept and the same command continues. Exit code 0: all runs finished; 2: an argument or
a file is wrong; 130: interrupted.
"""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from harness.cli import SweepSettings, run_study
from harness.files import name_of, short_hash
from studies.social_relations.runs import MODE, NETWORKS, PRIOR, TREES, SceneRun, Task, models_of

KNOWN = (PRIOR, MODE, *TREES, *NETWORKS)
QUICK = {"folds": 2, "members": 1, "epochs": 2, "hidden": 16, "rounds": 1, "batch": 40, "trees": 5}
SECONDS = {"pipa": 60.0, "pisc": 20.0, "planted": 8.0, "planted small": 0.2}  # of a network, at most


@dataclass(frozen=True)
class Settings(SweepSettings):
    """Relations of people in images, from boxes: graphs against tables of the same numbers."""

    study = "social_relations"
    least = dict.fromkeys(("folds", "members"), 2)
    least |= dict.fromkeys(("partitions", "hidden", "rounds", "epochs", "draws"), 1)

    data: Literal["planted", "pisc", "pipa"] = "planted"  # Scenes that are made up, or published
    scenes: Path | None = None
    """Scenes of your own: JSON, COCO-like with relations, or as PISC's file (docs/guide.md)."""
    boxes: Literal["xywh", "corners"] | None = None
    """How boxes in --scenes are written; told from the file where not given."""
    person: str = "person"  # The category of persons in --scenes
    tasks: tuple[Task, ...] = ("relations", "completion", "half")  # Only these
    models: tuple[str, ...] = ()
    """Only these, of those that the report names; all, where not given."""
    folds: int = 5  # Parts of images or albums, each tested once
    partitions: int | None = None
    """Ways to divide images into folds, for models without messages; networks with edges, which take longest, are of
    the first alone. 3, or 1 on PIPA and with --quick, where not given."""
    members: int | None = None
    """Of every network, each validated on another part of the training part; 3, or 2 on PIPA, where not given."""
    hidden: int = 64  # Channels
    rounds: int = 2  # Of messages
    epochs: int | None = None
    """Of every network; 25, or 5 on PIPA, which has many images, where not given."""
    draws: int = 1000  # Of the bootstrap

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.scenes is None and (self.boxes is not None or self.person != "person"):
            raise ValueError("--boxes and --person are about --scenes FILE; expected them with it alone")
        if self.scenes is not None and (self.record or self.data != "planted"):
            other = "--record" if self.record else f"--data {self.data}"
            raise ValueError(f"{other} and --scenes: published scenes or a file of yours; choose one")
        if not self.tasks:
            raise ValueError("--tasks: expected relations, completion or both")
        for name in set(self.models).difference(KNOWN):
            raise ValueError(f"--models {name!r}: expected some of {', '.join(map(repr, KNOWN))}")
        if self.hidden % 2:
            raise ValueError(f"--hidden {self.hidden}: expected an even number, for two heads")

    @property
    def source_of_scenes(self) -> str:
        """What is read."""
        if self.scenes is not None:
            return str(self.scenes)
        return "planted small" if self.quick and self.data == "planted" else self.data

    @property
    def shown(self) -> str:
        """What tables call it: of a file no folder."""
        return self.data if self.scenes is None else self.scenes.name

    @property
    def name(self) -> str:
        """What results are called: no other settings overwrite those of the committed results."""
        stem = self.data if self.scenes is None else name_of([self.scenes])
        fields = ("folds", "partitions", "members", "hidden", "rounds", "epochs", "draws")
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        changed = any(getattr(self, name) != defaults[name] for name in fields)
        if self.quick:
            return "quick" if stem == "planted" else f"{stem}-quick"
        stem += f"-{self.tasks[0]}" if len(set(self.tasks)) == 1 else ""
        if self.scenes is not None:  # any of its settings may be another next time
            told = [(name, getattr(self, name)) for name in (*fields, "boxes", "person", "models")]
            usual = [(name, defaults[name]) for name, _ in told]
            return stem if told == usual else f"{stem}-{short_hash(repr(told))}"
        stem += "-some" if self.models else ""
        return f"{stem}-custom" if changed else stem

    def runs(self, task: Task, digest: str, objects: bool, official: bool) -> list[SceneRun]:
        """Every fold of every model."""
        names = ("folds", "members", "hidden", "rounds", "epochs")
        defaults = {field.name: field.default for field in dataclasses.fields(self)}
        given = {name: getattr(self, name) for name in names if getattr(self, name) != defaults[name]}
        usual = {"members": 2, "epochs": 5} if self.data == "pipa" else {"members": 3, "epochs": 25}
        usual["folds"] = self.folds
        options = {**(QUICK if self.quick else usual), **given}
        own = {"boxes": self.boxes, "person": self.person}
        models = (PRIOR, *((MODE,) if task != "relations" else ()), *models_of(task, objects))
        models = tuple(model for model in models if not self.models or model in self.models)
        if not models:
            raise ValueError(f"--models: none of them is asked of {task}; expected one that is")
        made = [SceneRun(self.source_of_scenes, digest, task, "grouped", model, fold, **own, **options)  # type: ignore[arg-type]
                for model in models for fold in range(options["folds"])]  # fmt: skip
        partitions = range(1, self.partitions or (1 if self.quick or self.data == "pipa" else 3))
        more = [dataclasses.replace(one, partition=partition) for partition in partitions for one in made
                if not NETWORKS.get(one.model, (False, False))[1]]  # fmt: skip
        if official and task == "relations":
            made += [dataclasses.replace(one, split="official") for one in made if one.fold == 0]
        made += more
        return made

    def seconds(self, run: SceneRun) -> float:
        """How long a run takes at most."""
        each = 0.2 if self.quick else SECONDS.get(run.data, 20.0)
        return each * run.members if run.model in NETWORKS else each


if __name__ == "__main__":
    run_study(Settings)
