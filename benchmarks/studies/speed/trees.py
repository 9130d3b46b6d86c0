"""The speed benchmark on trees: child-sum LSTMs of DGL and of pytorch-tree-lstm."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gnnseq import topological
from gnnseq.graphs import tree_graph
from gnnseq.layers import LSTM
from harness.peers import dgl_tree_lstm, import_dgl
from studies.speed.measure import Case, Peer, Results, Step, layer_step, parameters, same_weights, training_step
from studies.speed.roofline import Roofline, tree_products


def random_forest(trees: int, most_leaves: int, seed: int = 0) -> np.ndarray:
    """Parents of binary trees of 2 or more leaves, split at random from the root down; -1 at a root. [N]"""
    rng = np.random.default_rng(seed)
    parents: list[int] = []
    for leaves in rng.integers(2, most_leaves + 1, trees):
        open_nodes = [(int(leaves), -1)]
        while open_nodes:
            below, parent = open_nodes.pop()
            parents.append(parent)
            if below > 1:
                left, node = int(rng.integers(1, below)), len(parents) - 1
                open_nodes += [(left, node), (below - left, node)]
    return np.array(parents)


def dgl_step(ours: LSTM, x: Tensor, edge_index: Tensor, keep_frontiers: bool) -> Step:
    """DGL's child-sum LSTM; prop_nodes_topo finds the frontiers anew in every call, prop_nodes is given them."""
    dgl = import_dgl()
    if x.device.type != "cpu":
        raise OSError("its wheel on PyPI is built for the CPU alone")
    graph = dgl.graph((edge_index[0], edge_index[1]), num_nodes=len(x))
    frontiers = [list(dgl.topological_nodes_generator(graph))] if keep_frontiers else []
    own = same_weights(nn.LSTM(ours.in_channels, ours.hidden_channels), ours)
    weights = list(own.parameters())

    def propagate(graph: Any, **functions: Any) -> None:
        if keep_frontiers:
            dgl.prop_nodes(graph, *frontiers, **functions)
        else:
            dgl.prop_nodes_topo(graph, **functions)

    def forward() -> Tensor:
        return dgl_tree_lstm(graph, propagate, x, *weights)

    return training_step(forward, [*parameters(own), x])


def treelstm_step(ours: LSTM, x: Tensor, edge_index: Tensor) -> Step:
    """pytorch-tree-lstm: gates in the order i, o, g, the forget gate apart, biases on the input side alone.

    Its forget gate is ours, one an edge from the parent's input and the child's state. It sums over runs of equal
    parents, so the edges have to be sorted by parent.
    """
    import treelstm  # type: ignore[import-not-found]

    def apart(weight: Tensor) -> tuple[Tensor, Tensor]:
        i, f, g, o = weight.detach().chunk(4)
        return torch.cat([i, o, g]), f

    (w_iog, w_f), (u_iog, u_f) = apart(ours.weight_ih_l0), apart(ours.weight_hh_l0)
    b_iog, b_f = apart(ours.bias_ih_l0 + ours.bias_hh_l0)
    cell = treelstm.TreeLSTM(ours.in_channels, ours.hidden_channels).to(x.device)
    forget = {"W_f.weight": w_f, "W_f.bias": b_f, "U_f.weight": u_f}
    cell.load_state_dict({"W_iou.weight": w_iog, "W_iou.bias": b_iog, "U_iou.weight": u_iog, **forget})
    edges = edge_index[:, edge_index[1].argsort(stable=True)].flip(0).t().contiguous()  # [parent, child]
    node_order, edge_order = treelstm.calculate_evaluation_orders(edges.cpu().numpy(), len(x))
    orders = [torch.from_numpy(order).to(x.device) for order in (node_order, edge_order)]
    return layer_step(cell, x, orders[0], edges, orders[1])


def treelstm_as_ours(results: Results) -> Results:
    """Its gradients by name as ours by name."""
    h, u_f, u_iog, b_f, w_f, b_iog, w_iog, d_x = results
    joined = []
    for iog, f in ((b_iog, b_f), (u_iog, u_f), (w_iog, w_f)):
        i, o, g = iog.chunk(3)
        joined.append(torch.cat([i, f, g, o]))
    return [h, joined[0], *joined, d_x]


def trees(quick: bool, device: torch.device) -> Case:
    """Random binary trees of 20 leaves on average, about as a treebank's sentences have, every node with an input."""
    number, leaves, features, hidden = (3, 5, 4, 6) if quick else (256, 38, 300, 150)
    torch.manual_seed(0)
    parents = torch.from_numpy(random_forest(number, leaves))
    edge_index = tree_graph(parents).edge_index.to(device)
    ours = LSTM(features, hidden).to(device)
    x = torch.randn(len(parents), features, device=device).requires_grad_()
    schedule = topological(edge_index, len(parents))
    peers = {
        "DGL prop_nodes_topo": Peer("dgl", lambda: dgl_step(ours, x, edge_index, keep_frontiers=False)),
        "DGL prop_nodes, frontiers kept": Peer("dgl", lambda: dgl_step(ours, x, edge_index, keep_frontiers=True)),
        "pytorch-tree-lstm": Peer("pytorch-tree-lstm", lambda: treelstm_step(ours, x, edge_index), treelstm_as_ours),
    }
    return Case(
        title="LSTM, binary trees",
        shape=f"{number} trees, N={len(parents)} F={features} H={hidden}, {len(schedule)} levels",
        ours=layer_step(ours, x, schedule),
        peers=peers,
        roofline=lambda: Roofline(tree_products(schedule, features, hidden), device),
    )
