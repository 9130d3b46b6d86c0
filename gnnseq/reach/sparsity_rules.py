"""The rules of an abstract interpretation that propagates the sparsity pattern of a Jacobian through a traced module.

:mod:`gnnseq.reach.sparsity` replays the module's operations. In place of each tensor that depends on the input x it
passes a :class:`TracedTensor`: the tensor itself and the pattern of its Jacobian, which rows depend on which nodes. A
rule says what one operation does to the pattern. It takes the operation and its arguments, and returns the result as a
TracedTensor; an operation that is given a TracedTensor where its rule expects a constant refuses it by itself.

Patterns must be exact, neither too small nor too large. So a rule raises NotKnownError where a row could depend on more
than the rule says, and also where it could depend on less: a factor with zeros, a slice of channels that depend on
different nodes, weights of both signs, which may cancel, or terms such as x - mean(x) that cancel at some nodes. What
all rows share, such as units that are off, is left to derivatives at a few of them. An operation without a rule is no
loss of exactness: the module is then measured.

Letters: N nodes, M rows of a tensor inside a module (N unless it pools), C channels.
"""

import inspect
import operator
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch.nn import functional as F

from gnnseq.sparse import coalesced

__all__ = [
    "FUNCTIONS",
    "METHODS",
    "MODULES",
    "NotKnownError",
    "SparsityRule",
    "TracedTensor",
    "Unknown",
    "is_generic",
    "kinds",
    "layer_rule",
    "neighbour_weights",
]

# A constant this large may swamp what is added to it in floating point; a factor this large or this small may saturate
# the function that comes next.
LARGE = 1e6

Operation = Callable[..., Any]
SparsityRule = Callable[..., Any]


class NotKnownError(Exception):
    """What an operation depends on is not known."""


class Unknown:
    """A result whose pattern is not known: a module may ignore it, not use it."""


class ResultTuple(tuple[Any, ...]):
    """Several results of one operation, to be indexed."""


@dataclass(frozen=True)
class TracedTensor:
    """A tensor that depends on x.

    Attributes:
        value: The tensor. [M, ...]
        reach: The pattern: row v holds the nodes that row v of value depends on. Boolean [M, N].
        uniform: Whether every channel of a row depends on all of that row's nodes.
        weights: Identities of the weight matrices on the way from x, and of the channels picked.
    """

    value: Tensor
    reach: csr_array
    uniform: bool = True
    weights: frozenset[int] = frozenset()

    def row_wise(self, value: Tensor, uniform: bool | None = None) -> "TracedTensor":
        """The result of an operation that treats every row by itself."""
        if value.dim() == 0 or value.size(0) != self.value.size(0):
            raise NotKnownError("the rows of the result are not those of the operand")
        return TracedTensor(value, self.reach, self.uniform if uniform is None else uniform, self.weights)

    def through(self, *weights: Tensor) -> "TracedTensor":
        """The same after a product with these weights."""
        return replace(self, weights=self.weights | {id(weight) for weight in weights if weight.dim() >= 2})


def kinds(value: Any) -> set[type]:
    """Which of TracedTensor and Unknown occur in nested arguments."""
    if isinstance(value, (TracedTensor, Unknown)):
        return {type(value)}
    if isinstance(value, ResultTuple):  # what is unknown among them does no harm until it is picked
        return {TracedTensor}
    if isinstance(value, dict):
        value = tuple(value.values())
    return set().union(*map(kinds, value)) if isinstance(value, (tuple, list)) else set()


def is_generic(matrix: Tensor) -> bool:
    """Whether a matrix has no more zeros than chance makes, so that it hides no channel."""
    return matrix.numel() == 0 or float((matrix == 0).double().mean()) < 1e-3


def _row_wise(run: Operation, x: Any, *rest: Any, **named: Any) -> TracedTensor:
    return x.row_wise(run(x.value, *rest, **named))  # type: ignore[no-any-return]


def _mix(run: Operation, x: Any, *rest: Any, **named: Any) -> TracedTensor:
    """Mixes the last dimension, which must not be the nodes'."""
    if x.value.dim() < 2:
        raise NotKnownError("the last dimension is the nodes'")
    return x.row_wise(run(x.value, *rest, **named), uniform=x.uniform or x.value.dim() == 2)  # type: ignore[no-any-return]


def _to(run: Operation, x: Any, *rest: Any, **named: Any) -> Any:
    if isinstance(x, TracedTensor):
        return _row_wise(run, x, *rest, **named)
    return run(x, rest[0].value)  # a constant takes type and device from a tensor: measured, its zeros leave doubt


def _linear(run: Operation, x: Any, weight: Any, bias: Any = None) -> TracedTensor:
    if not isinstance(weight, Tensor) or weight.dim() != 2 or weight.layout != torch.strided or not is_generic(weight):
        raise NotKnownError("the weight is not a fixed matrix without zeros")
    return _mix(run, x, weight, *(() if bias is None else (bias,))).through(weight)


def _matmul(run: Operation, a: Any, b: Any) -> TracedTensor:
    if isinstance(a, TracedTensor):
        return _linear(run, a, b)
    if not isinstance(a, Tensor) or a.dim() != 2 or b.value.dim() != 2:
        raise NotKnownError("the left factor is not a fixed matrix")
    entries = coalesced(a.to_sparse_coo())
    weight = entries.values()
    if not bool((weight >= 0).all()):
        raise NotKnownError("weights of different signs may cancel")
    row, column = entries.indices()[:, weight > 0].cpu().numpy()
    matrix = csr_array((np.ones(len(row), dtype=bool), (row, column)), shape=tuple(a.shape))
    return TracedTensor(run(a, b.value), csr_array(matrix @ b.reach), b.uniform, b.weights)


def _layer_norm(run: Operation, x: Any, normalized_shape: Any, *rest: Any, **named: Any) -> TracedTensor:
    if len(normalized_shape) >= x.value.dim():
        raise NotKnownError("the nodes' dimension is normalised over")
    return _mix(run, x, normalized_shape, *rest, **named)


def _along(run: Operation, x: Any, dim: Any = None, *rest: Any, **named: Any) -> TracedTensor:
    """Works along dimensions that must not be the nodes': softmax, sum, mean."""
    dims = dim if isinstance(dim, (tuple, list)) and dim else (dim,)
    if not all(type(d) is int and d % x.value.dim() != 0 for d in dims):
        raise NotKnownError("the nodes' dimension is worked along")
    return _mix(run, x, dim, *rest, **named)


def _united(terms: list[TracedTensor]) -> TracedTensor:
    first, *others = terms
    reach = first.reach
    for other in others:
        if other.value.dim() != first.value.dim() or other.reach.shape[0] != reach.shape[0]:
            raise NotKnownError("rows of operands do not match")  # [N] + [N, N] is broadcast along the channels
        if other.reach is not reach:
            reach = csr_array(reach + other.reach)
    weights = first.weights.union(*(other.weights for other in others))
    return TracedTensor(first.value, reach, all(traced.uniform for traced in terms), weights)


def _add(run: Operation, a: Any, b: Any) -> TracedTensor:
    terms = [term for term in (a, b) if isinstance(term, TracedTensor)]
    constants = [_constant(term) for term in (a, b) if not isinstance(term, TracedTensor)]
    value = run(*(term.value if isinstance(term, TracedTensor) else term for term in (a, b)))
    if value.dim() != terms[0].value.dim():
        raise NotKnownError("a constant adds dimensions")
    if not all(bool((constant.abs() < LARGE).all()) for constant in constants):
        raise NotKnownError("a large constant may swamp a row")
    # With weights of their own, terms do not cancel but for special weights, and those of one reach do so in all rows.
    if len(terms) == 2 and terms[0].reach is not terms[1].reach and terms[0].weights == terms[1].weights:
        raise NotKnownError("terms may cancel at some nodes")
    united = _united(terms).row_wise(value)
    each_row_its_own = any(constant.dim() == value.dim() and constant.size(0) > 1 for constant in constants)
    return replace(united, reach=united.reach.copy()) if each_row_its_own else united


def _constant(term: Any) -> torch.Tensor:
    return term if isinstance(term, torch.Tensor) else torch.as_tensor(term, device="cpu")


def _multiply(run: Operation, a: Any, b: Any) -> TracedTensor:
    for factor in (a, b):
        if not isinstance(factor, TracedTensor) and not bool((_constant(factor).abs() > 1 / LARGE).all()):
            raise NotKnownError("a constant factor with zeros may hide a row")
    return _add(run, a, b)


def _cat(run: Operation, tensors: Any, dim: Any = 0) -> TracedTensor:
    terms = [tensor for tensor in tensors if isinstance(tensor, TracedTensor)]
    value = run([tensor.value if isinstance(tensor, TracedTensor) else tensor for tensor in tensors], dim)
    united = _united(terms)
    if type(dim) is not int or dim % value.dim() == 0 or value.dim() != united.value.dim():
        raise NotKnownError("rows are joined")
    alike = len(terms) == len(tensors) and all(traced.reach is terms[0].reach for traced in terms)
    return united.row_wise(value, uniform=united.uniform and alike)


def _split(run: Operation, x: Any, size: Any, dim: Any = 0) -> ResultTuple:
    if type(dim) is not int or dim % x.value.dim() == 0 or not x.uniform:
        raise NotKnownError("rows, or channels that have seen different nodes, are split")
    return ResultTuple(x.row_wise(part) for part in run(x.value, size, dim))


def _item(run: Operation, x: Any, index: Any) -> Any:
    if isinstance(x, ResultTuple):
        return x[index]
    whole = isinstance(index, tuple) and index[0] == slice(None) and all(type(i) in (int, slice) for i in index[1:])
    if not isinstance(x, TracedTensor) or not whole or not x.uniform:
        raise NotKnownError("rows, or channels that have seen different nodes, are picked")
    picked = x.row_wise(run(x.value, index))
    return replace(picked, weights=picked.weights | {hash(str(index))})  # some of the weights' columns


def _attribute(run: Operation, x: Any, name: str) -> Any:
    if not isinstance(x, TracedTensor) or name not in ("shape", "dtype", "device"):
        raise NotKnownError(f"attribute {name}")
    return run(x.value, name)


def _size(run: Operation, x: Any, *rest: Any) -> Any:
    return run(x.value, *rest)


def layer_rule(run: Any, *args: Any, **kwargs: Any) -> Any:
    """What a module does that tells its reach and takes x, the graph, and what else is fixed, in this order."""
    (_, x), (_, graph), *others = inspect.signature(run.forward).bind(*args, **kwargs).arguments.items()
    further = dict(others)
    if not isinstance(x, TracedTensor) or x.value.dim() != 2:
        raise NotKnownError("x is not [N, C]")
    weights = [further.get("edge_weight"), getattr(graph, "edge_weight", None)]
    if isinstance(graph, Tensor) and graph.layout != torch.strided:
        weights.append(coalesced(graph.to_sparse_coo()).values())
    if not all(bool((weight > 0).all()) for weight in weights if weight is not None):
        raise NotKnownError("edge weights may hide a node, or cancel")
    known = neighbour_weights(run, x.value, graph, **further)
    read = run.reach(graph, x.value.size(0)) if known is None else known != 0
    reach = csr_array(read @ x.reach)
    result = run(x.value, graph, **further)
    out = result if isinstance(result, Tensor) else result[0]
    traced = TracedTensor(out, reach, weights=x.weights).through(*run.parameters())
    return traced if out is result else ResultTuple([traced, *(Unknown() for _ in result[1:])])


def neighbour_weights(layer: Any, *args: Any, **kwargs: Any) -> csr_array | None:
    """What a layer multiplies the rows by that it sums, of this call; None if it does not tell, or sums nothing.

    A subclass that inherits the answer may compute something else: it is not asked.
    """
    told: csr_array | None = None
    if "neighbour_weights" in vars(type(layer)):
        told = layer.neighbour_weights(*args, **kwargs)
    return told


def _linear_module(run: Any, x: Any) -> TracedTensor:
    return _mix(run, x).through(run.weight)


def _layer_norm_module(run: Any, x: Any) -> TracedTensor:
    return _layer_norm(lambda value, _: run(value), x, run.normalized_shape)


def _softmax_module(run: Any, x: Any) -> TracedTensor:
    return _along(lambda value, _: run(value), x, run.dim)


def _batch_norm_module(run: Any, x: Any) -> TracedTensor:
    if run.training or run.running_mean is None or x.value.dim() != 2:
        raise NotKnownError("statistics are taken over the nodes")
    return _row_wise(run, x)


_RULES: dict[str, SparsityRule] = {  # names that torch has as a function, a tensor's method, or both
    **dict.fromkeys(["abs", "exp", "neg", "relu", "sigmoid", "tanh"], _row_wise),
    **dict.fromkeys(["clone", "contiguous", "float"], _row_wise),
    # In row-major order, a first dimension that is kept keeps its rows.
    **dict.fromkeys(["flatten", "reshape", "squeeze", "unsqueeze", "view"], _row_wise),
    **dict.fromkeys(["add", "sub"], _add),
    **dict.fromkeys(["mul", "div"], _multiply),
    **dict.fromkeys(["log_softmax", "mean", "softmax", "sum"], _along),
    **dict.fromkeys(["matmul", "mm"], _matmul),
    **dict.fromkeys(["chunk", "split"], _split),
}
_ACTIVATIONS: dict[type, Callable[..., Tensor]] = {
    nn.Dropout: F.dropout,
    nn.ELU: F.elu,
    nn.GELU: F.gelu,
    nn.LeakyReLU: F.leaky_relu,
    nn.Mish: F.mish,
    nn.ReLU: F.relu,
    nn.SELU: F.selu,
    nn.SiLU: F.silu,
    nn.Sigmoid: F.sigmoid,
    nn.Softplus: F.softplus,
    nn.Tanh: F.tanh,
}

METHODS: dict[str, SparsityRule] = {**_RULES, "size": _size, "to": _to}
FUNCTIONS: dict[Any, SparsityRule] = {
    **{getattr(torch, name): rule for name, rule in _RULES.items() if callable(getattr(torch, name, None))},
    **dict.fromkeys(_ACTIVATIONS.values(), _row_wise),
    **dict.fromkeys((F.softmax, F.log_softmax), _along),
    F.linear: _linear,
    F.layer_norm: _layer_norm,
    torch.cat: _cat,
    torch.sparse.mm: _matmul,
    operator.matmul: _matmul,
    **dict.fromkeys((operator.add, operator.sub), _add),
    **dict.fromkeys((operator.mul, operator.truediv), _multiply),
    operator.neg: _row_wise,
    operator.getitem: _item,
    getattr: _attribute,
}
MODULES: dict[type, SparsityRule] = {
    **dict.fromkeys(_ACTIVATIONS, _row_wise),
    **dict.fromkeys([nn.Identity, nn.PReLU], _row_wise),
    nn.Linear: _linear_module,
    nn.LayerNorm: _layer_norm_module,
    **dict.fromkeys([nn.LogSoftmax, nn.Softmax], _softmax_module),
    nn.BatchNorm1d: _batch_norm_module,
}
