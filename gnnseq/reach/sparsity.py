"""What a module's outputs can depend on, read from its operations rather than from numbers.

The module is traced with torch.fx. Its operations are then replayed on the real tensors, each with a boolean matrix
R whose row v holds the input nodes that row v of the tensor depends on::

    the input x              R = I
    a layer with a `reach`   R' = layer.reach(graph) R
    a fixed matrix A >= 0    R' = (A > 0) R
    row-wise operations      R' = union of the operands' R     (Linear, activations, LayerNorm, +, *, cat of channels)

:mod:`gnnseq.reach.sparsity_rules` lists the operations; a module with any other is not known.

Letters: N nodes.
"""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from scipy.sparse import csr_array, eye_array
from torch import Tensor, fx, nn

from gnnseq.reach.sparsity_rules import (
    FUNCTIONS,
    METHODS,
    MODULES,
    NotKnownError,
    SparsityRule,
    TracedTensor,
    Unknown,
    is_generic,
    kinds,
    layer_rule,
    neighbour_weights,
)

__all__ = ["Structure", "has_generic_weights", "structural_reach", "structure_of"]


@dataclass(frozen=True, eq=False)
class Structure:
    """A module whose operations are known.

    Attributes:
        reach: The inputs that each row of the output can depend on. Boolean [N, N].
        root: What the graph's operations are called on.
        graph: The operations.
        weights: Of each layer among them, what it multiplies the rows by that it sums: row v, a column for each that is
            summed [N, N]; None if the layer is no such sum.
    """

    reach: csr_array
    root: nn.Module
    graph: fx.Graph
    weights: dict[fx.Node, csr_array | None]


def structural_reach(function: Callable[[nn.Module, Tensor], Any], module: nn.Module, x: Tensor) -> csr_array | None:
    """The inputs that each row of the output can depend on; exactly those it does, for all weights but special ones.

    Args:
        function: Called as function(module, x); the graph and whatever else is fixed is inside it.
        module: The module in evaluation mode. Give a copy: tracing may leave stand-ins for tensors in it.
        x: Features. [N, ...]

    Returns:
        A boolean [N, N] matrix, or None if the structure is not known.

    Example:
        >>> layers = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
        >>> structural_reach(lambda module, x: module(x), layers, torch.randn(3, 4)).toarray().astype(int)
        array([[1, 0, 0],
               [0, 1, 0],
               [0, 0, 1]])
    """
    structure = structure_of(function, module, x)
    return structure and structure.reach


def structure_of(
    function: Callable[[nn.Module, Tensor], Any], module: nn.Module, x: Tensor, out: Tensor | None = None
) -> Structure | None:
    """The operations as well; arguments are those of :func:`structural_reach`.

    Args:
        function: Called as function(module, x).
        module: A copy.
        x: Features. [N, ...]
        out: What the function returns, if it is known. [N, C]
    """
    try:
        root = _Root(function, module)
        graph = _Tracer().trace(root)
        replay = _Replay(root, graph=graph)
        with torch.no_grad():
            replayed = _first(replay.run(x.clone()))
            direct = _first(function(module, x.clone())) if out is None else out
    except Exception:  # tracing runs the user's code on stand-ins for tensors, and anything may come of that
        return None
    # The replay must be all that the module does, hooks and side effects included.
    same = (
        isinstance(replayed, TracedTensor)
        and isinstance(direct, Tensor)
        and (out is not None or replayed.value.shape == direct.shape)
        and replayed.value.numel() == direct.numel()
        and torch.allclose(replayed.value.reshape(direct.shape), direct, rtol=1e-5, atol=1e-8)
    )
    return Structure(replayed.reach, root, graph, replay.weights) if same else None


def has_generic_weights(module: nn.Module) -> bool:
    """False if a weight matrix holds zeros that no random draw makes: pruned, masked, or zero on purpose."""
    return all(is_generic(weight) for weight in module.parameters() if weight.dim() >= 2)


def _first(result: Any) -> Any:
    return result[0] if isinstance(result, tuple) else result


class _Root(nn.Module):
    def __init__(self, function: Callable[[nn.Module, Tensor], Any], module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self.function = function

    def forward(self, x: Tensor) -> Any:
        return self.function(self.module, x)


class _Tracer(fx.Tracer):
    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return _tells_reach(m) or bool(super().is_leaf_module(m, module_qualified_name))


def _tells_reach(module: nn.Module) -> bool:
    # A subclass that inherits reach() may compute something else: only gnnseq's own classes, and those that define
    # reach() themselves, are believed.
    kind = type(module)
    return "reach" in vars(kind) or (hasattr(kind, "reach") and kind.__module__.partition(".")[0] == "gnnseq")


class _Replay(fx.Interpreter):
    """Runs a traced module on real tensors, with a TracedTensor wherever a value depends on x."""

    def __init__(self, root: nn.Module, graph: fx.Graph) -> None:
        super().__init__(root, graph=graph)
        self.weights: dict[fx.Node, csr_array | None] = {}

    def run_node(self, n: fx.Node) -> Any:
        self._node = n
        return super().run_node(n)

    def placeholder(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        x = super().placeholder(target, args, kwargs)
        return TracedTensor(x, csr_array(eye_array(x.size(0), dtype=bool)))

    def call_function(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return _apply(FUNCTIONS.get(target), target, args, kwargs)

    def call_method(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        def method(owner: Any, *rest: Any, **named: Any) -> Any:
            return getattr(owner, target)(*rest, **named)

        return _apply(METHODS.get(target), method, args, kwargs)

    def call_module(self, target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        module = self.fetch_attr(target)
        hooked = any(
            hooks
            for part in module.modules()
            for name, hooks in vars(part).items()
            if name.endswith("hooks") and "forward" in name
        )
        if hooked or "forward" in vars(module):
            raise NotKnownError("a hook, or a forward() put in by hand, may do anything")
        if not _tells_reach(module):
            return _apply(MODULES.get(type(module)), module, args, kwargs)
        result = _apply(layer_rule, module, args, kwargs)
        x, *others = inspect.signature(module.forward).bind(*args, **kwargs).args
        self.weights[self._node] = neighbour_weights(module, x.value, *others)
        return result


def _apply(rule: SparsityRule | None, run: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    found = kinds((args, kwargs))
    if Unknown in found:
        raise NotKnownError("a value of unknown dependence is used")
    if TracedTensor not in found:
        return run(*args, **kwargs)
    if rule is None:
        raise NotKnownError(f"{run} is not on the lists")
    return rule(run, *args, **kwargs)
