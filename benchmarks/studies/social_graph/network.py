"""A score of pairs from their features and from the states that a temporal graph network gives their ends.

Letters: N nodes, T snapshots, K pairs, S sources, P pair features, F node features, H channels of a pair, C of a state.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnnseq.layers import EvolveGCN, TemporalGCN
from studies.social_graph.features import MINUTE, NEAR, NEVER, NODE, PAIR, SCALE, WALK
from studies.social_graph.heuristics import FIXED
from studies.social_graph.history import DAY
from studies.social_graph.runs import EVOLVING, SocialRun

__all__ = ["PairNetwork"]

LEAST = 1e-9  # of shares of walks
SHARES = (-11.7, -17.4)  # logarithms of a and b: those of heuristics' fixed sum, where recency is of a week ago


class PairNetwork(nn.Module):
    r"""score(i, j) = g log(recency) + v relu(A [x_i, h_i] + B [x_j, h_j] + C p_ij) + h_i' D h_j

    with node features x, pair features p and states h of a :class:`~gnnseq.layers.TemporalGCN`, or of an
    :class:`~gnnseq.layers.EvolveGCN`, over the snapshots before; without edges its graphs are empty. The recency score,
    missing in a network alone, is

        recency = 1 / (1 + minutes since either wrote to the other) + a walks_ij + b received_j

    with g, a and b learnt, or, added to the sum, exp(-minutes / m) + a walks_ij + b received_j with m learnt too, which
    begin at the fixed sum's. v and D begin at zero, so that training begins at the heuristic. No number of a node
    enters, so nodes that were never seen are scored as any other: with features that say never.
    """

    def __init__(self, run: SocialRun) -> None:
        super().__init__()
        self.edges, self.recency, self.sum, self.pairs = run.edges, run.recency, run.sum, run.pairs
        self.temporal: nn.Module
        if run.model == EVOLVING:
            self.temporal = EvolveGCN(len(NODE), run.state, recurrent="GRU")
        else:
            self.temporal = TemporalGCN(len(NODE), run.state, run.state, order=run.order, recurrent="GRU")
        ends = len(NODE) + run.state
        self.source = nn.Linear(ends, run.hidden)
        self.target = nn.Linear(ends, run.hidden, bias=False)
        self.pair = nn.Linear(len(PAIR) + len(NEAR), run.hidden, bias=False)
        self.product = nn.Linear(run.state, run.state, bias=False)
        self.readout = nn.Linear(run.hidden, 1, bias=False)
        self.dropout = nn.Dropout(run.dropout)
        nn.init.zeros_(self.readout.weight)
        nn.init.zeros_(self.product.weight)
        days, *shares = FIXED
        self.log_shares = nn.Parameter(torch.tensor(shares).log() if run.sum else torch.tensor(SHARES))  # a, b
        if run.sum:
            self.log_memory = nn.Parameter(torch.tensor(days * DAY / MINUTE).log())  # m
        self.scale = nn.Parameter(torch.ones(()))  # g

    def states(self, x: Tensor, edges: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
        """The nodes' states after T snapshots; zeros if there are none. [T, N, F] -> [N, C]"""
        if len(x) == 0:
            return x.new_zeros(x.size(1), self.product.in_features)
        if not self.edges:
            edges, weights = [edge[:, :0] for edge in edges], [weight[:0] for weight in weights]
        y, _ = self.temporal(x, list(edges), list(weights))
        return torch.tanh(y[-1])

    def forward(self, source: Tensor, target: Tensor, pair: Tensor, states: tuple[Tensor, Tensor]) -> Tensor:
        """Scores of pairs, from features of their ends [K, F] each, of the pairs [K, P + 3] and states [K, C] each."""
        hidden = self.source(torch.cat([source, states[0]], 1)) + self.target(torch.cat([target, states[1]], 1))
        if self.pairs:
            hidden = hidden + self.pair(pair)
        made: Tensor = self.readout(self.dropout(hidden.relu())).squeeze(1)
        made = made + (states[0] * self.product(states[1])).sum(1)
        return made + self.heuristic(pair, target) if self.recency or self.sum else made

    def heuristic(self, pair: Tensor, target: Tensor) -> Tensor:
        """The recency path, g log(recency), or the sum's, of pairs [..., P + 3] and targets [..., F]."""
        fresh = pair[..., PAIR.index("freshness of either")]
        lately = SCALE * fresh - NEVER  # less the logarithm of 1 + minutes
        if self.sum:
            lately = -torch.expm1(-lately) / self.log_memory.exp()
        lately = torch.where(fresh > 0, lately, -4.0 * NEVER)
        walks = WALK * torch.expm1(SCALE * pair[..., len(PAIR) + NEAR.index("walks, 28 d")])
        received = torch.expm1(target[..., NODE.index("received, 7 d")])
        parts = [lately, self.log_shares[0] + torch.log(walks + LEAST), self.log_shares[1] + torch.log(received + 1e-3)]
        return self.scale * torch.logsumexp(torch.stack(torch.broadcast_tensors(*parts)), 0)

    @torch.no_grad()
    def all_scores(self, source: Tensor, node: Tensor, near: Tensor, met: tuple[Tensor, Tensor, Tensor],
                   states: Tensor) -> Tensor:  # fmt: skip
        """Scores of sources with all nodes [S, N]: as :meth:`forward`, but what has not met costs a sum, no product.

        Args:
            source: Nodes that ask. [S]
            node: Features of all. [N, F]
            near: Walks of all pairs. [S, N, 3]
            met: Row, column and features [M, P] of pairs that have met.
            states: Of all. [N, C]
        """
        everybody = torch.cat([node, states], 1)
        to, from_ = self.target(everybody), self.source(everybody[source])  # [N, H], [S, H]
        row, column, features = met
        scores = torch.empty(len(source), len(node))
        known, walks = self.pair.weight.split([len(PAIR), len(NEAR)], 1)
        product = self.product(states)
        for place in range(len(source)):
            hidden = from_[place] + to
            pair = torch.zeros(len(node), len(PAIR) + len(NEAR))
            mine = slice(*torch.searchsorted(row, torch.tensor([place, place + 1])).tolist())
            pair[column[mine], : len(PAIR)] = features[mine]
            pair[:, len(PAIR) :] = near[place]
            if self.pairs:
                hidden = torch.addmm(hidden, near[place], walks.T)
                hidden[column[mine]] += features[mine] @ known.T
            line = functional.linear(hidden.relu(), self.readout.weight).squeeze(1) + product @ states[source[place]]
            scores[place] = line + self.heuristic(pair, node) if self.recency or self.sum else line
        return scores
