"""The child-sum LSTM in DGL's message passing, on the same minibatches with the same weights."""

import time
from typing import Any

import torch
from torch import Tensor

from gnnseq.graphs import tree_graph
from gnnseq.layers import LSTM
from harness.peers import dgl_tree_lstm, import_dgl
from harness.sweep import one_thread
from studies.trees.batches import Batch, make_batches
from studies.trees.fit import TreeNetwork, loss_of, make_network
from studies.trees.runs import TreeRun
from studies.trees.sources import number

MOST = 40  # minibatches


class DGLCell(torch.nn.Module):
    """A layer that stands in for ours in a network and reads its weights; the frontiers are found once a batch."""

    def __init__(self, ours: LSTM, graphs: list[Any]) -> None:
        super().__init__()
        self.ours, self.num_directions = ours, 1
        self.graphs = iter(graphs)

    def forward(self, x: Tensor, schedule: Any) -> tuple[Tensor, None]:
        """The h of every node. [N, H]"""
        (graph, frontiers), weights = next(self.graphs), self.ours.weights("l0")
        assert weights.bias_ih is not None
        assert weights.bias_hh is not None

        def propagate(graph: Any, **functions: Any) -> None:
            import_dgl().prop_nodes(graph, frontiers, **functions)

        h = dgl_tree_lstm(graph, propagate, x, weights.weight_ih, weights.weight_hh, weights.bias_ih, weights.bias_hh)
        return h, None


@one_thread()
def compare(run: TreeRun) -> dict[str, Any] | None:
    """Training steps without an optimizer, both ways, on one core; None where DGL is not installed.

    That the losses are the same numbers says that DGL's cell learns what ours does, in another time.
    """
    try:
        dgl = import_dgl()
    except ImportError:
        return None
    trees = number(run.files, run.task)
    network: Any = make_network(run, trees).eval()
    batches = make_batches("tree LSTM", trees, 0, run.batch)[:MOST]
    graphs = []
    for at in range(len(batches)):
        forest = tree_graph([tree.parents for tree in trees.parts[0][at * run.batch : (at + 1) * run.batch]])
        graph = dgl.graph((forest.edge_index[0], forest.edge_index[1]), num_nodes=forest.num_nodes)
        graphs.append((graph, list(dgl.topological_nodes_generator(graph))))
    ours, seconds, losses = network.layer, {}, {}
    for name in ("gnnseq", "DGL", "gnnseq", "DGL"):  # the first time warms up
        network.layer = ours if name == "gnnseq" else DGLCell(ours, graphs)
        seconds[name], losses[name] = _steps(network, batches, len(trees.classes))
    worst = max(abs(a - b) for a, b in zip(*losses.values(), strict=True))
    count = sum(batch.trees for batch in batches)
    return {"trees": count, "cpu_seconds": seconds, "largest_difference": worst}


def _steps(network: TreeNetwork, batches: list[Batch], classes: int) -> tuple[float, list[float]]:
    start, losses = time.process_time(), []
    for batch in batches:
        network.zero_grad()
        loss = loss_of(network, batch, classes)
        loss.backward()
        losses.append(loss.item())
    return round(time.process_time() - start, 3), losses
