"""From the settings of a run to probabilities of the test's pairs, and of the validation part of every member."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.preprocessing import QuantileTransformer
from torch import Tensor
from torch.nn import functional

from studies.social_relations.networks import Minibatch, SceneNetwork, make_minibatch
from studies.social_relations.runs import MODE, NETWORKS, PRIOR, TREES, SceneRun
from studies.social_relations.sources import LEAST, Problem, Split, problem_of, split_of

__all__ = ["fit"]

Numbers = NDArray[np.float64]
Integers = NDArray[np.int64]
SMOOTHING = 0.05  # of labels, in the loss


def fit(run: SceneRun) -> dict[str, Any]:
    """Probabilities as JSON values: of the test the members' mean, of validation the one's that was trained without."""
    problem = problem_of(run.data, run.task, run.boxes, run.person)
    split = split_of(problem, run)
    start = time.process_time()
    if run.model in NETWORKS:
        test, validation = _networks(run, problem, split)
    elif run.model in TREES:
        test, validation = _trees(run, problem, split)
    else:
        test, validation = _counts(run, problem, split)
    return {
        "test": np.round(test, 4).tolist(),
        "validation": [np.round(part, 4).tolist() for part in validation],
        "cpu_seconds": round(time.process_time() - start, 1),
    }


def _counts(run: SceneRun, problem: Problem, split: Split) -> tuple[Numbers, list[Numbers]]:
    """The share of each relation in training; for the mode, the known labels' shares as well, before it."""
    classes = len(problem.relations)

    def share(rows: Integers, asked: Integers) -> Numbers:
        prior = np.bincount(problem.y[rows[problem.scored[rows]]], minlength=classes) / problem.scored[rows].sum()
        known = problem.columns["labels"][asked, :classes] if run.model == MODE else np.zeros((len(asked), classes))
        shares: Numbers = (known + 1e-3 * prior) / (known.sum(1, keepdims=True) + 1e-3)
        return shares

    assert run.model in (PRIOR, MODE)
    parts = [share(split.member(number), held) for number, held in enumerate(split.validation)]
    return share(split.training, split.test), parts


def _trees(run: SceneRun, problem: Problem, split: Split) -> tuple[Numbers, list[Numbers]]:
    """Boosted trees; members only where they are blended, one on the whole training part elsewhere."""
    table, classes = problem.table(TREES[run.model]), len(problem.relations)

    def predict(rows: Integers, *asked: Integers) -> list[Numbers]:
        rows = rows[problem.scored[rows]]
        kept = _kept(table, problem.image, rows)
        model = HistGradientBoostingClassifier(
            learning_rate=0.06, max_iter=run.trees, max_leaf_nodes=8, min_samples_leaf=20, l2_regularization=5.0,
            max_features=0.3, early_stopping=False, random_state=0,
        )  # fmt: skip
        model.fit(table[rows][:, kept], problem.y[rows])
        found = []
        for each in asked:
            p = np.zeros((len(each), classes))
            p[:, model.classes_] = model.predict_proba(table[each][:, kept])
            found.append(p)
        return found

    if run.model != "trees, table":
        return predict(split.training, split.test)[0], []
    made = [predict(split.member(number), split.test, held) for number, held in enumerate(split.validation)]
    return np.mean([test for test, _ in made], 0), [held for _, held in made]


def _networks(run: SceneRun, problem: Problem, split: Split) -> tuple[Numbers, list[Numbers]]:
    """Networks, each validated on what it was not trained on."""
    made = [_network(run, problem, split.member(number), held, split.test, number)
            for number, held in enumerate(split.validation)]  # fmt: skip
    return np.mean([test for test, _ in made], 0), [held for _, held in made]


def _kept(table: Numbers, image: Integers, rows: Integers) -> NDArray[np.bool_]:
    """Columns that differ from their commonest value in enough training images."""
    own = table[rows]
    low, high = own.min(0), own.max(0)
    kept: NDArray[np.bool_] = high > low
    least = min(LEAST, len(np.unique(image[rows])) // 20)
    for column in np.flatnonzero(kept & (low == 0)):
        kept[column] = len(np.unique(image[rows[own[:, column] > 0]])) >= least
    return kept if kept.any() else np.ones_like(kept)


def scaled(table: Numbers, image: Integers, rows: Integers) -> tuple[Tensor, int]:
    """Columns by the quantiles of the training rows, then those that are mostly zero, doubled; and how many are not.

    [N, F]
    """
    kept = _kept(table, image, rows)
    sparse = kept & ((table[rows] == 0).mean(0) > 0.5)
    dense = kept & ~sparse
    smooth = np.empty((len(table), 0))
    if dense.any():
        normal = QuantileTransformer(n_quantiles=min(200, len(rows)), output_distribution="normal", random_state=0)
        smooth = np.clip(normal.fit(table[rows][:, dense]).transform(table[:, dense]), -3, 3)
    few = 2 * np.clip(table[:, sparse], -2, 2)
    return torch.from_numpy(np.concatenate([smooth, few], 1)).float(), int(dense.sum())


def _network(run: SceneRun, problem: Problem, rows: Integers, held: Integers, asked: Integers,
             member: int) -> tuple[Numbers, Numbers]:  # fmt: skip
    """One network: probabilities of the test, and of validation."""
    with_table, edges = NETWORKS[run.model]
    table, dense = scaled(problem.table(("pair", "image", "object", "labels")), problem.image, rows)
    rng = np.random.default_rng(100 * run.fold + member)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(100 * run.fold + member)
        network = SceneNetwork(run, problem, (dense, table.size(1) - dense), with_table, edges)
        images = rng.permutation(np.unique(problem.image[rows]))
        parts = np.array_split(images, max(1, len(images) // run.batch))
        batches = [make_minibatch(problem, part, table) for part in parts]
        validation, test = (_asked(problem, part, table) for part in (held, asked))
        optimizer = torch.optim.AdamW(network.parameters(), lr=run.learning_rate, weight_decay=run.weight_decay)
        steps = run.epochs * len(batches)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, run.learning_rate, steps)
        network.train()
        for _ in range(run.epochs):
            for place in rng.permutation(len(batches)):
                batch = batches[place]
                if bool(batch.scored.any()):
                    logits = network(batch)[batch.scored]
                    loss = functional.cross_entropy(logits, batch.y[batch.scored], label_smoothing=SMOOTHING)
                    optimizer.zero_grad()
                    loss.backward()
                    optimizer.step()
                schedule.step()
        network.eval()
        return _probabilities(network, test), _probabilities(network, validation)


def _asked(problem: Problem, rows: Integers, table: Tensor) -> list[Minibatch]:
    """Minibatches in the order of the rows, which are whole images."""
    images = np.unique(problem.image[rows])
    return [make_minibatch(problem, part, table) for part in np.array_split(images, max(1, len(images) // 400))]


def _probabilities(network: SceneNetwork, batches: Sequence[Minibatch]) -> Numbers:
    with torch.no_grad():
        p: Numbers = torch.cat([network(batch).softmax(1) for batch in batches]).double().numpy()
    return p
