"""The loop of all layers: go through a schedule's steps and let each step's nodes read their sources.

Letters: N nodes, B rows of initial state, S width of a state, G width of the input projection, n nodes and e edges of
a step.
"""

from dataclasses import replace
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch_geometric.nn import SumAggregation
from torch_geometric.typing import OptPairTensor

from gnnseq.edge_masks import RULE, MaskedMessagePassing
from gnnseq.schedule import Schedule
from gnnseq.tracing import is_compiling

__all__ = ["ScheduledMessagePassing", "check_settings", "has_own_rule", "is_compiled", "needs_messages"]

SUM = ("sum", "add", "SumAggregation()")  # as torch_geometric writes it, by name and by module
_HOOKS = [
    f"_{stage}_forward_{kind}" for stage in ("propagate", "message", "aggregate") for kind in ("pre_hooks", "hooks")
]

_RULE = frozenset(RULE)


def needs_messages(layer: MaskedMessagePassing) -> bool:
    """Whether an explainer, a hook or a rule of the user's own needs the messages, which no kernel ever holds."""
    if layer.explain or any(map(layer.__dict__.get, _HOOKS)):
        return True
    return has_own_rule(layer)


def is_compiled(layer: MaskedMessagePassing) -> bool:
    """Whether torch.compile records the layer, and need not see its messages: a sweep is one operation then."""
    return is_compiling() and not needs_messages(layer)


def has_own_rule(layer: MaskedMessagePassing) -> bool:
    """Whether a user has overridden a part of the rule, in a subclass or on this layer alone."""
    return layer.has_own_rule or not _RULE.isdisjoint(layer.__dict__)


def check_settings(layer: MaskedMessagePassing) -> None:
    """Raises a ValueError if torch_geometric's settings of a layer were changed to what its equation does not have."""
    if layer.flow != "source_to_target":
        raise ValueError(f"flow={layer.flow!r}; expected 'source_to_target', as edges point: give edge_index.flip(0), "
                         "or a schedule of it")  # fmt: skip
    if layer.node_dim != -2:
        raise ValueError(f"node_dim={layer.node_dim}; expected -2: nodes are the last axis but one of x")
    if type(layer._modules.get("aggr_module")) is not SumAggregation or layer.aggr not in SUM:
        name = f"{layer.aggr!r} and aggr_module={layer._modules.get('aggr_module')}"
        raise ValueError(f"aggr={name}; expected 'sum' and SumAggregation(): {type(layer).__name__} sums "
                         "over neighbours; override aggregate() in a subclass for another")  # fmt: skip


class ScheduledMessagePassing(MaskedMessagePassing):
    r"""Base of the layers whose nodes fire as a schedule says.

    .. math:: s_i = \mathrm{update}\Big(s_i, x_i, \sum_{j \to i} \mathrm{message}(s_j, x_i, w_{ji})\Big)

    A subclass defines ``message`` and ``update`` in torch_geometric's manner: arguments whose names end in ``_j``
    belong to the source of an edge, in ``_i`` to its target, and a pair holds (sources' values, targets' values).
    It sets ``state_channels``, the width S of one node's state.
    """

    state_channels: int
    # What run hands on, with what it is called with. Else torch_geometric reads it off the source code of every new
    # layer, in 20 ms, and cannot.
    propagate_type: ClassVar[dict[str, Any]] = {
        "state": OptPairTensor, "input_projection": OptPairTensor, "edge_weight": Tensor, "edge_id": Tensor
    }  # fmt: skip

    def __init__(self, aggr: str = "sum", flow: str = "source_to_target") -> None:
        super().__init__(aggr=aggr, flow=flow)

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
