"""How compiled functions are called, and when."""

import ctypes
from collections.abc import Callable
from functools import cache, partial

import torch
from torch import Tensor, nn

from gnnseq.kernels.native import build

__all__ = ["LEAST_SIZE", "Compiled", "address", "compiled", "is_plain", "lies_in_memory", "part_of", "runs_compiled"]

# Numbers in the largest tensor of some work; less is not worth a compiler's run.
LEAST_SIZE = 1 << 12

Argument = int | Tensor | ctypes.Structure | None


# By the end of a function's name, the file of the folder ``c`` that has it.
_PARTS = {
    "_paths": "paths",
    "_rounded": "rounded",
    "_tree": "trees",
    "gru_rows": "gru",
    "_gru": "gru",
    "convolution": "convolution",
    "compress_rows": "graphs",
    "gcn_weights": "graphs",
    "gcn_rows": "graphs",
    "find_nonzero": "rows",
    "multiply_lists": "rows",
    "linear_forward": "linear",
    "linear": "linear",
}


def part_of(name: str) -> str:
    """The file of the folder ``c``, without ``.c``, that has the function of a name."""
    if name.startswith("neighbors_"):
        return "neighbors"
    stem = name.removesuffix("_back")
    return next((part for end, part in _PARTS.items() if stem.endswith(end)), "cells")


def runs_compiled(like: Tensor, size: int, part: str = "cells") -> bool:
    """Whether compiled functions can and should do some work.

    Args:
        like: One of the tensors that are worked on; only plain ones of float32 on a CPU can be.
        size: Numbers in the largest of them.
        part: The file of the folder ``c`` that has the functions.
    """
    return size >= LEAST_SIZE and is_plain(like) and build.library(part) is not None


def is_plain(tensor: Tensor) -> bool:
    """Whether it is of the kind that compiled functions take: float32 numbers as they lie in a CPU's memory."""
    return tensor.dtype == torch.float32 and lies_in_memory(tensor)


def lies_in_memory(tensor: Tensor) -> bool:
    """Whether a CPU's memory holds it as it is, as it holds none that is lazy, fake, traced or torch.func's."""
    known = type(tensor) in (Tensor, nn.Parameter) and not tensor.is_neg() and not tensor._is_zerotensor()
    return known and tensor.is_cpu and not torch._is_functional_tensor(tensor)


class Compiled:
    """A function of the folder ``c``, called with whole numbers, contiguous tensors, structures, and None for NULL."""

    def __init__(self, name: str) -> None:
        self._function = getattr(build.library(part_of(name)), name)

    def __call__(self, *arguments: Argument) -> int:
        """Calls it; what a function that returns nothing returns means nothing."""
        result: int = self._function(*map(_in_c, arguments))
        return result

    def bound(self, *arguments: Argument) -> Callable[[], int]:
        """The call with arguments that the caller keeps alive, for a call too short to convert them every time."""
        return partial(self._function, *map(_in_c, arguments))


@cache
def compiled(name: str) -> Compiled:
    """The compiled function of that name, once the library is known to be there: see :func:`runs_compiled`."""
    return Compiled(name)


_KINDS = (torch.float32, torch.bfloat16, torch.int64, torch.int32, torch.uint8)


def address(tensor: Tensor, dtype: torch.dtype = torch.float32) -> int:
    """Where a tensor lies, which compiled code reads and writes unseen.

    Raises:
        TypeError: If it is of another type, or no contiguous numbers with axes in a CPU's memory, as those are not that
            are traced, fake, batched, on other devices or lazily negated. A size is a tensor without axes while
            torch.jit.trace records.
    """
    lies = tensor.dim() > 0 and tensor.dtype == dtype and lies_in_memory(tensor) and tensor.is_contiguous()
    pointer = tensor.data_ptr() if lies else 0
    if not lies or (pointer == 0 and tensor.numel() > 0):
        kind = f"{type(tensor).__name__} of {tensor.dtype} {list(tensor.shape)} on {tensor.device}"
        raise TypeError(f"a compiled function got a {kind}; expected an integer, or a contiguous torch.Tensor "
                        f"of {dtype} that lies in a CPU's memory")  # fmt: skip
    return pointer


def _in_c(argument: Argument) -> object:
    """For C. Memory is read and written unseen there, so that nothing passes that only seems to be a number or memory.

    Raises:
        TypeError: If it is a tensor without axes, as sizes are while torch.jit.trace records, or one without memory, or
            not of the kinds that :class:`Compiled` takes.
    """
    if isinstance(argument, Tensor):
        if argument.dtype not in _KINDS:
            raise TypeError(f"a compiled function got a tensor of {argument.dtype}; expected one of {_KINDS}")
        return ctypes.c_void_p(address(argument, argument.dtype))
    if isinstance(argument, int):
        return ctypes.c_ssize_t(argument)
    if argument is None:
        return ctypes.c_void_p(None)
    if not isinstance(argument, ctypes.Structure):
        raise TypeError(f"a compiled function got {argument!r}; expected a whole number, tensor, structure or None")
    return ctypes.byref(argument)
