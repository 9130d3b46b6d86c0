"""Long short-term memory on paths, trees and directed acyclic graphs."""

import torch
from torch import Tensor
from torch.nn import functional
from torch_geometric.typing import OptTensor

from gnnseq.kernels.cell import LSTM_CELL
from gnnseq.kernels.whole_sweep import add_rule
from gnnseq.layers.initialization import init_chrono
from gnnseq.layers.recurrent import Recurrent

__all__ = ["LSTM"]


class LSTM(Recurrent):
    r"""Long short-term memory as message passing along directed edges, with a forget gate for every edge.

    .. math::
        \tilde h_i &= \sum_{j \to i} w_{ji} h_j \\
        (i_i, g_i, o_i) &= (\sigma, \tanh, \sigma)(W_{igo} x_i + b_{igo} + U_{igo} \tilde h_i) \\
        f_{ji} &= \sigma(W_f x_i + b_f + U_f h_j) \\
        c_i &= i_i \odot g_i + \sum_{j \to i} w_{ji} f_{ji} \odot c_j \\
        h_i &= o_i \odot \tanh c_i

    On a path this is :class:`torch.nn.LSTM` (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al.
    2000): same numbers, same parameter names and gate order (i, f, g, o). On a tree it is the child-sum Tree-LSTM of
    Tai et al. 2015, https://arxiv.org/abs/1503.00075. One layer has 4 (F H + H^2 + H) weights by the textbook's count;
    torch's second bias b_hh, which only ever adds to the first, makes it 4 (F H + H^2 + 2 H) parameters.

    ``message`` and ``update`` below are the reference of this equation. What is faster is held equal to them: kernels
    by tests/kernels/test_kernels.py, their compiled code by test_native.py and test_fused_tree.py, and
    :class:`gnnseq.stream.Stream` by tests/layers/test_stream.py.

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
        time_scale: For ``"chrono"``, the longest dependency in steps: forget gates begin with biases that keep a
            state for 1 to time_scale steps, input gates with the negative.
        proj_size: 0, torch.nn's default; its projections are refused.
        device: Of the parameters; torch's default if None.
        dtype: Of the parameters; torch's default if None.

    Shapes: see :meth:`gnnseq.layers.recurrent.Recurrent.forward`; the state is the pair (h, c).

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> from gnnseq.schedule import pack_paths
        >>> x, schedule = pack_paths([torch.ones(2, 3), torch.ones(5, 3)])
        >>> h, (h_n, c_n) = LSTM(3, 8)(x, schedule)
        >>> h.shape, h_n.shape, c_n.shape
        (torch.Size([7, 8]), torch.Size([1, 2, 8]), torch.Size([1, 2, 8]))
    """

    cell = LSTM_CELL
    inits = ("torch", "he", "orthogonal", "chrono")

    def message(
        self,
        state_j: Tensor,
        input_projection_i: Tensor,
        edge_weight: Tensor,
        weight_hh: Tensor,
        bias_hh: OptTensor,
    ) -> Tensor:
        """w_ji h_j, and to its right w_ji f_ji c_j. [e, 2H]"""
        h, c = state_j.chunk(2, dim=1)
        bias = None if bias_hh is None else bias_hh.chunk(4)[1]
        own = input_projection_i.chunk(4, dim=1)[1]
        forget_gate = torch.sigmoid(own + functional.linear(h, weight_hh.chunk(4)[1], bias))
        return edge_weight * torch.cat([h, forget_gate * c], dim=1)

    def update(
        self, aggregated: Tensor, input_projection: tuple[None, Tensor], weight_hh: Tensor, bias_hh: OptTensor
    ) -> Tensor:
        """h_i, and to its right c_i, from the summed messages. [n, 2H]"""
        h, kept = aggregated.chunk(2, dim=1)
        total_i, _, total_g, total_o = (input_projection[1] + functional.linear(h, weight_hh, bias_hh)).chunk(4, dim=1)
        c = torch.sigmoid(total_i) * torch.tanh(total_g) + kept
        return torch.cat([torch.sigmoid(total_o) * torch.tanh(c), c], dim=1)

    def _init_time_scale(self, bias: Tensor, time_scale: float) -> None:
        input_gate, forget_gate, _, _ = bias.chunk(4)
        init_chrono(forget_gate, time_scale, write=input_gate)


add_rule(LSTM_CELL, lambda hidden: LSTM(0, hidden, device="meta").sweep)
