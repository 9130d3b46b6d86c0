"""Remembering what was computed from tensors, without ever serving what was computed from other ones."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from gnnseq.kernels.autograd_state import under_transform
from gnnseq.tracing import is_recording

__all__ = ["Memo"]

Value = TypeVar("Value")


class Memo(Generic[Value]):
    """The last value computed from some tensors, as long as their contents are the same.

    It keeps copies and compares contents, at the cost of reading both once, so it notices every change, also one
    made through NumPy or ``.data`` that no version counter sees. It is left behind by copy, deepcopy and pickle.
    Inputs, key and value are replaced as one, so threads that share a memo never get one another's value.
    """

    def __init__(self) -> None:
        self._last: tuple[tuple[Tensor | None, ...], object, Value] | None = None

    def get(self, inputs: tuple[Tensor | None, ...], key: object, compute: Callable[[], Value]) -> Value:
        """The remembered value if inputs and key are those it was computed from, else a new one.

        Args:
            inputs: The tensors that the value depends on.
            key: Whatever else it depends on, compared with ==.
            compute: Makes the value.
        """
        if is_recording():  # tensors of the recording are no numbers to compare or to keep
            return compute()
        last = self._last
        if last is None or last[1] != key or not _same(last[0], inputs):
            # Tensors made in inference mode could not be saved for a later backward pass.
            with torch.inference_mode(False), torch.no_grad():
                value = compute()
                copies = tuple(None if tensor is None else tensor.detach().clone() for tensor in inputs)
            if under_transform():
                return value  # whose tensors end with the transform
            self._last = last = copies, key, value
        return last[2]

    def __deepcopy__(self, memo: dict[int, Any]) -> "Memo[Value]":
        return Memo()

    def __copy__(self) -> "Memo[Value]":
        return Memo()

    def __reduce__(self) -> tuple[type["Memo[Value]"], tuple[()]]:
        return Memo, ()


def _same(old: tuple[Tensor | None, ...], new: tuple[Tensor | None, ...]) -> bool:
    if len(old) != len(new):
        return False
    for a, b in zip(old, new, strict=True):
        if a is None or b is None:
            if a is not b:
                return False
        elif a.dtype != b.dtype or a.device != b.device or not torch.equal(a, b):
            return False
    return True
