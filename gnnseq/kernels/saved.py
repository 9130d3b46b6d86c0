"""What a sweep keeps for its backward pass, and that it came back as it was kept.

Compiled code reads memory unseen, so that what anybody could have altered meanwhile is compared first.
"""

from typing import Any

import torch
from torch import Tensor

from gnnseq.schedule import Schedule

__all__ = ["recall", "save"]


def save(ctx: Any, schedule: Schedule | None, *tensors: Tensor | None) -> None:
    """Saves tensors for the backward pass, and what they and the edges of a schedule are like."""
    ctx.save_for_backward(*tensors)
    ctx.kinds = [None if tensor is None else (tensor.dtype, tensor.shape, tensor.device) for tensor in tensors]
    ctx.edges = None if schedule is None else (schedule.edge_index, _version(schedule.edge_index))


def recall(ctx: Any) -> list[Any]:
    """The saved tensors.

    Raises:
        RuntimeError: If a hook on saved tensors gave back one of another type, shape or device, or the schedule's edges
            were altered in place meanwhile.
    """
    saved = ctx.saved_tensors  # once: torch's checkpoint computes them when they are asked for
    if ctx.edges is not None and _version(ctx.edges[0]) != ctx.edges[1]:
        raise RuntimeError("the schedule's edge_index was altered in place between the forward and the backward pass; "
                           "make another schedule for other edges")  # fmt: skip
    return [None if tensor is None else _as_saved(tensor, kind) for tensor, kind in zip(saved, ctx.kinds, strict=True)]


def _as_saved(tensor: Tensor, kind: tuple[torch.dtype, torch.Size, torch.device]) -> Tensor:
    if (tensor.dtype, tensor.shape, tensor.device) != kind or tensor.layout != torch.strided:
        dtype, shape, device = kind
        raise RuntimeError(f"a hook on saved tensors gave back {tensor.dtype} {list(tensor.shape)} on {tensor.device}, "
                           f"{tensor.layout}; expected {dtype} {list(shape)} on {device}, as was saved: convert it in "
                           "the hook that unpacks")  # fmt: skip
    return tensor.resolve_neg() if tensor.is_neg() else tensor


def _version(tensor: Tensor) -> int:
    return 0 if tensor.is_inference() else tensor._version
