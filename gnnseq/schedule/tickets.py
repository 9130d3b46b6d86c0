"""Numbers by which what torch.compile makes names schedules, so that it is compiled once for all of them.

To a compiled function a schedule is a tensor that holds one number. Its operations look the number up when they run,
which is how they get from tensors, all that may enter them, to everything else that a schedule is.

Letters: N nodes, E edges; M rows of a table of which N are nodes of the schedule.
"""

from itertools import count
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor

__all__ = ["Ticket", "find", "number"]


class Ticket:
    """A schedule, under a number that no other ever gets.

    It lives as long as a tensor that :func:`number` made for it, one kept for a backward pass included. It holds what
    makes the schedule and not the schedule itself, which holds its number: so neither outlives its last use.

    Attributes:
        node_id: Rows of the table that are the schedule's nodes; None if all are. [N]
        weight_id: Entries of the given weights that its edges weigh; None if these are its edges' own. [E]
    """

    __slots__ = ("__weakref__", "_fields", "_kind", "_schedule", "node_id", "own", "weight_id")

    def __init__(self, schedule: Any, node_id: Tensor | None = None, weight_id: Tensor | None = None) -> None:
        self._kind, self._fields, self._schedule = type(schedule), dict(schedule.__dict__), None
        self._fields.pop("_number", None)
        self.node_id, self.weight_id = node_id, weight_id
        self.own = next(_NUMBERS)
        _TICKETS[self.own] = self

    @property
    def schedule(self) -> Any:
        """The schedule again, with a memory of its own for what kernels ask of it."""
        if self._schedule is None:
            made = object.__new__(self._kind)
            made.__dict__.update(self._fields)
            self._schedule = made
        return self._schedule


_NUMBERS = count()
_TICKETS: WeakValueDictionary[int, Ticket] = WeakValueDictionary()


def number(ticket: Ticket) -> Tensor:
    """A new tensor of the ticket's number, which keeps it alive. []"""
    made = torch.scalar_tensor(ticket.own, dtype=torch.int64, device="cpu")
    made.ticket = ticket  # type: ignore[attr-defined]
    return made


def find(number: Tensor) -> Ticket:
    """The ticket of a number.

    Raises:
        RuntimeError: If its schedule is gone.
    """
    ticket = getattr(number, "ticket", None) or _TICKETS.get(int(number))
    if ticket is None:
        raise RuntimeError(f"number {int(number)} is of a schedule that is gone; expected one that lives until the "
                           "backward pass: keep a reference to the schedule where saved tensors are copied, as by "
                           "torch.utils.checkpoint or hooks on saved tensors")  # fmt: skip
    return ticket
