"""A module as a plain function of node features, safe to call a thousand times: the caller's module is left alone.

Letters: N nodes, C output channels.
"""

import copy
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gnnseq.schedule import Schedule

__all__ = ["Evaluation", "frozen"]

Call = Callable[[nn.Module, Tensor, Any], Any]


@dataclass(frozen=True)
class Evaluation:
    """A module in evaluation mode, how it is called, and on which graph and features.

    Attributes:
        module: In evaluation mode.
        call: call(module, x, graph) returns the output, or a tuple that begins with it.
        graph: Given to call as it is.
        x: Features. [N, ...]
        copied: Whether module is a copy, with which anything may be done.
    """

    module: nn.Module
    call: Call
    graph: Any
    x: Tensor
    copied: bool

    def __call__(self, x: Tensor) -> Tensor:
        """The output for features x, all dimensions after the nodes' flattened into one. [N, C]"""
        out = self.call_on(self.module, x)
        out = out[0] if isinstance(out, (tuple, list)) and len(out) > 0 else out
        if not isinstance(out, Tensor):
            raise ValueError(f"module returns a {type(out).__name__}; expected a tensor [N, C], or a tuple that begins "
                             "with one: use call=lambda module, x, edge_index: ... to pick the output")  # fmt: skip
        if out.dim() == 0 or out.size(0) != x.size(0) or out.numel() == 0:
            raise ValueError(f"module returns shape {list(out.shape)}; expected [{x.size(0)}, C], one row a node: use "
                             "call=lambda module, x, edge_index: ... to pick or turn the output")  # fmt: skip
        if not out.is_floating_point():
            raise ValueError(f"module returns {out.dtype}, which has no derivative; expected floating point: use "
                             "call=lambda module, x, edge_index: ... to read what comes before it")  # fmt: skip
        return out.reshape(out.size(0), -1)

    def call_on(self, module: nn.Module, x: Tensor) -> Any:
        """What call returns for another copy of the module."""
        return self.call(module, x, self.graph)

    def in_double(self) -> "Evaluation":
        """The same in float64, or this one if the module cannot be converted."""
        if not self.copied or self.x.dtype == torch.float64:
            return self
        try:
            module = copy.deepcopy(self.module).double()
            graph = (
                self.graph.double() if isinstance(self.graph, Tensor) and self.graph.is_floating_point() else self.graph
            )
            double = Evaluation(module, self.call, graph, self.x.double(), copied=True)
            return double if double(double.x).dtype == torch.float64 else self
        except Exception:  # the module keeps tensors of one type where double() does not find them
            return self


@contextmanager
def frozen(module: nn.Module, call: Call, graph: Schedule | Tensor, x: Tensor) -> Iterator[Evaluation]:
    """The module in evaluation mode: a copy, or itself for as long as the block lasts if it cannot be copied.

    Gradients, modes, buffers and the random states of torch, Python and NumPy are afterwards what they were.
    """
    python_state, numpy_state = random.getstate(), np.random.get_state()  # noqa: NPY002, modules may use it
    with torch.inference_mode(False), torch.random.fork_rng([x.device] if x.is_cuda else []):
        try:
            frozen_copy = copy.deepcopy(module).eval().requires_grad_(False)
        except Exception:  # deepcopy refuses, for instance, tensors that carry a gradient graph
            modes = {part: part.training for part in module.modules()}
            buffers = {buffer: buffer.detach().clone() for buffer in module.buffers()}
            try:
                yield Evaluation(module.eval(), call, graph, x.detach(), copied=False)
            finally:
                for part, training in modes.items():
                    part.training = training
                for buffer, value in buffers.items():
                    buffer.data.copy_(value)
        else:
            yield Evaluation(frozen_copy, call, graph, x.detach(), copied=True)
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002
