"""Who looks on while torch works, and so must see every operation as torch's own."""

import sys

import torch
from torch import Tensor
from torch.autograd import forward_ad

__all__ = ["has_memory", "is_traced", "is_transformed"]


def is_traced(*tensors: Tensor) -> bool:
    """Whether torch.compile, torch.export or what :func:`is_transformed` knows looks on: no number may then be read."""
    return torch.compiler.is_compiling() or is_transformed(*tensors)


def is_transformed(*tensors: Tensor) -> bool:
    """Whether a transform of torch.func, make_fx or a tangent has to see every operation."""
    tracer = sys.modules.get("torch.fx.experimental.proxy_tensor")  # nobody traces by it who has not imported it
    traced = tracer is not None and tracer.get_proxy_mode() is not None
    if traced or torch._C._are_functorch_transforms_active():
        return True
    return any(forward_ad.unpack_dual(tensor).tangent is not None for tensor in tensors)


def has_memory(tensor: Tensor) -> bool:
    """Whether it has numbers of its own, as gradients under torch.vmap or is_grads_batched and mere zeros have not."""
    if tensor._is_zerotensor():
        return False
    try:
        tensor.data_ptr()
    except RuntimeError:
        return False
    return True
