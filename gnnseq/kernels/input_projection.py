"""The input projection: what nodes' own inputs contribute to their gates, from features or from one-hot indices.

Letters: N nodes, F input channels, G gates, H hidden channels.
"""

import torch
from torch import Tensor
from torch.nn import functional

from gnnseq.kernels.cell import Cell

__all__ = [
    "add_input_kernel_gradient",
    "as_features",
    "index_in_table",
    "input_kernel_gradient",
    "input_kernel_zeros",
    "is_index",
    "lie_as_kernel",
    "project_inputs",
    "split_bias",
]


def is_index(x: Tensor) -> bool:
    """Whether x numbers the one input that is 1 at each node, [N], in place of features [N, F]."""
    return x.dim() == 1


def project_inputs(x: Tensor, weight_ih: Tensor, bias: Tensor | None) -> Tensor:
    """W_ih x_i + b; of an index the column of W_ih that it names. [N, G * H]"""
    if is_index(x):
        return functional.embedding(x, weight_ih.t().contiguous() if bias is None else weight_ih.t() + bias)
    return functional.linear(x, weight_ih, bias)


def split_bias(
    cell: Cell, bias_ih: Tensor | None, bias_hh: Tensor | None, weight_hh: Tensor
) -> tuple[Tensor | None, Tensor]:
    """The biases within the input projection [G * H], and a GRU's b_hn, inside the reset gate's product [H]."""
    hidden = weight_hh.size(1)
    if bias_ih is None or bias_hh is None:
        return bias_ih, weight_hh.new_zeros(hidden)
    if cell.name != "gru":
        return bias_ih + bias_hh, weight_hh.new_zeros(hidden)
    gates, inner = bias_hh.split([2 * hidden, hidden])
    inner = inner.to(weight_hh.dtype).resolve_neg().contiguous()  # compiled code reads it as it lies in memory
    return torch.cat([bias_ih[: 2 * hidden] + gates, bias_ih[2 * hidden :]]), inner


def index_in_table(index: Tensor, channels: int) -> Tensor:
    """The indices as compiled code reads them, which sees no end of a table.

    Raises:
        IndexError: If one is no channel's.
    """
    least, most = index.aminmax()
    if least < 0 or most >= channels:
        raise IndexError(f"x has indices from {int(least)} to {int(most)}; expected 0 to {channels - 1}")
    return index.to(torch.int64).contiguous()


def as_features(x: Tensor, weight_ih: Tensor) -> Tensor:
    """The one-hot rows that indices stand for; features as they are. [N, F]"""
    if not is_index(x):
        return x
    channels = torch.arange(weight_ih.size(1), device=x.device)  # functional.one_hot reads numbers, which vmap forbids
    return (x.unsqueeze(1) == channels).to(weight_ih.dtype)


def input_kernel_zeros(weight_ih: Tensor) -> Tensor:
    """Where :func:`add_input_kernel_gradient` adds up. [G * H, F]

    Its columns are contiguous: few of them are added to several times as fast.
    """
    return weight_ih.new_zeros(weight_ih.size(1), weight_ih.size(0)).t()


def lie_as_kernel(gradient: Tensor) -> Tensor:
    """That gradient as the kernel lies in memory, which whoever shares gradients among processes expects."""
    return gradient.clone(memory_format=torch.contiguous_format)


def add_input_kernel_gradient(total: Tensor, d_projection: Tensor, x: Tensor) -> None:
    """Adds to the gradient of W_ih the share of the given nodes' input projections. [G * H, F]"""
    if is_index(x):
        total.t().index_add_(0, x, d_projection)
    else:
        total.t().addmm_(x.t(), d_projection)


def input_kernel_gradient(d_projection: Tensor, x: Tensor, channels: int) -> Tensor:
    """The gradient of W_ih from that of the input projection. [G * H, F]"""
    if is_index(x):
        found: Tensor = torch.ops.aten.embedding_dense_backward(d_projection, x, channels, -1, False)
        return found.t().contiguous()
    return d_projection.t() @ x
