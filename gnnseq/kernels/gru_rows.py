"""GRU cells of many rows that do not wait for one another, in compiled code, and their gradients.

Rows go through ``c/gru.c`` in blocks whose products are used while they are in a core's cache, so that none is ever
whole in memory: of the way forward the gates are kept and a candidate's inner sum, of the way back nothing.

Letters: N rows, H hidden channels, I channels of what comes in besides the state; T threads.
"""

import ctypes
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gnnseq.kernels.native import WIDEST, address, compiled, panels

__all__ = ["GRUGradients", "Incoming", "gru_rows"]

# Numbers in the gradients of a block's sums, 256 KiB of float32, and its fewest rows: of fewer, products are slow.
BLOCK, FEWEST = 1 << 16, 56


class Rows(ctypes.Structure):
    """What the functions of ``c/gru.c`` are given; described there."""

    _fields_ = (
        *((name, ctypes.c_ssize_t) for name in ("threads", "block", "N", "H", "I")),
        *((name, ctypes.c_void_p) for name in ("input", "input_kernel", "input_bias", "read", "kernel", "bias")),
        *((name, ctypes.c_void_p) for name in ("gates", "inner", "h", "d_h", "d_read", "d_input", "d_gates")),
        *((name, ctypes.c_void_p) for name in ("d_kernel", "d_input_kernel", "d_sums", "room")),
    )


@dataclass(frozen=True)
class Incoming:
    """What r, z and n take from elsewhere than the state: ``rows @ kernel.T + bias``.

    Attributes:
        rows: [N, I]
        kernel: [3H, I]
        bias: [3H]
    """

    rows: Tensor
    kernel: Tensor
    bias: Tensor | None = None


def gru_rows(
    gates: Tensor,
    read: Tensor,
    kernel: Tensor,
    bias: Tensor,
    incoming: Incoming | None = None,
    is_zero: bool = False,
) -> tuple[Tensor, Tensor]:
    """New states [N, H], and W_hn h + b_hn [N, H].

    Args:
        gates: What r, z and n do not take from the state, in whose place they come. [N, 3H]
        read: The state. [N, H]
        kernel: W_hh. [3H, H]
        bias: b_hn alone; the others are in ``gates``. [H]
        incoming: What ``gates`` are filled with first; if None they are already.
        is_zero: Whether the state is known to be zero.
    """
    h, inner = (torch.empty_like(read) for _ in range(2))
    given: dict[str, Any] = {"kernel": None if is_zero else panels(kernel.t(), "gru"), "bias": bias.contiguous()}
    if incoming is not None:
        given |= {"input": incoming.rows.contiguous(), "input_kernel": panels(incoming.kernel.t(), "gru")}
        given |= {"input_bias": None if incoming.bias is None else incoming.bias.contiguous()}
    _run("gru_rows", gates, inner, read, is_zero, h=h, **given)
    return h, inner


class GRUGradients:
    """Gradients of the cells of :func:`gru_rows`, of as many calls as are added.

    Attributes:
        incoming: What came in besides the state; its rows are those of one call.
    """

    def __init__(self, kernel: Tensor, incoming: Incoming | None = None) -> None:
        self._hidden, threads = kernel.size(1), torch.get_num_threads()
        self._turned = kernel.roll(self._hidden, 0)  # rows of n, r, z
        self.incoming = incoming
        self._kernel = kernel.new_zeros(threads, self._hidden, 3 * self._hidden)
        self._sums = kernel.new_zeros(threads, 4 * self._hidden)
        channels = 0 if incoming is None else incoming.kernel.size(1)
        self._input_kernel = kernel.new_zeros(threads, channels, 3 * self._hidden)

    @property
    def kernel(self) -> Tensor:
        """Of W_hh. [3H, H]"""
        return self._kernel.sum(0).roll(-self._hidden, 1).t().contiguous()

    @property
    def input_kernel(self) -> Tensor:
        """Of the incoming rows' kernel. [3H, I]"""
        return self._input_kernel.sum(0).t().contiguous()

    @property
    def bias(self) -> Tensor:
        """Of b_hh. [3H]"""
        return self._sums.sum(0)[: 3 * self._hidden].roll(-self._hidden, 0)

    @property
    def input_bias(self) -> Tensor:
        """Of what r, z and n add up apart from the state. [3H]"""
        return self._sums.sum(0)[self._hidden :]

    def add(
        self,
        gates: Tensor,
        inner: Tensor,
        read: Tensor,
        d_h: Tensor,
        d_read: Tensor,
        d_input: Tensor | None = None,
        d_gates: Tensor | None = None,
        is_zero: bool = False,
    ) -> None:
        """Adds those of one call.

        Args:
            gates: What the way forward made of them. [N, 3H]
            inner: W_hn h + b_hn. [N, H]
            read: The state. [N, H]
            d_h: The gradient of the new states. [N, H]
            d_read: Where that of the state is written. [N, H]
            d_input: Where that of the incoming rows is written. [N, I]
            d_gates: To which that of what r, z and n add up apart from the state is added. [N, 3H]
            is_zero: Whether the state is known to be zero and its gradient is not wanted.
        """
        given: dict[str, Any] = {"kernel": None if is_zero else panels(self._turned, "gru")}
        if self.incoming is not None:
            given |= {"input": self.incoming.rows.contiguous(), "d_input_kernel": self._input_kernel}
            if d_input is not None:
                given |= {"input_kernel": panels(self.incoming.kernel, "gru"), "d_input": d_input}
        _run(
            "gru_rows_back",
            gates,
            inner,
            read,
            is_zero,
            threads=len(self._sums),
            d_h=d_h,
            d_read=None if is_zero else d_read,
            d_gates=d_gates,
            d_kernel=self._kernel,
            d_sums=self._sums,
            **given,
        )


def _run(
    name: str,
    gates: Tensor,
    inner: Tensor,
    read: Tensor,
    is_zero: bool,
    threads: int | None = None,
    **tensors: Tensor | None,
) -> None:
    """Calls a function of ``c/gru.c`` on contiguous tensors."""
    (rows, hidden), incoming = read.shape, tensors.get("input")
    threads = torch.get_num_threads() if threads is None else threads
    block = max(FEWEST, BLOCK // (4 * hidden))
    room = gates.new_empty(threads, block * (6 * hidden + WIDEST) + 4 * hidden)
    given = {"gates": gates, "inner": inner, "read": None if is_zero else read, "room": room, **tensors}
    numbers = {"N": rows, "H": hidden, "I": 0 if incoming is None else incoming.size(1)}
    lying = {key: address(tensor) for key, tensor in given.items() if tensor is not None}
    compiled(name)(Rows(threads=threads, block=block, **numbers, **lying))
