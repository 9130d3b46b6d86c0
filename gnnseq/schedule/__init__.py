"""When each node of a graph fires, as data: what a schedule is, and the functions that make one."""

from gnnseq.schedule.doubling import doubling
from gnnseq.schedule.paths import pack_paths, packed_paths, unpack_paths
from gnnseq.schedule.schedule import Schedule, Step
from gnnseq.schedule.synchronous import synchronous
from gnnseq.schedule.topological import topological
from gnnseq.schedule.trees import pack_trees

__all__ = [
    "Schedule",
    "Step",
    "doubling",
    "pack_paths",
    "pack_trees",
    "packed_paths",
    "synchronous",
    "topological",
    "unpack_paths",
]
