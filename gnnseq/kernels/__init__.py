"""The layers' equations again, fast: each kernel equals the step-by-step loop and is chosen by the work's shape."""

from gnnseq.kernels.adjacency import Adjacency
from gnnseq.kernels.autograd_state import is_traced
from gnnseq.kernels.dispatch import sweep
from gnnseq.kernels.spmm import aggregate

__all__ = ["Adjacency", "aggregate", "is_traced", "sweep"]
