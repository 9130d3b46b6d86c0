"""The layers' equations again, fast: each kernel equals the step-by-step loop and is chosen by the work's shape."""

from gnnseq.kernels.aggregate import Adjacency, aggregate
from gnnseq.kernels.select import sweep
from gnnseq.kernels.tracing import is_traced

__all__ = ["Adjacency", "aggregate", "is_traced", "sweep"]
