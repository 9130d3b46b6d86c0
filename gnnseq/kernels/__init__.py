"""The layers' equations again, fast: each kernel equals the step-by-step loop and is chosen by the work's shape."""

from gnnseq.kernels.adjacency import Adjacency
from gnnseq.kernels.autograd_state import is_traced
from gnnseq.kernels.dispatch import choose_kernel
from gnnseq.kernels.spmm import aggregate

__all__ = ["Adjacency", "aggregate", "choose_kernel", "is_traced"]
