"""Recurrent layers called as torch.nn's are: packed sequences, dense batches and single sequences, without a graph.

Letters: N nodes, T time steps, B sequences, F input channels, H hidden channels, L layers, D directions.
"""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gnnseq.checks import check_type, shape_of
from gnnseq.kernels.whole_schedules import WholeSchedule, equal_paths
from gnnseq.schedule import Schedule, packed_paths
from gnnseq.tracing import is_recording

__all__ = ["as_nodes", "from_nodes", "is_state"]

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
    x: Tensor | PackedSequence, state: State | None, batch_first: bool, parameters: Tensor, compiled: bool = False
) -> tuple[Tensor, Schedule | WholeSchedule, State | None]:
    """Nodes [N, F] of the sequences, the schedule that sweeps them, and their initial state [L * D, B, H].

    Args:
        x: Input of the layer.
        state: The initial state.
        batch_first: Whether a batch is [B, T, F].
        parameters: One of the layer's, W_ih.
        compiled: Whether the sweep is recorded as one operation.

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
    # A compiler cannot trace what remembers.
    paths = WholeSchedule.equal_paths if compiled else equal_paths if is_recording() else _remembered_paths
    return x.reshape(steps * batch_size, features), paths(steps, batch_size, x.device), state


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
