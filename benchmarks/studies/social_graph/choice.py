"""What nobody knows beforehand is chosen each week anew, by how each option did on the weeks before.

Letters: O options, S sources, N nodes.
"""

from collections.abc import Callable, Sequence

import numpy as np

from studies.social_graph.history import Floats
from studies.social_graph.ranking import evaluate
from studies.social_graph.weeks import WeekInputs

__all__ = ["BestSoFar"]


class BestSoFar:
    """Of several answers to a week that of the option with the best mean edge MRR on all weeks before.

    Args:
        options: From the place of a week to the scores of all options, each [S, N]; none of a week that cannot be
            answered. Scores of a week are asked for once.
        weeks: The questions of all weeks.

    Example:
        >>> from studies.social_graph.planted import planted
        >>> from studies.social_graph.ranking import week_query
        >>> from studies.social_graph.weeks import inputs_of_week
        >>> log = planted(nodes=20, weeks=4, events=60).events
        >>> weeks = tuple(inputs_of_week(log, week_query(log, week, 604800.0)) for week in (1, 2, 3))
        >>> walks = lambda place: weeks[place].dense("walks, 28 d").astype(float)
        >>> both = BestSoFar(lambda place: [-walks(place), walks(place)], weeks)
        >>> bool((both.answer(2) == walks(2)).all()), both.chosen
        (True, [1])
    """

    def __init__(self, options: Callable[[int], Sequence[Floats]], weeks: tuple[WeekInputs, ...]) -> None:
        self.options, self.weeks = options, weeks
        self.past: list[list[float]] = []  # of each week before, of each option
        self.place, self.last = 0, self.options(0)
        self.chosen: list[int] = []

    def answer(self, place: int) -> Floats:
        """The scores of a week, later than all that were answered. [S, N]"""
        while self.place < place:
            query = self.weeks[self.place].query
            if len(self.last):
                self.past.append([evaluate(scores, query)["edge MRR"] for scores in self.last])
            self.place += 1
            self.last = self.options(self.place)
        self.chosen.append(int(np.mean(self.past, axis=0).argmax()) if self.past else 0)
        return self.last[self.chosen[-1]]
