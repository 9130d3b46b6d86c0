"""What a layer over graphs in time reads, of one history or of many windows, and windows in bounded memory.

Letters: B windows, C windows of a chunk, T time steps, N nodes, F input channels, X exogenous channels, H hidden
channels, L layers.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from gnnseq.checks import check_one_device, check_type, shape_of
from gnnseq.kernels.autograd_state import is_traced
from gnnseq.layers.recurrent import Recurrent
from gnnseq.layers.recurrent_checks import check_state

__all__ = ["Inputs", "as_inputs", "run_windows"]

State = Tensor | tuple[Tensor, ...]


class Inputs(NamedTuple):
    """Inputs of a history; of windows every shape but the state's begins with B, and the state's is [L, B, N, H].

    Attributes:
        x: Features. [T, N, F]
        state: Parts of the initial state, None for zeros. [L, N, H] each
        mask: Which nodes are there. Boolean [T, N]
        observed: Which values of x are known. Boolean [T, N, F]
        exogenous: More features, of every node or of all. [T, N, X] or [T, X]
    """

    x: Tensor
    state: tuple[Tensor, ...] | None
    mask: Tensor | None
    observed: Tensor | None
    exogenous: Tensor | None

    def features(self) -> Tensor:
        """All features of a history, 0 where a value is missing or a node is away. [T, N, F + X]"""
        x = self.x if self.observed is None else self.x.masked_fill(~self.observed, 0.0)
        if self.exogenous is not None:
            own = self.exogenous if self.exogenous.dim() == 3 else self.exogenous.unsqueeze(1)
            x = torch.cat([x, own.expand(-1, x.size(1), -1)], dim=2)
        return x if self.mask is None else x.masked_fill(~self.mask.unsqueeze(2), 0.0)

    def chunk(self, begin: int, end: int) -> "Inputs":
        """Those of the windows from begin to end, without copying."""
        state = None if self.state is None else tuple(part[:, begin:end] for part in self.state)
        x, mask, observed, exogenous = (
            None if given is None else given[begin:end] for given in (self.x, self.mask, self.observed, self.exogenous)
        )
        assert x is not None
        return Inputs(x, state, mask, observed, exogenous)

    def side_by_side(self) -> "Inputs":
        """Those of one history, in which node i of window b is b * N + i."""
        exogenous = self.exogenous
        if exogenous is not None and exogenous.dim() == 3:
            exogenous = exogenous.unsqueeze(2).expand(-1, -1, self.x.size(2), -1)
        x, mask, observed, exogenous = (
            None if given is None else given.transpose(0, 1).flatten(1, 2)
            for given in (self.x, self.mask, self.observed, exogenous)
        )
        assert x is not None
        state = None if self.state is None else tuple(part.flatten(1, 2) for part in self.state)
        return Inputs(x, state, mask, observed, exogenous)


def as_inputs(
    recurrence: Recurrent,
    channels: tuple[int, int],
    x: Tensor,
    state: object,
    mask: object,
    observed: object,
    exogenous: object,
) -> Inputs:
    """The checked inputs of a history [T, N, F] or of windows [B, T, N, F].

    Raises:
        ValueError: If one has a wrong shape, type or device.
    """
    weight, (features, others) = recurrence.weights("l0").weight_hh, channels
    check_type(x, weight)
    if x.dim() not in (3, 4) or x.size(-1) != features:
        raise ValueError(f"x has shape {list(x.shape)}; expected [T, N, {features}], or windows [B, T, N, {features}]")
    for name, given, shape, meaning, other in (
        ("mask", mask, x.shape[:-1], "where a node is there", x.shape),
        ("observed", observed, x.shape, "where a value of x is known", x.shape[:-1]),
    ):
        if given is None or (isinstance(given, Tensor) and given.dtype == torch.bool and given.shape == shape):
            continue
        kind = f" and type {given.dtype}" if isinstance(given, Tensor) else ""
        remedy = ""
        if isinstance(given, Tensor) and given.shape == other != shape:
            remedy = ": which values are known is observed=" if name == "mask" else ": which nodes are there is mask="
        raise ValueError(f"{name} has shape {shape_of(given)}{kind}; expected {list(shape)} of torch.bool, True "
                         f"{meaning}{remedy}")  # fmt: skip
    lead = list(x.shape[:-1])
    if others == 0 and exogenous is not None:
        raise ValueError(f"exogenous has shape {shape_of(exogenous)}, and the layer reads none; make it with "
                         "exogenous_channels=, their number")  # fmt: skip
    shapes = [[*lead, others], [*lead[:-1], others]]
    if others > 0 and list(getattr(exogenous, "shape", ())) not in shapes:
        came = "is missing" if exogenous is None else f"has shape {shape_of(exogenous)}"
        raise ValueError(f"exogenous {came}; expected {shapes[0]}, or {shapes[1]} if all nodes share it, as "
                         f"exogenous_channels={others}")  # fmt: skip
    if isinstance(exogenous, Tensor) and exogenous.dtype != x.dtype:
        raise ValueError(f"exogenous has type {exogenous.dtype} and x {x.dtype}; convert one of them")
    check_one_device(x=x, mask=mask, observed=observed, exogenous=exogenous, parameters=weight)
    parts = None if state is None else _check_state(recurrence, state, lead)
    return Inputs(x, parts, *(given if isinstance(given, Tensor) else None for given in (mask, observed, exogenous)))


def _check_state(recurrence: Recurrent, state: object, lead: list[int]) -> tuple[Tensor, ...]:
    """The parts of a state [L, N, H], or of windows' [L, B, N, H]."""
    if len(lead) == 2:
        return check_state(recurrence, state, lead[1], "layers, nodes, hidden_channels")  # type: ignore[arg-type]
    windows, _, nodes = lead
    parts = tuple(state) if isinstance(state, tuple | list) else (state,)
    shape = [recurrence.num_layers, windows, nodes, recurrence.hidden_channels]
    if len(parts) != recurrence.cell.states or any(list(getattr(part, "shape", ())) != shape for part in parts):
        form = f"a pair (h, c), each {shape}" if recurrence.cell.states == 2 else str(shape)
        raise ValueError(f"state has shape {', '.join(map(shape_of, parts))}; expected {form}: layers, windows, nodes, "
                         "hidden_channels")  # fmt: skip
    check_state(recurrence, tuple(part.flatten(1, 2) for part in parts), windows * nodes, "")
    return parts


def run_windows(
    run: Callable[[Inputs, int], tuple[Tensor, State]], inputs: Inputs, chunk_size: int
) -> tuple[Tensor, State]:
    """What a function makes of all windows, a chunk of them at a time.

    Where there are several chunks and gradients, the backward pass computes each chunk once more, so that memory does
    not grow with their number but for inputs, outputs and states.

    Args:
        run: Makes the outputs [T, C * N, O] and states [L, C * N, H] of C windows side by side, given the first's
            number too.
        inputs: Of the windows.
        chunk_size: Most windows at once.

    Returns:
        The outputs [B, T, N, O] and the states [L, B, N, H].
    """
    windows, _, nodes, _ = inputs.x.shape
    number = max(-(-windows // chunk_size), 1)
    keep = number == 1 or not torch.is_grad_enabled() or is_traced(inputs.x)

    def run_chunk(begin: int, end: int) -> tuple[Tensor, ...]:
        y, state = run(inputs.chunk(begin, end).side_by_side(), begin)
        parts = state if isinstance(state, tuple) else (state,)
        return (
            y.unflatten(1, (end - begin, nodes)).transpose(0, 1),
            *(part.unflatten(1, (end - begin, nodes)) for part in parts),
        )

    # Of sizes that differ by one at most: what is remembered of a chunk's graph serves the next.
    places = [windows * chunk // number for chunk in range(number + 1)]
    found = [
        run_chunk(begin, end) if keep else checkpoint(run_chunk, begin, end, use_reentrant=False)
        for begin, end in pairwise(places)
    ]
    outputs, *states = zip(*found, strict=True)
    joined = tuple(torch.cat(parts, dim=1) for parts in states)
    return torch.cat(outputs), joined if len(joined) > 1 else joined[0]
