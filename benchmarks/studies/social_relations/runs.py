"""What is trained: a model on a fold of a task. Data alone; torch is not imported."""

from dataclasses import dataclass
from typing import Literal

Task = Literal["relations", "completion", "half"]  # the last: completion where half of an image is known
Split = Literal["grouped", "official"]

PRIOR, MODE = "prior", "mode of the known labels"
# Boosted trees, by the columns that they read; the last are asked of completion alone.
TREES = {
    "trees, pair": ("pair",),
    "trees, objects": ("object",),
    "trees, table": ("pair", "image", "object", "labels"),
    "trees, table and labels by person": ("pair", "image", "object", "labels", "shared labels"),
}
# Networks: whether their pairs have the table's columns, and whether there are edges.
NETWORKS = {
    "network, table": (True, False),
    "network, table and graph": (True, True),
    "network, nodes without edges": (False, False),
    "network, graph": (False, True),
}
# Averages of models, weighted on validation.
BLENDS = {
    "blend without messages": ("trees, table", "network, table"),
    "blend with the graph": ("trees, table", "network, table", "network, table and graph", "network, graph"),
}
# What has messages, and the same without.
COMPARED = (
    ("network, graph", "network, nodes without edges"),
    ("network, table and graph", "network, table"),
    ("blend with the graph", "blend without messages"),
)


@dataclass(frozen=True)
class SceneRun:
    """The settings of one fold; equal settings give equal results."""

    data: str  # planted, pisc, pipa or a file
    digest: str  # of what it holds
    task: Task
    split: Split
    model: str
    fold: int
    partition: int = 0  # which of all ways to divide images into folds
    folds: int = 5
    members: int = 3  # each trained without another part of the training part, on which blends are weighted
    boxes: str | None = None  # how a file's boxes are written
    person: str = "person"  # its category of persons
    hidden: int = 64
    rounds: int = 2
    heads: int = 2
    parts: int = 8  # of the training part; a member is trained without one
    epochs: int = 25
    batch: int = 128  # images a step
    learning_rate: float = 3e-3  # at its peak; it rises from little and falls to nothing
    weight_decay: float = 3e-2
    dropout: float = 0.5
    trees: int = 80  # boosted ones, of each class


def models_of(task: Task, objects: bool) -> tuple[str, ...]:
    """All models that are trained for a task, without prior, mode and blends."""
    trees = [name for name, kinds in TREES.items() if objects or "object" not in kinds[:1]]
    if task == "relations":
        trees = [name for name in trees if "shared labels" not in TREES[name]]
    else:
        trees = [name for name in trees if "labels" in TREES[name]]
    return (*trees, *NETWORKS)
