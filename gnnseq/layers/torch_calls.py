"""Recurrent layers called as torch.nn's are: packed sequences, dense batches and single sequences, without a graph.

Letters: N nodes, T time steps, B sequences, F input channels, H hidden channels, L layers, D directions.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gnnseq.checks import check_type, shape_of
from gnnseq.kernels.equal_path import EqualPaths
from gnnseq.kernels.whole_schedules import WholeSchedule, equal_paths
from gnnseq.schedule import Schedule, packed_paths
from gnnseq.tracing import is_compiling, is_recording

__all__ = ["as_nodes", "from_nodes", "is_state", "paths_of"]

State = Tensor | tuple[Tensor, ...]


def is_state(value: object, x: object, shape: Sequence[int]) -> bool:
    """Whether what stands in the graph's place is a state, as in ``torch.nn.LSTM(...)(x, (h_0, c_0))``.

    Args:
        value: That stands there.
        x: The layer's input.
        shape: L * D and H: [L * D, H] is the state of one sequence [T, F].
    """
    if isinstance(value, tuple | list):
        return len(value) > 0 and all(isinstance(part, Tensor) and part.is_floating_point() for part in value)
    if not isinstance(value, Tensor) or not value.is_floating_point() or value.layout != torch.strided:
        return False
    # A matrix of numbers may be meant for edges, which are refused by their type.
    return value.dim() == 3 or isinstance(x, PackedSequence) or (value.dim() == 2 and list(value.shape) == list(shape))


def as_nodes(
    x: Tensor | PackedSequence, state: State | None, batch_first: bool, parameters: Tensor, see_messages: bool
) -> tuple[Tensor, Schedule | WholeSchedule | EqualPaths, State | None]:
    """Nodes [N, F] of the sequences, the schedule that sweeps them, and their initial state [L * D, B, H].

    Args:
        x: Input of the layer.
        state: The initial state.
        batch_first: Whether a batch is [B, T, F].
        parameters: One of the layer's, W_ih.
        see_messages: Whether the layer needs its messages, which only a schedule makes.

    Raises:
        ValueError: If x is none of torch.nn's inputs, or the state of one sequence has another axis.
    """
    if isinstance(x, PackedSequence):
        return x.data, packed_paths(x).to(x.data.device), state
    check_type(x, parameters)
    features = parameters.size(1)
    if x.dim() not in (2, 3) or x.size(-1) != features:
        batch = f"[B, T, {features}]" if batch_first else f"[T, B, {features}]"
        raise ValueError(f"x has shape {list(x.shape)} and comes without a graph; expected sequences {batch}, "
                         f"one sequence [T, {features}], a PackedSequence, or nodes [N, {features}] and their "
                         "graph")  # fmt: skip
    if x.dim() == 2:
        if state is not None:
            parts = tuple(state) if isinstance(state, tuple | list) else (state,)
            if any(not hasattr(part, "dim") or part.dim() != 2 for part in parts):
                came = ", ".join(map(shape_of, parts))
                raise ValueError(f"state has shape {came} and x is one sequence {list(x.shape)}; expected [layers * "
                                 "directions, hidden_channels]: state[:, 0] of a batch's")  # fmt: skip
            state = tuple(part.unsqueeze(1) for part in parts)
        x = x.unsqueeze(1)
    elif batch_first:
        x = x.transpose(0, 1)
    steps, batch_size, _ = x.shape
    return x.reshape(steps * batch_size, features), paths_of(steps, batch_size, x.device, see_messages), state


def paths_of(steps: int, paths: int, device: torch.device, see_messages: bool) -> Schedule | WholeSchedule | EqualPaths:
    """So many paths of so many nodes each, in the form that torch can record if it does."""
    if not is_recording():
        return _remembered_paths(steps, paths, device)
    if is_compiling() and not see_messages:
        return WholeSchedule.equal_paths(steps, paths, device)
    if torch.compiler.is_exporting() and not see_messages:
        return EqualPaths(steps, paths)
    return equal_paths(steps, paths, device)  # a recording cannot look into what remembers


def from_nodes(
    h: Tensor, final: State, x: Tensor | PackedSequence, batch_first: bool
) -> tuple[Tensor | PackedSequence, State]:
    """What torch.nn would return of nodes' outputs [N, H * D] and final states [L * D, B, H], in the form of x."""
    if isinstance(x, PackedSequence):
        return PackedSequence(h, x.batch_sizes, x.sorted_indices, x.unsorted_indices), final
    if x.dim() == 2:
        return h, tuple(part.squeeze(1) for part in final) if isinstance(final, tuple) else final.squeeze(1)
    if batch_first:
        return h.view(x.size(1), x.size(0), h.size(1)).transpose(0, 1), final
    return h.view(x.size(0), x.size(1), h.size(1)), final


_remembered_paths = lru_cache(maxsize=8)(equal_paths)
