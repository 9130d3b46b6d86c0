"""The minimal gated recurrent unit on paths, trees and directed acyclic graphs."""

import torch
from torch import Tensor

from gnnseq.kernels.cell import MINGRU_CELL
from gnnseq.kernels.whole_sweep import add_rule
from gnnseq.layers.initialization import init_chrono
from gnnseq.layers.recurrent import Recurrent

__all__ = ["MinGRU"]


class MinGRU(Recurrent):
    r"""The gated recurrent unit without what reads the state in its gates, as message passing along directed edges.

    .. math::
        z_i &= \sigma(W_z x_i + b_z) \\
        h_i &= (1 - z_i) \odot \sum_{j \to i} w_{ji} h_j + z_i \odot (W_h x_i + b_h)

    The rule is linear in the state, so that it runs on a :func:`gnnseq.doubling` schedule too, in as many rounds as the
    graph's depth has binary digits. On a path it is minGRU of Feng et al. 2024, https://arxiv.org/abs/2410.01201,
    section 3.1, computed as it stands and not by logarithms: a gate of exactly 0 or 1 is a number as any other, and
    h may be negative. On a tree it is the same rule with the sum of the children's states.

    A gate sees its own node's input alone, and so treats equal inputs alike wherever they stand. To keep the first of T
    items and forget the others, what reads one layer needs weights that grow as 4^T, which no training finds; from two
    layers on, the gates above read what lies behind.

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
        time_scale: For ``"chrono"``, the longest dependency in steps: gates begin with biases that keep a state for 1
            to time_scale steps.
        proj_size: 0, torch.nn's default; its projections are refused.
        device: Of the parameters; torch's default if None.
        dtype: Of the parameters; torch's default if None.

    Parameters are ``weight_ih_l0`` [2H, F], gates in the order z, h, and ``bias_ih_l0`` [2H], and so on for further
    layers and ``_reverse``. The state is h alone. Shapes: see :meth:`gnnseq.layers.recurrent.Recurrent.forward`.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> from gnnseq import doubling, topological
        >>> from gnnseq.graphs import path_graph
        >>> layer, x, edges = MinGRU(3, 8), torch.randn(100, 3), path_graph(100).edge_index
        >>> swept, _ = layer(x, topological(edges, 100))  # 100 steps
        >>> doubled, _ = layer(x, doubling(edges, 100))  # 7 rounds
        >>> torch.allclose(swept, doubled, atol=1e-6)
        True
    """

    cell = MINGRU_CELL
    inits = ("torch", "he", "orthogonal", "chrono")

    def message(self, state_j: Tensor, edge_weight: Tensor) -> Tensor:
        """w_ji h_j. [e, H]"""
        return edge_weight * state_j

    def update(self, aggregated: Tensor, input_projection: tuple[None, Tensor]) -> Tensor:
        """h_i from the summed messages. [n, H]"""
        total_z, candidate = input_projection[1].chunk(2, dim=1)
        return torch.sigmoid(-total_z) * aggregated + torch.sigmoid(total_z) * candidate

    def _init_time_scale(self, bias: Tensor, time_scale: float) -> None:
        write, _ = bias.chunk(2)
        init_chrono(torch.empty_like(write), time_scale, write=write)


add_rule(MINGRU_CELL, lambda hidden: MinGRU(0, hidden, device="meta").sweep)
