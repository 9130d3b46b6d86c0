"""A recurrence over histories as a plain loop over their steps: what recordings that hold no schedule see.

Letters: T time steps, N nodes, E edges, F input channels, H hidden channels, L layers, S state width.
"""

import torch
from torch import Tensor
from torch.nn import functional

from gnnseq.kernels.input_projection import project_inputs
from gnnseq.layers.recurrent import Recurrent

__all__ = ["loop_over_steps"]

State = Tensor | tuple[Tensor, ...]


def loop_over_steps(
    recurrence: Recurrent,
    x: Tensor,
    graphs: list[tuple[Tensor, Tensor]],
    state: State | None,
    mask: Tensor | None,
) -> tuple[Tensor, State]:
    """Fires the nodes of each step, that read the states of the step before along the step's edges.

    Args:
        recurrence: Of one direction.
        x: Features. [T, N, F]
        graphs: Edges [2, E] and weights [E] of each step, or of all of them.
        state: The initial state, zeros if None. [L, N, H], a pair of these for an LSTM.
        mask: Which nodes fire, the others keep their state; all if None. Boolean [T, N].

    Returns:
        h [T, N, H], a kept state's where masked, and the last state.
    """
    with torch.autocast(x.device.type, enabled=False):  # as in every recurrence
        dtype, (steps, nodes) = recurrence.weights("l0").weight_hh.dtype, x.shape[:2]
        h, finals = x.to(dtype), []
        entering = None if state is None else torch.cat(state if isinstance(state, tuple | list) else (state,), dim=2)
        for layer in range(recurrence.num_layers):
            weights = recurrence.weights(f"l{layer}")
            projection = project_inputs(h.flatten(0, 1), weights.weight_ih, weights.bias_ih).unflatten(
                0, (steps, nodes)
            )
            now = h.new_zeros(nodes, recurrence.state_channels) if entering is None else entering[layer]
            fired = []
            for t in range(steps):
                edge_index, edge_weight = graphs[t % len(graphs)]
                then = recurrence.propagate(
                    edge_index,
                    size=(nodes, nodes),
                    state=(now, now),
                    input_projection=(None, projection[t]),
                    edge_weight=edge_weight.to(dtype).unsqueeze(-1),
                    edge_id=None,
                    weight_hh=weights.weight_hh,
                    bias_hh=weights.bias_hh,
                )
                now = then if mask is None else torch.where(mask[t].unsqueeze(1), then, now)
                fired.append(now[:, : recurrence.hidden_channels])
            h = torch.stack(fired)
            if recurrence.dropout > 0.0 and layer < recurrence.num_layers - 1:
                h = functional.dropout(h, recurrence.dropout, recurrence.training)
            finals.append(now)
        return h, recurrence.join_state(finals)
