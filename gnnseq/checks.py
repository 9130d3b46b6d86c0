"""Checks that arguments of many functions share; what is wrong with a graph is found in :mod:`gnnseq.graphs`."""

from collections.abc import Collection
from typing import SupportsIndex

import torch
from torch import Tensor

__all__ = ["as_edges_by", "check_one_device", "check_type", "check_whole", "shape_of"]


def shape_of(value: object) -> str:
    """A tensor's shape, or the type of what should have been one, for messages."""
    return str(list(value.shape)) if isinstance(value, Tensor) else type(value).__name__


def as_edges_by(name: str, value: object) -> str:
    """What to call to make edges [2, E] of something else that holds a graph, for messages; nothing if unknown."""
    kinds = type(value).__mro__
    libraries = {base.__module__.partition(".")[0] for base in kinds}
    if isinstance(value, dict):
        return f": give one relation's, {name}[relation]"
    if "HeteroData" in [base.__name__ for base in kinds]:
        return f": give one relation's, {name}[relation].edge_index"
    if hasattr(value, "edge_index"):
        return f": give {name}.edge_index"
    if hasattr(value, "to_torch_sparse_csr_tensor"):
        return f": use {name}.to_torch_sparse_csr_tensor()"
    if "networkx" in libraries and hasattr(value, "nodes"):
        return f": use torch_geometric.utils.from_networkx({name}).edge_index"
    if "scipy" in libraries:
        return f": use torch_geometric.utils.from_scipy_sparse_matrix({name})[0]"
    if "numpy" in libraries:
        pairs = getattr(value, "ndim", 0) == 2 and getattr(value, "shape", (2,))[0] != 2
        return f": use torch.as_tensor({name}){'.t()' if pairs else ''}"
    if isinstance(value, list | tuple) and value and all(isinstance(row, Tensor) for row in value):
        return f": use torch.stack({name})"
    if isinstance(value, list | tuple):
        return f": use torch.tensor({name}) of sources and targets, torch.tensor({name}).t() of pairs"
    return (
        f": use torch.tensor(list({name})).t()" if isinstance(value, Collection) and not isinstance(value, str) else ""
    )


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
    # An array of NumPy says "cpu" too, and what is wrong with it is not where it is.
    found = {name: getattr(value, "device", None) for name, value in named.items()}
    devices = {name: device for name, device in found.items() if isinstance(device, torch.device)}
    if len(set(devices.values())) > 1:
        places = ", ".join(f"{name} on {device}" for name, device in devices.items())
        raise ValueError(f"arguments are on different devices: {places}; move all to one device")
