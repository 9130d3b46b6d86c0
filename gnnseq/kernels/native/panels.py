"""Matrices laid out for the products of compiled sweeps."""

from torch import Tensor

from gnnseq.kernels.native.functions import compiled

__all__ = ["panels"]

WIDEST = 32  # columns of a panel, of which each processor's divide it


def panels(kernel: Tensor, part: str) -> Tensor:
    """A matrix [k, m] of float32 as the products of ``c/panels.h`` read it: panels of columns that lie side by side.

    Args:
        kernel: The matrix; rows or columns of it are contiguous, or it is copied.
        part: ``"paths"`` or ``"tree"``, whose functions multiply by it.
    """
    rows, columns = kernel.shape
    if not kernel.t().is_contiguous():
        kernel = kernel.contiguous()
    room = kernel.new_empty(rows * -(-columns // WIDEST) * WIDEST)
    lying = kernel if kernel.is_contiguous() else kernel.t()
    compiled(f"panels_{part}")(rows, columns, lying, *kernel.stride(), room)
    return room
