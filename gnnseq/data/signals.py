"""Signals of PyTorch Geometric Temporal and torch_geometric's TemporalData as what layers over graphs in time take.

Letters: B windows, T time steps, N nodes, F channels, P steps of a window, E edges of one step's graph, M events.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from gnnseq.checks import shape_of, whole
from gnnseq.graphs import as_edge_index

__all__ = ["History", "from_temporal_data", "from_temporal_signal"]

Relation = tuple[str, str, str]
Steps = Tensor | list[Tensor | None]


class History(NamedTuple):
    """Graphs in time: ``layer(history.x, history.edge_index, history.edge_weight)``, or ``layer(*history[:3])``.

    Attributes:
        x: Features. [T, N, F], or windows [B, P, N, F].
        edge_index: The graph of all steps, or a list of T. [2, E]
        edge_weight: Its weights, or a list of T; None if all are 1. [E]
        y: Targets of all steps, [T, ...] or [B, ...]; a list where steps have none, or of other shapes; None if there
            are none at all.
        extra: What else there is of each step, by name and in the same form as y.
    """

    x: Tensor
    edge_index: Tensor | list[Tensor]
    edge_weight: Tensor | list[Tensor | None] | None
    y: Steps | None
    extra: dict[str, Steps]


def from_temporal_signal(signal: Any, relation: Relation | None = None) -> History:
    """A signal of PyTorch Geometric Temporal, which need not be installed.

    Its arrays become tensors: features and weights of torch's default type, targets of integers int64. A static graph
    stays one; snapshots of a dynamic one may have different edges. Snapshots [N, F, P], as of METR-LA, are windows of P
    steps, and become [B, P, N, F]. A signal of batches keeps its vector as ``extra["batch"]``, and any additional
    features under their names.

    Args:
        signal: A static or dynamic graph's, with static or temporal features, of batches or not. Of several types of
            nodes, one relation between nodes of one type is taken, with that type's features and targets.
        relation: Which; needed if there are several such.

    Raises:
        ValueError: If it is no signal, a step has no features or a malformed graph, or no relation can be chosen.

    Example:
        >>> from types import SimpleNamespace
        >>> days = [np.ones((3, 2)), np.zeros((3, 2))]
        >>> signal = SimpleNamespace(edge_index=np.array([[0, 1], [1, 2]]), edge_weight=None, features=days,
        ...                          targets=[np.ones(3), np.zeros(3)], additional_feature_keys=[])
        >>> history = from_temporal_signal(signal)
        >>> history.x.shape, history.edge_index.tolist(), history.y.shape
        (torch.Size([2, 3, 2]), [[0, 1], [1, 2]], torch.Size([2, 3]))
    """
    edges, static = _first(signal, "edge_index", "edge_indices", "edge_index_dict", "edge_index_dicts")
    weights, _ = _first(signal, "edge_weight", "edge_weights", "edge_weight_dict", "edge_weight_dicts")
    features, fixed = _first(signal, "feature", "features", "feature_dict", "feature_dicts")
    targets = getattr(signal, "targets", getattr(signal, "target_dicts", None))
    lengths = {
        len(given) for given in (targets, None if static else edges, None if fixed else features) if given is not None
    }
    if len(lengths) != 1 or 0 in lengths:
        raise ValueError(f"signal has {sorted(lengths) or 'no'} snapshots; expected one and the same number of edges, "
                         "features and targets, 1 or more")  # fmt: skip
    steps = lengths.pop()
    batch = next((getattr(signal, name) for name in ("batches", "batch_dicts", "batch_dict") if hasattr(signal, name)),
                 None)  # fmt: skip
    of_edges, of_nodes = _chooser(signal, edges, static, relation)
    x = _features([of_nodes(features)] if fixed else [of_nodes(each) for each in features])
    if fixed:
        x = x.expand(steps, *x.shape[1:])
    x, in_windows = (x.permute(0, 3, 1, 2), True) if x.dim() == 4 else (x, False)
    extra = {
        key: joined
        for key in getattr(signal, "additional_feature_keys", ())
        if (joined := _join([_as_tensor(of_nodes(each)) for each in getattr(signal, key)])) is not None
    }
    if batch is not None:
        each = batch if isinstance(batch, list | tuple) else [batch]
        joined = _join([_as_tensor(of_nodes(own)) for own in each])
        if joined is not None:
            extra["batch"] = joined if isinstance(batch, list | tuple) else joined[0]  # type: ignore[assignment]
    y = None if targets is None else _join([_as_tensor(of_nodes(target)) for target in targets])
    nodes = x.size(-2)
    if static:
        edge_index, edge_weight = _graph(of_edges(edges), of_edges(weights), nodes, "")
        return History(x, edge_index, edge_weight, y, extra)
    if in_windows:
        raise ValueError("signal has windows [N, F, P] as snapshots and a graph for each of them; expected one graph "
                         "of all windows: take signal[i] one by one, its steps x.permute(2, 0, 1)")  # fmt: skip
    listed = [None] * steps if weights is None else weights
    if len(listed) != steps:
        raise ValueError(f"signal has {len(listed)} edge weights and {steps} snapshots; expected one each, None for 1")
    graphs = [
        _graph(of_edges(own), of_edges(listed[t]), nodes, f"step {t}: ") for t, own in enumerate(edges)
    ]  # fmt: skip
    none = all(weight is None for _, weight in graphs)
    return History(x, [own for own, _ in graphs], None if none else [weight for _, weight in graphs], y, extra)


def from_temporal_data(
    data: Any, bins: int | Sequence[float] | Tensor, num_nodes: int | None = None, x: Tensor | None = None
) -> History:
    """Events of torch_geometric's TemporalData as one graph for every bin of time.

    Events may be stored in any order; within a bin they are in that of their times, those of one time in the stored
    one. Each is an edge of weight 1 from ``src`` to ``dst``, also where a pair has several. ``extra`` has the lists of
    ``t``, ``msg`` and whatever else has an entry for every event, as ``edge_index`` has them, and y those of ``y``.

    Args:
        data: Anything with ``src``, ``dst`` and ``t`` [M], and ``msg`` [M, F] or None.
        bins: Number T of bins, equally wide from the first time to the last; or T + 1 increasing times at which they
            begin and the last one ends. A bin has its beginning and not its end, but for the last.
        num_nodes: Number of nodes N; if None one more than the largest in ``data``.
        x: Features [T, N, F], or [N, F] for all steps. If None, the sum of the messages of the events that the node
            took part in in the step, or, without messages, the number of these events.

    Raises:
        ValueError: If there are no events, their fields have different lengths, or a time is outside the bins.

    Example:
        >>> from torch_geometric.data import TemporalData
        >>> events = TemporalData(src=torch.tensor([0, 1, 0]), dst=torch.tensor([2, 2, 1]), t=torch.tensor([9, 1, 2]))
        >>> history = from_temporal_data(events, bins=2)
        >>> [edges.tolist() for edges in history.edge_index], history.x[0].flatten().tolist()
        ([[[1, 0], [2, 1]], [[0], [2]]], [1.0, 2.0, 1.0])
    """
    source, target, time = (_field(data, name) for name in ("src", "dst", "t"))
    number = source.numel()
    if number == 0 or target.numel() != number or time.numel() != number:
        raise ValueError(f"data has {number} src, {target.numel()} dst and {time.numel()} t; expected one of each for "
                         "every event, and an event or more")  # fmt: skip
    if time.is_floating_point() and not bool(time.isfinite().all()):
        raise ValueError(f"t[{int((~time.isfinite()).nonzero()[0])}] is no finite time; expected a number")
    ends = torch.stack([source, target])
    if ends.is_floating_point() and not bool((ends == ends.trunc()).all()):
        raise ValueError("src or dst holds numbers that are not whole; expected the nodes' numbers, 0 and up")
    ends = ends.long()
    nodes = int(ends.max()) + 1 if num_nodes is None else whole(0, num_nodes=num_nodes)
    order = time.argsort(stable=True)
    place, steps = _bins(time, bins)
    counts = torch.bincount(place, minlength=steps).tolist()
    ends, _ = as_edge_index(ends[:, order], nodes)
    store = data.to_dict() if hasattr(data, "to_dict") else vars(data)
    kept = {
        name: list(_as_float(value)[order].split(counts))
        for name, value in store.items()
        if name not in ("src", "dst") and isinstance(value, Tensor) and value.dim() > 0 and len(value) == number
    }
    if x is None:
        message = store.get("msg")
        sent = torch.ones(number, 1, device="cpu") if message is None else _as_float(message).reshape(number, -1)
        sent = sent.to(device=ends.device, dtype=torch.get_default_dtype())
        sent = sent if message is None else sent[order]
        row = place[order] * nodes + ends
        x = sent.new_zeros(steps * nodes, sent.size(1)).index_add(0, row[0], sent)
        apart = (ends[0] != ends[1]).unsqueeze(1)  # a loop takes part once
        x = x.index_add(0, row[1], sent * apart).view(steps, nodes, -1)
    elif x.dim() not in (2, 3) or x.size(-2) != nodes or (x.dim() == 3 and x.size(0) != steps):
        raise ValueError(f"x has shape {shape_of(x)}; expected [{nodes}, F] or [{steps}, {nodes}, F]")
    elif x.dim() == 2:
        x = x.expand(steps, -1, -1)
    y = kept.pop("y", None)
    return History(x, list(ends.split(counts, dim=1)), None, y, kept)  # type: ignore[arg-type]


def _bins(time: Tensor, bins: int | Sequence[float] | Tensor) -> tuple[Tensor, int]:
    """The bin of each event [M], and how many there are."""
    if not isinstance(bins, int) and (bins.dim() if isinstance(bins, Tensor) else np.ndim(bins)) > 0:
        edges = torch.as_tensor(bins, device=time.device)
        if edges.dim() != 1 or edges.numel() < 2 or not bool((edges.diff() > 0).all()):
            raise ValueError(f"bins={bins!r}; expected two increasing times or more, or a number of bins")
        if not edges.is_floating_point() and not time.is_floating_point():
            edges, time = edges.long(), time.long()
        else:
            edges, time = edges.double(), time.double()
        outside = (time < edges[0]) | (time > edges[-1])
        if outside.any():
            event = int(outside.nonzero()[0])
            raise ValueError(f"t[{event}]={time[event].item()} is outside of bins, {edges[0].item()} to "
                             f"{edges[-1].item()}; widen these, or take data[mask] of the events within")  # fmt: skip
    else:
        steps = whole(1, bins=bins)
        time = (time - time.min()).double()  # before rounding: nanoseconds since 1970 are too many digits
        edges = torch.linspace(0, float(time.max()) or 1.0, steps + 1, dtype=torch.float64, device=time.device)
    steps = edges.numel() - 1
    return (torch.bucketize(time, edges, right=True) - 1).clamp(0, steps - 1), steps


def _field(data: Any, name: str) -> Tensor:
    value = getattr(data, name, None)
    if not isinstance(value, Tensor) or value.dim() != 1:
        raise ValueError(f"data.{name} is {shape_of(value)}; expected a tensor [M], one entry an event")
    return value


def _first(signal: Any, *names: str) -> tuple[Any, bool]:
    """The field that there is, and whether it is of all steps."""
    for name in names:
        if hasattr(signal, name):
            return getattr(signal, name), name in ("edge_index", "edge_index_dict", "feature", "feature_dict")
    raise ValueError(f"signal is a {type(signal).__name__} and has none of {', '.join(names)}; expected a signal of "
                     "PyTorch Geometric Temporal, or an object with its fields")  # fmt: skip


def _chooser(
    signal: Any, edges: Any, static: bool, relation: Relation | None
) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
    """What takes of a step's fields by relation, and by type of node, the ones of the chosen relation."""
    if not hasattr(signal, "edge_index_dict") and not hasattr(signal, "edge_index_dicts"):
        if relation is not None:
            raise ValueError(f"relation={relation!r} and signal has one type of edges; drop relation")
        return (lambda given: given), (lambda given: given)
    found: dict[Relation, None] = {}
    for each in [edges] if static else edges:
        found |= dict.fromkeys(each or {})
    legal = [key for key in found if key[0] == key[2]]
    if relation is None and len(legal) == 1:
        relation = legal[0]
    if relation is None or tuple(relation) not in legal:
        shown = ", ".join(map(repr, legal)) or f"one, but all join two types of nodes: {', '.join(map(repr, found))}"
        raise ValueError(f"relation={relation!r}; expected one between nodes of one type: {shown}")
    own = tuple(relation)
    return (lambda given: (given or {}).get(own)), (lambda given: (given or {}).get(own[0]))


def _features(given: list[Any]) -> Tensor:
    """Features of all snapshots. [T, N, F], or windows' [B, N, F, P]"""
    found = [_as_tensor(each) for each in given]
    for t, each in enumerate(found):
        if each is None:
            raise ValueError(f"step {t}: signal has no features; expected [N, F] at every step")
        if each.dim() not in (1, 2, 3) or each.shape != found[0].shape:  # type: ignore[union-attr]
            raise ValueError(f"step {t}: features have shape {list(each.shape)} and those of step 0 "
                             f"{shape_of(found[0])}; expected the same nodes and channels")  # fmt: skip
    x = torch.stack([each for each in found if each is not None]).to(torch.get_default_dtype())
    return x.unsqueeze(2) if x.dim() == 2 else x


def _graph(edges: Any, weight: Any, nodes: int, where: str) -> tuple[Tensor, Tensor | None]:
    """A step's edges [2, E], none if they are None, and weights [E]."""
    edge_index, edge_weight = _as_tensor(edges), _as_tensor(weight)
    if edge_index is None or edge_index.numel() == 0:
        edge_index = torch.empty(2, 0, dtype=torch.int64, device="cpu")
    if not edge_index.is_floating_point():
        edge_index = edge_index.long()
    if edge_weight is not None:
        edge_weight = edge_weight.to(torch.get_default_dtype())
        if edge_weight.dim() == 2 and edge_weight.size(1) == 1:
            edge_weight = edge_weight.view(-1)
    try:
        return as_edge_index(edge_index, nodes, edge_weight)
    except ValueError as error:
        raise ValueError(f"{where}{error}") from error


def _as_tensor(value: Any) -> Tensor | None:
    """Floating point as torch's default type, integers as int64."""
    if value is None:
        return None
    tensor = value if isinstance(value, Tensor) else torch.from_numpy(np.array(value))  # a copy, and writable
    return _as_float(tensor) if tensor.is_floating_point() or tensor.dtype == torch.bool else tensor.long()


def _as_float(tensor: Tensor) -> Tensor:
    return tensor.to(torch.get_default_dtype()) if tensor.is_floating_point() else tensor


def _join(found: list[Tensor | None]) -> Steps | None:
    """All steps' [T, ...], or their list if some are missing or of other shapes; None if all are missing."""
    there = [each for each in found if each is not None]
    if not there:
        return None
    same = len(there) == len(found) and len({(each.shape, each.dtype) for each in there}) == 1
    return torch.stack(there) if same else found
