"""The loop of all layers: go through a schedule's steps and let each step's nodes read their sources.

Letters: N nodes, B rows of initial state, S width of a state, G width of the input projection, n nodes and e edges of
a step.
"""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch_geometric.nn import MessagePassing

from gnnseq.edge_masks import MaskedMessagePassing
from gnnseq.schedule import Schedule

__all__ = ["ScheduledMessagePassing", "needs_messages"]

_HOOKS = [
    f"_{stage}_forward_{kind}" for stage in ("propagate", "message", "aggregate") for kind in ("pre_hooks", "hooks")
]


def needs_messages(layer: MessagePassing) -> bool:
    """Whether an explainer or a hook needs the messages of the layer, which no kernel ever holds."""
    return bool(layer.explain) or any(getattr(layer, name) for name in _HOOKS)


class ScheduledMessagePassing(MaskedMessagePassing):
    r"""Base of the layers whose nodes fire as a schedule says.

    .. math:: s_i = \mathrm{update}\Big(s_i, x_i, \sum_{j \to i} \mathrm{message}(s_j, x_i, w_{ji})\Big)

    A subclass defines ``message`` and ``update`` in torch_geometric's manner: arguments whose names end in ``_j``
    belong to the source of an edge, in ``_i`` to its target, and a pair holds (sources' values, targets' values).
    It sets ``state_channels``, the width S of one node's state.
    """

    state_channels: int

    def __init__(self) -> None:
        super().__init__(aggr="sum")

    def run(self, input_projection: Tensor, schedule: Schedule, initial: Tensor | None, **weights: Any) -> Tensor:
        """Goes through the schedule, step by step: the readable form that every kernel is held equal to.

        Args:
            input_projection: What each node's own input contributes. [N, G]
            schedule: Which nodes fire in which step.
            initial: Rows of initial state; zeros if None. On a topological schedule a node without predecessors reads
                its row as if from a predecessor, unless an edge reads it; on a synchronous one they are the nodes'
                first states. [B, S]
            weights: Passed on to ``message`` and ``update``.

        Returns:
            The state of every node after its last firing. [N, S]
        """
        num_nodes = schedule.num_nodes
        if initial is None:
            initial = input_projection.new_zeros(schedule.starts.numel(), self.state_channels)
        elif schedule.rounds is None:
            schedule = schedule.with_state_edges
        state = initial
        if schedule.rounds is None:
            state = torch.cat([input_projection.new_zeros(num_nodes, self.state_channels), initial])
        for step in schedule:
            place = torch.full((num_nodes,), -1, device=input_projection.device)
            place[step.nodes] = torch.arange(step.nodes.numel(), device=input_projection.device)
            source, target = step.edge_index
            edge_weight = input_projection.new_ones(source.numel()) if step.edge_weight is None else step.edge_weight
            fired = self.propagate(
                torch.stack([source, place[target]]),
                size=(state.size(0), step.nodes.numel()),
                state=(state, state[step.nodes]),
                input_projection=(None, input_projection[step.nodes]),
                edge_weight=edge_weight.to(input_projection.dtype).unsqueeze(-1),
                edge_id=step.edge_id,
                **weights,
            )
            state = state.index_copy(0, step.nodes, fired)
        return state[:num_nodes]

    def masked(self, schedule: Schedule) -> Schedule:
        """The same schedule, under an explainer with ``edge_id`` the places of its edges in the mask, -1 if in none."""
        if not self.explain:
            return schedule
        listed = (schedule.edge_id >= 0).nonzero().view(-1)
        listed = listed[schedule.edge_id[listed].argsort()]
        edge_id = torch.full_like(schedule.edge_id, -1)
        edge_id[listed] = self.mask_places(schedule.edge_index[:, listed])
        return replace(schedule, edge_id=edge_id)
