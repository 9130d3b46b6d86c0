"""Checks that arguments of many functions share; what is wrong with a graph is found in :mod:`gnnseq.graphs`."""

import functools
import inspect
import operator
from collections.abc import Callable, Collection
from typing import Any, ParamSpec, SupportsIndex, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

__all__ = [
    "as_array",
    "as_edges_by",
    "as_tensor",
    "check_dense",
    "check_map",
    "check_one_device",
    "check_parameter",
    "check_type",
    "check_whole",
    "flag",
    "is_number",
    "lazy_width",
    "named_as_peers",
    "named_beyond_places",
    "probability",
    "shape_of",
    "whole",
]

P = ParamSpec("P")
R = TypeVar("R")


def shape_of(value: object) -> str:
    """A tensor's shape, or the type of what should have been one, for messages."""
    return str(list(value.shape)) if isinstance(value, Tensor) else type(value).__name__


def whole(least: int, remedy: str = "", /, **named: object) -> int:
    """The one argument as an int: an integer of Python or NumPy, or an array or tensor of one, without axes.

    Args:
        least: The smallest.
        remedy: Said after what is expected.
        named: The argument.

    Raises:
        ValueError: If it is none, or less than ``least``; a bool is no size, nor is a tensor that has axes.
    """
    ((name, value),) = named.items()
    integer = _as_integer(value)
    if type(integer) is int and integer >= 1 << 63:
        raise ValueError(f"{name}={value!r}; expected an integer below 2^63{remedy}")
    if integer is None or integer < least:
        raise ValueError(f"{name}={value!r}; expected an integer of {least} or more{remedy}")
    return integer


def lazy_width(**named: object) -> int:
    """The one argument as a width of 0 or more, or -1 if the first call shall tell it."""
    ((_, value),) = named.items()
    return -1 if _as_integer(value) == -1 else whole(0, ", or -1 to take it from the first call", **named)


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
    if "pandas" in libraries and getattr(value, "ndim", 0) == 2:
        return f": use torch.tensor({name}.to_numpy()).t() if its columns are source and target"
    if isinstance(value, list | tuple) and value and all(isinstance(row, Tensor) for row in value):
        return f": use torch.stack({name})"
    if isinstance(value, list | tuple):
        return f": use torch.tensor({name}) of sources and targets, torch.tensor({name}).t() of pairs"
    return (
        f": use torch.tensor(list({name})).t()" if isinstance(value, Collection) and not isinstance(value, str) else ""
    )


def check_whole(least: int, **named: object) -> None:
    """Raises a ValueError unless each argument is an integer of at least this size, see :func:`whole`."""
    for name, value in named.items():
        whole(least, **{name: value})


def _as_integer(value: object) -> int | None:
    if isinstance(value, int | torch.SymInt) and not isinstance(value, bool):  # SymInt: what tracers call a size
        return value  # type: ignore[return-value]
    if isinstance(value, Tensor):
        kind = value.dtype == torch.bool or value.is_floating_point() or value.is_complex()
        return None if kind or value.dim() > 0 else int(value)
    if isinstance(value, np.ndarray | np.generic):
        return int(value) if value.ndim == 0 and value.dtype.kind in "iu" else None
    return operator.index(value) if isinstance(value, SupportsIndex) and not isinstance(value, bool) else None


def flag(remedy: str = "", **named: object) -> bool:
    """The one argument as a bool; a number is none, as it most likely stands in another argument's place.

    Args:
        remedy: Said after what is expected.
        named: The argument.

    Raises:
        ValueError: If it is neither True nor False.
    """
    ((name, value),) = named.items()
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name}={value!r}; expected True or False{remedy}")
    return bool(value)


def is_number(value: object) -> bool:
    """Whether it is a real number of Python or NumPy; a bool is none."""
    return isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool)


def probability(**named: object) -> float:
    """The one argument as it is, if it is a number of 0 to 1; a ValueError otherwise."""
    ((name, value),) = named.items()
    if not is_number(value) or not 0.0 <= value <= 1.0:  # type: ignore[operator]
        raise ValueError(f"{name}={value!r}; expected a probability, 0 to 1")
    return value  # type: ignore[return-value]


def named_beyond_places(function: Callable[P, R]) -> Callable[P, R]:
    """A constructor that says which arguments are by name alone when one of them comes by place.

    Raises:
        TypeError: When called with more arguments by place than it has.
    """
    return named_as_peers()(function)


def named_as_peers(**own: str) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """:func:`named_beyond_places` of a constructor that takes arguments by a peer's names too.

    Args:
        own: Of each of the peer's names, the constructor's own.

    Raises:
        TypeError: When called with more arguments by place than it has, or with one by both names.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        parameters = inspect.signature(function).parameters.values()
        places = [parameter.name for parameter in parameters if parameter.kind is parameter.POSITIONAL_OR_KEYWORD][1:]
        names = [f"{parameter.name}=" for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]

        @functools.wraps(function)
        def checked(*args: P.args, **kwargs: P.kwargs) -> R:
            kind = type(args[0]).__name__
            if len(args) > len(places) + 1:
                came = ", ".join(map(repr, args[len(places) + 1 :]))
                raise TypeError(f"{kind} got {came} by place; only {', '.join(places)} have one: write the others by "
                                f"name, {', '.join(names)}")  # fmt: skip
            for peers in own.keys() & kwargs.keys():
                name = own[peers]
                if name in kwargs or places.index(name) + 1 < len(args):
                    raise TypeError(f"{kind} got {name} and {peers}, which are two names of one argument; give one")
                kwargs[name] = kwargs.pop(peers)
            return function(*args, **kwargs)

        return checked

    return decorate


def check_type(x: object, parameters: Tensor, name: str = "x", *, sparse: bool = False) -> None:
    """Raises a ValueError unless x is a dense tensor of the parameters' type, or of any under autocast.

    Args:
        x: The input.
        parameters: Whose type is asked for.
        name: Of the input, for the message.
        sparse: Whether it may be sparse.
    """
    if not isinstance(x, Tensor):
        raise ValueError(f"{name} is a {type(x).__name__}; expected a tensor of {parameters.dtype}: use "
                         f"torch.as_tensor({name})")  # fmt: skip
    if x.dtype != parameters.dtype and not torch.is_autocast_enabled(x.device.type):
        raise ValueError(f"{name} has type {x.dtype} and the parameters {parameters.dtype}; convert one of them")
    if not sparse:
        check_dense(x, name)


def check_parameter(name: str, parameter: Tensor | None, shape: tuple[int, ...], dtype: torch.dtype) -> None:
    """Raises a ValueError unless a parameter, if there is one, has the shape and type that its layer needs.

    One that was put in another's place by hand might be read as it is, or broadcast, without a word.

    Args:
        name: What the layer calls it.
        parameter: As it is found.
        shape: As the layer was made.
        dtype: Of the layer's other parameters.
    """
    if parameter is None or (parameter.shape == shape and parameter.dtype == dtype):
        return
    raise ValueError(f"{name} has shape {list(parameter.shape)} and type {parameter.dtype}; expected {list(shape)} of "
                     f"{dtype}, as the layer was made and its others are: make another layer for other sizes, and "
                     "convert a layer by to()")  # fmt: skip


def check_map(name: str, lin: nn.Module | None, shape: tuple[int, int], dtype: torch.dtype) -> None:
    """:func:`check_parameter` of a plain linear map's; what is adapted or quantised says itself what it takes."""
    if type(lin) is nn.Linear:
        check_parameter(f"{name}.weight", lin.weight, shape, dtype)
        check_parameter(f"{name}.bias", lin.bias, shape[:1], dtype)


def as_array(tensor: Tensor, name: str) -> NDArray[Any]:
    """The numbers as NumPy's, in the CPU's memory.

    A tensor that torch's functionalisation wraps has no memory of its own, and ``numpy()`` would read what lies there.
    """
    if torch._is_functional_tensor(tensor):
        raise ValueError(f"{name} is a functional tensor, as within torch.func.functionalize; expected plain numbers: "
                         "make the schedule outside")  # fmt: skip
    array: NDArray[Any] = tensor.detach().cpu().numpy()
    return array


def as_tensor(value: Any, device: str | None = None) -> Tensor:
    """torch.as_tensor, of a NumPy array that steps backwards too, which torch does not share memory with."""
    # NumPy calls an array of one number contiguous whichever way it steps, and makes an axis for one without.
    steps = isinstance(value, np.ndarray) and (not value.flags.c_contiguous or min(value.strides, default=0) < 0)
    return torch.as_tensor(value.copy() if steps else value, device=device)


def check_dense(x: Tensor, name: str) -> None:
    """Raises a ValueError if x is sparse or nested."""
    if x.layout is not torch.strided:
        raise ValueError(f"{name} is {x.layout}; expected a dense tensor: use {name}.to_dense()")


def check_one_device(**named: object) -> None:
    """Raises a ValueError that names where each argument is, unless all that have a device are on one."""
    # An array of NumPy says "cpu" too, and what is wrong with it is not where it is.
    found = {name: getattr(value, "device", None) for name, value in named.items()}
    devices = {name: device for name, device in found.items() if isinstance(device, torch.device)}
    if len(set(devices.values())) > 1:
        places = ", ".join(f"{name} on {device}" for name, device in devices.items())
        raise ValueError(f"arguments are on different devices: {places}; move all to one device")
