"""Where a sweep's final states are read, for kernels over any graph.

Letters: N nodes, S state width, B' rows of final state, n of them read at a node.
"""

from torch import Tensor

from gnnseq.schedule import Schedule

__all__ = ["place_final", "read_final"]


def read_final(schedule: Schedule) -> Tensor:
    """The nodes at which rows of the final state are read. [n]"""
    rows = schedule.readout_rows
    return schedule.ends if rows.numel() == schedule.ends.numel() else schedule.ends[rows]


def place_final(schedule: Schedule, initial: Tensor | None, last: Tensor) -> Tensor:
    """The final state [B', S] from that at :func:`read_final` [n, S]; other rows are the initial state's, untouched."""
    rows = schedule.readout_rows
    if rows.numel() == schedule.ends.numel():
        return last
    if initial is None:
        everything = last.new_zeros(schedule.ends.numel(), last.size(1))
    else:
        everything = initial if schedule.passed is None else initial.index_select(0, schedule.passed)
    return everything.index_copy(0, rows, last)
