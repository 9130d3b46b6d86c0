"""Counts what a computation costs, in numbers that are the same in every run."""

from collections import Counter

import torch
from torch.utils._python_dispatch import TorchDispatchMode

FREE = {"aten::detach", "aten::view", "aten::slice", "aten::t", "aten::transpose", "aten::as_strided", "aten::expand"}
FREE |= {"aten::split", "aten::split_with_sizes", "aten::unsqueeze", "aten::squeeze", "aten::_unsafe_view"}


class Meter(TorchDispatchMode):
    """Counts operations that compute, and notes the largest tensor that any made."""

    def __init__(self):
        super().__init__()
        self.operations, self.largest = Counter(), 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func._schema.name
        if name not in FREE:
            self.operations[name] += 1
            made = out if isinstance(out, tuple | list) else [out]
            self.largest = max([self.largest, *(part.numel() for part in made if isinstance(part, torch.Tensor))])
        return out
