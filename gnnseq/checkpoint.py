"""Training on paths too long for memory: the exact gradient, with the states of a few moments kept in place of all.

Letters: N nodes, F input channels, H hidden channels, L layers, B paths, T steps of the longest.
"""

import math
from itertools import pairwise

import torch
from torch import Tensor
from torch.utils.checkpoint import checkpoint

from gnnseq.checks import whole
from gnnseq.layers.recurrent import Recurrent
from gnnseq.schedule import Schedule, packed_paths

__all__ = ["sweep_in_chunks"]


def sweep_in_chunks(
    layer: Recurrent,
    x: Tensor,
    schedule: Schedule,
    state: Tensor | tuple[Tensor, ...] | None = None,
    chunks: int | None = None,
) -> tuple[Tensor, Tensor | tuple[Tensor, ...]]:
    r"""What ``layer(x, schedule, state)`` returns, keeping for the backward pass only states between chunks of time.

    The backward pass computes each chunk once more. With :math:`\sqrt T` chunks the memory (without x and h) grows as
    :math:`\sqrt T`, and the time by that of one more forward pass (Chen et al. 2016, https://arxiv.org/abs/1604.06174).

    Args:
        layer: A recurrent layer of one direction: a backward direction needs the end before the beginning.
        x: Inputs of the nodes, [N, F], or one-hot indices [N].
        schedule: A schedule of paths, from :func:`gnnseq.pack_paths` or :func:`gnnseq.topological`.
        state: Initial state, as the layer takes it.
        chunks: Number of parts; the root of T if None.

    Returns:
        h [N, H] and the final state, the same numbers as without chunks, and so are their gradients.

    Raises:
        ValueError: If the layer has two directions, the schedule is not one of unweighted paths, or chunks is not a
            positive integer.

    Example:
        >>> from gnnseq.layers import LSTM
        >>> lstm, x, schedule = LSTM(3, 8), torch.randn(1000, 3), packed_paths([1000])
        >>> h, _ = sweep_in_chunks(lstm, x, schedule)
        >>> torch.allclose(h, lstm(x, schedule)[0], atol=1e-6)
        True
    """
    if not isinstance(layer, Recurrent):
        raise ValueError(f"layer is a {type(layer).__name__}; expected a recurrent layer of gnnseq.layers, an LSTM say")
    if not isinstance(schedule, Schedule):
        raise ValueError(f"schedule is a {type(schedule).__name__}; expected a Schedule, as of pack_paths")
    if layer.bidirectional:
        raise ValueError("layer has two directions, and the backward one cannot begin before the forward one has seen "
                         "all; use two layers of one direction, the second on schedule.reversed")  # fmt: skip
    if schedule.doublings is not None:
        raise ValueError("schedule doubles distances, which chunks of time would cut; use a topological one")
    if schedule.lengths is None or schedule.edge_weight is not None:
        raise ValueError("schedule is not one of unweighted paths; call the layer itself")
    steps = len(schedule)
    chunks = math.isqrt(max(steps - 1, 0)) + 1 if chunks is None else min(whole(1, chunks=chunks), max(steps, 1))
    layer.check(x, schedule, state)
    # Longest first, as nodes of a step are: then a chunk's nodes are in the firing order of its own schedule.
    rows = schedule.rows
    lengths = [schedule.lengths[row] for row in rows.tolist()]
    nodes = x if schedule.order is None else x.index_select(0, schedule.order)
    shape = (layer.num_layers, len(schedule.lengths), layer.hidden_channels)
    zeros = layer.weights("l0").weight_hh.new_zeros(shape)
    entering = (zeros,) * layer.cell.states if state is None else state
    parts = tuple(entering) if isinstance(entering, tuple | list) else (entering,)
    carried = tuple(part.index_select(1, rows) for part in parts)
    outputs = []
    for begin, end in pairwise([steps * chunk // chunks for chunk in range(chunks + 1)]):
        if begin == end:
            continue
        own = packed_paths([min(max(length - begin, 0), end - begin) for length in lengths]).to(x.device)
        first, last = schedule.node_offsets[begin], schedule.node_offsets[end]

        def run(nodes: Tensor, *carried: Tensor, own: Schedule = own) -> tuple[Tensor, ...]:
            h, after = layer(nodes, own, carried if layer.cell.states > 1 else carried[0])
            return h, *(after if isinstance(after, tuple) else (after,))

        h, *after = checkpoint(run, nodes[first:last], *carried, use_reentrant=False)
        outputs.append(h)
        carried = tuple(after)
    h = torch.cat(outputs) if outputs else layer(nodes, schedule.in_order)[0]
    if schedule.order is not None:
        h = torch.empty_like(h).index_copy(0, schedule.order, h)
    final = tuple(part.index_copy(1, rows, after) for part, after in zip(parts, carried, strict=True))
    return h, final[0] if layer.cell.states == 1 else final
