"""Sets of sequences as paths whose nodes are stored in firing order, and back.

Letters: N nodes, F channels, B paths, T_b length of path b.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from gnnseq.schedule.schedule import Schedule
from gnnseq.tracing import for_real

__all__ = ["check_alike", "pack_paths", "packed_paths", "unpack_paths"]


@for_real()
def packed_paths(lengths: Sequence[int] | PackedSequence) -> Schedule:
    """Sweeps B paths whose nodes are stored in firing order: all first nodes, then all second ones, and so on.

    Longer paths come first within a step, as in :class:`torch.nn.utils.rnn.PackedSequence`; rows of state are in the
    order of ``lengths``. For B paths of T nodes each, the nodes are those of a [T, B, F] tensor flattened to
    [T * B, F].

    The nodes of a PackedSequence are its ``data``, but its lengths do not say in which order they are: torch sorts
    sequences by length with a sort that is not stable, and from 17 sequences on those of equal length change places.
    So give the PackedSequence itself, which knows.

    Args:
        lengths: Number of nodes of each path, in any order; 0 is an empty path, whose state passes through. [B] Or a
            PackedSequence, whose paths are those of the sequences that were packed, in the caller's order.

    Raises:
        ValueError: If a length is negative or not an integer, or the PackedSequence contradicts itself.

    Example:
        >>> schedule = packed_paths([1, 3])
        >>> schedule.step_sizes, schedule.edge_index.tolist()
        ((2, 1, 1), [[0, 2], [2, 3]])
    """
    if isinstance(lengths, PackedSequence):
        return _unsorted(lengths)
    try:
        size = np.asarray(lengths)
    except ValueError:  # lists of several lengths
        size = np.asarray(None)
    if size.ndim != 1 or (size.size > 0 and (size.dtype.kind not in "iu" or size.min() < 0)):
        raise ValueError(f"lengths={lengths} should be one non-negative integer a path")
    size = size.astype(np.int64)
    longest = int(size.max(initial=0))
    row = np.argsort(-size, kind="stable")  # row[r] is the path of rank r
    rank = np.empty_like(row)
    rank[row] = np.arange(len(size))
    alive = len(size) - np.cumsum(np.bincount(size, minlength=longest + 1))[:-1]  # paths longer than t, t = 0..
    offset = np.concatenate([[0], np.cumsum(alive)])
    target = np.arange(offset[1] if longest else 0, offset[-1])
    source = target - np.repeat(alive[:-1], alive[1:])
    return Schedule(
        num_nodes=int(offset[-1]),
        edge_index=torch.from_numpy(np.stack([source, target])),
        edge_weight=None,
        edge_id=torch.arange(len(target), device="cpu"),
        order=None,
        step_sizes=tuple(alive.tolist()),
        edge_sizes=(0, *alive[1:].tolist()) if longest else (),
        starts=torch.from_numpy(np.where(size > 0, rank, -1)),
        ends=torch.from_numpy(np.where(size > 0, offset[np.maximum(size - 1, 0)] + rank, -1)),
        lengths=tuple(size.tolist()),
    )


def _unsorted(packed: PackedSequence) -> Schedule:
    """The paths of a packed sequence, rows of state in the order in which the sequences were given."""
    alive, place = packed.batch_sizes.cpu().numpy(), packed.unsorted_indices
    count = int(alive[0]) if len(alive) > 0 else 0
    if alive.sum() != len(packed.data) or np.any(alive < 1) or np.any(np.diff(alive) > 0):
        raise ValueError(f"batch_sizes of the PackedSequence are {alive.tolist()} and its data has {len(packed.data)} "
                         "rows; expected sizes that never grow and add up to the rows: make it with torch's "
                         "pack_sequence or pack_padded_sequence")  # fmt: skip
    schedule = packed_paths((alive[:, None] > np.arange(count)).sum(0))  # longest first
    if place is None:
        return schedule
    place = place.cpu()
    if not torch.equal(place.sort().values, torch.arange(count, device="cpu")):
        raise ValueError(f"unsorted_indices of the PackedSequence are {place.tolist()}; expected each of its {count} "
                         "sequences once")  # fmt: skip
    assert schedule.lengths is not None
    lengths = tuple(schedule.lengths[rank] for rank in place.tolist())
    return replace(schedule, starts=schedule.starts[place], ends=schedule.ends[place], lengths=lengths)


def pack_paths(sequences: Sequence[Tensor] | PackedSequence) -> tuple[Tensor, Schedule]:
    """Sequences of any lengths as one set of nodes in firing order, and the schedule that sweeps them.

    Args:
        sequences: B tensors [T_b, F], or [T_b] of one-hot indices, lengths in any order, empty ones included; or a
            PackedSequence of torch's, rows of state then in the order of the sequences that were packed.

    Returns:
        x [N, F] or [N] with N the sum of the lengths, and the schedule of :func:`packed_paths`.

    Raises:
        ValueError: If there are no sequences, or they differ in width, type or device.

    Example:
        >>> x, schedule = pack_paths([torch.zeros(2, 5), torch.ones(4, 5)])
        >>> x.shape, len(schedule)
        (torch.Size([6, 5]), 4)
        >>> [h.shape[0] for h in unpack_paths(x, schedule)]
        [2, 4]
    """
    if isinstance(sequences, PackedSequence):
        return sequences.data, packed_paths(sequences).to(sequences.data.device)
    check_alike("sequences", "T", sequences)
    schedule = packed_paths([sequence.size(0) for sequence in sequences]).to(sequences[0].device)
    node = _path_by_path(schedule)
    return torch.cat(list(sequences)).index_select(0, node.argsort()), schedule


def check_alike(name: str, rows: str, parts: Sequence[Tensor]) -> None:
    """Raises a ValueError unless there are tensors of one width, type and device, each a row a node."""
    if len(parts) == 0:
        raise ValueError(f"{name} is empty; expected at least one tensor [{rows}, F], whose width tells F")
    first = parts[0]
    for number, part in enumerate(parts):
        if not isinstance(part, Tensor):
            raise ValueError(f"{name}[{number}] is a {type(part).__name__}; expected a tensor [{rows}, F], or indices "
                             f"[{rows}]: use torch.as_tensor")  # fmt: skip
        if part.dim() not in ((2,) if part.is_floating_point() else (1, 2)):
            raise ValueError(
                f"{name}[{number}] has shape {list(part.shape)}; expected [{rows}, F], or indices [{rows}]"
            )
        if (part.shape[1:], part.dtype, part.device) != (first.shape[1:], first.dtype, first.device):
            raise ValueError(
                f"{name}[{number}] is {list(part.shape)} of {part.dtype} on {part.device}; "
                f"{name}[0] is {list(first.shape)} of {first.dtype} on {first.device}: make them alike"
            )


def unpack_paths(h: Tensor, schedule: Schedule) -> list[Tensor]:
    """Takes node values apart into one tensor a path, in the order of the schedule's rows.

    Args:
        h: Values of the nodes. [N, ...]
        schedule: A schedule of paths, from :func:`pack_paths` or :func:`topological`.

    Returns:
        B tensors [T_b, ...].

    Raises:
        ValueError: If the graph is not a set of paths, or h has another number of nodes.
    """
    if not isinstance(schedule, Schedule):
        raise ValueError(f"schedule is a {type(schedule).__name__}; expected a Schedule, as of pack_paths")
    if schedule.lengths is None:
        raise ValueError("schedule is not one of paths: some node has two predecessors or successors, or fires in "
                         "rounds; read its nodes from h directly")  # fmt: skip
    if isinstance(h, PackedSequence):
        raise ValueError("h is a PackedSequence; take it apart with torch.nn.utils.rnn.unpack_sequence, or give h.data "
                         "and the schedule of packed_paths(h)")  # fmt: skip
    if not isinstance(h, Tensor):
        raise ValueError(f"h is a {type(h).__name__}; expected a tensor [N, ...]: use torch.as_tensor(h)")
    if h.dim() == 0 or h.size(0) != schedule.num_nodes:
        raise ValueError(f"h has shape {list(h.shape)}; expected {schedule.num_nodes} rows, one a node")
    return list(h.index_select(0, _path_by_path(schedule).to(h.device)).split(list(schedule.lengths)))


def _path_by_path(schedule: Schedule) -> Tensor:
    """The node of every place in the list of paths laid end to end, in row order. [N]"""
    device = schedule.device
    alive = torch.tensor(schedule.step_sizes, dtype=torch.int64, device=device)
    first = torch.tensor(schedule.node_offsets[:-1], dtype=torch.int64, device=device).repeat_interleave(alive)
    rank = torch.arange(schedule.num_nodes, device=device) - first  # of the path that each place in firing order is on
    node = torch.argsort(schedule.rows[rank], stable=True)
    return node if schedule.order is None else schedule.order[node]
