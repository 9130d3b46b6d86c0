"""The gated recurrent unit on paths, trees and directed acyclic graphs."""

import torch
from torch import Tensor
from torch.nn import functional
from torch_geometric.typing import OptTensor

from gnnseq.kernels.cell import GRU_CELL
from gnnseq.kernels.whole_sweep import add_rule
from gnnseq.layers.initialization import init_chrono
from gnnseq.layers.recurrent import Recurrent

__all__ = ["GRU"]


class GRU(Recurrent):
    r"""The gated recurrent unit as message passing along directed edges.

    .. math::
        \tilde h_i &= \sum_{j \to i} w_{ji} h_j \\
        r_i &= \sigma(W_{ir} x_i + b_{ir} + W_{hr} \tilde h_i + b_{hr}) \\
        z_i &= \sigma(W_{iz} x_i + b_{iz} + W_{hz} \tilde h_i + b_{hz}) \\
        n_i &= \tanh(W_{in} x_i + b_{in} + r_i \odot (W_{hn} \tilde h_i + b_{hn})) \\
        h_i &= (1 - z_i) \odot n_i + z_i \odot \tilde h_i

    On a path this is :class:`torch.nn.GRU`: same numbers, same parameter names and gate order (r, z, n). Cho et al.
    2014, https://arxiv.org/abs/1406.1078, with torch's place for the reset gate.

    Args:
        in_channels: Width F of the inputs; ``input_size`` is another name.
        hidden_channels: Width H of the states; ``hidden_size`` is another name.
        num_layers: Layers stacked; each reads the one below.
        bias: Whether the layer has the biases b_ih and b_hh.
        batch_first: Whether a dense batch is [B, T, F], see :meth:`gnnseq.layers.recurrent.Recurrent.forward`; nodes
            and states are not touched by it.
        dropout: Probability with which outputs of every layer but the last are dropped in training.
        bidirectional: Whether a second network sweeps the reversed edges; outputs are put side by side.
        init: ``"torch"``, ``"he"``, ``"orthogonal"`` or ``"chrono"``, see :meth:`reset_parameters`.
        time_scale: For ``"chrono"``, the longest dependency in steps: update gates begin with biases that keep a
            state for 1 to time_scale steps.
        proj_size: 0, torch.nn's default; its projections are refused.
        device: Of the parameters; torch's default if None.
        dtype: Of the parameters; torch's default if None.

    Shapes: see :meth:`gnnseq.layers.recurrent.Recurrent.forward`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> from gnnseq.graphs import tree_graph
        >>> h, state = GRU(3, 8)(torch.ones(3, 3), tree_graph([2, 2, -1]).edge_index)
        >>> h.shape, state.shape
        (torch.Size([3, 8]), torch.Size([1, 1, 8]))
    """

    cell = GRU_CELL
    inits = ("torch", "he", "orthogonal", "chrono")

    def message(self, state_j: Tensor, edge_weight: Tensor) -> Tensor:
        """w_ji h_j. [e, H]"""
        return edge_weight * state_j

    def update(
        self, aggregated: Tensor, input_projection: tuple[None, Tensor], weight_hh: Tensor, bias_hh: OptTensor
    ) -> Tensor:
        """h_i from the summed messages. [n, H]"""
        input_r, input_z, input_n = input_projection[1].chunk(3, dim=1)
        hidden_r, hidden_z, hidden_n = functional.linear(aggregated, weight_hh, bias_hh).chunk(3, dim=1)
        reset_gate = torch.sigmoid(input_r + hidden_r)
        update_gate = torch.sigmoid(input_z + hidden_z)
        candidate = torch.tanh(input_n + reset_gate * hidden_n)
        return (1 - update_gate) * candidate + update_gate * aggregated

    def _init_time_scale(self, bias: Tensor, time_scale: float) -> None:
        _, update_gate, _ = bias.chunk(3)
        init_chrono(update_gate, time_scale)


add_rule(GRU_CELL, lambda hidden: GRU(0, hidden, device="meta").sweep)
