"""Backward passes in the precision of what was kept."""

from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor

__all__ = ["outside_autocast"]

Gradients = tuple[Tensor | None, ...]


def outside_autocast(backward: Callable[..., Gradients]) -> Callable[..., Gradients]:
    """The backward pass of a sweep, whose products no autocast rounds where it is called inside one."""

    @wraps(backward)
    def exact(ctx: Any, *grads: Tensor | None) -> Gradients:
        kind = ctx.schedule.device.type
        if not (torch.amp.autocast_mode.is_autocast_available(kind) and torch.is_autocast_enabled(kind)):
            return backward(ctx, *grads)
        with torch.autocast(kind, enabled=False):
            return backward(ctx, *grads)

    return exact
