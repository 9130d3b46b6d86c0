"""Sweeps over paths of one length in exported programs, which hold no schedule: so length and number may be dynamic.

Letters: T nodes a path, B paths, F input channels, H hidden channels, S states, G gates.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from gnnseq.kernels.cell import Cell, CellWeights
from gnnseq.kernels.dense_path import dense_sweep
from gnnseq.kernels.input_projection import as_features, project_inputs
from gnnseq.kernels.linear_gates import keep_and_add

__all__ = ["EqualPaths", "equal_path_sweep"]

State = tuple[Tensor, ...]


class EqualPaths(NamedTuple):
    """B paths of T nodes, stored step by step.

    Attributes:
        steps: T, a symbol where the program takes any.
        paths: B, or a symbol.
        backwards: Whether the reversed edges are swept.
    """

    steps: int
    paths: int
    backwards: bool = False

    @property
    def reversed(self) -> "EqualPaths":
        """The sweep along the reversed edges."""
        return self._replace(backwards=not self.backwards)

    @property
    def entering(self) -> int:
        """Rows of initial state."""
        return self.paths

    @property
    def leaving(self) -> int:
        """Rows of final state."""
        return self.paths


def equal_path_sweep(
    cell: Cell, x: Tensor, paths: EqualPaths, initial: Tensor | None, weights: CellWeights
) -> tuple[Tensor, Tensor]:
    """One layer in one direction: h [T * B, H] and the final state [B, S * H]."""
    steps: Any = paths.steps  # a symbol where an export leaves it open
    _, count, backwards = paths
    hidden = weights.weight_hh.size(1)
    if initial is None:
        initial = weights.weight_hh.new_zeros(count, cell.states * hidden)
    state = initial.split(hidden, dim=1)
    if isinstance(steps, torch.SymInt):
        projection = project_inputs(x, weights.weight_ih, weights.bias_ih).unflatten(0, (steps, count))
        h, state = _scan(cell, projection.flip(0) if backwards else projection, state, weights)
    elif steps == 0:
        return functional.linear(as_features(x, weights.weight_ih), weights.weight_ih)[:, :hidden], initial.clone()
    else:
        # Copies: of the views of a view torch cannot tell the strides where B is a symbol.
        dense = (
            as_features(x, weights.weight_ih).clone(memory_format=torch.contiguous_format).unflatten(0, (steps, count))
        )
        h, state = dense_sweep(cell, dense.flip(0) if backwards else dense, state, weights)
    h = h.flip(0) if backwards else h
    return h.flatten(0, 1).clone(memory_format=torch.contiguous_format), torch.cat(state, dim=1)


def _scan(cell: Cell, projection: Tensor, state: State, weights: CellWeights) -> tuple[Tensor, State]:
    """The steps as one loop of the program, of as many turns as there are: h [T, B, H] and the last state."""
    from torch._higher_order_ops.scan import scan

    def step(state: list[Tensor], projection: Tensor) -> tuple[list[Tensor], Tensor]:
        if cell.linear:
            keep, added = keep_and_add(cell, projection)
            fired = [keep * state[0] + added]
        else:
            fired = _fire(cell, projection, functional.linear(state[0], weights.weight_hh, weights.bias_hh), state)
        return fired, fired[0].clone()

    last, h = scan(step, [part.clone() for part in state], projection)
    return h, tuple(last)


def _fire(cell: Cell, projection: Tensor, read: Tensor, state: list[Tensor]) -> list[Tensor]:
    """The next state, from W_ih x + b_ih and W_hh h + b_hh [B, G * H]: torch.nn's equations."""
    if cell.name == "lstm":
        i, f, g, o = (projection + read).chunk(4, dim=1)
        c = torch.sigmoid(f) * state[1] + torch.sigmoid(i) * torch.tanh(g)
        return [torch.sigmoid(o) * torch.tanh(c), c]
    if cell.name == "gru":
        (own_r, own_z, own_n), (r, z, n) = projection.chunk(3, dim=1), read.chunk(3, dim=1)
        new = torch.tanh(own_n + torch.sigmoid(own_r + r) * n)
        return [new + torch.sigmoid(own_z + z) * (state[0] - new)]
    total = projection + read
    return [torch.tanh(total) if cell.name == "rnn_tanh" else torch.relu(total)]
