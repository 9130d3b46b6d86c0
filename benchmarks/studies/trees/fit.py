"""Training on trees, from the settings of one run to its scores: a plain loop with everything in sight."""

import copy
import time
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gnnseq.layers import LSTM
from studies.trees.batches import Batch, make_batches
from studies.trees.runs import TreeRun
from studies.trees.sources import NONE, Trees, number

TOGETHER = 100  # trees of a minibatch that is scored: bounds memory, changes no number


class TreeNetwork(nn.Module):
    """Vectors of words, an LSTM along the schedule (none for a bag of words), sums over spans, and a linear readout.

    h = LSTM(E[words]),  logits_v = W dropout(h_first(v) + ... + h_{last(v) - 1}) + b
    """

    def __init__(self, run: TreeRun, vocabulary: int, classes: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, run.embedding, padding_idx=NONE)
        nn.init.normal_(self.embedding.weight, std=0.1)
        nn.init.zeros_(self.embedding.weight[NONE].detach())
        self.layer, width = None, run.embedding
        if run.model != "bag of words":
            self.layer = LSTM(run.embedding, run.hidden, bidirectional=run.task == "tags")
            width = run.hidden * self.layer.num_directions
        self.dropout, self.readout = nn.Dropout(run.dropout), nn.Linear(width, classes)

    def forward(self, batch: Batch) -> Tensor:
        """Logits of every node. [N, C]"""
        h = self.embedding(batch.words)  # [M, F]
        if self.layer is not None:
            h, _ = self.layer(h, batch.schedule)
        if bool((batch.last - batch.first == 1).all()):
            h = h.index_select(0, batch.first)
        else:
            sums = functional.pad(h.cumsum(0), (0, 0, 1, 0))  # torch adds up in double
            h = sums[batch.last] - sums[batch.first]
        logits: Tensor = self.readout(self.dropout(h))
        return logits


def loss_of(network: nn.Module, batch: Batch, classes: int) -> Tensor:
    """Cross entropy, the mean over all nodes that have a class."""
    return functional.cross_entropy(network(batch), batch.target.masked_fill(batch.target >= classes, -100))


def accuracy(network: nn.Module, batches: list[Batch]) -> float:
    """Share of the scored nodes whose class is named."""
    network.eval()
    right = asked = 0
    with torch.no_grad():
        for batch in batches:
            target = batch.target[batch.scored]
            right += int((network(batch)[batch.scored].argmax(1) == target).sum())
            asked += len(target)
    network.train()
    return right / asked


def make_network(run: TreeRun, trees: Trees) -> TreeNetwork:
    """The untrained network of a run."""
    torch.manual_seed(run.seed)
    return TreeNetwork(run, trees.vocabulary, len(trees.classes))


def fit(run: TreeRun) -> dict[str, Any]:
    """Train a network, and say in JSON values how it went; the test part is scored once, by the best of validation."""
    trees = number(run.files, run.task)
    with torch.random.fork_rng(devices=[]):
        network, rng = make_network(run, trees), np.random.default_rng(run.seed)
        start = time.process_time()
        order = rng.permutation(len(trees.parts[0])).tolist()
        batches = make_batches(run.model, trees, 0, run.batch, order)
        making = time.process_time() - start
        validation = make_batches(run.model, trees, 1, TOGETHER)
        words, rest = [network.embedding.weight], [p for n, p in network.named_parameters() if n != "embedding.weight"]
        optimizers = [
            torch.optim.Adagrad(words, lr=run.learning_rate, fused=True),
            torch.optim.Adagrad(rest, lr=run.learning_rate, weight_decay=run.weight_decay, fused=True),
        ]
        losses: list[float] = []
        scores: list[float] = []
        seconds: list[float] = []
        best = copy.deepcopy(network)
        while len(scores) < run.epochs and len(scores) <= _best(scores) + run.patience:
            start, total = time.process_time(), 0.0
            for each in rng.permutation(len(batches)):
                loss = loss_of(network, batches[each], len(trees.classes))
                network.zero_grad()
                loss.backward()
                for optimizer in optimizers:
                    optimizer.step()
                total += loss.item()
            seconds.append(round(time.process_time() - start, 3))
            losses.append(round(total / len(batches), 5))
            scores.append(accuracy(network, validation))
            if _best(scores) == len(scores) - 1:
                best = copy.deepcopy(network)
        tested = accuracy(best, make_batches(run.model, trees, 2, TOGETHER))
    return {
        "loss": losses,
        "validation": [round(score, 5) for score in scores],
        "epoch": _best(scores) + 1,
        "test": round(tested, 5),
        "trees": len(order),
        "cpu_seconds": seconds,  # of each epoch's training, on one core
        "minibatches": round(making, 3),  # seconds that they and their schedules took, once
    }


def _best(scores: list[float]) -> int:
    """The first of the best epochs."""
    return scores.index(max(scores)) if scores else 0
