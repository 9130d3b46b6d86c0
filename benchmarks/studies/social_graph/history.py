"""What had happened before a moment: every answer is read from events before it, and from no other.

Letters: E events, N nodes, Q questions, D decays.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["DAY", "DECAYS", "WEEK", "Events", "Occurrences"]

DAY, WEEK = 86400.0, 604800.0
DECAYS = (DAY / 24, DAY, 7 * DAY, 28 * DAY)  # seconds in which an event's weight falls to 1/e

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Occurrences:
    """When each key occurred: how often before a moment, when last, and how much since, forgotten exponentially.

    Args:
        key: Of each event, not negative. [E]
        time: Of each event. [E]
        clock: All times of the log, each once, in order.
    """

    def __init__(self, key: Ints, time: Floats, clock: Floats) -> None:
        self.clock, self.base = clock, len(clock) + 1
        tick = np.searchsorted(clock, time)
        self.order = np.lexsort((tick, key))
        self.time = np.append(time[self.order], -np.inf)  # the last one is nobody's
        self.place = key[self.order] * self.base + tick[self.order]
        self.ordinal = np.arange(len(key)) - np.searchsorted(self.place, key[self.order] * self.base)
        gaps = np.diff(self.time[:-1], prepend=-np.inf)
        gaps[self.ordinal == 0] = np.inf
        self.weight = np.zeros((len(key) + 1, len(DECAYS)))  # of all occurrences up to each one
        for decay, keep in enumerate(np.exp(-gaps / of) for of in DECAYS):
            total = 0.0
            for event, factor in enumerate(keep.tolist()):
                total = 1.0 + factor * total
                self.weight[event, decay] = total

    def before(self, key: Ints, time: Floats) -> tuple[Ints, Ints]:
        """Place in :attr:`order` of each key's last occurrence before a moment, -1 if none; and how many. [Q]"""
        low = key * self.base
        stop = np.searchsorted(self.place, low + np.searchsorted(self.clock, time, side="left"))
        count = stop - np.searchsorted(self.place, low)
        return np.where(count > 0, stop - 1, -1), count

    def since(self, last: Ints, time: Floats) -> Floats:
        """Seconds since the occurrences that :meth:`before` found, infinite if none. [Q]"""
        return np.asarray(time - self.time[last])

    def decayed(self, last: Ints, time: Floats) -> Floats:
        """The sum of exp(-age / decay) over all occurrences before a moment. [Q, D]"""
        return np.asarray(self.weight[last] * np.exp(-self.since(last, time)[:, None] / np.array(DECAYS)))


@dataclass(frozen=True, eq=False)
class Events:
    """Who wrote to whom and when, in order of time.

    Attributes:
        source: [E]
        target: [E]
        time: Seconds. [E]
        nodes: How many there are, N.
    """

    source: Ints
    target: Ints
    time: Floats
    nodes: int

    def __post_init__(self) -> None:
        if (np.diff(self.time) < 0).any():
            raise ValueError("time is not in order; expected events sorted by time, as load_contacts gives them")

    def __len__(self) -> int:
        return len(self.time)

    def until(self, time: float) -> "Events":
        """The events strictly before a moment."""
        stop = int(np.searchsorted(self.time, time, side="left"))
        return Events(self.source[:stop], self.target[:stop], self.time[:stop], self.nodes)

    @property
    def pair(self) -> Ints:
        """A number of each event's ordered pair. [E]"""
        return self.source * self.nodes + self.target

    @cached_property
    def clock(self) -> Floats:
        """All times, each once, in order."""
        return np.unique(self.time)

    @cached_property
    def of_pair(self) -> Occurrences:
        """By ordered pair."""
        return Occurrences(self.pair, self.time, self.clock)

    @cached_property
    def sent(self) -> Occurrences:
        """By source."""
        return Occurrences(self.source, self.time, self.clock)

    @cached_property
    def received(self) -> Occurrences:
        """By target."""
        return Occurrences(self.target, self.time, self.clock)

    @cached_property
    def first(self) -> NDArray[np.bool_]:
        """Whether an event is the first of its pair. [E]"""
        found = np.zeros(len(self), dtype=bool)
        found[np.unique(self.pair, return_index=True)[1]] = True
        return found

    @cached_property
    def reached(self) -> Occurrences:
        """By source, of the first event of each pair alone: before a moment, how many have been written to."""
        return Occurrences(self.source[self.first], self.time[self.first], self.clock)

    @cached_property
    def known_by(self) -> Occurrences:
        """By target, of the first event of each pair alone: before a moment, by how many."""
        return Occurrences(self.target[self.first], self.time[self.first], self.clock)

    @cached_property
    def ordinals(self) -> tuple[Ints, Ints]:
        """Of each event the number of its source's and of its target's events before it, of any direction. [E]"""
        both = np.stack([self.source, self.target], axis=1).ravel()  # of equal times, in the log's order
        when = np.repeat(self.time, 2)
        index = Occurrences(both, when, self.clock)
        ordinal = np.empty(len(both), dtype=np.int64)
        ordinal[index.order] = index.ordinal
        return ordinal[::2], ordinal[1::2]
