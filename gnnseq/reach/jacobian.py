"""Dependence proven by derivatives: a block d out_v / d x_u that is not zero.

Letters: N nodes, F input channels (all further dimensions of x together), C output channels, n chosen nodes, b backward
passes of a chunk.
"""

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.sparse import csr_array, vstack
from torch import Tensor

__all__ = ["Jacobian"]

Function = Callable[[Tensor], Tensor]  # x [N, ...] to [N, C]
Integers = NDArray[np.int64]

# Bytes a chunk of backward passes may take, if a pass holds this many tensors of the input's size.
CHUNK_BYTES = 2**28
COPIES = 4
# Bytes that stay in a CPU's cache: on Cora chunks of this size took two thirds of the time of chunks of 2^28 bytes. A
# few passes run together in any case.
CACHE_BYTES = 2**24
FEW = 4
# Operations of a graph that is taken down step by step. Once Python has seen a graph, torch takes it down recursively:
# some 30,000 operations one after the other, as of an LSTM's 2,500 steps, overflow a stack of 8 MB.
DEEP = 4000


class Jacobian:
    """The blocks d out_v / d x_u of one forward pass, a few output nodes v at a time.

    Backward passes run in chunks under torch.vmap if the function supports it, and one by one if it does not
    (autograd functions of one's own, native recurrent kernels).

    Args:
        function: x [N, ...] -> out [n, C], with n = N or other numbers of outputs.
        x: Where the derivative is taken. [N, ...]

    Attributes:
        num_nodes: N, of the inputs.
        width: F.
        channels: C.
        constant: Whether the output carries no gradient at all.

    Example:
        >>> square = Jacobian(lambda x: x**2, torch.tensor([[1.0], [3.0]]))
        >>> square.norms(np.array([0, 1]))
        array([[2., 0.],
               [0., 6.]])
    """

    def __init__(self, function: Function, x: Tensor) -> None:
        self._x = x.detach().clone().requires_grad_()
        with torch.enable_grad():
            self._out = function(self._x.clone())  # a copy: the function may work in place on its input
        self.num_nodes, self.channels = len(x), self._out.size(1)
        self.width = x[:1].numel()
        self.constant = not self._out.requires_grad
        each = x.element_size() * max(1, COPIES * x.numel() + self._out.numel())
        cached = CHUNK_BYTES if x.is_cuda else max(CACHE_BYTES, FEW * each)
        self._chunk = max(1, min(CHUNK_BYTES, cached) // each)
        self._steps = _graph_size(self._out)

    @property
    def out(self) -> Tensor:
        """The output. [N, C]"""
        return self._out.detach()

    @cached_property
    def batched(self) -> bool:
        """Whether passes run in chunks."""
        return not self.constant and self._chunk > 1 and self._out.numel() > 0 and self._can_batch()

    @property
    def cost(self) -> int:
        """About how many numbers one pass computes; an operation by itself counts as much as some tens."""
        # Fitted to times of graph and recurrent networks: torch's own sweep takes T steps that each fill T rows anew.
        steps = self._steps * (50 + self.num_nodes // 10)
        return self._x.numel() + steps + (0 if self.batched else 2000 * self.num_nodes)

    def __del__(self) -> None:
        if self.__dict__.get("_steps", 0) > DEEP:
            _take_down([self.__dict__.pop("_out").grad_fn])

    def norms(self, groups: Integers | Sequence[Integers]) -> NDArray[np.float64]:
        """Frobenius norm of each block d out_v / d x_u, v one of the chosen nodes; C passes a node. [n, N]

        Nodes that share no input may go as a group, whose blocks are added up. [groups, N]
        """
        norms = np.zeros((len(groups), self.num_nodes))
        for part in self._chunks(len(groups) * self.channels):
            row, channel = np.divmod(part, self.channels)
            cotangent = self._zeros(len(part))
            members = [np.atleast_1d(groups[i]) for i in row]
            size = [len(nodes) for nodes in members]
            cotangent[np.repeat(np.arange(len(part)), size), np.concatenate(members), np.repeat(channel, size)] = 1.0
            for i, norm in zip(row, _row_norms(self._pull(cotangent)).cpu().numpy(), strict=True):
                norms[i] = np.hypot(norms[i], norm)
        return norms

    def touches(self, groups: Sequence[Integers], generator: torch.Generator) -> csr_array:
        """Which inputs some node of a group depends on, by derivatives; one pass a group. Boolean [groups, N]

        The cotangent is random over the nodes' channels, so the product with a block that is not zero is not zero
        either, with probability one.
        """
        parts = [csr_array((0, self.num_nodes), dtype=bool)]
        for part in self._chunks(len(groups)):
            cotangent = self._zeros(len(part))
            for b, group in enumerate(part):
                shape = len(groups[group]), self.channels
                weights = torch.randn(shape, generator=generator, dtype=torch.float64, device="cpu")
                cotangent[b, groups[group]] = weights.to(cotangent)
            size = self._pull(cotangent).abs().sum(2)  # squares would underflow
            parts.append(csr_array(((size > 0) & size.isfinite()).cpu().numpy()))
        return csr_array(vstack(parts))

    def combined(self, nodes: Integers, cotangent: Tensor) -> Tensor:
        """The sum of cotangent_v . d out_v / d x over the nodes, in one pass: [n, C] to [N, F]"""
        whole = self._zeros(1)
        whole[0, nodes] = cotangent
        return self._pull(whole, batched=False)[0]

    def _chunks(self, passes: int) -> list[Integers]:
        return [np.arange(begin, min(begin + self._chunk, passes)) for begin in range(0, passes, self._chunk)]

    def _zeros(self, passes: int) -> Tensor:
        return self._out.new_zeros(passes, *self._out.shape)

    def _pull(self, cotangent: Tensor, batched: bool | None = None) -> Tensor:
        """Sum over v of cotangent_bv . d out_v / d x. [b, N, C] to [b, N, F]"""
        if self.constant:
            return self._x.new_zeros(len(cotangent), self.num_nodes, self.width)
        if self.batched if batched is None else batched:
            pulled = self._grad(cotangent, True)
        else:
            pulled = torch.stack([self._grad(each, False) for each in cotangent])
        return pulled.reshape(len(cotangent), self.num_nodes, -1)

    def _grad(self, cotangent: Tensor, batched: bool) -> Tensor:
        grads = torch.autograd.grad(
            self._out, self._x, cotangent, retain_graph=True, materialize_grads=True, is_grads_batched=batched
        )
        return grads[0]

    def _can_batch(self) -> bool:
        cotangent = self._zeros(2)
        cotangent[0, 0], cotangent[1, -1] = 1.0, 1.0
        try:
            batched = self._grad(cotangent, True)
        except (RuntimeError, NotImplementedError):  # no batching rule: what vmap raises names no class of its own
            return False
        return all(
            torch.allclose(one, self._grad(each, False), equal_nan=True)
            for one, each in zip(batched, cotangent, strict=True)
        )


def _graph_size(out: Tensor) -> int:
    """Number of operations that a backward pass goes through."""
    found, waiting = set(), [out.grad_fn]
    while waiting:
        step = waiting.pop()
        if step is not None and step not in found:
            found.add(step)
            waiting.extend(before for before, _ in step.next_functions)
    return len(found)


def _take_down(waiting: list[Any]) -> None:
    """Frees a graph from its outputs, which nothing else may hold, to its inputs: each after all that use it."""
    users: dict[Any, int] = {}
    found, ahead = set(waiting), list(waiting)
    while ahead:
        for before, _ in ahead.pop().next_functions:
            if before is not None:
                users[before] = users.get(before, 0) + 1
                if before not in found:
                    found.add(before)
                    ahead.append(before)
    found.clear()
    while waiting:
        waiting.extend(_unused(waiting.pop(), users))


def _unused(operation: Any, users: dict[Any, int]) -> list[Any]:
    """What comes before the operation and has no other user; it holds the operation no longer than it lasts."""
    unused = []
    for before, _ in operation.next_functions:
        if before is not None:
            users[before] -= 1
            if users[before] == 0:
                del users[before]
                unused.append(before)
    return unused


def _row_norms(pulled: Tensor) -> Tensor:
    """2-norm of the last dimension, also where squares underflow. [b, N, F] to [b, N] in float64"""
    norm: Tensor = torch.linalg.vector_norm(pulled, dim=2).double()
    small = norm < torch.finfo(pulled.dtype).tiny ** 0.5
    if bool(small.any()):
        size = pulled.abs().sum(2).double()  # 1-norms, which linalg has twenty times slower
        tiny = (size > 0) & small
        norm[tiny] = size[tiny] * torch.linalg.vector_norm(pulled[tiny].double() / size[tiny].unsqueeze(1), dim=1)
    return norm
