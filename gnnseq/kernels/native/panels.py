"""Matrices laid out for the products of compiled sweeps."""

import torch
from torch import Tensor

from gnnseq.kernels.native.functions import compiled

__all__ = ["WIDEST", "panels", "room_for_products"]

WIDEST = 32  # columns of a panel, of which each processor's divide it
LONG = 32  # terms of a block of a panel of bfloat16
FAR = 256  # of rows that are multiplied with one another, so many are rounded at a time


def panels(kernel: Tensor, part: str) -> Tensor:
    """A matrix [k, m] of float32 as the products of ``c/panels.h`` read it: panels of columns that lie side by side.

    Args:
        kernel: The matrix; rows or columns of it are contiguous, or it is copied.
        part: ``"paths"``, ``"tree"``, ``"linear"``, ``"gru"`` or ``"convolution"``, whose functions multiply by it; or
            ``"rounded"``, to bfloat16, as the products of ``c/bfloat16.h`` read it.

    Raises:
        TypeError: If it is not of float32, which compiled code would read it as.
    """
    if kernel.dtype != torch.float32:
        raise TypeError(f"a kernel of {kernel.dtype} came to compiled code; expected torch.float32")
    (rows, columns), rounds = kernel.shape, part == "rounded"
    if not kernel.t().is_contiguous():
        kernel = kernel.contiguous()
    filled = -(-rows // LONG) * LONG if rounds else rows
    room = kernel.new_empty(filled * -(-columns // WIDEST) * WIDEST, dtype=torch.bfloat16 if rounds else None)
    lying = kernel if kernel.is_contiguous() else kernel.t()
    compiled(f"panels_{part}")(rows, columns, lying, *kernel.stride(), room)
    return room


def room_for_products(columns: int) -> Tensor:
    """Where ``add_product_rounded`` lays out rows of so many columns."""
    return torch.empty(FAR * -(-columns // WIDEST) * WIDEST, dtype=torch.bfloat16, device="cpu")
