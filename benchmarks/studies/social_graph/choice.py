"""What nobody knows beforehand is chosen each week anew, by how each option did on the weeks before."""

from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

import numpy as np

__all__ = ["BestSoFar"]

Option = TypeVar("Option")


class BestSoFar(Generic[Option]):
    """Of several answers to a week the one whose kind has the best mean score on all weeks before.

    Args:
        options: From the place of a week to all answers, always as many; none to a week that cannot be answered. A
            week is asked for once.
        judge: From an answer and its week's place to its score, asked when the week is over.

    Example:
        >>> best = BestSoFar(lambda place: [place, 2 * place], lambda answer, place: float(answer))
        >>> best.answer(3), best.chosen
        (6, [1])
    """

    def __init__(self, options: Callable[[int], Sequence[Option]], judge: Callable[[Option, int], float]) -> None:
        self.options, self.judge = options, judge
        self.past: list[list[float]] = []  # of each week before, of each option
        self.place, self.last = 0, self.options(0)
        self.chosen: list[int] = []

    def answer(self, place: int) -> Option:
        """The chosen answer to a week, later than all that were answered; the first where no week is over."""
        while self.place < place:
            if len(self.last):
                self.past.append([self.judge(option, self.place) for option in self.last])
            self.place += 1
            self.last = self.options(self.place)
        self.chosen.append(int(np.mean(self.past, axis=0).argmax()) if self.past else 0)
        return self.last[self.chosen[-1]]
