"""Who is tested when: shuffled folds with as many of each class as can be, and one site after another.

Letters: N people.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["Integers", "inner_split", "site_folds", "stratified_folds"]

Integers = NDArray[np.int64]


def stratified_folds(labels: NDArray[np.bool_], folds: int, seed: int) -> list[Integers]:
    """The people of each fold, shuffled within their class and dealt in turn. Both classes are in every fold.

    Raises:
        ValueError: A class has fewer people than there are folds: some fold would have no AUC.

    Example:
        >>> [sorted(fold.tolist()) for fold in stratified_folds(np.array([True, False] * 3), 3, seed=0)]
        [[4, 5], [1, 2], [0, 3]]
    """
    generator = np.random.default_rng(seed)
    fold, dealt = np.empty(len(labels), dtype=np.int64), 0
    for which in (False, True):
        people = generator.permutation(np.flatnonzero(labels == which))
        if len(people) < folds:
            raise ValueError(f"{len(people)} people of a class for {folds} folds; expected one a fold: ask for fewer")
        fold[people] = (np.arange(len(people)) + dealt) % folds
        dealt += len(people)
    return [np.flatnonzero(fold == number) for number in range(folds)]


def site_folds(sites: NDArray[np.str_], labels: NDArray[np.bool_]) -> dict[str, Integers]:
    """The people of each site that has both classes; of others no AUC can be had, so they are only trained on.

    Raises:
        ValueError: Fewer than two sites have both.

    Example:
        >>> site_folds(np.array(["A", "A", "B", "B", "C"]), np.array([True, False, True, False, True]))
        {'A': array([0, 1]), 'B': array([2, 3])}
    """
    found = {str(site): np.flatnonzero(sites == site) for site in np.unique(sites) if site}
    both = {site: people for site, people in found.items() if 0 < labels[people].sum() < len(people)}
    if len(both) < 2:
        raise ValueError(f"{len(both)} sites have people of both classes; expected two or more to leave one out")
    return both


def inner_split(train: Integers, labels: NDArray[np.bool_], seed: int) -> tuple[Integers, Integers]:
    """A fifth of a training part to choose epochs on, and the rest, both stratified."""
    chosen = stratified_folds(labels[train], 5, seed)[0]
    return np.delete(train, chosen), train[chosen]
