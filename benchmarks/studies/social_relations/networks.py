"""A network on scenes: nodes of four kinds, rounds of relational propagation, and labels of the other pairs.

Letters: N pairs, M nodes of all kinds, E edges, F columns, H hidden channels, K relations.
"""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from gnnseq.data.scenes import scene_graph
from gnnseq.data.scenes.graphs import EDGE_KINDS, GEOMETRY
from gnnseq.layers import RelationalGCN
from studies.social_relations.runs import SceneRun
from studies.social_relations.sources import Problem

__all__ = ["Minibatch", "SceneNetwork", "make_minibatch"]

INPUT_DROPOUT = 0.1, 0.3  # of columns of all values, and of those that are mostly zero
KINDS = ("person", "object", "pair", "image")
SENT = tuple(kind for kind in EDGE_KINDS if kind not in (("person", "near", "object"), ("pair", "of", "person")))
ADDRESS = len(SENT) + len(GEOMETRY)  # all edges are sent along but two kinds, which bring pairs little in two rounds


class Minibatch(NamedTuple):
    """Scenes side by side, as one network reads them."""

    nodes: dict[str, Tensor]  # of each kind, what is known of a node [M_kind, *]; of pairs the table as well
    category: Tensor  # of objects
    edges: Tensor  # over persons, objects, pairs and images, in this order [2, E]
    address: Tensor  # of each edge: its kind as one of eight, and the geometry between boxes [E, 16]
    others: Tensor  # from each pair whose label is known to each other one of its image [2, E']
    shared: Tensor  # of those, whether a person is in both [E', 2]
    y: Tensor  # [N]
    scored: Tensor  # [N]


def make_minibatch(problem: Problem, images: np.ndarray, table: Tensor) -> Minibatch:
    """The images of a problem, given the scaled table of all pairs. [N, F]"""
    graph = scene_graph([problem.scenes[image] for image in images])
    rows = np.concatenate([np.arange(*np.searchsorted(problem.image, [image, image + 1])) for image in images])
    begin = np.cumsum([0, *(graph[kind].num_nodes for kind in KINDS)])
    first = dict(zip(KINDS, begin.tolist(), strict=False))
    edges, address = [], []
    for number, kind in enumerate(SENT):
        ends = graph[kind].edge_index
        edges.append(ends + torch.tensor([[first[kind[0]]], [first[kind[2]]]]))
        own = torch.zeros(ends.size(1), ADDRESS)
        own[:, number] = 1
        if "edge_attr" in graph[kind]:
            own[:, len(SENT) :] = graph[kind].edge_attr.clamp(-5, 5) / 2
        address.append(own)
    members, batch = graph["person", "of", "pair"].edge_index[0].view(-1, 2), graph["pair"].batch
    counts = torch.bincount(batch, minlength=len(images))
    start = counts.cumsum(0) - counts
    others = torch.cat([torch.combinations(torch.arange(a, a + k), 2).T for a, k in zip(start.tolist(), counts.tolist(),
                                                                                     strict=True)], 1)  # fmt: skip
    others = torch.cat([others, others.flip(0)], 1)
    both = (members[others[0]].unsqueeze(2) == members[others[1]].unsqueeze(1)).any(2).any(1)
    known = torch.from_numpy(problem.known[rows])[others[0]]
    others, shared = others[:, known], functional.one_hot(both.long(), 2).float()[known]
    nodes = {kind: graph[kind].x for kind in KINDS} | {"table": table[torch.from_numpy(rows)]}
    return Minibatch(nodes, graph["object"].category, torch.cat(edges, 1), torch.cat(address), others, shared,
                     graph["pair"].y, torch.from_numpy(problem.scored[rows]))  # fmt: skip


class Propagation(nn.Module):
    r"""h + dropout(gelu(norm(W [h | z]))), z of relational propagation in several heads.

    .. math:: z^m_i = \sum_{j \to i} \mathrm{softmax}_j\, \phi(u_m^\top h_i + v_m^\top h_j + w_m^\top a_{ji}) \, h^m_j
    """

    def __init__(self, hidden: int, heads: int, columns: int, dropout: float) -> None:
        super().__init__()
        width = hidden // heads
        self.into = nn.Linear(hidden, hidden)
        self.heads = nn.ModuleList(RelationalGCN(width, columns, strength="implicit") for _ in range(heads))
        self.out, self.norm, self.dropout = nn.Linear(2 * hidden, hidden), nn.LayerNorm(hidden), nn.Dropout(dropout)

    def forward(self, h: Tensor, sent: Tensor, edges: Tensor, address: Tensor) -> Tensor:
        """The next h, of what nodes ``sent``, themselves among them. [M, H]"""
        if edges.size(1):
            chunks = self.into(sent).chunk(len(self.heads), -1)
            heads = [head(chunk, edges, address) for head, chunk in zip(self.heads, chunks, strict=True)]
            z = torch.cat(heads, -1)[: len(h)]
        else:  # sums of nothing, at once
            z = torch.zeros_like(h)
        update: Tensor = self.dropout(functional.gelu(self.norm(self.out(torch.cat([h, z], -1)))))
        return h + update


class SceneNetwork(nn.Module):
    """Logits of every pair's relation.

    Nodes are encoded by kind; a pair reads its geometry, or the table's columns. Rounds of propagation follow along all
    edges, each with its kind and geometry; without edges the same layers get sums of nothing. For completion the labels
    of the other pairs are sent along, from nodes that only send: a pair's own label reaches no number of its own.
    """

    def __init__(self, run: SceneRun, problem: Problem, columns: tuple[int, int], table: bool, edges: bool) -> None:
        super().__init__()
        self.with_table, self.with_edges, hidden = table, edges, run.hidden
        self.columns = columns if table else (2 * len(GEOMETRY), 0)  # of all values, and mostly zero
        self.pair = nn.Linear(sum(self.columns), hidden)
        self.person, self.object, self.image = nn.Linear(6, hidden), nn.Linear(6, hidden), nn.Linear(3, hidden)
        self.category = nn.Embedding(max(problem.categories, 1), hidden)
        self.norm, self.dropout = nn.LayerNorm(hidden), nn.Dropout(run.dropout)
        self.rounds = nn.ModuleList(Propagation(hidden, run.heads, ADDRESS, run.dropout) for _ in range(run.rounds))
        self.label, self.others = None, None
        if run.task != "relations":
            self.label = nn.Embedding(len(problem.relations), hidden)
            self.others = Propagation(hidden, run.heads, 2, run.dropout)
        self.readout = nn.Linear(hidden, len(problem.relations))

    def forward(self, batch: Minibatch) -> Tensor:
        """[N, K]"""
        nodes = batch.nodes
        parts = (nodes["table"] if self.with_table else nodes["pair"]).split(self.columns, 1)
        dropped = [functional.dropout(part, p, self.training) for part, p in zip(parts, INPUT_DROPOUT, strict=True)]
        pair = self.pair(torch.cat(dropped, 1))
        if self.with_edges:
            objects = self.object(nodes["object"]) + self.category(batch.category)
            parts = (self.person(nodes["person"]), objects, pair, self.image(nodes["image"]))
            edges, address = batch.edges, batch.address
        else:  # nothing else is read, so that nothing else is computed
            parts = (pair,)
            edges, address = batch.edges[:, :0], batch.address[:0]
        h = self.dropout(functional.gelu(self.norm(torch.cat(parts))))  # [M, H]
        for each in self.rounds:
            h = each(h, h, edges, address)
        if self.with_edges:
            begin = len(parts[0]) + len(parts[1])
            h = h[begin : begin + len(pair)]
        if self.others is not None and self.label is not None:
            ends, shared = batch.others, batch.shared
            if not self.with_edges:
                ends, shared = ends[:, :0], shared[:0]
            sent = torch.cat([h, h + self.label(batch.y)])  # the second half only sends
            h = self.others(h, sent, ends + torch.tensor([[len(h)], [0]]), shared)
        logits: Tensor = self.readout(h)
        return logits
