"""Where the trees come from: files in three parts, or made up; and what is asked of them."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor, tensor

from gnnseq.data.trees import Tree, load_trees
from harness.files import cached_while_unchanged
from studies.trees.runs import Task

PARTS = ("training", "validation", "test")
NONE, UNKNOWN = 0, 1  # indices of no word, as inner nodes have it, and of words that training has once or never
IGNORED = -100  # the target of a node of which nothing is asked, by torch's convention


@dataclass(frozen=True, eq=False)
class Trees:
    """A task's trees in three parts, numbered.

    Attributes:
        vocabulary: How many words there are, no word and the unknown one included.
        classes: What the targets number.
        parts: The trees of each part.
        words: Of each part and tree, the words of its nodes. int64 [N] each
        targets: Alike, the class of each node or IGNORED. int64 [N] each
    """

    vocabulary: int
    classes: tuple[str, ...]
    parts: tuple[list[Tree], ...]
    words: tuple[list[Tensor], ...]
    targets: tuple[list[Tensor], ...]


@cached_while_unchanged(1)
def load(files: tuple[str, ...]) -> tuple[tuple[list[Tree], ...], str]:
    """The trees of the parts, and the digest of all that they hold; without files, what is made up."""
    parts = tuple(map(load_trees, files)) if files else tuple(made_up(part) for part in range(len(PARTS)))
    of = repr([[(tree.tokens, tree.parents, tree.labels) for tree in part] for part in parts])
    return parts, hashlib.sha256(of.encode()).hexdigest()


def is_tagged(trees: Sequence[Tree]) -> bool:
    """Whether they are of CoNLL-U, where every node is a word with a tag."""
    return trees[0].relations is not None


def tasks_of(files: tuple[str, ...]) -> tuple[Task, ...]:
    """What is asked of files; SST's labels are 0 to 4, and 2 is neutral."""
    if not files:
        return "SST-5", "SST-2", "tags"
    training = load(files)[0][0]
    if is_tagged(training):
        return ("tags",)
    return ("SST-5", "SST-2") if {a for tree in training for a in tree.labels} == set("01234") else ("labels",)


@cached_while_unchanged(1)
def number(files: tuple[str, ...], task: Task) -> Trees:
    """The trees of a task; classes and words are those of the training part alone.

    SST-2 is without neutral sentences, and nothing is asked of neutral phrases.
    """
    parts, _ = load(files)
    if files and len({is_tagged(part) for part in parts}) > 1:
        raise ValueError(f"{', '.join(files)}: brackets and CoNLL-U; expected three files of one form")
    if not files:
        parts = tuple([tree for tree in part if (tree.relations is not None) == (task == "tags")] for part in parts)
    if task == "SST-2":
        parts = tuple([tree for tree in part if tree.labels[0] != "2"] for part in parts)
        names = {"0": 0, "1": 0, "2": IGNORED, "3": 1, "4": 1}
        classes: tuple[str, ...] = ("negative", "positive")
    else:
        classes = tuple(sorted({label for tree in parts[0] for label in tree.labels}))
        names = {name: place for place, name in enumerate(classes)}
    if not all(parts) or len(classes) < 2:
        raise ValueError(f"{task}: parts of {[len(part) for part in parts]} trees with {len(classes)} classes; "
                         "expected trees in each, of two classes or more")  # fmt: skip
    for part, name in zip(parts[1:], PARTS[1:], strict=True):
        strange = sorted({label for tree in part for label in tree.labels}.difference(names))
        if strange and task != "tags":  # a tag that is not in training is counted as wrong
            raise ValueError(f"{task}: the {name} part has the labels {', '.join(strange)}; expected those of the "
                             f"training part, {', '.join(names)}")  # fmt: skip
    counts = Counter(word for tree in parts[0] for word in tree.words)
    known = sorted(word for word, count in counts.items() if count > 1)
    places: dict[str | None, int] = {None: NONE} | {word: place for place, word in enumerate(known, UNKNOWN + 1)}
    words = tuple([tensor([places.get(word, UNKNOWN) for word in tree.tokens]) for tree in part] for part in parts)
    targets = tuple([tensor([names.get(a, len(classes)) for a in tree.labels]) for tree in part] for part in parts)
    return Trees(len(known) + 2, classes, parts, words, targets)


def made_up(part: int, sentences: int = 60) -> list[Tree]:
    """Trees whose labels need their structure: brackets in which "not" turns its sibling round, and tagged words.

    In brackets the label is what the leaves add up to, from 0 to 4 with 2 in the middle. Of a tagged word, which is
    one of three, the tag is its own class and that of its head.
    """
    rng, trees = np.random.default_rng([7, part]), []
    for _ in range(sentences):
        tokens, parents, waiting = [], [], [(int(rng.integers(2, 7)), -1)]
        while waiting:  # a parent comes before its children
            leaves, parent = waiting.pop()
            parents.append(parent)
            tokens.append(str(rng.choice(["good", "bad", "not", "so"])) if leaves == 1 else None)
            if leaves > 1:
                left, node = int(rng.integers(1, leaves)), len(parents) - 1
                waiting += [(left, node), (leaves - left, node)]
        sums, turns = np.zeros(len(tokens), dtype=int), np.ones(len(tokens), dtype=int)
        for node in reversed(range(len(tokens))):
            own = {"good": 1, "bad": -1}.get(tokens[node] or "", 0)
            sums[node] = np.clip(own or sums[node] * turns[node], -2, 2)
            sums[parents[node]] += sums[node] if parents[node] >= 0 else 0
            if tokens[node] == "not":
                turns[parents[node]] = -1
        trees.append(Tree(tuple(tokens), tuple(parents), tuple(str(2 + label) for label in sums)))
    for _ in range(sentences):
        heads = [-1, *(int(rng.integers(node)) for node in range(1, int(rng.integers(2, 9))))]
        letters = [str(rng.choice(["a", "b", "c"])) for _ in heads]
        tags = [letter + (letters[head] if head >= 0 else "-") for letter, head in zip(letters, heads, strict=True)]
        trees.append(Tree(tuple(letters), tuple(heads), tuple(tags), ("dep",) * len(heads)))
    return trees
