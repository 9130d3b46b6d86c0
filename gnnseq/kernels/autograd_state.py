"""What autograd, tracers and autocast are doing while a kernel runs."""

import sys
from collections.abc import Callable
from functools import wraps
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad

from gnnseq.tracing import is_recording

__all__ = ["has_memory", "is_traced", "outside_autocast", "under_transform"]

Gradients = tuple[Tensor | None, ...]


def is_traced(*tensors: Tensor) -> bool:
    """Whether torch records, or :func:`under_transform`: then no value may be read."""
    return is_recording() or under_transform(*tensors)


def under_transform(*tensors: Tensor) -> bool:
    """Whether a transform of torch.func, make_fx or forward-mode differentiation has to see every operation."""
    tracer = sys.modules.get("torch.fx.experimental.proxy_tensor")  # not imported: nothing can be tracing by it
    traced = tracer is not None and tracer.get_proxy_mode() is not None
    if traced or torch._C._are_functorch_transforms_active():
        return True
    return any(forward_ad.unpack_dual(tensor).tangent is not None for tensor in tensors)


def has_memory(tensor: Tensor) -> bool:
    """Whether its numbers lie in memory; those of a batch under torch.vmap and of symbolic zeros do not."""
    if tensor._is_zerotensor():
        return False
    try:
        tensor.data_ptr()
    except RuntimeError:
        return False
    return True


def outside_autocast(backward: Callable[..., Gradients]) -> Callable[..., Gradients]:
    """A decorator of a kernel's backward pass: products stay in the precision of what was kept, also under autocast."""

    @wraps(backward)
    def exact(ctx: Any, *grads: Tensor | None) -> Gradients:
        device = next((grad.device.type for grad in grads if grad is not None), "cpu")
        if not (torch.amp.autocast_mode.is_autocast_available(device) and torch.is_autocast_enabled(device)):
            return backward(ctx, *grads)
        with torch.autocast(device, enabled=False):
            return backward(ctx, *grads)

    return exact
