"""The child-sum LSTM in DGL's message passing, on the same minibatches with the same weights."""

import time
from typing import Any

import torch
from torch import Tensor

from gnnseq.graphs import tree_graph
from gnnseq.layers import LSTM
from harness.peers import import_dgl
from harness.sweep import one_thread
from studies.trees.batches import Batch, make_batches
from studies.trees.fit import TreeNetwork, loss_of, make_network
from studies.trees.runs import TreeRun
from studies.trees.sources import number

MOST = 40  # minibatches


class DGLCell(torch.nn.Module):
    """A layer that stands in for ours in a network and reads its weights; the frontiers are found once a batch.

    As DGL's Tree-LSTM example has it, but that an inner node's input is kept there, not overwritten.
    """

    def __init__(self, ours: LSTM, graphs: list[Any]) -> None:
        super().__init__()
        self.ours, self.num_directions = ours, 1
        self.graphs = iter(graphs)

    def forward(self, x: Tensor, schedule: Any) -> tuple[Tensor, None]:
        """The h of every node. [N, H]"""
        (graph, frontiers), weights = next(self.graphs), self.ours.weights("l0")
        weight_i, forget_weight, weight_g, weight_o = weights.weight_hh.chunk(4)
        other_weight = torch.cat([weight_i, weight_g, weight_o])
        assert weights.bias_ih is not None
        assert weights.bias_hh is not None
        projected = torch.nn.functional.linear(x, weights.weight_ih, weights.bias_ih + weights.bias_hh)
        i, f, g, o = projected.chunk(4, dim=1)

        def reduce(nodes: Any) -> dict[str, Tensor]:
            h, c = nodes.mailbox["h"], nodes.mailbox["c"]  # [n, children, H]
            forget_gate = torch.sigmoid(nodes.data["f_x"].unsqueeze(1) + h @ forget_weight.t())
            return {"igo_h": h.sum(1) @ other_weight.t(), "c": (forget_gate * c).sum(1)}

        def update(nodes: Any) -> dict[str, Tensor]:
            i, g, o = (nodes.data["igo_x"] + nodes.data["igo_h"]).chunk(3, dim=1)
            c = torch.sigmoid(i) * torch.tanh(g) + nodes.data["c"]
            return {"h": torch.sigmoid(o) * torch.tanh(c), "c": c}

        with graph.local_scope():
            graph.ndata["igo_x"], graph.ndata["f_x"] = torch.cat([i, g, o], dim=1), f
            graph.ndata["igo_h"] = x.new_zeros(len(x), 3 * self.ours.hidden_channels)
            graph.ndata["h"] = graph.ndata["c"] = x.new_zeros(len(x), self.ours.hidden_channels)

            def message(edges: Any) -> dict[str, Tensor]:
                return {"h": edges.src["h"], "c": edges.src["c"]}

            functions: dict[str, Any] = {"reduce_func": reduce, "apply_node_func": update}
            import_dgl().prop_nodes(graph, frontiers, message_func=message, **functions)
            h: Tensor = graph.ndata["h"]
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
