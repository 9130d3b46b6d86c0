"""Networks on a graph of people: convolutions, Chebyshev filters, and the same layers without edges.

Letters: N people, E edges, F input channels, C output channels, K terms of a filter.
"""

import copy
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from gnnseq.layers import GCN
from gnnseq.normalization import gcn_normalize
from studies.disease.folds import Integers, inner_split
from studies.disease.runs import DiseaseTraining

__all__ = [
    "Chebyshev",
    "Graph",
    "LearnedScores",
    "PopulationNetwork",
    "choose_epoch",
    "learn",
    "shift",
    "train_network",
]

Graph = tuple[Tensor, Tensor]  # edge_index [2, E], edge_weight [E]


def shift(graph: Graph, people: int, self_loops: bool) -> Tensor:
    """The normalised adjacency as a dense matrix, which population graphs nearly are. [N, N]"""
    edge_index, weight = gcn_normalize(*graph, people, add_self_loops=self_loops)
    matrix = torch.zeros(people, people, dtype=weight.dtype)
    matrix[edge_index[1], edge_index[0]] = weight
    return matrix


class Chebyshev(nn.Module):
    r"""A polynomial filter of the graph's Laplacian, Defferrard et al. 2016, https://arxiv.org/abs/1606.09375.

    .. math:: X' = \sum_{k<K} T_k(\tilde L) X W_k + b, \qquad T_0 = 1,\; T_1 = \tilde L,\;
              T_k = 2 \tilde L T_{k-1} - T_{k-2}, \qquad \tilde L = -D^{-1/2} A D^{-1/2}

    which is 2 L / 2 - I of the normalised Laplacian L, whose eigenvalues are at most 2. It reaches K - 1 hops. A
    component of X at the eigenvalue l of L comes out as sum_k T_k(l - 1) W_k of it, its frequency response.

    Args:
        in_channels: F.
        out_channels: C.
        terms: K; 1 passes no message.

    Example:
        >>> from gnnseq.graphs import path_graph
        >>> adjacency = shift((path_graph(4, undirected=True).edge_index, None), 4, self_loops=False)
        >>> Chebyshev(3, 2, terms=3)(torch.ones(4, 3), adjacency).shape
        torch.Size([4, 2])
    """

    def __init__(self, in_channels: int, out_channels: int, terms: int) -> None:
        super().__init__()
        self.is_narrow = terms > 1 and out_channels < in_channels
        self.maps = nn.ModuleList(nn.Linear(in_channels, out_channels, bias=not k) for k in range(terms))

    def forward(self, x: Tensor, adjacency: Tensor) -> Tensor:
        """The filtered features [N, C] of x [N, F] on an adjacency [N, N], normalised, without self-loops."""
        if not self.is_narrow:
            return self.combine(self.basis(x, adjacency))
        above = higher = x.new_zeros(())  # Clenshaw's recurrence, so that N x N meets the narrower side
        for linear in self.maps[:0:-1]:
            above, higher = linear(x) - (2 * (adjacency @ above) if above.dim() else 0) - higher, above
        out: Tensor = self.maps[0](x) - adjacency @ above - higher
        return out

    def basis(self, x: Tensor, adjacency: Tensor) -> list[Tensor]:
        """All T_k x, which depend on no weight: of inputs that stay they are computed once. [N, F] each"""
        made = [x]
        for k in range(1, len(self.maps)):
            made.append(-(adjacency @ x) if k == 1 else -2 * (adjacency @ made[-1]) - made[-2])
        return made

    def combine(self, basis: list[Tensor]) -> Tensor:
        """Their sum under the maps W_k. [N, C]"""
        return torch.stack([linear(term) for linear, term in zip(self.maps, basis, strict=True)]).sum(0)


class PopulationNetwork(nn.Module):
    """Two layers of one kind, and a score a person, to which a score known beforehand may be added.

    Args:
        kind: ``"none"``, ``"chebyshev"`` or ``"gcn"``.
        in_channels: F.
        hidden: Channels between the layers.
        terms: K of Chebyshev's filters.
        dropout: Of hidden channels.
        offset: Whether the given scores are added, with a weight that is learnt.
    """

    def __init__(self, kind: str, in_channels: int, hidden: int, terms: int, dropout: float, offset: bool) -> None:
        super().__init__()
        self.kind, self.dropout = kind, dropout
        if kind == "gcn":
            self.layers = nn.ModuleList([GCN(in_channels, hidden), GCN(hidden, 1)])
        else:
            terms = 1 if kind == "none" else terms
            self.layers = nn.ModuleList([Chebyshev(in_channels, hidden, terms), Chebyshev(hidden, 1, terms)])
        self.weight = nn.Parameter(torch.ones(())) if offset else None

    def forward(self, x: Tensor | list[Tensor], graph: Graph, adjacency: Tensor, score: Tensor) -> Tensor:
        """Logits [N] of x [N, F], or of its first layer's basis."""
        first, second = self.layers
        if self.kind == "gcn":
            hidden = first(x, *graph).relu()
            out = second(functional.dropout(hidden, self.dropout, self.training), *graph)
        else:
            assert isinstance(first, Chebyshev)
            hidden = (first.combine(x) if isinstance(x, list) else first(x, adjacency)).relu()
            out = second(functional.dropout(hidden, self.dropout, self.training), adjacency)
        logits: Tensor = out.squeeze(-1)
        return logits if self.weight is None else logits + self.weight * score


@dataclass(frozen=True)
class LearnedScores:
    """What a training gave.

    Attributes:
        scores: Logits of everybody. [N]
        epoch: How many epochs were chosen.
        network: As it was after that many.
        by_epoch: Logits after every epoch, for a leak; the chosen one's alone unless asked for. [epochs, N]
    """

    scores: NDArray[np.float64]
    epoch: int
    network: PopulationNetwork
    by_epoch: NDArray[np.float64]


def train_network(
    network: PopulationNetwork,
    inputs: tuple[Tensor | list[Tensor], Graph, Tensor, Tensor],
    people: Integers,
    labels: Tensor,
    training: DiseaseTraining,
) -> Iterator[int]:
    """Train on ``people``, whose labels alone are read, and stop after each epoch to say how many were made."""
    optimizer = torch.optim.Adam(
        network.parameters(), training.learning_rate, weight_decay=training.weight_decay, fused=True
    )
    rows = torch.from_numpy(people)
    target = labels[rows].to(torch.float32)
    for epoch in range(1, training.epochs + 1):
        network.train()
        optimizer.zero_grad()
        functional.binary_cross_entropy_with_logits(network(*inputs)[rows], target).backward()
        optimizer.step()
        network.eval()
        yield epoch


def choose_epoch(
    network: PopulationNetwork,
    inputs: tuple[Tensor | list[Tensor], Graph, Tensor, Tensor],
    train: Integers,
    labels: Tensor,
    training: DiseaseTraining,
    seed: int,
) -> int:
    """How many epochs are best on a fifth of the training part, of a network that is trained on the rest."""
    fitted, held_out = inner_split(train, labels.numpy(), seed)
    rows = torch.from_numpy(held_out)
    best, chosen = float("inf"), 1
    for epoch in train_network(network, inputs, fitted, labels, training):
        with torch.no_grad():
            logits = network(*inputs)[rows]
            loss = float(functional.binary_cross_entropy_with_logits(logits, labels[rows].to(logits.dtype)))
        if loss < best:
            best, chosen = loss, epoch
        elif epoch - chosen >= training.patience:
            break
    return chosen


def learn(
    kind: str,
    x: NDArray[np.float64],
    graph: Graph,
    train: Integers,
    labels: NDArray[np.bool_],
    training: DiseaseTraining,
    seed: int,
    offset: NDArray[np.float64] | None = None,
    all_epochs: bool = False,
) -> LearnedScores:
    """Train twice from one seed: without a fifth of the training part, to choose the epoch, and with all of it.

    Args:
        kind: As for :class:`PopulationNetwork`.
        x: What everybody's node reads. [N, F]
        graph: Edges between people, which the kind "none" does not read.
        train: Those whose labels are read.
        labels: [N]
        training: How.
        seed: Of weights, dropout and the inner split.
        offset: Scores to which the network's are added; leave-one-out ones in training. [N]
        all_epochs: Whether to train on after the epoch that was chosen, as only a leak's measurement needs it.
    """
    people = len(x)
    score = torch.zeros(people) if offset is None else torch.from_numpy(offset).to(torch.float32)
    matrix = torch.zeros(()) if kind in ("none", "gcn") else shift(graph, people, self_loops=False)
    nodes = torch.from_numpy(x).to(torch.float32)
    target = torch.from_numpy(labels)

    def fresh() -> PopulationNetwork:
        torch.manual_seed(seed)
        return PopulationNetwork(
            kind, x.shape[1], training.hidden, training.terms, training.dropout, offset is not None
        )

    first = fresh().layers[0]
    inputs = first.basis(nodes, matrix) if isinstance(first, Chebyshev) else nodes, graph, matrix, score
    epoch = choose_epoch(fresh(), inputs, train, target, training, seed)
    network, kept, by_epoch = fresh(), None, []
    for done in train_network(network, inputs, train, target, training):
        if all_epochs or done == epoch:
            with torch.no_grad():
                by_epoch.append(network(*inputs).numpy().astype(np.float64))
        if done == epoch:
            kept, scores = copy.deepcopy(network), by_epoch[-1]
            if not all_epochs:
                break
    assert kept is not None
    return LearnedScores(scores, epoch, kept, np.stack(by_epoch))
