"""The recurrent layers by the names under which models choose one."""

from collections.abc import Callable
from typing import Literal

from gnnseq.layers.GRU import GRU
from gnnseq.layers.LSTM import LSTM
from gnnseq.layers.MinGRU import MinGRU
from gnnseq.layers.MinLSTM import MinLSTM
from gnnseq.layers.recurrent import Recurrent
from gnnseq.layers.RNN import RNN

__all__ = ["CELLS", "CellName", "cell_named"]

CellName = Literal["RNN", "LSTM", "GRU", "MinGRU", "MinLSTM"]
CELLS: dict[str, Callable[..., Recurrent]] = {
    "RNN": RNN, "LSTM": LSTM, "GRU": GRU, "MinGRU": MinGRU, "MinLSTM": MinLSTM
}  # fmt: skip


def cell_named(**named: object) -> Callable[..., Recurrent]:
    """The layer of the one argument, written in capitals or not.

    Raises:
        ValueError: If there is no such layer; the message names the argument and lists the legal names.
    """
    ((argument, name),) = named.items()
    for known, layer in CELLS.items():
        if isinstance(name, str) and name.lower() == known.lower():
            return layer
    raise ValueError(f"{argument}={name!r}; expected one of {', '.join(map(repr, CELLS))}")
