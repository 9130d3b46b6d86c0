"""The recurrent layers by the names under which models choose one."""

from collections.abc import Callable
from typing import Literal

from gnnseq.layers.GRU import GRU
from gnnseq.layers.LSTM import LSTM
from gnnseq.layers.recurrent import Recurrent
from gnnseq.layers.RNN import RNN

__all__ = ["CELLS", "CellName"]

CellName = Literal["RNN", "LSTM", "GRU"]
CELLS: dict[str, Callable[..., Recurrent]] = {"RNN": RNN, "LSTM": LSTM, "GRU": GRU}
