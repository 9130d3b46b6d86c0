"""Sequences as path graphs: one message-passing abstraction for graph and recurrent networks."""

from importlib.metadata import version

from gnnseq.reach import receptive_field
from gnnseq.schedule import Schedule, pack_paths, synchronous, topological, unpack_paths

__all__ = ["Schedule", "pack_paths", "receptive_field", "synchronous", "topological", "unpack_paths"]
__version__ = version("gnnseq")
