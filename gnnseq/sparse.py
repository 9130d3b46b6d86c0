"""Sparse matrices as they are, whatever they say of themselves: torch believes their makers.

Letters: n rows, Z entries.
"""

from typing import Any

import torch
from torch import Tensor

from gnnseq.tracing import is_recording

__all__ = ["check_csr", "check_range", "coalesced"]


def coalesced(matrix: Tensor) -> Tensor:
    """A COO matrix with every entry once, in order, also if one came that is falsely marked as such.

    Such come from ``torch.sparse_coo_tensor(..., is_coalesced=True)`` and from writes into indices.

    Raises:
        ValueError: If a falsely marked one requires grad, which torch would put in wrong places, or one is functional.
    """
    level: Any = torch._C._functorch.peek_interpreter_stack()
    inside = level is not None and level.key() == torch._C._functorch.TransformType.Functionalize
    if inside or torch._is_functional_tensor(matrix):
        raise ValueError("a sparse matrix came within torch.func.functionalize, which knows none; give a dense one, or "
                         "edge_index and edge_weight")  # fmt: skip
    # A wrapped matrix is asked nothing: the answer is read from memory that it does not have.
    wrapped = torch._C._are_functorch_transforms_active()
    if wrapped or is_recording() or not matrix.is_coalesced():
        return matrix.coalesce()
    indices = matrix.detach().indices()
    row, column = indices[0].diff(), indices[1].diff()
    if bool(((row > 0) | ((row == 0) & (column > 0))).all()):
        return matrix
    if matrix.requires_grad:
        raise ValueError("a sparse matrix that requires grad says it is coalesced, and lists entries twice or out of "
                         "order; make it without is_coalesced=True")  # fmt: skip
    return torch.sparse_coo_tensor(indices, matrix.values(), matrix.shape, check_invariants=False).coalesce()


def check_range(name: str, what: str, index: Tensor, size: int) -> None:
    """Raises a ValueError if a row or column of a sparse matrix is not there."""
    outside = index[(index < 0) | (index >= size)]
    if outside.numel() > 0:
        raise ValueError(f"{name} is sparse and lists {what} {int(outside[0])}; expected 0 to {size - 1}")


def check_csr(
    name: str, indptr: Tensor, columns: Tensor, values: Tensor, shape: tuple[int, int], line: str = "row"
) -> None:
    """Raises a ValueError unless each row of a sparse matrix begins where the one before ends, and all is there.

    Args:
        name: Of the matrix.
        indptr: Where each row begins, and Z. [n + 1]
        columns: Of each entry. [Z]
        values: Of each entry. [Z]
        shape: Of the matrix, as it is compressed: of a CSC matrix columns come first.
        line: What is compressed, row or col.
    """
    rows, width = shape
    size, other = columns.numel(), "col" if line == "row" else "row"
    pointers = f"c{line}_indices"
    if values.numel() != size:
        raise ValueError(f"{name} is sparse, with {values.numel()} values and {size} {other}_indices; expected as many")
    if indptr.numel() != rows + 1:
        raise ValueError(f"{name} is sparse, with {indptr.numel()} {pointers}; expected {rows + 1}, one more than "
                         f"{'rows' if line == 'row' else 'columns'}")  # fmt: skip
    if indptr[0] != 0 or indptr[-1] != size or (indptr.diff() < 0).any():
        raise ValueError(f"{name} is sparse, and its {pointers} are not 0 to {size} in rising order")
    check_range(name, "column" if line == "row" else "row", columns, width)
