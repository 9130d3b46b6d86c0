"""Folds that divide no album: own grouping, because libraries' shuffled ones give few partitions and silent folds."""

import numpy as np
from numpy.typing import NDArray

__all__ = ["check_apart", "grouped_folds"]

Integers = NDArray[np.int64]


def grouped_folds(groups: Integers, y: Integers, folds: int, seed: int) -> Integers:
    """A fold for every row; rows of a group share one, and classes are spread as evenly as groups allow.

    Groups are taken by size, the larger ones earlier but not in a fixed order, and each goes where it brings the
    classes' counts nearest to those of equal folds, each class weighted by how rare it is.

    Raises:
        ValueError: There are fewer groups than folds.

    Example:
        >>> grouped_folds(np.array([4, 4, 7, 7, 9]), np.array([0, 1, 0, 1, 1]), 2, seed=0).tolist()
        [0, 0, 1, 1, 0]
    """
    names, of = np.unique(groups, return_inverse=True)
    if len(names) < folds:
        raise ValueError(f"{len(names)} groups of images, albums where there are any; expected {folds} or more")
    classes = int(y.max()) + 1
    counts = np.zeros((len(names), classes))
    np.add.at(counts, (of, y), 1)
    total = counts.sum(0)
    wanted, weight = total / folds, 1 / np.maximum(total, 1)
    rng = np.random.default_rng(seed)
    order = np.argsort(-counts.sum(1) * rng.uniform(0.5, 1, len(names)), kind="stable")
    held, fold = np.zeros((folds, classes)), np.zeros(len(names), dtype=np.int64)
    for group in order:
        worse = ((2 * (held - wanted) + counts[group]) * counts[group] * weight).sum(1)  # change of squared distance
        place = int(worse.argmin())
        fold[group], held[place] = place, held[place] + counts[group]
    return fold[of]


def check_apart(groups: NDArray[np.int64 | np.str_], **parts: Integers) -> None:
    """That no group, numbered or named, is in two parts, each an array of rows.

    Raises:
        ValueError: One is; whoever divided the rows has let a part leak into another.
    """
    seen: dict[int | str, str] = {}
    for name, rows in parts.items():
        own = np.unique(groups[rows])
        twice = next((group for group in own.tolist() if group in seen), None)
        if twice is not None:
            raise ValueError(
                f"album {twice} is in {seen[twice]} and in {name}; expected every album, or image where there are no "
                "albums, in one part alone"
            )
        seen.update(dict.fromkeys(own.tolist(), name))
