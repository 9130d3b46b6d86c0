"""Sequences as path graphs: one message-passing abstraction for graph and recurrent networks."""

from importlib.metadata import version

from gnnseq.reach import receptive_field
from gnnseq.schedule import (
    Schedule,
    doubling,
    pack_paths,
    pack_trees,
    packed_paths,
    synchronous,
    topological,
    unpack_paths,
)

__all__ = [
    "Schedule",
    "doubling",
    "pack_paths",
    "pack_trees",
    "packed_paths",
    "receptive_field",
    "synchronous",
    "topological",
    "unpack_paths",
]


def __getattr__(name: str) -> str:
    # Looked up when asked for: the package also works from a checkout that was never installed.
    if name == "__version__":
        return version("gnnseq")
    raise AttributeError(f"module 'gnnseq' has no attribute {name!r}")
