"""Calls of public functions with made-up arguments: right ones first, of which some are then spoilt.

A call is right, or raises one of the errors that are meant for callers; anything else is a fault. Compiled code is on
for work of any size.
"""

import contextlib
import random
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

import gnnseq
from gnnseq import checkpoint, graphs, layers, models, normalization, sampling, schedule, stream
from gnnseq.kernels.native import functions

__all__ = ["CLEAR", "attempt_call", "attempt_one", "torch_state"]

# What a caller may get to see, by name. RuntimeError and IndexError are torch's own, as are not implemented operations.
CLEAR = ("ValueError", "TypeError", "RuntimeError", "IndexError", "NotImplementedError", "DegreeError", "torch's own")
FEATURES, HIDDEN = 5, 8
TYPES = (
    torch.int32, torch.int64, torch.float64, torch.float16, torch.bfloat16, torch.bool, torch.complex64, torch.uint8
)  # fmt: skip

Draw = random.Random
Call = tuple[Callable[..., Any], dict[str, Any]]  # what is called, and with what


def _edges(draw: Draw, nodes: int) -> Tensor:
    """Edges from lower to higher nodes."""
    pairs = [sorted(draw.sample(range(nodes), 2)) for _ in range(draw.randrange(3 * nodes))] if nodes > 1 else []
    return torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2).t().contiguous()


def _schedule(draw: Draw, nodes: int) -> schedule.Schedule:
    kind = draw.randrange(4)
    if kind == 0:
        lengths = [draw.randrange(nodes + 1)]
        return schedule.packed_paths([*lengths, nodes - lengths[0]])
    edges = _edges(draw, nodes)
    if kind == 1:
        return schedule.synchronous(edges, nodes, draw.randrange(3))
    made = schedule.topological(edges, nodes)
    return made.weighted(torch.rand(made.edge_index.size(1))) if kind == 2 else made


def _recurrent(draw: Draw) -> Any:
    kind = draw.choice([layers.RNN, layers.LSTM, layers.GRU])
    more = {"nonlinearity": draw.choice(["tanh", "relu"])} if kind is layers.RNN else {}
    options = {"num_layers": draw.choice([1, 1, 2]), "bias": draw.random() < 0.8, "bidirectional": draw.random() < 0.2}
    return kind(FEATURES, HIDDEN, **options, **more)


def _state(draw: Draw, layer: Any, rows: int) -> Any:
    shape = layer.num_layers * layer.num_directions, rows, HIDDEN
    parts = tuple(torch.randn(shape) for _ in range(layer.cell.states))
    return parts if len(parts) > 1 else parts[0]


def call_recurrent(draw: Draw) -> Call:
    layer, nodes = _recurrent(draw), draw.randrange(12)
    x = torch.randint(FEATURES, (nodes,)) if draw.random() < 0.2 else torch.randn(nodes, FEATURES)
    graph = _edges(draw, nodes) if draw.random() < 0.3 else _schedule(draw, nodes)
    arguments = {"x": x, "graph": graph}
    if isinstance(graph, schedule.Schedule) and draw.random() < 0.5:
        arguments["state"] = _state(draw, layer, max(graph.starts.numel(), graph.ends.numel() * layer.bidirectional))
    return layer, arguments


def call_sequence(draw: Draw) -> Call:
    layer, shape = _recurrent(draw), (draw.randrange(5), draw.randrange(5), FEATURES)
    return layer, {"x": torch.randn(shape), "state": _state(draw, layer, shape[1])}


def call_in_chunks(draw: Draw) -> Call:
    layer, lengths = _recurrent(draw), [draw.randrange(6) for _ in range(draw.randrange(4))]
    made = schedule.packed_paths(lengths)
    x = torch.randn(sum(lengths), FEATURES)
    return checkpoint.sweep_in_chunks, {"layer": layer, "x": x, "schedule": made, "chunks": draw.randrange(1, 4)}


def call_convolution(draw: Draw) -> Call:
    nodes, width = draw.randrange(12), draw.choice([FEATURES, 64])
    layer: Any = draw.choice([
        lambda: layers.GCN(width, HIDDEN),
        lambda: layers.GCN(-1, HIDDEN),
        lambda: layers.GCN(width, 0, normalize=False),
        lambda: layers.GatedGraph(max(width, 64), 2),
    ])()  # fmt: skip
    edges, x = _edges(draw, nodes), torch.randn(nodes, width)
    if draw.random() < 0.3:
        x = x * (torch.rand_like(x) < 0.03)
    arguments = {"x": x, "edge_index": edges}
    if draw.random() < 0.5:
        arguments["edge_weight"] = torch.rand(edges.size(1))
    if draw.random() < 0.3:
        weight = arguments.pop("edge_weight", torch.ones(edges.size(1)))
        matrix = torch.sparse_coo_tensor(edges.flip(0), weight, (nodes, nodes)).coalesce()
        form = draw.choice([Tensor.to_sparse_csr, Tensor.to_sparse_csc, Tensor.to_sparse_coo])
        arguments["edge_index"] = form(matrix)
    if draw.random() < 0.2:
        arguments["x"] = draw.choice([Tensor.to_sparse_csr, Tensor.to_sparse_coo])(x)
    return layer, arguments


def call_temporal(draw: Draw) -> Call:
    nodes, steps = draw.randrange(1, 6), draw.randrange(1, 5)
    edges, x = _edges(draw, nodes), torch.randn(steps, nodes, FEATURES)
    layer: Any = draw.choice([
        lambda: layers.TemporalGCN(FEATURES, HIDDEN, 2),
        lambda: layers.TemporalGCN(FEATURES, HIDDEN, 2, order="space_time"),
        lambda: layers.TemporalGCN(FEATURES, HIDDEN, None, order="time_then_space"),
        lambda: layers.EvolveGCN(FEATURES, HIDDEN),
    ])()  # fmt: skip
    return layer, {"x": x, "edge_index": edges}


def call_relational(draw: Draw) -> Call:
    nodes = draw.randrange(1, 9)
    edges = _edges(draw, nodes)
    layer = layers.RelationalGCN(FEATURES, 3, draw.choice(["uniform", "explicit", "implicit"]))
    return layer, {"x": torch.randn(nodes, FEATURES), "edge_index": edges, "relations": torch.rand(edges.size(1), 3)}


def call_stream(draw: Draw) -> Call:
    layer, batch = _recurrent(draw), draw.randrange(4)

    def follow(layer: Any, batch: Any, x: Any, rows: Any, embedding: Any) -> Tensor:
        made = stream.Stream(layer, batch, embedding=embedding)
        made(x)
        made.select(rows)
        return made(x)

    x = torch.randint(3, (batch,)) if draw.random() < 0.4 else torch.randn(batch, FEATURES)
    embedding = torch.randn(3, FEATURES) if draw.random() < 0.5 else None
    arguments = {"layer": layer, "batch": batch, "x": x, "rows": torch.arange(batch), "embedding": embedding}
    return follow, arguments


def call_schedule(draw: Draw) -> Call:
    nodes = draw.randrange(9)
    edges = _edges(draw, nodes)
    weight = torch.rand(edges.size(1)) if draw.random() < 0.5 else None
    graph = {"edge_index": edges, "num_nodes": nodes, "edge_weight": weight}
    made = schedule.topological(edges, nodes)
    parts = [torch.randn(draw.randrange(4), FEATURES) for _ in range(draw.randrange(4))]
    parents = [[-1] + [draw.randrange(i) for i in range(1, draw.randrange(1, 5))] for _ in range(draw.randrange(3))]
    lengths = [draw.randrange(5) for _ in range(draw.randrange(4))]
    chosen: Any = draw.choice([
        (schedule.topological, graph),
        (schedule.synchronous, graph | {"rounds": draw.randrange(4)}),
        (normalization.gcn_normalize, graph),
        (graphs.as_edge_index, {"graph": edges, "num_nodes": nodes, "edge_weight": weight}),
        (graphs.space_time_graph, graph | {"steps": draw.randrange(4)}),
        (graphs.path_graph, {"length": nodes}),
        (graphs.tree_graph, {"parents": [-1] * nodes}),
        (schedule.packed_paths, {"lengths": lengths}),
        (schedule.pack_paths, {"sequences": parts}),
        (schedule.pack_trees, {"x": [torch.randn(len(tree), 2) for tree in parents], "parents": parents}),
        (schedule.unpack_paths, {"h": torch.randn(sum(lengths), 3), "schedule": schedule.packed_paths(lengths)}),
        (made.weighted, {"edge_weight": torch.rand(edges.size(1))}),
    ])  # fmt: skip
    function, arguments = chosen
    return function, arguments


def call_reach(draw: Draw) -> Call:
    nodes = draw.randrange(1, 7)
    module = layers.GCN(FEATURES, HIDDEN) if draw.random() < 0.5 else layers.GRU(FEATURES, HIDDEN)
    return gnnseq.receptive_field, {
        "module": module,
        "x": torch.randn(nodes, FEATURES),
        "edge_index": _edges(draw, nodes),
    }


def call_model(draw: Draw) -> Call:
    cell: Any = draw.choice(["RNN", "LSTM", "GRU"])
    x = torch.randn(draw.randrange(1, 5), draw.randrange(1, 4), FEATURES)
    logits = {"logits": torch.randn(2, 6), "temperature": 1.0, "nucleus": 0.9} | {"top_k": draw.choice([None, 3])}
    chosen: Any = draw.choice([
        (models.LanguageModel(6, 8, cell), {"characters": torch.randint(6, (3, 2))}),
        (models.SequenceClassifier(cell, FEATURES, HIDDEN, 3), {"x": x}),
        (models.GraphClassifier(FEATURES, HIDDEN, 3, num_layers=2), {"x": x}),
        (sampling.probabilities, logits),
    ])  # fmt: skip
    function, arguments = chosen
    return function, arguments


CALLS = (
    call_recurrent, call_recurrent, call_recurrent, call_sequence, call_in_chunks, call_convolution, call_convolution,
    call_temporal, call_relational, call_stream, call_schedule, call_schedule, call_reach, call_model,
)  # fmt: skip


class _Own(Tensor):
    """A subclass, as tracers and quantised numbers are."""


def _spoilt_tensor(draw: Draw, tensor: Tensor) -> Any:
    """The same in another type, shape, layout or place."""
    numbers = tensor.is_floating_point()
    with torch.no_grad(), contextlib.suppress(RuntimeError, IndexError):
        return draw.choice([
            lambda: tensor.to(draw.choice(TYPES)),
            lambda: tensor.t().contiguous().t() if tensor.dim() == 2 else tensor[::2],
            lambda: tensor.expand(3, *tensor.shape),
            lambda: tensor[:0],
            lambda: tensor[..., :0],
            lambda: tensor.unsqueeze(-1),
            lambda: tensor.squeeze(),
            lambda: tensor.reshape(-1),
            lambda: tensor[0],
            lambda: torch.cat([tensor, tensor]),
            lambda: tensor.flip(0),
            lambda: tensor[..., :1].expand(tensor.shape),
            lambda: torch.as_strided(tensor.new_zeros(1), tensor.shape, [0] * tensor.dim()),
            lambda: tensor * float("nan") if numbers else tensor - 1000,
            lambda: tensor / 0 if numbers else tensor + 1_000_000_000_000,
            lambda: torch._neg_view(-tensor) if numbers else -tensor,
            lambda: torch._efficientzerotensor(tensor.shape) if numbers else tensor.int(),
            lambda: tensor.to("meta"),
            lambda: tensor.to_sparse(),
            lambda: tensor.as_subclass(_Own),
            lambda: torch.nn.Parameter(tensor) if numbers else tensor.to(torch.uint8),
            lambda: torch._to_functional_tensor(tensor),
            lambda: torch._subclasses.FakeTensorMode().from_tensor(tensor),
            lambda: tensor.numpy(),
            lambda: tensor.tolist(),
            lambda: torch.tensor(7.0),
            lambda: tensor.new_empty((0, 3)),
        ])()  # fmt: skip
    return tensor


def _spoilt(draw: Draw, value: Any) -> Any:
    if isinstance(value, Tensor) and draw.random() < 0.85:
        return _spoilt_tensor(draw, value)
    if isinstance(value, tuple | list) and value and draw.random() < 0.7:
        parts = list(value)
        place = draw.randrange(len(parts))
        parts[place] = _spoilt(draw, parts[place])
        return type(value)(parts)
    if isinstance(value, schedule.Schedule) and draw.random() < 0.7:
        return draw.choice([lambda: value.reversed, lambda: value.in_order, lambda: value.edge_index,
                            lambda: schedule.packed_paths([3, 2]), lambda: value.to("meta")])()  # fmt: skip
    return draw.choice([
        None, "text", -1, 0, 2**70, 1.5, float("nan"), True, [], {}, object(), np.zeros((2, 3)), np.float64(1.0),
        [[1, 2], [3]], torch.zeros(2, 2), torch.tensor(3), b"bytes", range(3),
    ])  # fmt: skip


def _numbers(result: Any) -> list[Tensor]:
    parts = result if isinstance(result, tuple | list) else [result]
    found = [part for part in parts if isinstance(part, Tensor) and part.is_floating_point() and part.requires_grad]
    return [part for part in found if part.layout == torch.strided]


def _traced(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    """By torch.jit.trace, of the first argument."""
    (name, first), *others = arguments.items()

    class Whole(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.function = function

        def forward(self, given: Tensor) -> Any:
            return self.function(**{name: given}, **dict(others))

    return torch.jit.trace(Whole(), (first,), check_trace=False)(first)


def _made_fx(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    from torch.fx.experimental.proxy_tensor import make_fx

    (name, first), *others = arguments.items()
    return make_fx(lambda given: function(**{name: given}, **dict(others)))(first)(first)


def _mapped(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    (name, first), *others = arguments.items()
    several = torch.stack([first, first])
    return torch.vmap(lambda given: function(**{name: given}, **dict(others)))(several)


def _functional(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    (name, first), *others = arguments.items()
    return torch.func.functionalize(lambda given: function(**{name: given}, **dict(others)))(first)


def _forward(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
    (name, first), *others = arguments.items()
    return torch.func.jvp(lambda given: function(**{name: given}, **dict(others)), (first,), (first,))


def _within(context: Callable[[], Any]) -> Callable[..., Any]:
    def call(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        with context():
            return function(**arguments)

    return call


def _altering(draw: Draw) -> Callable[..., Any]:
    """With a hook on saved tensors that gives back something else."""

    def call(function: Callable[..., Any], arguments: dict[str, Any]) -> Any:
        change = draw.random()
        with torch.autograd.graph.saved_tensors_hooks(
            lambda tensor: tensor, lambda tensor: _spoilt_tensor(draw, tensor) if draw.random() < change else tensor
        ):
            return function(**arguments)

    return call


def attempt_call(draw: Draw) -> None:
    """One call, and a backward pass where there can be one; raises what it raises."""
    torch.manual_seed(draw.randrange(1 << 30))
    function, arguments = draw.choice(CALLS)(draw)
    for _ in range(draw.choice([0, 1, 1, 1, 2])):
        name = draw.choice(list(arguments))
        arguments[name] = _spoilt(draw, arguments[name])
    first = next(iter(arguments.values()))
    if isinstance(first, Tensor) and first.is_floating_point() and first.is_leaf and draw.random() < 0.5:
        with contextlib.suppress(RuntimeError):
            first.requires_grad_()
    how = draw.choice([
        _within(contextlib.nullcontext), _within(contextlib.nullcontext), _within(contextlib.nullcontext),
        _within(torch.no_grad), _within(torch.inference_mode), _within(lambda: torch.autocast("cpu")),
        _within(lambda: torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True)),
        _within(lambda: torch.device("meta")), _traced, _made_fx, _mapped, _functional, _forward, _altering(draw),
        _altering(draw),
    ])  # fmt: skip
    wants = _numbers(how(function, arguments))
    if wants and draw.random() < 0.8:
        given = [torch.randn_like(part) for part in wants]
        if draw.random() < 0.1:
            given = [torch._neg_view(-part) for part in given]
        torch.autograd.backward(wants, given, create_graph=draw.random() < 0.1)


def _kind(error: Exception) -> str:
    """The error's name, or that torch has raised it, within some operation."""
    name = type(error).__name__
    place = error.__traceback__
    while place is not None and place.tb_next is not None:
        place = place.tb_next
    within = place is not None and "/torch/" in place.tb_frame.f_code.co_filename
    return "torch's own" if name not in CLEAR and within else name


def attempt_one(seed: int) -> tuple[str, str]:
    """What became of a call: ``right``, the name of an error, and its text."""
    functions.LEAST_SIZE = 0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            attempt_call(random.Random(seed))
        except Exception as error:
            return _kind(error), str(error)
    return "right", ""


def torch_state() -> str:
    """Which of its own ways torch's next call takes.

    An error within one of torch's transforms, such as one of printing a fake tensor in torch.func.jvp, leaves them
    turned off in torch 2.13, and a later right call of torch alone then ends the process.
    """
    return f"{torch._C._dispatch_tls_local_include_set()} {torch._C._dispatch_tls_local_exclude_set()}"
