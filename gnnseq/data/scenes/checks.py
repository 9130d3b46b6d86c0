"""What is asked of every value of a file of scenes, so that an error names the file, the image and the field."""

from collections.abc import Callable, Sequence
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

__all__ = ["Place", "array_of", "identity", "listed", "mapping", "unordered"]


class Place:
    """Where in a file something stands; :meth:`wrong` is the error there."""

    def __init__(self, *words: str) -> None:
        self.words = words

    def __call__(self, *words: str) -> "Place":
        """A place in this one."""
        return Place(*self.words, *words)

    def wrong(self, problem: str, remedy: str) -> NoReturn:
        """A ValueError with the file, the image and the field."""
        raise ValueError(f"{', '.join(self.words)}: {problem}; expected {remedy}")


def shown(value: Any) -> str:
    """A value in an error, cut off."""
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def mapping(value: Any, place: Place) -> dict[str, Any]:
    """The value, if it has names."""
    if not isinstance(value, dict):
        place.wrong(shown(value), "an object with named fields, {...}")
    return value


def listed(value: Any, place: Place) -> list[Any]:
    """The value, if it is a list."""
    if not isinstance(value, list):
        place.wrong(shown(value), "a list, [...]")
    return value


def identity(value: Any, place: Place) -> int | str:
    """The value, if it can be an id: a whole number or a text."""
    if isinstance(value, bool) or not isinstance(value, int | str):
        place.wrong(shown(value), "a whole number or a text")
    return value


def array_of(value: Any, width: int, place: Place, what: str, whole: bool = False) -> NDArray[np.float64]:
    """Rows of ``width`` finite numbers. float64 [rows, width]"""
    rows = listed(value, place)
    kinds: tuple[type, ...] = (int,) if whole else (int, float)
    for number, row in enumerate(rows):
        at = place(f"row {number}")
        if not isinstance(row, list) or len(row) != width:
            at.wrong(shown(row), what)
        if any(isinstance(cell, bool) or not isinstance(cell, kinds) for cell in row):
            at.wrong(shown(row), f"{what}, {'whole ' * whole}numbers all")
        if not all(abs(cell) < 1e12 for cell in row):  # NaN is not less either
            at.wrong(shown(row), f"{what}, finite numbers all")
    return np.array(rows, dtype=np.float64).reshape(-1, width)


def unordered(pairs: Sequence[Sequence[int]], relations: Sequence[int], place: Callable[[int], Place],
              names: Callable[[int], str]) -> list[int]:  # fmt: skip
    """Places of pairs without those that repeat an earlier one, either way round; two answers for one are an error."""
    first: dict[tuple[int, ...], int] = {}
    for number, (pair, relation) in enumerate(zip(pairs, relations, strict=True)):
        kept = first.setdefault(tuple(sorted(pair)), number)
        if relations[kept] != relation:
            told = f"{names(relations[kept])} first and {names(relation)} here"
            place(number).wrong(f"a pair that is {told}", "one relation a pair, whichever of the two stands first")
    return sorted(first.values())
