"""The simple recurrent network on paths, trees and directed acyclic graphs."""

import torch
from torch import Tensor
from torch.nn import functional
from torch_geometric.typing import OptTensor

from gnnseq.checks import named_as_peers
from gnnseq.kernels.cell import RELU_CELL, TANH_CELL, Cell
from gnnseq.kernels.whole_sweep import add_rule
from gnnseq.layers.recurrent import PEERS, PLACES, Recurrent

__all__ = ["RNN"]


class RNN(Recurrent):
    r"""Elman's recurrent network as message passing along directed edges.

    .. math:: h_i = \tanh\Big(W_{ih} x_i + b_{ih} + W_{hh} \sum_{j \to i} w_{ji} h_j + b_{hh}\Big)

    On a path this is :class:`torch.nn.RNN`: same numbers, same parameter names. Elman, "Finding structure in time",
    Cognitive Science 14, 1990.

    Args:
        in_channels: Width F of the inputs; ``input_size`` is another name.
        hidden_channels: Width H of the states; ``hidden_size`` is another name.
        num_layers: Layers stacked; each reads the one below.
        nonlinearity: ``"tanh"`` or ``"relu"``.
        bias: Whether the layer has the biases b_ih and b_hh.
        batch_first: Whether a dense batch is [B, T, F], see :meth:`gnnseq.layers.recurrent.Recurrent.forward`; nodes
            and states are not touched by it.
        dropout: Probability with which outputs of every layer but the last are dropped in training.
        bidirectional: Whether a second network sweeps the reversed edges; outputs are put side by side.
        init: ``"torch"``, ``"he"``, ``"orthogonal"`` or ``"identity"``, see :meth:`reset_parameters`.
        device: Of the parameters; torch's default if None.
        dtype: Of the parameters; torch's default if None.

    Shapes: see :meth:`gnnseq.layers.recurrent.Recurrent.forward`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> from gnnseq.graphs import path_graph
        >>> h, state = RNN(3, 8)(torch.ones(5, 3), path_graph(5).edge_index)
        >>> h.shape, state.shape
        (torch.Size([5, 8]), torch.Size([1, 1, 8]))
    """

    inits = ("torch", "he", "orthogonal", "identity")

    @named_as_peers(**PEERS)
    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        num_layers: int = 1,
        nonlinearity: str = "tanh",
        bias: bool = True,
        batch_first: bool = False,
        dropout: float = 0.0,
        bidirectional: bool = False,
        *,
        init: str = "torch",
        device: torch.device | str | None = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        if nonlinearity not in ("tanh", "relu"):
            raise ValueError(f"nonlinearity={nonlinearity!r}; expected 'tanh' or 'relu'{PLACES}")
        self.nonlinearity = nonlinearity
        super().__init__(
            in_channels, hidden_channels, num_layers, bias, batch_first, dropout, bidirectional,
            init=init, device=device, dtype=dtype,
        )  # fmt: skip

    @property
    def cell(self) -> Cell:  # type: ignore[override]
        """What kernels know of the rule."""
        return TANH_CELL if self.nonlinearity == "tanh" else RELU_CELL

    def message(self, state_j: Tensor, edge_weight: Tensor) -> Tensor:
        """w_ji h_j. [e, H]"""
        return edge_weight * state_j

    def update(
        self, aggregated: Tensor, input_projection: tuple[None, Tensor], weight_hh: Tensor, bias_hh: OptTensor
    ) -> Tensor:
        """h_i from the summed messages. [n, H]"""
        total = input_projection[1] + functional.linear(aggregated, weight_hh, bias_hh)
        return torch.tanh(total) if self.nonlinearity == "tanh" else torch.relu(total)


add_rule(TANH_CELL, lambda hidden: RNN(0, hidden, device="meta").sweep)
add_rule(RELU_CELL, lambda hidden: RNN(0, hidden, nonlinearity="relu", device="meta").sweep)
