"""What a kernel is told of a recurrent layer: its cell, its parameters, and its step-by-step loop.

Letters: F input channels, H hidden channels, G gates, S state width.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from torch import Tensor

from gnnseq.schedule import Schedule

__all__ = [
    "GRU_CELL",
    "LSTM_CELL",
    "MINGRU_CELL",
    "MINLSTM_CELL",
    "RELU_CELL",
    "TANH_CELL",
    "Cell",
    "CellWeights",
    "Loop",
    "suffixes",
]


@dataclass(frozen=True)
class Cell:
    """The rule by which a recurrent layer makes a state.

    Attributes:
        name: By which kernels know it.
        gates: Kernels stacked in each weight, G.
        states: Tensors [H] in a node's state, side by side: S = states * H.
        linear: Whether a state is linear in the states that it reads, by gates that read the node's own input alone.
        mixed: Whether a kernel may round what it multiplies to bfloat16, as under autocast: sums and states it keeps in
            float32.
    """

    name: str
    gates: int
    states: int = 1
    linear: bool = False
    mixed: bool = False


TANH_CELL = Cell("rnn_tanh", gates=1)
RELU_CELL = Cell("rnn_relu", gates=1)
GRU_CELL = Cell("gru", gates=3)
LSTM_CELL = Cell("lstm", gates=4, states=2)
MINGRU_CELL = Cell("mingru", gates=2, linear=True)
MINLSTM_CELL = Cell("minlstm", gates=3, linear=True)


class CellWeights(NamedTuple):
    """The parameters of one layer in one direction, in torch.nn's layout."""

    weight_ih: Tensor  # [G * H, F]
    weight_hh: Tensor  # [G * H, H], without rows of a linear cell, which multiplies no state: [0, H]
    bias_ih: Tensor | None  # [G * H]
    bias_hh: Tensor | None  # [G * H]


def suffixes(layer: int, directions: int) -> tuple[str, ...]:
    """How the names of a layer's parameters end, of one direction or of both."""
    return (f"l{layer}", f"l{layer}_reverse")[:directions]


# The states of all nodes [N, S] step by step, from inputs, a schedule, initial states [B, S] and parameters.
Loop = Callable[[Tensor, Schedule, Tensor | None, CellWeights], Tensor]
