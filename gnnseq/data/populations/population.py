"""A population: what is measured of people, what is known of them, and which of two classes they are of."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Population"]


@dataclass(frozen=True, eq=False)
class Population:
    """People, a row each. Letters: N people, F features.

    Attributes:
        ids: A name for each person. [N]
        features: Finite numbers. [N, F]
        feature_names: [F]
        labels: Whether a person is of the second class. [N]
        classes: Names of the first and of the second class.
        phenotypes: Columns by name: numbers, NaN where missing, or texts, "" where missing. [N] each
        notes: What the files had and the arrays have not, or what else should be said of them; for people to read.

    Example:
        >>> two = Population(("a", "b"), np.eye(2), ("x", "y"), np.array([False, True]), ("well", "ill"),
        ...                  {"sex": np.array(["F", ""]), "age": np.array([31.0, np.nan])})
        >>> two
        Population(people=2, features=2, well=1, ill=1, phenotypes=['sex', 'age'])
    """

    ids: tuple[str, ...]
    features: NDArray[np.float64]
    feature_names: tuple[str, ...]
    labels: NDArray[np.bool_]
    classes: tuple[str, str]
    phenotypes: Mapping[str, NDArray[Any]]
    notes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        people, width = self.features.shape
        sizes = {"ids": (len(self.ids), people), "feature_names": (len(self.feature_names), width),
                 "labels": (len(self.labels), people),
                 **{f"phenotypes[{key!r}]": (len(each), people) for key, each in self.phenotypes.items()}}  # fmt: skip
        for name, (size, expected) in sizes.items():
            if size != expected:
                raise ValueError(f"{name} has {size} entries for features {[people, width]}; expected {expected}")
        if not np.isfinite(self.features).all():
            raise ValueError("features hold NaN or infinity; expected finite numbers: leave such features out")

    def __len__(self) -> int:
        return len(self.ids)

    def __repr__(self) -> str:
        ill = int(self.labels.sum())
        counts = f"{self.classes[0]}={len(self) - ill}, {self.classes[1]}={ill}"
        return (f"Population(people={len(self)}, features={self.features.shape[1]}, {counts}, "
                f"phenotypes={list(self.phenotypes)})")  # fmt: skip
