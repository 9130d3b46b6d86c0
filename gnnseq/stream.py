"""Recurrent layers one step at a time, as sampling from a model and following a live stream need them.

Letters: B paths, F input channels, G gates, H hidden channels, L layers, V indices.
"""

from typing import Any

import torch
from torch import Tensor

from gnnseq.checks import check_type, shape_of, whole
from gnnseq.kernels.cell import MINGRU_CELL, MINLSTM_CELL, Cell, CellWeights
from gnnseq.kernels.linear_gates import keep_and_add
from gnnseq.kernels.native import compiled, is_plain, library
from gnnseq.layers.recurrent import Recurrent
from gnnseq.layers.recurrent_checks import check_state
from gnnseq.message_passing import has_own_rule

__all__ = ["Stream"]


class Stream:
    """Feeds a layer one node of each of B paths a call and keeps the state between calls.

    Each stacked layer is one product of x and h in one row with one matrix that is laid out when the stream is made,
    into memory that is used again: few operations, which is what a short step costs. The numbers are those of the
    layer called once on whole paths. Nothing is differentiable, and later changes of the parameters are not seen.

    An index stands for its row of an embedding, or for a one-hot x without one: the product of W_ih and every
    row is made once, and a step looks its own up.

    Pickled, copied or saved with ``torch.save`` (then loaded with ``weights_only=False``) a stream is another one in
    the same state, which goes on by itself.

    Args:
        layer: A recurrent layer of one direction. Dropout between its layers is not applied.
        batch: Number of paths B.
        state: Initial state, as the layer takes it; zeros if None.
        embedding: The x that each index stands for; one-hot, V = F, if None. [V, F]

    Raises:
        ValueError: If the layer has two directions or a rule of your own, or batch, state or embedding do not fit.

    Example:
        >>> from gnnseq.layers import LSTM
        >>> stream = Stream(LSTM(3, 8, num_layers=2))
        >>> for x in torch.randn(100, 1, 3):
        ...     h = stream(x)
        >>> h.shape
        torch.Size([1, 8])
    """

    @torch.inference_mode(False)
    @torch.no_grad()
    def __init__(
        self,
        layer: Recurrent,
        batch: int = 1,
        state: Tensor | tuple[Tensor, ...] | None = None,
        embedding: Tensor | None = None,
    ) -> None:
        if not isinstance(layer, Recurrent):
            raise ValueError(
                f"layer is a {type(layer).__name__}; expected a recurrent layer of gnnseq.layers, an LSTM say"
            )
        if layer.bidirectional:
            raise ValueError("layer has two directions, and the backward one begins at the end; use one direction")
        if has_own_rule(layer):
            raise ValueError(f"layer is a {type(layer).__name__} with a message, aggregate or update of its own, which "
                             "a stream does not run; call the layer with each step's state")  # fmt: skip
        batch = whole(0, batch=batch)
        cells = [layer.weights(f"l{number}") for number in range(layer.num_layers)]
        # x and the layers' h in one row, so that a layer writes what the next one reads.
        features, hidden = layer.in_channels, layer.hidden_channels
        if embedding is not None:
            if not hasattr(embedding, "dim") or embedding.dim() != 2 or embedding.size(1) != features:
                raise ValueError(f"embedding has shape {shape_of(embedding)}; expected [V, {features}], a row of the "
                                 "layer's in_channels for each index")  # fmt: skip
            check_type(embedding, cells[0].weight_hh, "embedding")
        row = cells[0].weight_hh.new_zeros(batch, features + hidden * layer.num_layers)
        kind = _STEPS[layer.cell.name]
        self._lay(row, features, [(kind, *kind.matrices(weights)) for weights in cells])
        self._embedding = embedding
        self._projections: Tensor | None = None
        if state is not None:
            form = f"{layer.cell.states} of {{}}"
            parts = check_state(layer, state, batch, "layers, paths, hidden_channels", form)
            for step, *own in zip(self._steps, *parts, strict=True):
                for kept, given in zip(step.state, own, strict=True):
                    kept.copy_(given)

    def _lay(self, row: Tensor, features: int, cells: "list[tuple[type[_Step], Tensor, Tensor]]") -> None:
        """Steps of kinds, kernels and biases, each of which reads and writes its part of the row. [B, F + L * H]"""
        hidden = (row.size(1) - features) // len(cells)
        self._row, self._x, self._shape = row, row[:, :features], [row.size(0), features]
        begins = [0, *(features + hidden * number for number in range(len(cells) - 1))]
        self._steps = [
            kind(kernel, bias, row[:, begin : begin + kernel.size(0)], hidden)
            for begin, (kind, kernel, bias) in zip(begins, cells, strict=True)
        ]

    def __getstate__(self) -> dict[str, Any]:
        # Steps hold views of one row and addresses, which mean nothing elsewhere: only what they are laid out from.
        embedding = self._embedding if self._projections is None else None
        return {
            "row": self._row,
            "features": self._shape[1],
            "cells": [(type(step), step.kernel, step.bias) for step in self._steps],
            "states": [step.state for step in self._steps],
            "embedding": None if embedding is None else embedding.detach(),
            "projections": self._projections,
        }

    @torch.inference_mode(False)
    @torch.no_grad()
    def __setstate__(self, state: dict[str, Any]) -> None:
        # A copy shares what is only read, not what steps write.
        self._lay(state["row"].clone(), state["features"], state["cells"])
        self._embedding, self._projections = state["embedding"], state["projections"]
        for step, parts in zip(self._steps, state["states"], strict=True):
            for kept, given in zip(step.state, parts, strict=True):
                kept.copy_(given)

    def __call__(self, x: Tensor) -> Tensor:
        """The last layer's output. [B, H]

        Args:
            x: The next node of each path [B, F], or its index, an int64 of 0 to V - 1 [B].

        Raises:
            ValueError: If x has another shape or type, or an index is out of range.
        """
        first, *others = self._steps
        if getattr(x, "dtype", None) is torch.int64:
            self._look_up(x, first)
        else:
            if getattr(x, "dtype", None) is not self._x.dtype or x.layout is not torch.strided or x.is_meta:
                self._check(x)
            if list(x.shape) != self._shape:
                raise ValueError(f"x has shape {list(x.shape)}; expected {self._shape}, the next node of each path")
            self._x.copy_(x.detach())
            first.run()
        for step in others:
            step.run()
        return self._steps[-1].h.clone()

    def _check(self, x: object) -> None:
        """Raises a ValueError unless x is a tensor of the layer's type, or of any under autocast, with numbers."""
        check_type(x, self._x)
        assert isinstance(x, Tensor)
        if x.is_meta:
            raise ValueError(f"x is on {x.device} and has no numbers; expected it on {self._x.device}")

    def _look_up(self, index: Tensor, first: "_Step") -> None:
        """The first layer's step, its product with x found among those of all indices."""
        if list(index.shape) != self._shape[:1]:
            raise ValueError(f"x has indices of shape {list(index.shape)}; expected {self._shape[:1]}, one a path")
        if self._projections is None:
            with torch.autocast(self._x.device.type, enabled=False):
                self._projections = first.project(self._embedding)
        try:
            first.run_from(self._projections, index)
        except IndexError:
            least, most = int(index.min()), int(index.max())
            end = len(self._projections) - 1
            raise ValueError(f"x has indices of {least} to {most}; expected 0 to {end}: rows of the embedding, or "
                             "one-hot in the layer's in_channels") from None  # fmt: skip

    def select(self, rows: Tensor) -> None:
        """Every path goes on from another's state: path b from that of path rows[b], as beam search needs it.

        Args:
            rows: A path of 0 to B - 1 for each path. int64 [B]

        Raises:
            ValueError: If rows has another shape or type, or names no path.
        """
        _check_rows(rows, self._shape[0])
        for step in self._steps:
            for part in step.state:
                part.copy_(part[rows])

    @property
    def state(self) -> Tensor | tuple[Tensor, ...]:
        """The state after the last call, as the layer returns it. [L, B, H], a pair of these for an LSTM"""
        parts = tuple(torch.stack(part) for part in zip(*(step.state for step in self._steps), strict=True))
        return parts[0] if len(parts) == 1 else parts


def _check_rows(rows: object, paths: int) -> None:
    """Raises a ValueError unless rows has the number of a path for each path."""
    if not isinstance(rows, Tensor) or list(rows.shape) != [paths]:
        raise ValueError(f"rows has shape {shape_of(rows)}; expected [{paths}], a path for each path")
    if rows.dtype not in (torch.int64, torch.int32):
        raise ValueError(f"rows has type {rows.dtype}; expected torch.int64, a path for each path")
    if paths > 0 and not 0 <= int(rows.min()) <= int(rows.max()) < paths:
        raise ValueError(f"rows has paths {int(rows.min())} to {int(rows.max())}; expected 0 to {paths - 1}")


class _Step:
    """One stacked layer: its matrix, its state, and room for the sums of its gates.

    A subclass says how gates are laid out and what becomes of them. The reference of its equation is its layer's
    message and update, to which tests/layers/test_stream.py holds it equal.
    """

    def __init__(self, kernel: Tensor, bias: Tensor, read: Tensor, hidden: int) -> None:
        features = kernel.size(0) - hidden
        self.kernel, self.bias = kernel, bias  # [F + H, G * H], [G * H]
        self.kernel_x, self.kernel_h = kernel.split([features, hidden])
        self.read, self.h = read, read[:, features:]  # (x, h) and h. [B, F + H], [B, H]
        self.sums = kernel.new_empty(read.size(0), kernel.size(1))
        self.gates = self.sums.split(hidden, dim=1)
        self.state: tuple[Tensor, ...] = (self.h,)

    @classmethod
    def matrices(cls, weights: CellWeights) -> tuple[Tensor, Tensor]:
        """The kernel of (x, h) and its bias, columns as :meth:`fire` reads them. [F + H, G * H], [G * H]"""
        features, hidden = weights.weight_ih.size(1), weights.weight_hh.size(1)
        no_bias = weights.weight_hh.new_zeros(weights.weight_hh.size(0))
        kernel = torch.cat([weights.weight_ih, weights.weight_hh], dim=1)
        of_x = no_bias if weights.bias_ih is None else weights.bias_ih
        of_h = no_bias if weights.bias_hh is None else weights.bias_hh
        kernel, bias = cls.lay_out(kernel, of_x, of_h, features, hidden)
        return kernel.t().contiguous(), bias

    @staticmethod
    def lay_out(kernel: Tensor, of_x: Tensor, of_h: Tensor, features: int, hidden: int) -> tuple[Tensor, Tensor]:
        """The kernel of (x, h) and its bias, rows as :meth:`fire` reads them."""
        return kernel, of_x + of_h

    def run(self) -> None:
        """Reads (x, h) and writes the new h in its place."""
        torch.addmm(self.bias, self.read, self.kernel, out=self.sums)
        self.fire()

    def project(self, embedding: Tensor | None) -> Tensor:
        """What an x contributes to the sums, for each index. [V, G * H]"""
        products = self.kernel_x if embedding is None else torch.mm(embedding.detach(), self.kernel_x)
        return self.bias + products

    def run_from(self, projections: Tensor, index: Tensor) -> None:
        """As :meth:`run`, with the projections [V, G * H] of x looked up. index: [B]"""
        torch.index_select(projections, 0, index, out=self.sums)
        self.sums.addmm_(self.h, self.kernel_h)
        self.fire()

    def fire(self) -> None:
        """Makes the new state of the sums."""
        raise NotImplementedError


class _TanhStep(_Step):
    def fire(self) -> None:
        torch.tanh(self.sums, out=self.h)


class _ReLUStep(_Step):
    def fire(self) -> None:
        torch.clamp(self.sums, min=0, out=self.h)


class _LSTMStep(_Step):
    def __init__(self, kernel: Tensor, bias: Tensor, read: Tensor, hidden: int) -> None:
        super().__init__(kernel, bias, read, hidden)
        self.c, self.tanh_c = torch.zeros_like(self.h), torch.empty_like(self.h)
        self.state = (self.h, self.c)
        tensors = self.sums, self.c, self.c, self.tanh_c, self.h
        fits = library() is not None and all(is_plain(tensor) and tensor.is_contiguous() for tensor in tensors)
        # One thread, whatever the size: sharing a step would take longer than the step.
        self.fused = compiled("lstm_forward").bound(1, *self.h.shape, *tensors) if fits else None

    def fire(self) -> None:
        if self.fused is not None:
            self.fused()
            return
        i, f, g, o = self.gates
        self.c.mul_(f.sigmoid_()).addcmul_(i.sigmoid_(), g.tanh_())
        torch.mul(o.sigmoid_(), torch.tanh(self.c, out=self.tanh_c), out=self.h)


class _GRUStep(_Step):
    def __init__(self, kernel: Tensor, bias: Tensor, read: Tensor, hidden: int) -> None:
        super().__init__(kernel, bias, read, hidden)
        self.sigmoids = self.sums[:, : 2 * self.h.size(1)]

    @staticmethod
    def lay_out(kernel: Tensor, of_x: Tensor, of_h: Tensor, features: int, hidden: int) -> tuple[Tensor, Tensor]:
        # n reads x and h apart: two blocks with zeros in place of the other.
        gates, new = kernel.split([2 * hidden, hidden])
        from_x, from_h = new.clone(), new.clone()
        from_x[:, features:] = 0
        from_h[:, :features] = 0
        rz = (of_x + of_h)[: 2 * hidden]
        return torch.cat([gates, from_x, from_h]), torch.cat([rz, of_x[2 * hidden :], of_h[2 * hidden :]])

    def fire(self) -> None:
        r, z, n, inner = self.gates
        self.sigmoids.sigmoid_()
        torch.lerp(n.addcmul_(r, inner).tanh_(), self.h, z, out=self.h)


class _LinearStep(_Step):
    """Whose gates read x alone: the kernel's rows of h are zeros that are never multiplied by."""

    cell: Cell

    @classmethod
    def matrices(cls, weights: CellWeights) -> tuple[Tensor, Tensor]:
        own, hidden = weights.weight_ih, weights.weight_hh.size(1)
        bias = own.new_zeros(own.size(0)) if weights.bias_ih is None else weights.bias_ih.detach().clone()
        return torch.cat([own.t(), own.new_zeros(hidden, own.size(0))]), bias

    def run(self) -> None:
        torch.addmm(self.bias, self.read[:, : self.kernel_x.size(0)], self.kernel_x, out=self.sums)
        self.fire()

    def run_from(self, projections: Tensor, index: Tensor) -> None:
        torch.index_select(projections, 0, index, out=self.sums)
        self.fire()

    def fire(self) -> None:
        keep, added = keep_and_add(self.cell, self.sums)
        self.h.mul_(keep).add_(added)


class _MinGRUStep(_LinearStep):
    cell = MINGRU_CELL


class _MinLSTMStep(_LinearStep):
    cell = MINLSTM_CELL


_STEPS: dict[str, type[_Step]] = {
    "rnn_tanh": _TanhStep,
    "rnn_relu": _ReLUStep,
    "lstm": _LSTMStep,
    "gru": _GRUStep,
    "mingru": _MinGRUStep,
    "minlstm": _MinLSTMStep,
}
