"""Graphs of people: who is like whom, by what is known and by what is measured. No label is read.

Letters: N people, F features, E edges.
"""

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gnnseq.checks import whole
from gnnseq.data.populations.population import Population

__all__ = ["agreement", "population_graph", "similarity"]


def agreement(
    population: Population, phenotypes: Sequence[str] | None = None, within: Mapping[str, float] | None = None
) -> NDArray[np.float64]:
    """In how many phenotypes two people agree. [N, N]

    Texts agree if they are equal, numbers if they are no further apart than ``within`` says, or equal where it says
    nothing. Who lacks a phenotype agrees with nobody in it.

    Args:
        population: The people.
        phenotypes: Which of its columns; all if None.
        within: How far apart numbers may be, by column.

    Raises:
        ValueError: A column is not there, holds texts and is in ``within``, or is to be within less than nothing.
    """
    chosen = tuple(population.phenotypes) if phenotypes is None else tuple(phenotypes)
    within = dict(within or {})
    for name in (*chosen, *within):
        if name not in population.phenotypes:
            raise ValueError(f"phenotype {name!r}; expected some of {', '.join(population.phenotypes) or 'none'}")
    total = np.zeros((len(population), len(population)))
    for name in chosen:
        column = population.phenotypes[name]
        if column.dtype.kind == "f":
            far = within.get(name, 0.0)
            if not far >= 0:
                raise ValueError(f"within={{{name!r}: {far}}}; expected 0 or more")
            total += np.abs(column[:, None] - column) <= far  # of NaN nothing is true
        elif name in within:
            raise ValueError(f"within={{{name!r}: {within[name]}}}: it holds texts; expected a column of numbers")
        else:
            total += (column[:, None] == column) & (column != "")
    return total


def similarity(features: NDArray[np.float64]) -> NDArray[np.float64]:
    """A Gaussian kernel of the correlation distance 1 - r, as wide as the mean distance. [N, N]

    Somebody whose features are all the same number has no correlation, and is like nobody else.
    """
    centred = features - features.mean(1, keepdims=True)
    norm = np.linalg.norm(centred, axis=1, keepdims=True)
    unit = np.divide(centred, norm, out=np.zeros_like(centred), where=norm > 0)
    distance = 1 - np.clip(unit @ unit.T, -1, 1)
    np.fill_diagonal(distance, 0)
    width = distance[~np.eye(len(distance), dtype=bool)].mean() if len(distance) > 1 else 1.0
    return np.asarray(np.exp(-(distance**2) / (2 * max(width, 1e-12) ** 2)))


def population_graph(
    population: Population,
    neighbours: int | None = None,
    *,
    phenotypes: Sequence[str] | None = None,
    within: Mapping[str, float] | None = None,
    alike: bool = True,
) -> tuple[Tensor, Tensor]:
    r"""The affinity of Parisot et al. 2018, https://doi.org/10.1016/j.media.2018.06.001, as an undirected graph.

    .. math:: w_{uv} = \exp\left(-\frac{(1 - r_{uv})^2}{2 \sigma^2}\right) \sum_h [\, u, v \text{ agree in } h \,]

    with the correlation r of two people's features and the mean distance sigma; people who agree in nothing have no
    edge. The graph joins people of a training part with those of a test part, whose features and phenotypes it reads,
    never their labels: what is learnt on it is transductive.

    Args:
        population: The people.
        neighbours: Of each person only the edges to so many of the largest weight are kept, and those that others keep
            to this person; all if None.
        phenotypes: As for :func:`agreement`.
        within: As for :func:`agreement`; the publication has age within two years.
        alike: Whether the kernel is a factor; without it weights count phenotypes.

    Returns:
        edge_index [2, E], both directions of every edge and no self-loops, and edge_weight [E], positive.

    Raises:
        ValueError: As of :func:`agreement`, or ``neighbours`` is no whole number of 1 or more.

    Example:
        >>> people = Population(("a", "b", "c"), np.eye(3), ("x", "y", "z"), np.array([False, True, True]), ("0", "1"),
        ...                     {"site": np.array(["NYU", "NYU", "UM"]), "age": np.array([20.0, 30.0, 31.0])})
        >>> edge_index, edge_weight = population_graph(people, within={"age": 2}, alike=False)
        >>> edge_index.tolist(), edge_weight.tolist()
        ([[0, 1, 1, 2], [1, 0, 2, 1]], [1.0, 1.0, 1.0, 1.0])
    """
    weight = agreement(population, phenotypes, within)
    if alike:
        weight *= similarity(population.features)
    np.fill_diagonal(weight, 0)
    if neighbours is not None:
        neighbours = whole(1, neighbours=neighbours)
        order = np.argsort(-weight, axis=1, kind="stable")[:, :neighbours]  # equal weights: by place
        kept = np.zeros_like(weight, dtype=bool)
        np.put_along_axis(kept, order, True, axis=1)
        weight = np.where(kept | kept.T, weight, 0)
    source, target = np.nonzero(weight)
    edge_index = torch.from_numpy(np.stack([source, target]).astype(np.int64))
    return edge_index, torch.from_numpy(weight[source, target]).to(torch.float32)
