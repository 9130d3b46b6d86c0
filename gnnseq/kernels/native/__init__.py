"""Compiled functions: the folder ``c``, built when it is first wanted."""

from gnnseq.kernels.native.blas import gemm
from gnnseq.kernels.native.build import library
from gnnseq.kernels.native.functions import address, compiled, is_plain, lies_in_memory, runs_compiled

__all__ = ["address", "compiled", "gemm", "is_plain", "library", "lies_in_memory", "runs_compiled"]
