"""Which kernel sweeps a schedule: the one place that chooses.

| schedule, tensors | kernel |
|---|---|
| doubling | :mod:`gnnseq.kernels.doubling` |
| under a transform of torch.func, make_fx or forward-mode differentiation | None: the layer's loop |
| not unweighted paths, while torch records | None: the layer's loop |
| synchronous, an LSTM, or a GRU without learnt weights, that compiled code takes | :mod:`gnnseq.kernels.fused_rounds` |
| synchronous, anything else | :mod:`gnnseq.kernels.rounds` |
| any, a cell linear in the state that compiled code takes | :mod:`gnnseq.kernels.fused_linear` |
| not unweighted paths, an LSTM that compiled code takes | :mod:`gnnseq.kernels.fused_tree` |
| not unweighted paths, anything else | :mod:`gnnseq.kernels.frontier` |
| unweighted paths of an LSTM in training, a compiled transform of torch.func on a CPU, no gradient of x | None |
| unweighted paths while torch records, on CUDA, or none | :mod:`gnnseq.kernels.dense_path` |
| unweighted paths that compiled code takes | :mod:`gnnseq.kernels.fused_path` |
| unweighted paths for which torch's own recurrence is faster | :mod:`gnnseq.kernels.dense_path` |
| other unweighted paths | :mod:`gnnseq.kernels.frontier` |

Torch records under torch.compile, torch.export, torch.jit.trace and a FakeTensorMode.

Compiled code takes float32 on a CPU, if there is a compiler and enough work to be worth its run. Within the frontier
kernels it makes single cells too; that is no choice of a kernel, but one operation of torch in place of several.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from gnnseq.kernels.autograd_state import under_transform
from gnnseq.kernels.cell import Cell, CellWeights, Loop
from gnnseq.kernels.dense_path import dense_path_sweep
from gnnseq.kernels.doubling import doubling_sweep
from gnnseq.kernels.frontier import frontier_sweep
from gnnseq.kernels.fused_linear import fused_linear_sweep
from gnnseq.kernels.fused_path import fused_path_sweep
from gnnseq.kernels.fused_rounds import fused_rounds_sweep
from gnnseq.kernels.fused_tree import fused_tree_sweep
from gnnseq.kernels.input_projection import is_index
from gnnseq.kernels.native import is_plain, lies_in_memory, runs_compiled
from gnnseq.kernels.rounds import rounds_sweep
from gnnseq.schedule import Schedule
from gnnseq.tracing import is_recording

__all__ = ["Kernel", "choose_kernel"]

# From the cell, inputs [N, F] or one-hot indices [N], a topological schedule whose nodes are numbered in firing order,
# initial states [B, S] (zeros if None), parameters, and the layer's loop, by which some kernels find their second
# derivatives; to h [N, H] and the final states [B', S].
Kernel = Callable[[Cell, Tensor, Schedule, Tensor | None, CellWeights, Loop], tuple[Tensor, Tensor]]


def choose_kernel(
    cell: Cell, x: Tensor, schedule: Schedule, initial: Tensor | None, weights: CellWeights
) -> Kernel | None:
    """The fastest kernel for such work; None if only the layer's step-by-step loop can do it.

    Args:
        cell: The layer's.
        x: Inputs of the nodes. [N, F], or one-hot indices [N]
        schedule: What is swept.
        initial: Rows of initial state; zeros if None. [B, S]
        weights: Parameters of one layer in one direction.
    """
    if schedule.doublings is not None:
        return doubling_sweep
    given = [tensor for tensor in (x, initial, schedule.edge_weight, *weights) if tensor is not None]
    recording = is_recording()  # then nothing may be written into preallocated tensors
    if not recording and x.size(0) > 0 and under_transform(*given):
        return None
    if schedule.rounds is not None:
        return None if recording else _of_rounds(cell, x, schedule, initial, weights)
    if cell.linear and not recording and _is_compiled(cell, x, initial, weights, "linear"):
        return fused_linear_sweep if _takes_weights(schedule.edge_weight) else frontier_sweep
    if schedule.lengths is None or schedule.edge_weight is not None:
        if recording:
            return None
        fused = cell.name == "lstm" and x.size(0) > 0 and _is_compiled(cell, x, initial, weights, "trees")
        return fused_tree_sweep if fused and _takes_weights(schedule.edge_weight) else frontier_sweep
    if recording and cell.name == "lstm" and _compiles_without_gradients(x):
        return None
    if recording or x.is_cuda or x.size(0) == 0:
        return dense_path_sweep
    if not cell.linear and _is_compiled(cell, x, initial, weights, "paths"):
        return fused_path_sweep
    return dense_path_sweep if _is_fast_in_torch(cell, x, schedule, given, weights) else frontier_sweep


def _of_rounds(
    cell: Cell, x: Tensor, schedule: Schedule, initial: Tensor | None, weights: CellWeights
) -> Kernel | None:
    """The kernel of synchronous rounds; None if there is no round, or nobody to fire."""
    if schedule.rounds == 0 or x.size(0) == 0:
        return None
    weight = schedule.edge_weight
    learnt = weight is not None and weight.requires_grad and torch.is_grad_enabled()
    takes = cell.name == "lstm" or (cell.name == "gru" and not learnt)
    part = "trees" if cell.name == "lstm" else "cells"
    fused = takes and _is_compiled(cell, x, initial, weights, part) and _takes_weights(weight)
    return fused_rounds_sweep if fused else rounds_sweep


def _compiles_without_gradients(x: Tensor) -> bool:
    """Whether torch.compile makes torch's LSTM an operation of oneDNN, though parameters are learnt.

    It does on a CPU if inputs need no gradient; in torch 2.13 the backward pass of a sweep then ends in a TypeError.
    Without a transform of torch.func a compiled sweep is one operation (:mod:`gnnseq.kernels.whole_sweep`), which runs
    as an eager call does and does not come here while torch records.
    """
    learning = torch.is_grad_enabled() and not x.requires_grad and not x.is_cuda
    return learning and torch.compiler.is_compiling() and not torch.compiler.is_exporting()


def _is_compiled(cell: Cell, x: Tensor, initial: Tensor | None, weights: CellWeights, part: str) -> bool:
    """Whether there is compiled code for these tensors, in that file, worth a compiler's run."""
    kernel = weights.weight_hh
    hidden = kernel.size(1)
    if not runs_compiled(kernel, x.size(0) * cell.states * hidden, part):
        return False
    width = cell.gates * hidden
    if kernel.size(0) != (0 if cell.linear else width) or weights.weight_ih.size(0) != width:
        return False
    if initial is not None and (initial.size(1) != cell.states * hidden or not is_plain(initial)):
        return False
    plain = all(is_plain(weight) for weight in weights if weight is not None)
    return plain and (lies_in_memory(x) if is_index(x) else is_plain(x))


def _takes_weights(edge_weight: Tensor | None) -> bool:
    """Whether compiled code can read these weights of edges, as float32."""
    return edge_weight is None or is_plain(edge_weight.float())


def _is_fast_in_torch(cell: Cell, x: Tensor, schedule: Schedule, given: list[Tensor], weights: CellWeights) -> bool:
    """Whether torch's own recurrence over unweighted paths, compiled itself, is faster than one step after another."""
    if cell.linear:
        return False
    # One-hot indices of more channels than H are better looked up than multiplied by, as torch's recurrence would.
    if is_index(x) and weights.weight_ih.size(1) > weights.weight_hh.size(1):
        return False
    # Of the others than LSTMs only equal lengths without gradients win over one buffer.
    if cell.name == "lstm":
        return True
    equal = schedule.step_sizes[:1] == schedule.step_sizes[-1:]
    return equal and not (torch.is_grad_enabled() and any(tensor.requires_grad for tensor in given))
