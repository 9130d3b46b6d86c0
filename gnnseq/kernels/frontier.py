"""Sweeps over trees and directed acyclic graphs, frontier by frontier.

Each step's nodes are rows next to one another, so a step is a gather from earlier rows, a product and a write. The
backward passes are derived by hand: states are stored once, and every weight's gradient is one product over all nodes.
"""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gnnseq.kernels.frontier_gru import gru_sweep
from gnnseq.kernels.frontier_lstm import lstm_sweep
from gnnseq.kernels.frontier_rnn import rnn_sweep
from gnnseq.kernels.fronts import Fronts
from gnnseq.schedule import Schedule

if TYPE_CHECKING:
    from gnnseq.layers.recurrent import CellWeights

__all__ = ["frontier_sweep"]


def frontier_sweep(
    kind: str, x: Tensor, schedule: Schedule, initial: Tensor | None, weights: "CellWeights"
) -> tuple[Tensor, Tensor]:
    """Sweeps any graph whose nodes are numbered in firing order, as :func:`gnnseq.kernels.sweep`."""
    entered = None
    if initial is not None and schedule.num_nodes > 0:
        entered = initial.new_empty(initial.shape).index_copy(0, schedule.starts, initial)
    edge_weight = schedule.edge_weight
    if edge_weight is not None:
        edge_weight = edge_weight.to(x.dtype)
        if entered is not None:
            edge_weight = torch.cat([edge_weight.new_ones(entered.size(0)), edge_weight])
    fixed = None if edge_weight is None else edge_weight.detach()
    fronts = Fronts.of(schedule, fixed, 0 if entered is None else entered.size(0))
    if kind == "lstm":
        h, c = lstm_sweep(x, entered, edge_weight, weights, fronts)
        return h, torch.cat([h.index_select(0, schedule.ends), c.index_select(0, schedule.ends)], dim=1)
    if kind == "gru":
        h = gru_sweep(x, entered, edge_weight, weights, fronts)
    else:
        h = rnn_sweep(x, entered, edge_weight, weights, fronts, kind.removeprefix("rnn_"))
    return h, h.index_select(0, schedule.ends)
