"""Compiled functions: the folder ``c``, built when it is first wanted."""

from gnnseq.kernels.native.build import library
from gnnseq.kernels.native.functions import address, compiled, is_plain, lies_in_memory, runs_compiled
from gnnseq.kernels.native.panels import WIDEST, panels, room_for_products

__all__ = [
    "WIDEST",
    "address",
    "compiled",
    "is_plain",
    "library",
    "lies_in_memory",
    "panels",
    "room_for_products",
    "runs_compiled",
]
