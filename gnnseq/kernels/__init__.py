"""The layers' equations again, fast: each kernel equals the step-by-step loop and is chosen by the work's shape."""

from gnnseq.kernels.aggregate import Adjacency, aggregate
from gnnseq.kernels.select import is_traced, sweep

__all__ = ["Adjacency", "aggregate", "is_traced", "sweep"]
