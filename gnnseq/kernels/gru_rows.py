"""GRU cells of many rows that do not wait for one another, in compiled code, and their gradients.

Rows go through in runs whose products are used while they are in a core's cache, so that none is ever whole in memory:
of the way forward the gates are kept and a candidate's inner sum, of the way back nothing.

Letters: N rows, H hidden channels; n rows of a run.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from gnnseq.kernels.native import compiled

__all__ = ["GRUGradients", "gru_rows"]

ROWS = 1024  # of a run: enough for a product to be worth its start, few enough for a cache


def gru_rows(
    gates: Tensor,
    read: Tensor,
    kernel: Tensor,
    bias: Tensor,
    fill: Callable[[slice], object] | None = None,
    is_zero: bool = False,
) -> tuple[Tensor, Tensor]:
    """New states [N, H], and W_hn h + b_hn [N, H].

    Args:
        gates: What r, z and n do not take from the state, in whose place they come. [N, 3H]
        read: The state. [N, H]
        kernel: W_hh. [3H, H]
        bias: b_hn alone; the others are in ``gates``. [H]
        fill: Writes a run of rows of ``gates``; if None they are there already.
        is_zero: Whether the state is known to be zero.
    """
    turned, bias, (h, inner) = kernel.t().contiguous(), bias.contiguous(), (torch.empty_like(read) for _ in range(2))
    fire, threads, runs = compiled("gru_forward"), torch.get_num_threads(), _runs(read)
    shape = max(run.stop - run.start for run in runs), gates.size(1)
    room = gates.new_zeros(shape) if is_zero else gates.new_empty(shape)
    for rows in runs:
        if fill is not None:
            fill(rows)
        nodes = rows.stop - rows.start
        product = room[:nodes] if is_zero else torch.mm(read[rows], turned, out=room[:nodes])
        fire(threads, nodes, read.size(1), gates[rows], product, bias, read[rows], inner[rows], h[rows])
    return h, inner


class GRUGradients:
    """Gradients of the cells of :func:`gru_rows`, of as many calls as are added.

    Attributes:
        kernel: Of W_hh. [3H, H]
        sums: Of n's inner sum, and of those in r, z and n, over all rows. [4H]
    """

    def __init__(self, kernel: Tensor) -> None:
        self._hidden = kernel.size(1)
        self._turned = kernel.roll(self._hidden, 0)  # rows of n, r, z
        self._kernel = torch.zeros_like(self._turned)
        self.sums = kernel.new_zeros(4 * self._hidden)

    @property
    def kernel(self) -> Tensor:
        """Of W_hh. [3H, H]"""
        return self._kernel.roll(-self._hidden, 0)

    @property
    def bias(self) -> Tensor:
        """Of b_hh. [3H]"""
        return self.sums[: 3 * self._hidden].roll(-self._hidden, 0)

    def add(
        self, gates: Tensor, inner: Tensor, read: Tensor, d_h: Tensor, d_read: Tensor, is_zero: bool = False
    ) -> Iterator[tuple[slice, Tensor]]:
        """Runs of rows, and the gradients of what r, z and n add up apart from the state [n, 3H], in the same memory.

        Args:
            gates: What the way forward made of them. [N, 3H]
            inner: W_hn h + b_hn. [N, H]
            read: The state. [N, H]
            d_h: The gradient of the new states. [N, H]
            d_read: Where that of the state is written. [N, H]
            is_zero: Whether the state is known to be zero and its gradient is not wanted.
        """
        fire, threads, runs, hidden = compiled("gru_backward"), torch.get_num_threads(), _runs(read), self._hidden
        room = gates.new_empty(max(run.stop - run.start for run in runs), 4 * hidden)
        for rows in runs:
            nodes = rows.stop - rows.start
            d_all = room[:nodes]
            fire(threads, nodes, hidden, gates[rows], inner[rows], read[rows], d_h[rows], d_all, d_read[rows])
            d_sums = d_all[:, : 3 * hidden]
            if not is_zero:
                d_read[rows].addmm_(d_sums, self._turned)
                self._kernel.addmm_(d_sums.t(), read[rows])
            self.sums += d_all.sum(0)
            yield rows, d_all[:, hidden:]


def _runs(rows: Tensor) -> list[slice]:
    return [slice(begin, min(begin + ROWS, len(rows))) for begin in range(0, len(rows), ROWS)]
