"""What recurrent layers check of their inputs and states.

Letters: N nodes, F input channels, H hidden channels, L layers, D directions, B rows of state.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from gnnseq.checks import check_dense, shape_of
from gnnseq.kernels.autograd_state import is_traced
from gnnseq.kernels.cell import Cell, CellWeights

__all__ = ["check_index", "check_state"]


class StatefulLayer(Protocol):
    """What :func:`check_state` reads of a layer."""

    cell: Cell
    num_layers: int
    hidden_channels: int

    @property
    def num_directions(self) -> int: ...

    def weights(self, suffix: str) -> CellWeights: ...


def check_index(x: object, channels: int) -> bool:
    """Whether x is one-hot indices; then they are in range, as far as tracers let them be read."""
    if not isinstance(x, Tensor) or x.dim() != 1 or x.dtype not in (torch.int64, torch.int32):
        return False
    if is_traced(x) or x.numel() == 0:
        return True
    low, high = (int(bound) for bound in x.aminmax())
    if low < 0 or high >= channels:
        raise ValueError(f"x has the index {low if low < 0 else high}; expected 0 to {channels - 1}, one a node, each "
                         "the input channel that is 1 there")  # fmt: skip
    return True


def check_state(
    layer: StatefulLayer, state: Tensor | Sequence[Tensor], rows: int, axes: str, form: str | None = None
) -> tuple[Tensor, ...]:
    """The parts of an initial state: h, and c of an LSTM. [L * D, B, H]

    Args:
        layer: That takes it.
        state: As it was given.
        rows: B.
        axes: What the three axes are, for the message.
        form: What is expected, with ``{}`` for the shape, for the message.

    Raises:
        ValueError: If a part is missing, or has another shape than expected, or not the parameters' type or device.
    """
    parts = tuple(state) if isinstance(state, tuple | list) else (state,)
    shape = [layer.num_layers * layer.num_directions, rows, layer.hidden_channels]
    if len(parts) != layer.cell.states or any(
        not isinstance(part, Tensor) or list(part.shape) != shape for part in parts
    ):
        form = form or ("a pair (h, c), each {}" if layer.cell.states == 2 else "{}")
        came = ", ".join(map(shape_of, parts))
        raise ValueError(f"state has shape {came}; expected {form.format(shape)}: {axes}")
    weight = layer.weights("l0").weight_hh
    for part in parts:
        if part.dtype != weight.dtype or part.device != weight.device:
            raise ValueError(f"state is {part.dtype} on {part.device}; expected {weight.dtype} on {weight.device}, as "
                             "the parameters are")  # fmt: skip
        check_dense(part, "state")
    return parts
