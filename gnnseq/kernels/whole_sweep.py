"""A sweep as one operation that torch.compile does not look into.

What it compiles then fits every schedule: the steps of one are no part of it. The operation is given the schedule's
number and the tensors that gradients are taken of, and runs the kernel that an eager call would choose, under autograd;
the graph of gradients stays with a tensor, the tape, that is kept for the backward operation.

Letters: N nodes, F input channels, H hidden channels, B rows of initial state, B' of final state, S states, E edges,
G gates.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from itertools import count
from typing import Any
from weakref import WeakValueDictionary

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks

from gnnseq.kernels.cell import Cell, CellWeights
from gnnseq.kernels.whole_schedules import WholeSchedule
from gnnseq.schedule import Schedule
from gnnseq.schedule.tickets import find

__all__ = ["Rule", "add_rule", "sweep_whole"]


# From inputs [N, F], a schedule, initial states [B, S * H], parameters, and whether the cell is mixed, to h [N, H] and
# final states [B', S * H].
Rule = Callable[[Tensor, Schedule, Tensor | None, CellWeights, bool], tuple[Tensor, Tensor]]
_MAKERS: dict[str, Callable[[int], Rule]] = {}


def add_rule(cell: Cell, make: Callable[[int], Rule]) -> None:
    """Says how sweeps of this cell are run, which a function makes of the width H."""
    _MAKERS[cell.name] = make


@lru_cache(maxsize=64)
def _rule(cell: str, hidden: int) -> Rule:
    return _MAKERS[cell](hidden)


def sweep_whole(
    cell: Cell, x: Tensor, schedule: WholeSchedule, initial: Tensor | None, weights: CellWeights, mixed: bool = False
) -> tuple[Tensor, Tensor]:
    """One layer in one direction: h [N, H] and the final state [B', S * H]; mixed as :class:`Cell` says."""
    inputs = x, initial, schedule.edge_weight, *weights
    grads = torch.is_grad_enabled()
    learns = [grads and tensor is not None and tensor.requires_grad for tensor in inputs]
    numbers = cell.name, cell.states, schedule.leaving, schedule.backwards, mixed, learns
    h, final, _ = _sweep(schedule.number, *inputs, *numbers)
    return h, final


_TENSORS = (
    "Tensor number, Tensor x, Tensor? initial, Tensor? edge_weight, Tensor weight_ih, Tensor weight_hh, "
    "Tensor? bias_ih, Tensor? bias_hh"
)
_NUMBERS = "str cell, SymInt states, SymInt leaving, bool backwards, bool mixed, bool[] learns"
_TAGS = tuple(tag for tag in (getattr(torch.Tag, name, None) for name in ("cudagraph_unsafe",)) if tag is not None)


class _Tape:
    """The graph of gradients of one sweep. Inputs in it are places, filled in for a backward pass."""

    def __init__(self, inputs: tuple[Tensor | None, ...], learns: list[bool]) -> None:
        self.inputs = [
            None if tensor is None else tensor.detach().requires_grad_(learnt)
            for tensor, learnt in zip(inputs, learns, strict=True)
        ]
        self.outputs: tuple[Tensor, ...] = ()
        self._given: list[Tensor | None] = []
        self.own = next(_COUNT)

    def record(self, run: Callable[..., tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """Runs a function of the inputs; its outputs are in nobody else's memory."""
        given, inputs = self._given, list(self.inputs)
        memory = {tensor.untyped_storage().data_ptr() for tensor in inputs if tensor is not None}

        def pack(tensor: Tensor) -> Tensor | int:
            for place, held in enumerate(inputs):
                if tensor is held:
                    return place
            # A compiler may write over an input once it was read.
            return tensor.clone() if tensor.untyped_storage().data_ptr() in memory else tensor

        def unpack(kept: Tensor | int) -> Tensor:
            found = given[kept] if isinstance(kept, int) else kept
            assert found is not None
            return found

        with saved_tensors_hooks(pack, unpack):
            self.outputs = run(*self.inputs)
        inputs.clear()  # which the hooks hold, and the graph the hooks
        h, final = self.outputs
        return _copy(h), _copy(final)

    def play(self, inputs: tuple[Tensor | None, ...], grads: tuple[Tensor | None, ...]) -> list[Tensor]:
        """Gradients of the inputs that have one, each in its own memory."""
        wanted = [tensor for tensor in self.inputs if tensor is not None and tensor.requires_grad]
        came = [
            (output, grad)
            for output, grad in zip(self.outputs, grads, strict=True)
            if grad is not None and output.requires_grad
        ]
        if not came:
            return [_zeros(tensor) for tensor in wanted]
        outputs, given = zip(*came, strict=True)
        self._given[:] = inputs
        found: Any = torch.autograd.grad(outputs, wanted, given, retain_graph=True, allow_unused=True)
        self._given.clear()
        return [_zeros(t) if grad is None else _copy(grad) for t, grad in zip(wanted, found, strict=True)]


_COUNT = count()
_TAPES: WeakValueDictionary[int, _Tape] = WeakValueDictionary()


def _copy(tensor: Tensor) -> Tensor:
    return tensor.detach().clone(memory_format=torch.contiguous_format)


def _zeros(tensor: Tensor) -> Tensor:
    return tensor.new_zeros(tensor.shape)


@contextmanager
def _with_autograd() -> Iterator[None]:
    """An operation's code runs below autograd; this takes it above again, and out of autocast."""
    hidden = torch._C.DispatchKeySet(torch._C.DispatchKey.AutogradFunctionality)
    for key in (torch._C.DispatchKey.AutogradOther, torch._C.DispatchKey.AutogradNestedTensor):
        hidden = hidden.add(key)
    include, exclude = torch._C._dispatch_tls_local_include_set(), torch._C._dispatch_tls_local_exclude_set()
    with torch._C._ForceDispatchKeyGuard(include, exclude - hidden):
        yield


def _run(number: Tensor, tensors: tuple[Any, ...], cell: str, backwards: bool, mixed: bool) -> tuple[Tensor, Tensor]:
    ticket = find(number)
    schedule: Schedule = ticket.schedule
    x, initial, edge_weight, *weights = tensors
    if edge_weight is not None:
        chosen = edge_weight if ticket.weight_id is None else edge_weight.index_select(0, ticket.weight_id)
        schedule = schedule.weighted(chosen)
    nodes = x if ticket.node_id is None else x.index_select(0, ticket.node_id)
    if nodes.size(0) != schedule.num_nodes:
        raise ValueError(f"x has {nodes.size(0)} rows and the graph {schedule.num_nodes} nodes; expected one row a "
                         "node")  # fmt: skip
    if backwards:
        schedule = schedule.reversed
    parameters = CellWeights(*weights)
    h, final = _rule(cell, parameters.weight_hh.size(1))(nodes, schedule, initial, parameters, mixed)
    if ticket.node_id is not None:
        h = h.new_zeros(x.size(0), h.size(1)).index_copy(0, ticket.node_id, h)
    return h, final


@torch.library.custom_op(
    "gnnseq::sweep", mutates_args=(), schema=f"({_TENSORS}, {_NUMBERS}) -> (Tensor, Tensor, Tensor)", tags=_TAGS
)
def _sweep(number: Tensor, *given: Any) -> tuple[Tensor, Tensor, Tensor]:
    """Outputs h [N, H], the final state [B', S * H], and the tape []."""
    tensors, (cell, _, _, backwards, mixed, learns) = given[:7], given[7:]
    if not any(learns):
        with torch.no_grad():
            h, final = _run(number, tensors, cell, backwards, mixed)
        return _copy(h), _copy(final), torch.tensor(-1, device="cpu")
    with _with_autograd(), torch.enable_grad():
        tape = _Tape(tensors, learns)
        h, final = tape.record(lambda *inputs: _run(number, inputs, cell, backwards, mixed))
    _TAPES[tape.own] = tape
    place = torch.tensor(tape.own, device="cpu")
    place.tape = tape  # type: ignore[attr-defined]
    return h, final, place


@_sweep.register_fake
def _(number: Tensor, *given: Any) -> tuple[Tensor, Tensor, Tensor]:
    x, weight_hh, states, leaving = given[0], given[4], given[8], given[9]
    h = weight_hh.new_empty(x.size(0), weight_hh.size(1))
    final = weight_hh.new_empty(leaving, states * weight_hh.size(1))
    return h, final, torch.empty((), dtype=torch.int64, device="cpu")


@torch.library.custom_op(
    "gnnseq::sweep_back",
    mutates_args=(),
    schema=f"(Tensor tape, Tensor? d_h, Tensor? d_final, {_TENSORS}, {_NUMBERS}) -> Tensor[]",
    tags=_TAGS,
)
def _sweep_back(place: Tensor, d_h: Tensor | None, d_final: Tensor | None, number: Tensor, *given: Any) -> list[Tensor]:
    """Gradients of those inputs that have one."""
    tensors, (cell, _, _, backwards, mixed, learns) = given[:7], given[7:]
    with _with_autograd(), torch.enable_grad():
        tape = getattr(place, "tape", None) or _TAPES.get(int(place))
        if tape is None:  # what was saved came back as a copy, from a hook on saved tensors
            tape = _Tape(tensors, learns)
            tape.record(lambda *inputs: _run(number, inputs, cell, backwards, mixed))
        return tape.play(tensors, (d_h, d_final))


@_sweep_back.register_fake
def _(place: Tensor, d_h: Tensor | None, d_final: Tensor | None, number: Tensor, *given: Any) -> list[Tensor]:
    return [tensor.new_empty(tensor.shape) for tensor, learnt in zip(given[:7], given[-1], strict=True) if learnt]


def _save(ctx: Any, inputs: tuple[Any, ...], output: tuple[Tensor, ...]) -> None:
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(output[2], *inputs[:8])
    ctx.options = inputs[8:]


def _differentiate(ctx: Any, d_h: Tensor | None, d_final: Tensor | None, _: Tensor | None) -> tuple[Any, ...]:
    place, *tensors = ctx.saved_tensors
    *_, learns = ctx.options
    found = iter(_sweep_back(place, d_h, d_final, *tensors, *ctx.options))
    grads = [next(found) if learnt else None for learnt in learns]
    return None, *grads, *[None] * len(ctx.options)


_sweep.register_autograd(_differentiate, setup_context=_save)
