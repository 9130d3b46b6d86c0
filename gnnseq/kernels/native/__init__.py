"""Compiled functions: the folder ``c``, built when it is first wanted."""

from gnnseq.kernels.native.build import bound, call, gemm, is_plain, library, library_for, native

__all__ = ["bound", "call", "gemm", "is_plain", "library", "library_for", "native"]
