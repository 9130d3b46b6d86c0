"""Which kernel sweeps a schedule."""

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gnnseq.kernels.autograd_state import under_transform
from gnnseq.kernels.dense_path import path_sweep
from gnnseq.kernels.frontier import frontier_sweep
from gnnseq.kernels.fused_path import can_fuse, fused_path_sweep
from gnnseq.kernels.input_projection import is_index
from gnnseq.schedule import Schedule

if TYPE_CHECKING:
    from gnnseq.layers.recurrent import CellWeights, Recurrent

__all__ = ["sweep"]


def sweep(
    layer: "Recurrent", x: Tensor, schedule: Schedule, initial: Tensor | None, weights: "CellWeights"
) -> tuple[Tensor, Tensor]:
    """Sweeps a topological schedule by the kernel that wins at its shape.

    Unweighted paths go in compiled code, in dense blocks of time or frontier by frontier; trees, DAGs and weighted
    paths frontier by frontier, and step by step under torch.compile and torch.export. The transforms of torch.func
    and whatever else :func:`under_transform` knows take the steps of all of them.

    Args:
        layer: Whose rule is swept.
        x: Inputs of the nodes. [N, F], or one-hot indices [N]
        schedule: A topological schedule.
        initial: Rows of initial state; zeros where None. [B, S]
        weights: Parameters of one layer in one direction.

    Returns:
        h [N, H] and the final state [B', S].
    """
    if schedule.order is not None:
        h, final = sweep(layer, x.index_select(0, schedule.order), schedule.in_order, initial, weights)
        return h.new_empty(h.shape).index_copy(0, schedule.order, h), final
    inputs = [tensor for tensor in (x, initial, schedule.edge_weight, *weights) if tensor is not None]
    traced = torch.compiler.is_compiling()  # then nothing may be written into preallocated tensors
    if not traced and x.size(0) > 0 and under_transform(*inputs):
        return layer.run_reference(x, schedule, initial, weights)
    if schedule.lengths is not None and schedule.edge_weight is None:
        if traced or x.is_cuda or x.size(0) == 0:
            return path_sweep(layer, x, schedule, initial, weights)
        if can_fuse(layer, x, initial, weights):
            return fused_path_sweep(layer, x, schedule, initial, weights)
        # One-hot indices of more channels than H are better looked up than multiplied by, as torch's kernels would.
        narrow = not is_index(x) or layer.in_channels <= layer.hidden_channels
        # Torch's LSTM is compiled, too; of the others only equal lengths without gradients win over one buffer.
        equal = schedule.step_sizes[:1] == schedule.step_sizes[-1:]
        learns = torch.is_grad_enabled() and any(tensor.requires_grad for tensor in inputs)
        if narrow and (layer.kind == "lstm" or (equal and not learns)):
            return path_sweep(layer, x, schedule, initial, weights)
    elif traced:
        return layer.run_reference(x, schedule, initial, weights)
    return frontier_sweep(layer, x, schedule, initial, weights)
