"""Sweeps over unweighted paths, in dense blocks of time.

A rule that reads only the past is not changed by padding after a path's end. So time is cut into blocks within which
the number of living paths hardly falls, each block is run dense by torch's own recurrent kernels (oneDNN, cuDNN), a
linear cell by doubling, and the state of the paths that live on is carried over. Derivatives of any order are torch's.

Letters: N nodes, F input channels, H hidden channels, S state width, B paths that are not empty, T steps;
t steps and b paths of a block.
"""

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from gnnseq.kernels.cell import Cell, CellWeights, Loop
from gnnseq.kernels.doubling import scan_steps
from gnnseq.kernels.input_projection import as_features
from gnnseq.kernels.linear_gates import keep_and_add
from gnnseq.schedule import Schedule
from gnnseq.tracing import is_recording

__all__ = ["dense_path_sweep", "dense_sweep"]

# A block ends when fewer than this share of its paths are alive.
LEAST_FILL = 0.85
# Gate input that saturates a sigmoid to exactly 0 or 1 in every floating-point type, float16 included.
SATURATED = 1e4


class Block(NamedTuple):
    """Steps that are run together.

    ``inside`` numbers the block's nodes within its dense form; None if all of it is nodes.
    """

    begin: int
    end: int
    steps: int
    paths: int
    inside: Tensor | None


def dense_path_sweep(
    cell: Cell, x: Tensor, schedule: Schedule, initial: Tensor | None, weights: CellWeights, _loop: Loop
) -> tuple[Tensor, Tensor]:
    """Sweeps paths whose nodes are numbered in firing order, as :data:`gnnseq.kernels.dispatch.Kernel` says."""
    x = as_features(x, weights.weight_ih)  # torch's kernels multiply all input by a kernel
    hidden = weights.weight_hh.size(1)
    rows = schedule.rows
    everything = x.new_zeros(schedule.starts.numel(), cell.states * hidden) if initial is None else initial
    if rows.numel() == 0:  # all paths are empty: their states pass through
        # A product over no nodes, so that a backward pass finds the parameters here too.
        return functional.linear(x, weights.weight_ih)[:, :hidden], everything.clone()
    state = everything.index_select(0, rows).split(hidden, dim=1)
    outputs, finals = [], []
    for block in _blocks(schedule):
        state = tuple(part[: block.paths] for part in state)
        nodes = x[block.begin : block.end]
        if block.inside is None:
            dense = nodes.view(block.steps, block.paths, x.size(1))
            h, state = dense_sweep(cell, dense, state, weights)
            outputs.append(h.reshape(-1, hidden))
        else:
            dense = x.new_zeros(block.steps * block.paths, x.size(1)).index_copy(0, block.inside, nodes)
            dense = dense.view(block.steps, block.paths, x.size(1))
            padded_weights = weights
            if cell.name == "lstm":
                dense, padded_weights = _hold_cells(dense, block.inside, weights)
            h, state = dense_sweep(cell, dense, state, padded_weights)
            outputs.append(h.reshape(-1, hidden).index_select(0, block.inside))
        finals.append(state)
    h = outputs[0] if len(outputs) == 1 else torch.cat(outputs)
    ends = schedule.ends.index_select(0, rows)
    final = [h.index_select(0, ends)]
    if cell.name == "lstm":
        # A block's last rows, beyond those that live on, are paths that end in it; the last block's all do.
        alive = [*(cells.size(0) for _, cells in finals[1:]), 0]
        ended = [cells[count:] for (_, cells), count in zip(finals, alive, strict=True)]
        final.append(torch.cat(ended[::-1]))
    return h, everything.index_copy(0, rows, torch.cat(final, dim=1).to(everything.dtype))


def _blocks(schedule: Schedule) -> list[Block]:
    alive, offsets = schedule.step_sizes, schedule.node_offsets
    first, blocks = 0, []
    for step in range(1, len(alive) + 1):
        if step < len(alive) and alive[step] >= LEAST_FILL * alive[first]:
            continue
        begin, end, steps, paths = offsets[first], offsets[step], step - first, alive[first]
        inside = None
        if end - begin < steps * paths:
            living = torch.tensor(alive[first:step], device=schedule.device).unsqueeze(1)  # [t, 1]
            rank = torch.arange(paths, device=schedule.device)
            inside = (rank < living).view(-1).nonzero().view(-1)
        blocks.append(Block(begin, end, steps, paths, inside))
        first = step
    return blocks


def dense_sweep(
    cell: Cell, x: Tensor, state: tuple[Tensor, ...], weights: CellWeights
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """Runs [t, b, F] from state, h and for an LSTM c [b, H]; returns h [t, b, H] and the last state."""
    if cell.linear:
        h = scan_steps(*keep_and_add(cell, functional.linear(x, weights.weight_ih, weights.bias_ih)), state[0])
        return h, (h[-1],)
    parameters = [weight for weight in weights if weight is not None]
    has_biases = weights.bias_ih is not None
    entering = [part.unsqueeze(0).contiguous() for part in state]
    training = torch.is_grad_enabled() or torch._C._get_tracing_state() is not None  # a trace serves both
    options = (has_biases, 1, 0.0, training, False, False)  # one layer, no dropout, [t, b, F]
    if cell.name == "lstm":
        with _without_workspace() if training and not is_recording() else nullcontext():
            h, *last = torch.lstm(x, entering, parameters, *options)
    else:
        h, *last = getattr(torch, cell.name)(x, entering[0], parameters, *options)
    return h, tuple(part.squeeze(0) for part in last)


@contextmanager
def _without_workspace() -> Iterator[None]:
    """Leaves an LSTM to torch's own operations where a hook may give back something else for what is saved.

    oneDNN, which is used otherwise, saves a workspace in a form of its own and reads what it gets back unchecked.
    """
    hooks, enabled = torch._C._autograd._top_saved_tensors_default_hooks(True), torch._C._get_mkldnn_enabled()
    if hooks is not None:
        torch._C._set_mkldnn_enabled(False)
    try:
        yield
    finally:
        if hooks is not None:
            torch._C._set_mkldnn_enabled(enabled)


def _hold_cells(x: Tensor, inside: Tensor, weights: CellWeights) -> tuple[Tensor, CellWeights]:
    """One more input channel, 1 on padding, that shuts the input gate and opens the forget gate there.

    So the last cell state of a block is, exactly, the one at each path's own end.
    """
    padding = x.new_ones(x.size(0) * x.size(1), 1).index_fill(0, inside, 0.0).view(x.size(0), x.size(1), 1)
    hidden = weights.weight_hh.size(1)
    gates = x.new_tensor([-SATURATED, SATURATED, 0.0, 0.0]).repeat_interleave(hidden).unsqueeze(1)  # [4H, 1]
    held = torch.cat([weights.weight_ih, gates.to(weights.weight_ih.dtype)], dim=1)
    return torch.cat([x, padding], dim=2), weights._replace(weight_ih=held)
