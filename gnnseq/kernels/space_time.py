"""Recurrences whose states go over a graph's edges from every step to the next.

Letters: T time steps, N nodes, F input channels, G gates, H hidden channels, S state width.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import torch
from torch import Tensor
from torch.nn import functional

from gnnseq.kernels.aggregate import aggregate
from gnnseq.kernels.gated import GatedEdges, gated_aggregate
from gnnseq.message_passing import is_watched

if TYPE_CHECKING:
    from gnnseq.layers.recurrent import CellWeights, Recurrent

__all__ = ["space_time_sweep"]


def space_time_sweep(
    layer: "Recurrent",
    x: Tensor,
    edges: Sequence[tuple[GatedEdges, Tensor | None]],
    initial: Tensor | None,
    weights: "CellWeights",
    mask: Tensor | None = None,
) -> tuple[Tensor, Tensor]:
    """Sweeps the space-time graph by the layer's rule: one aggregation and one product a step, inputs before them all.

    Args:
        layer: Whose rule is swept.
        x: Inputs of all steps. [T, N, F]
        edges: Into each step, with their weights where these are learnt; or those of all steps alone.
        initial: State before the first step, zeros where None. [N, S]
        weights: Parameters of one layer.
        mask: Where it is False, the node keeps its state. Boolean [T, N].

    Returns:
        h [T, N, H] and the last state [N, S].
    """
    nodes, hidden = x.size(1), layer.hidden_channels
    term = functional.linear(x, weights.weight_ih, weights.bias_ih)  # [T, N, G * H]
    state = x.new_zeros(nodes, layer.state_channels) if initial is None else initial
    states = []
    for t, own in enumerate(term.unbind()):
        into = edges[t if len(edges) > 1 else 0]
        if is_watched(layer):
            fired = _by_messages(layer, state, own, *into, weights)
        else:
            summed = state if t == 0 and initial is None else _sum(layer, state, own, *into, weights)
            fired = layer.update(summed, (None, own), weights.weight_hh, weights.bias_hh)
        state = fired if mask is None else torch.where(mask[t].unsqueeze(1), fired, state)
        states.append(state)
    h = torch.stack(states)[..., :hidden] if states else x.new_zeros(0, nodes, hidden)
    return h, state


def _sum(
    layer: "Recurrent", state: Tensor, term: Tensor, edges: GatedEdges, weight: Tensor | None, weights: "CellWeights"
) -> Tensor:
    """The sum of the messages that the layer's rule sends. [N, S]"""
    if layer.kind != "lstm":
        return aggregate(state, weight, edges.adjacency)
    h, c = state.chunk(2, dim=1)
    forget_bias = None if weights.bias_hh is None else weights.bias_hh.chunk(4)[1]
    read = functional.linear(h, weights.weight_hh.chunk(4)[1], forget_bias)
    kept = gated_aggregate(term.chunk(4, dim=1)[1], read, c, weight, edges)
    return torch.cat([aggregate(h, weight, edges.adjacency), kept], dim=1)


def _by_messages(
    layer: "Recurrent", state: Tensor, term: Tensor, edges: GatedEdges, weight: Tensor | None, weights: "CellWeights"
) -> Tensor:
    """The state after the step, message by message in the order of the list, for explainers and hooks. [N, S]"""
    _, source, listed = edges.adjacency.by_target
    order = listed.argsort()
    edge_index = torch.stack([source, edges.target])[:, order].long()
    if weight is None:
        weight = edges.weights(None, state)[0][order]
    nodes = state.size(0)
    fired: Tensor = layer.propagate(
        edge_index,
        size=(nodes, nodes),
        state=(state, state),
        term=(None, term),
        edge_weight=weight.to(state.dtype).unsqueeze(1),
        listed=torch.arange(listed.numel() - nodes, device=listed.device),  # the self-loops come last
        weight_hh=weights.weight_hh,
        bias_hh=weights.bias_hh,
    )
    return fired
