"""The minimal long short-term memory on paths, trees and directed acyclic graphs."""

import torch
from torch import Tensor
from torch.nn import functional

from gnnseq.kernels.cell import MINLSTM_CELL
from gnnseq.kernels.whole_sweep import add_rule
from gnnseq.layers.initialization import init_chrono
from gnnseq.layers.recurrent import Recurrent

__all__ = ["MinLSTM"]


class MinLSTM(Recurrent):
    r"""Long short-term memory without what reads the state in its gates, as message passing along directed edges.

    .. math::
        f_i &= \sigma(W_f x_i + b_f), \qquad i_i = \sigma(W_i x_i + b_i) \\
        h_i &= \frac{f_i}{f_i + i_i} \odot \sum_{j \to i} w_{ji} h_j + \frac{i_i}{f_i + i_i} \odot (W_h x_i + b_h)

    The two gates add up to 1, so that a state neither grows nor fades with time; there is no output gate, and no cell
    apart from h. The rule is linear in the state and runs on a :func:`gnnseq.doubling` schedule too. On a path it is
    minLSTM of Feng et al. 2024, https://arxiv.org/abs/2410.01201, section 3.2, computed as it stands and not by
    logarithms; where both gates are smaller than a number can be, their shares still are right. On a tree it is the
    same rule with the sum of the children's states. What :class:`gnnseq.layers.MinGRU` says of gates that read the
    input alone is true here too.

    Args:
        in_channels: Width F of the inputs; ``input_size`` is another name.
        hidden_channels: Width H of the states; ``hidden_size`` is another name.
        num_layers: Layers stacked; each reads the one below.
        bias: Whether the layer has the biases b. There is one of each, as no product with the state has another.
        batch_first: Whether a dense batch is [B, T, F], see :meth:`gnnseq.layers.recurrent.Recurrent.forward`; nodes
            and states are not touched by it.
        dropout: Probability with which outputs of every layer but the last are dropped in training.
        bidirectional: Whether a second network sweeps the reversed edges; outputs are put side by side.
        init: ``"torch"``, ``"he"``, ``"orthogonal"`` (here Glorot's, as there is no recurrent kernel) or ``"chrono"``,
            see :meth:`reset_parameters`.
        time_scale: For ``"chrono"``, the longest dependency in steps: forget gates begin with biases that keep a state
            for 1 to time_scale steps, input gates with the negative.
        proj_size: 0, torch.nn's default; its projections are refused.
        device: Of the parameters; torch's default if None.
        dtype: Of the parameters; torch's default if None.

    Parameters are ``weight_ih_l0`` [3H, F], gates in the order f, i, h, and ``bias_ih_l0`` [3H], and so on for further
    layers and ``_reverse``. The state is h alone. Shapes: see :meth:`gnnseq.layers.recurrent.Recurrent.forward`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> from gnnseq.graphs import tree_graph
        >>> h, state = MinLSTM(3, 8)(torch.ones(3, 3), tree_graph([2, 2, -1]).edge_index)
        >>> h.shape, state.shape
        (torch.Size([3, 8]), torch.Size([1, 1, 8]))
    """

    cell = MINLSTM_CELL
    inits = ("torch", "he", "orthogonal", "chrono")

    def message(self, state_j: Tensor, edge_weight: Tensor) -> Tensor:
        """w_ji h_j. [e, H]"""
        return edge_weight * state_j

    def update(self, aggregated: Tensor, input_projection: tuple[None, Tensor]) -> Tensor:
        """h_i from the summed messages. [n, H]"""
        total_f, total_i, candidate = input_projection[1].chunk(3, dim=1)
        ratio = functional.logsigmoid(total_f) - functional.logsigmoid(total_i)  # log of f / i
        return torch.sigmoid(ratio) * aggregated + torch.sigmoid(-ratio) * candidate

    def _init_time_scale(self, bias: Tensor, time_scale: float) -> None:
        forget_gate, input_gate, _ = bias.chunk(3)
        init_chrono(forget_gate, time_scale, write=input_gate)


add_rule(MINLSTM_CELL, lambda hidden: MinLSTM(0, hidden, device="meta").sweep)
