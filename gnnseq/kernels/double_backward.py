"""Second derivatives of sweeps whose first ones were derived by hand.

Letters: N nodes, S state width.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from gnnseq.kernels.autograd_state import has_memory
from gnnseq.kernels.cell import CellWeights, Loop
from gnnseq.schedule import Schedule

__all__ = ["double_backward", "gradients_of", "refuse_batch"]


def double_backward(
    loop: Loop, schedule: Schedule, inputs: tuple[Tensor | None, ...], grad: Tensor
) -> list[Tensor | None]:
    """The gradients of a sweep as functions of its inputs: those of the layer's step-by-step loop.

    Args:
        loop: Of the layer.
        schedule: What was swept.
        inputs: x, the initial states, the edge weights, and the four parameters.
        grad: The gradient of the states. [N, S]

    Returns:
        A gradient for each input, None if none is needed.
    """

    def states(x: Tensor, initial: Tensor | None, edge_weight: Tensor | None, *weights: Any) -> Tensor:
        return loop(x, replace(schedule, edge_weight=edge_weight), initial, CellWeights(*weights))

    return gradients_of(states, inputs, grad)


def gradients_of(
    function: Callable[..., Tensor], inputs: tuple[Tensor | None, ...], grad: Tensor
) -> list[Tensor | None]:
    """A gradient for each input, None if none is needed, through torch's operations.

    It is differentiable where gradients are recorded, and may be of a batch where they are not.

    Args:
        function: Of the inputs.
        inputs: None, or tensors.
        grad: The gradient of what the function gives.
    """
    again = torch.is_grad_enabled()
    with torch.enable_grad():
        # Aliases: if one input was computed from another, only its use in this function counts here.
        inputs = tuple(None if tensor is None else tensor.view_as(tensor) for tensor in inputs)
        wanted = [tensor for tensor in inputs if tensor is not None and tensor.requires_grad]
        found = iter(torch.autograd.grad(function(*inputs), wanted, grad, create_graph=again, allow_unused=True))
    return [next(found) if tensor is not None and tensor.requires_grad else None for tensor in inputs]


def refuse_batch(*grads: Tensor) -> None:
    """Raises NotImplementedError for a batch of gradients, which a sweep could only take step by step."""
    if not all(has_memory(grad) for grad in grads):
        raise NotImplementedError(
            "is_grads_batched is True, or torch.vmap is over a gradient of a sweep; expected one gradient at a time: "
            "call torch.autograd.grad for each, or torch.func.vjp, whose result torch.vmap can take"
        )
