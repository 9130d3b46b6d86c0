"""Second derivatives of sweeps whose first ones were derived by hand.

Letters: N nodes, S state width.
"""

from dataclasses import replace
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from gnnseq.kernels.autograd_state import has_memory
from gnnseq.kernels.input_projection import input_term
from gnnseq.schedule import Schedule

if TYPE_CHECKING:
    from gnnseq.layers.recurrent import Recurrent

__all__ = ["differentiably", "refuse_batch"]


def differentiably(
    layer: "Recurrent", schedule: Schedule, inputs: tuple[Tensor | None, ...], grad: Tensor
) -> list[Tensor | None]:
    """The gradients of a sweep from that of its states [N, S], as functions of the inputs: by the step-by-step loop.

    Inputs are x, the initial states, the edge weights, and the four parameters.
    """
    # Aliases: where one input was computed from another, only its use in this sweep counts here.
    inputs = tuple(None if tensor is None else tensor.view_as(tensor) for tensor in inputs)
    x, initial, edge_weight, weight_ih, weight_hh, bias_ih, bias_hh = inputs
    schedule = replace(schedule, edge_weight=edge_weight)
    term = input_term(x, weight_ih, bias_ih)  # type: ignore[arg-type]
    states = layer.run(term, schedule, initial, weight_hh=weight_hh, bias_hh=bias_hh)
    wanted = [tensor for tensor in inputs if tensor is not None and tensor.requires_grad]
    found = iter(torch.autograd.grad(states, wanted, grad, create_graph=True, allow_unused=True))
    return [next(found) if tensor is not None and tensor.requires_grad else None for tensor in inputs]


def refuse_batch(*grads: Tensor) -> None:
    """Raises NotImplementedError where gradients are those of a batch, which a sweep could only take step by step."""
    if not all(has_memory(grad) for grad in grads):
        raise NotImplementedError(
            "is_grads_batched is True, or torch.vmap is over a gradient of a sweep; expected one gradient at a time: "
            "call torch.autograd.grad for each, or torch.func.vjp, whose result torch.vmap can take"
        )
