"""The product of matrices by which torch's own are made, for compiled code."""

import ctypes
from functools import cache
from pathlib import Path

import torch

__all__ = ["gemm"]


@cache
def gemm() -> ctypes.c_void_p | None:
    """Fortran's ``sgemm`` of the library that torch multiplies by; None if torch does not export it.

    It is tried once: sizes of 64 bits, whose lower half is what a library of 32-bit sizes reads, must work.
    """
    try:
        found = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so")).sgemm_
    except (AttributeError, OSError):
        return None
    two, one = ctypes.c_int64(2), ctypes.c_float(1.0)
    numbers = [(ctypes.c_float * 4)(*values) for values in ((1, 2, 3, 4), (5, 6, 7, 8), (1, 1, 1, 1))]
    sizes = [ctypes.byref(two)] * 3
    a, b, c = ((number, ctypes.byref(two)) for number in numbers)
    found(b"N", b"N", *sizes, ctypes.byref(one), *a, *b, ctypes.byref(one), *c)
    return ctypes.cast(found, ctypes.c_void_p) if list(numbers[2]) == [24.0, 35.0, 32.0, 47.0] else None
