"""The gates of cells that are linear in the state: what a node keeps and what it adds, by its own input alone.

Letters: N nodes, H hidden channels, G gates.
"""

import torch
from torch import Tensor
from torch.nn import functional

from gnnseq.kernels.cell import Cell

__all__ = ["keep_and_add", "sum_of_gates"]


def sum_of_gates(cell: Cell, input_projection: Tensor) -> Tensor:
    """What the sigmoid of is the share z of the candidate, and the sigmoid of its negative what is kept. [N, H]

    Args:
        cell: Of a MinGRU or MinLSTM.
        input_projection: Sums of the gates. [N, G * H]
    """
    *gates, _ = input_projection.chunk(cell.gates, dim=-1)
    if len(gates) == 1:
        return gates[0]
    # An LSTM's two gates, made to add up to 1, are one: i / (f + i), without dividing what may be 0 by 0.
    return functional.logsigmoid(gates[1]) - functional.logsigmoid(gates[0])


def keep_and_add(cell: Cell, input_projection: Tensor) -> tuple[Tensor, Tensor]:
    """The factor a of what a node reads, and b, which it adds: h = a * read + b. [N, H] each

    Args:
        cell: Of a MinGRU or MinLSTM.
        input_projection: Sums of the gates. [N, G * H]
    """
    total, candidate = sum_of_gates(cell, input_projection), input_projection.chunk(cell.gates, dim=-1)[-1]
    return torch.sigmoid(-total), torch.sigmoid(total) * candidate
