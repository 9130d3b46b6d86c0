"""Minibatches: which words enter in which order, the schedule that sweeps them, and where the answers are read.

Letters: N nodes of all trees, M words that enter, K nodes of which something is asked, B trees.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gnnseq import Schedule, pack_paths, topological
from gnnseq.data.trees import Tree
from gnnseq.graphs import tree_graph
from studies.trees.runs import Model
from studies.trees.sources import Trees


class Batch(NamedTuple):
    """What a network is given."""

    words: Tensor  # [M]
    schedule: Schedule | None  # none of a bag of words
    first: Tensor  # a node's answer is read from the states of first to last - 1, their sum [N]
    last: Tensor  # [N]
    target: Tensor  # [N]
    scored: Tensor  # the nodes that accuracy is about: the roots, or all of tagged words
    trees: int


def spans(tree: Tree) -> tuple[list[int], list[int]]:
    """Of each node of brackets, the first word of its phrase and the one after the last."""
    first, last, leaves = [0] * len(tree), [0] * len(tree), 0
    for node, token in enumerate(tree.tokens):  # parents come before children, and words in their order
        first[node] = leaves
        leaves += token is not None
        last[node] = leaves
    for node in reversed(range(1, len(tree))):
        last[tree.parents[node]] = max(last[tree.parents[node]], last[node])
    return first, last


def make_batch(model: Model, trees: Sequence[Tree], words: Sequence[Tensor], targets: Sequence[Tensor]) -> Batch:
    """The minibatch of some trees for a network."""
    tagged, every, target = trees[0].relations is not None, torch.cat(list(words)), torch.cat(list(targets))
    sizes = np.array([len(tree) for tree in trees])
    begin = np.cumsum(sizes) - sizes
    own = torch.arange(len(every))
    scored = own if tagged else torch.from_numpy(begin)
    if model == "tree LSTM":
        forest = tree_graph([tree.parents for tree in trees])
        schedule = topological(forest.edge_index, len(every), ptr=forest.ptr)
        return Batch(every, schedule, own, own + 1, target, scored, len(trees))
    if tagged and model == "path LSTM":
        packed, schedule = pack_paths(list(own.split(sizes.tolist())))
        place = torch.empty_like(own).index_copy(0, packed, own)
        return Batch(every[packed], schedule, place, place + 1, target, scored, len(trees))
    first, last = own, own + 1
    if not tagged:
        leaves = np.cumsum([0, *(len(tree.words) for tree in trees)])
        both = [np.array(spans(tree)) + at for tree, at in zip(trees, leaves, strict=False)]  # [2, N_b] each
        first, last = torch.from_numpy(np.concatenate(both, axis=1))
        every = every[every > 0]
    if model == "path LSTM":  # every phrase is a path of its own, that is read at its end
        asked = (target >= 0).nonzero().view(-1)
        phrases = [torch.arange(a, b) for a, b in zip(first[asked].tolist(), last[asked].tolist(), strict=True)]
        packed, schedule = pack_paths(phrases)
        place = torch.zeros_like(own).index_copy(0, asked, schedule.ends)
        return Batch(every[packed], schedule, place, place + 1, target, scored, len(trees))
    alone = None if model == "bag of words" else topological(torch.empty(2, 0, dtype=torch.int64), len(every))
    return Batch(every, alone, first, last, target, scored, len(trees))


def make_batches(model: Model, trees: Trees, part: int, size: int, order: Sequence[int] | None = None) -> list[Batch]:
    """A part in minibatches, of trees that follow one another in an order; made once, swept in every epoch."""
    chosen = range(len(trees.parts[part])) if order is None else order
    cut = [chosen[at : at + size] for at in range(0, len(chosen), size)]
    of, words, targets = trees.parts[part], trees.words[part], trees.targets[part]
    return [make_batch(model, [of[i] for i in some], [words[i] for i in some], [targets[i] for i in some])
            for some in cut]  # fmt: skip
