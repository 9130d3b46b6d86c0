"""Recurrent layers handed to torch's own recurrence whole, all layers and directions in one call.

A call costs some tens of operations before any step is taken, which is most of the time of a short sequence. Where
nobody wants gradients or messages and sequences are short and of one length, torch's recurrence is one operation. It is
the faster one for a few sequences of a wide LSTM too. The numbers are those of the sweeps, to rounding.

Letters: T steps, B sequences, F input channels, H hidden channels, L layers, D directions.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

from gnnseq.kernels.cell import CellWeights, suffixes
from gnnseq.kernels.native import is_plain as is_plain_memory
from gnnseq.message_passing import check_settings, needs_messages
from gnnseq.schedule import Schedule
from gnnseq.tracing import is_plain

__all__ = ["in_torch"]

State = Tensor | tuple[Tensor, ...]

FEW = 64  # nodes for which a call costs more than its steps
WIDE = 256  # channels of an LSTM whose kernel no core's second cache holds
ROWS = 12  # of a step, fewer of which are not worth reading such a kernel for


def in_torch(layer: Any, x: object, graph: object, state: object) -> tuple[Tensor, State] | None:
    """What the layer returns for sequences of one length, by torch's recurrence; None where it cannot, or is slower.

    Args:
        layer: A :class:`gnnseq.layers.recurrent.Recurrent`.
        x: Sequences [T, B, F] without a graph, or nodes [T * B, F] of a schedule of such paths.
        graph: The schedule, or None.
        state: The initial state, zeros if None.
    """
    if torch.is_grad_enabled() or torch.compiler.is_compiling() or layer.cell.linear or type(x) is not Tensor:
        return None
    if not is_plain_memory(x) or not x.is_contiguous():
        return None
    shape = _sizes(x, graph)
    if shape is None or (layer.batch_first and graph is None) or x.size(-1) != layer.in_channels or min(shape) == 0:
        return None
    if shape[0] * shape[1] > FEW and not _reads_too_much(layer, shape[1]):
        return None
    weights = _weights(layer)
    if weights is None or not _is_plain_call() or needs_messages(layer) or (layer.dropout > 0.0 and layer.training):
        return None
    entering = _states(layer, x, shape[1], state)
    if entering is None:
        return None
    check_settings(layer)
    options = layer.bias, layer.num_layers, 0.0, False, layer.bidirectional, False
    dense = x if graph is None else x.view(*shape, x.size(1))
    if layer.cell.name == "lstm":
        h, *last = torch.lstm(dense, entering, weights, *options)
        return h if graph is None else h.view(x.size(0), h.size(2)), tuple(last)
    h, final = getattr(torch, layer.cell.name)(dense, entering[0], weights, *options)
    return h if graph is None else h.view(x.size(0), h.size(2)), final


def _reads_too_much(layer: Any, paths: int) -> bool:
    """Whether a kernel of megabytes would be read for a few rows, at which oneDNN is the faster one."""
    return paths < ROWS and layer.cell.name == "lstm" and layer.hidden_channels >= WIDE


def _sizes(x: Tensor, graph: object) -> tuple[int, int] | None:
    """T and B."""
    if graph is None:
        return (x.size(0), x.size(1)) if x.dim() == 3 else None
    if not isinstance(graph, Schedule) or x.dim() != 2:
        return None
    return graph.dense_shape if graph.num_nodes == x.size(0) and graph.device.type == "cpu" else None


def _weights(layer: Any) -> list[Tensor] | None:
    """The parameters as torch.nn lists them; None if some are not float32 numbers in memory, or of another shape."""
    found: list[Tensor] = []
    own = layer._parameters
    if not layer.bias and own.get("bias_ih_l0") is not None:  # an attribute set later takes no parameter away
        return None
    sizes = layer.in_channels, layer.hidden_channels, layer.cell.gates
    for name, shape in _listed(layer.bias, layer.num_layers, layer.num_directions, *sizes):
        weight = own.get(name)  # one that is parametrised or pruned is not there
        if type(weight) is not nn.Parameter or weight.dtype != torch.float32 or not weight.is_cpu:
            return None
        if weight.shape != shape:  # which the layer itself names
            return None
        found.append(weight)
    return found


@lru_cache(maxsize=64)
def _listed(
    bias: bool, num_layers: int, directions: int, channels: int, hidden: int, gates: int
) -> list[tuple[str, tuple[int, ...]]]:
    """Names and shapes of parameters, in torch's order."""
    names = CellWeights._fields[: 4 if bias else 2]
    listed, width = [], gates * hidden
    for number in range(num_layers):
        shapes = (width, channels), (width, hidden), (width,), (width,)
        for suffix in suffixes(number, directions):
            listed += [(f"{name}_{suffix}", shape) for name, shape in zip(names, shapes, strict=False)]
        channels = hidden * directions
    return listed


def _is_plain_call() -> bool:
    """Whether nobody records, transforms, or has asked for another precision."""
    if torch.is_autocast_enabled("cpu") or torch._C._are_functorch_transforms_active():
        return False
    dual = forward_ad._current_level >= 0
    return not dual and (torch.is_inference_mode_enabled() or is_plain())


def _states(layer: Any, x: Tensor, batch: int, state: object) -> list[Tensor] | None:
    """The initial state as torch takes it; None if it is not of its shape and type, which others say."""
    shape = (layer.num_layers * layer.num_directions, batch, layer.hidden_channels)
    if state is None:
        zeros = x.new_zeros(shape)
        return [zeros] * layer.cell.states
    parts: list[Tensor] = []
    for part in state if isinstance(state, tuple | list) else [state]:
        if type(part) is not Tensor or part.shape != shape or not is_plain_memory(part) or not part.is_contiguous():
            return None
        parts.append(part)
    return parts if len(parts) == layer.cell.states else None
