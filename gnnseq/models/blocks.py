r"""Recurrent layers in residual blocks, in which each is told what was read just before.

.. math::
    u_t &= \mathrm{norm}(x_t), \qquad v_t = u_t + w \odot u_{t-1} \\
    y_t &= x_t + W_p (\mathrm{layer}(v)_t \odot \mathrm{silu}(W_g v_t + b_g))

A layer that is linear in its state, as minGRU is, has gates that see one input alone; what the one before adds to it is
the least by which they tell one place from another. It is the token shift of RWKV (Peng et al. 2023,
https://arxiv.org/abs/2305.13048), and the shortest of the convolutions in the blocks of minGRU's language models (Feng
et al. 2024, https://arxiv.org/abs/2410.01201) and of Mamba (Gu and Dao 2023, https://arxiv.org/abs/2312.00752).

Letters: T steps, B paths, C channels, H channels of a layer's state, L blocks, S states of a layer.
"""

import math
from functools import lru_cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnnseq.checks import check_type, named_beyond_places, probability, shape_of, whole
from gnnseq.layers.cells import CellName, cell_named
from gnnseq.layers.recurrent import Recurrent
from gnnseq.schedule import Schedule, packed_paths

__all__ = ["LockedDropout", "RecurrentBlocks", "equal_paths"]


class LockedDropout(nn.Module):
    """Drops the same channels of a path at all steps of a call (Gal and Ghahramani 2016, arXiv:1512.05287).

    Args:
        p: Probability with which a channel is dropped in training; what is left is divided by 1 - p.

    Raises:
        ValueError: If p is no probability.

    Example:
        >>> kept = LockedDropout(0.5)(torch.ones(7, 2, 8))
        >>> torch.equal(kept[0], kept[-1]), sorted(set(kept.flatten().tolist()))
        (True, [0.0, 2.0])
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = probability(p=p)

    def forward(self, x: Tensor) -> Tensor:
        """The steps with some channels of each path at zero. [T, B, C]"""
        if not self.training or self.p == 0.0:
            return x
        if self.p == 1.0:
            return x * 0.0
        return x * (torch.rand_like(x[:1]) >= self.p).to(x.dtype).div_(1.0 - self.p)

    def extra_repr(self) -> str:
        """The probability."""
        return f"p={self.p}"


class RecurrentBlocks(nn.Module):
    """Residual blocks of recurrent layers over sequences of one length.

    Args:
        channels: C, of inputs, states and outputs.
        kind: ``"LSTM"``, ``"GRU"``, ``"RNN"``, ``"MinGRU"`` or ``"MinLSTM"``.
        num_layers: L.
        dropout: Probability with which a block's gated channels are dropped in training, see :class:`LockedDropout`.
        init: Of the layers, see :meth:`gnnseq.layers.recurrent.Recurrent.reset_parameters`.
        expansion: H / C; minGRU's language models have more channels in their states than between blocks.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> blocks, x = RecurrentBlocks(8, "MinGRU", num_layers=2), torch.randn(10, 4, 8)
        >>> whole, _ = blocks(x)
        >>> begun, state = blocks(x[:6])
        >>> ended, state = blocks(x[6:], state)
        >>> torch.allclose(torch.cat([begun, ended]), whole, atol=1e-6)
        True
    """

    @named_beyond_places
    def __init__(
        self,
        channels: int,
        kind: CellName = "MinGRU",
        *,
        num_layers: int = 1,
        dropout: float = 0.0,
        init: str = "torch",
        expansion: int = 1,
    ) -> None:
        super().__init__()
        channels = self.in_channels = self.hidden_channels = whole(1, channels=channels)
        self.num_layers = whole(1, num_layers=num_layers)
        make, hidden = cell_named(kind=kind), channels * whole(1, expansion=expansion)
        self.blocks = nn.ModuleList(_Block(make(channels, hidden, init=init), self.num_layers, dropout)
                                    for _ in range(self.num_layers))  # fmt: skip
        self.norm = nn.LayerNorm(channels, elementwise_affine=False)

    def forward(self, x: Tensor, state: tuple[Tensor, ...] | None = None) -> tuple[Tensor, tuple[Tensor, ...]]:
        """Runs all blocks.

        Args:
            x: Inputs, time-major. [T, B, C]
            state: What the paths go on from, as it was returned; zeros if None.

        Returns:
            Outputs, normalised [T, B, C], and the state: those of the layers, S of [L, B, H], and the last normalised
            input of each block [L, B, C].

        Raises:
            ValueError: If x or the state have another shape, or not the parameters' type.
        """
        check_type(x, cast("_Block", self.blocks[0]).earlier)
        if x.dim() != 3 or x.size(2) != self.in_channels:
            raise ValueError(f"x has shape {list(x.shape)}; expected [T, B, {self.in_channels}]")
        given, states = self._checked(x, state), []
        for number, block in enumerate(self.blocks):
            x, after = block(x, [part[number : number + 1] for part in given])
            states.append(after)
        return self.norm(x), tuple(torch.cat(part) for part in zip(*states, strict=True))

    def _checked(self, x: Tensor, state: Any) -> tuple[Tensor, ...]:
        """The state, or zeros."""
        first = cast("_Block", self.blocks[0])
        widths = [first.layer.hidden_channels] * first.layer.cell.states + [self.in_channels]
        shapes = [[self.num_layers, x.size(1), width] for width in widths]
        if state is None:  # autocast leaves x another type
            return tuple(x.new_zeros(shape, dtype=first.earlier.dtype) for shape in shapes)
        given = state if isinstance(state, tuple | list) else (state,)
        came, expected = ", ".join(map(shape_of, given)) or "no parts", ", ".join(map(str, shapes))
        if came != expected:
            raise ValueError(f"state is {came}; expected {expected}, as an earlier call returned it")
        for part in given:
            check_type(part, first.earlier, "state")
        return tuple(given)


class _Block(nn.Module):
    """One block; its last product begins small, so that L of them together begin as large as one."""

    def __init__(self, layer: Recurrent, blocks: int, dropout: float) -> None:
        super().__init__()
        channels, hidden = layer.in_channels, layer.hidden_channels
        self.norm = nn.LayerNorm(channels, elementwise_affine=False)  # the products that read it scale as they like
        self.earlier = nn.Parameter(torch.zeros(channels))
        self.layer = layer
        self.gate = nn.Linear(channels, hidden)
        self.dropout = LockedDropout(dropout)
        self.project = nn.Linear(hidden, channels, bias=False)
        with torch.no_grad():
            self.project.weight /= math.sqrt(2 * blocks)

    def forward(self, x: Tensor, state: list[Tensor]) -> tuple[Tensor, tuple[Tensor, ...]]:
        """The outputs, the layer's state, S of [1, B, H], and what it read last [1, B, C]."""
        steps, paths, _ = x.shape
        *entering, before = state
        u = self.norm(x)
        seen = torch.cat([before, u])
        v = torch.addcmul(u, seen[:steps], self.earlier)
        h, last = self.layer(
            v.flatten(0, 1), equal_paths(steps, paths, x.device), tuple(entering) if entering[1:] else entering[0]
        )
        gated = h.view(steps, paths, h.size(1)) * functional.silu(self.gate(v))
        return x + self.project(self.dropout(gated)), (*(last if isinstance(last, tuple) else (last,)), seen[-1:])


@lru_cache(maxsize=16)
def equal_paths(steps: int, paths: int, device: torch.device) -> Schedule:
    """The schedule of so many paths of so many steps, which calls share."""
    return packed_paths([steps] * paths).to(device)
