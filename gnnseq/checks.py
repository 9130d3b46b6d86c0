"""Checks that arguments of many functions share; what is wrong with a graph is found in :mod:`gnnseq.graphs`."""

from typing import SupportsIndex

import torch
from torch import Tensor

__all__ = ["check_one_device", "check_type", "check_whole", "shape_of"]


def shape_of(value: object) -> str:
    """A tensor's shape, or the type of what should have been one, for messages."""
    return str(list(value.shape)) if isinstance(value, Tensor) else type(value).__name__


def check_whole(least: int, **named: object) -> None:
    """Raises a ValueError unless each argument is an integer of at least this size."""
    for name, value in named.items():
        if not isinstance(value, SupportsIndex) or value < least:  # type: ignore[operator]
            raise ValueError(f"{name}={value!r}; expected an integer of {least} or more")


def check_type(x: object, parameters: Tensor) -> None:
    """Raises a ValueError unless x is a tensor of the parameters' type, or of any under autocast."""
    if not isinstance(x, Tensor):
        raise ValueError(f"x is a {type(x).__name__}; expected a tensor of {parameters.dtype}: use torch.as_tensor(x)")
    if x.dtype != parameters.dtype and not torch.is_autocast_enabled(x.device.type):
        raise ValueError(f"x has type {x.dtype} and the parameters {parameters.dtype}; convert one of them")


def check_one_device(**named: object) -> None:
    """Raises a ValueError that names where each argument is, unless all that have a device are on one."""
    devices = {name: value.device for name, value in named.items() if hasattr(value, "device")}
    if len(set(devices.values())) > 1:
        places = ", ".join(f"{name} on {device}" for name, device in devices.items())
        raise ValueError(f"arguments are on different devices: {places}; move all to one device")
