"""When each node of a graph fires, as data: what a schedule is, and the functions that make one."""

from gnnseq.schedule.schedule import (
    Schedule,
    Step,
    pack_paths,
    packed_paths,
    synchronous,
    topological,
    unpack_paths,
)

__all__ = ["Schedule", "Step", "pack_paths", "packed_paths", "synchronous", "topological", "unpack_paths"]
