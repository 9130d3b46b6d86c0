"""The speed benchmark on trees: child-sum LSTMs of DGL and of pytorch-tree-lstm.

Letters: N nodes, F input channels, H hidden channels.
"""

import os
import sys
import types
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gnnseq import topological
from gnnseq.graphs import tree_graph
from gnnseq.layers import LSTM
from gnnseq.schedule import Schedule
from studies.speed.measure import (
    BareProducts,
    MissingError,
    Product,
    Results,
    Runner,
    Work,
    linear_products,
    parameters,
    peer,
    training_step,
)


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


def tree_products(schedule: Schedule, features: int, hidden: int) -> list[Product]:
    """Those of a child-sum LSTM: i, g and o read where there are children, f is read where there is a parent."""
    sizes = schedule.step_sizes
    has_parent = torch.zeros(schedule.num_nodes, dtype=torch.bool)
    has_parent[schedule.edge_index[0].cpu()] = True
    children = [int(has_parent[step.nodes.cpu()].sum()) for step in schedule]
    products = linear_products(schedule.num_nodes, features, 4 * hidden)
    for size in sizes[1:]:
        products += [Product(size, hidden, 3 * hidden), Product(size, 3 * hidden, hidden)]
    for size in filter(None, children):
        products += [Product(size, hidden, hidden), Product(size, hidden, hidden)]
    return [
        *products,
        Product(3 * hidden, sum(sizes[1:]), hidden, over_nodes=True),
        Product(hidden, sum(children), hidden, over_nodes=True),
    ]


def import_dgl() -> Any:
    """DGL, without its graphbolt, whose compiled part exists only for older versions of torch and is not used here."""

    class Empty(types.ModuleType):
        def __getattr__(self, name: str) -> type:
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (), {})

    if "dgl" not in sys.modules:
        stand_in = Empty("dgl.graphbolt")
        stand_in.__spec__, stand_in.__path__ = ModuleSpec("dgl.graphbolt", None), []  # type: ignore[attr-defined]
        sys.modules.setdefault("dgl.graphbolt", stand_in)
        os.environ.setdefault("DGLBACKEND", "pytorch")  # otherwise it says what it assumes, and writes a file at home
    import dgl

    return dgl


class DGLChildSum(nn.Module):
    """The child-sum LSTM in DGL's message passing, as its Tree-LSTM example has it but for one thing.

    There the reduce function puts U_iou h~ in the place where W_iou x was, so that an inner node's input is lost; here
    both are kept and added. Weights are ours: [i, f, g, o].
    """

    def __init__(self, ours: LSTM, dgl: Any) -> None:
        super().__init__()
        self.dgl = dgl
        self.hidden = ours.hidden_channels
        for name, value in ours.state_dict().items():
            self.register_parameter(name, nn.Parameter(value.clone()))

    def forward(self, x: Tensor, graph: Any, frontiers: Sequence[Tensor] | None = None) -> Tensor:
        _, self.forget_weight, *_ = self.weight_hh_l0.chunk(4)
        weight_i, _, weight_g, weight_o = self.weight_hh_l0.chunk(4)
        self.other_weight = torch.cat([weight_i, weight_g, weight_o])
        i, f, g, o = nn.functional.linear(x, self.weight_ih_l0, self.bias_ih_l0 + self.bias_hh_l0).chunk(4, dim=1)
        with graph.local_scope():
            graph.ndata["igo_x"] = torch.cat([i, g, o], dim=1)
            graph.ndata["f_x"] = f
            graph.ndata["igo_h"] = x.new_zeros(len(x), 3 * self.hidden)
            graph.ndata["h"] = graph.ndata["c"] = x.new_zeros(len(x), self.hidden)
            functions = {"message_func": self.message, "reduce_func": self.reduce, "apply_node_func": self.apply_node}
            if frontiers is None:
                self.dgl.prop_nodes_topo(graph, **functions)
            else:
                self.dgl.prop_nodes(graph, frontiers, **functions)
            return graph.ndata["h"]

    def message(self, edges: Any) -> dict[str, Tensor]:
        return {"h": edges.src["h"], "c": edges.src["c"]}

    def reduce(self, nodes: Any) -> dict[str, Tensor]:
        h, c = nodes.mailbox["h"], nodes.mailbox["c"]  # [n, children, H]
        forget_gate = torch.sigmoid(nodes.data["f_x"].unsqueeze(1) + h @ self.forget_weight.t())
        return {"igo_h": h.sum(1) @ self.other_weight.t(), "c": (forget_gate * c).sum(1)}

    def apply_node(self, nodes: Any) -> dict[str, Tensor]:
        i, g, o = (nodes.data["igo_x"] + nodes.data["igo_h"]).chunk(3, dim=1)
        c = torch.sigmoid(i) * torch.tanh(g) + nodes.data["c"]
        return {"h": torch.sigmoid(o) * torch.tanh(c), "c": c}


def dgl_runner(ours: LSTM, x: Tensor, edge_index: Tensor, keep_frontiers: bool) -> Runner:
    """prop_nodes_topo, which finds the frontiers anew in every call, or prop_nodes on frontiers that are kept."""
    dgl = import_dgl()
    if x.device.type != "cpu":
        raise MissingError("its wheel on PyPI is built for the CPU alone")
    graph = dgl.graph((edge_index[0], edge_index[1]), num_nodes=len(x))
    cell = DGLChildSum(ours, dgl)
    x = x.detach().clone().requires_grad_()
    frontiers = list(dgl.topological_nodes_generator(graph)) if keep_frontiers else None
    return Runner(training_step(lambda: cell(x, graph, frontiers), [*parameters(cell), x]))


def treelstm_runner(ours: LSTM, x: Tensor, edge_index: Tensor) -> Runner:
    """pytorch-tree-lstm: gates in the order i, o, g, the forget gate apart, biases on the input side alone.

    Its forget gate is ours, one an edge from the parent's input and the child's state. It sums over runs of equal
    parents, so the edges have to be sorted by parent.
    """
    import treelstm

    hidden = ours.hidden_channels
    cell = treelstm.TreeLSTM(ours.in_channels, hidden).to(x.device)
    i, f, g, o = ours.weight_ih_l0.detach().chunk(4)
    u_i, u_f, u_g, u_o = ours.weight_hh_l0.detach().chunk(4)
    b_i, b_f, b_g, b_o = (ours.bias_ih_l0 + ours.bias_hh_l0).detach().chunk(4)
    cell.load_state_dict(
        {
            "W_iou.weight": torch.cat([i, o, g]),
            "W_iou.bias": torch.cat([b_i, b_o, b_g]),
            "U_iou.weight": torch.cat([u_i, u_o, u_g]),
            "W_f.weight": f,
            "W_f.bias": b_f,
            "U_f.weight": u_f,
        }
    )
    edges = edge_index[:, edge_index[1].argsort(stable=True)].flip(0).t().contiguous()  # [parent, child]
    node_order, edge_order = treelstm.calculate_evaluation_orders(edges.cpu().numpy(), len(x))
    orders = [torch.from_numpy(order).to(x.device) for order in (node_order, edge_order)]
    x = x.detach().clone().requires_grad_()
    wanted = [cell.W_iou.weight, cell.W_iou.bias, cell.U_iou.weight, cell.W_f.weight, cell.W_f.bias, cell.U_f.weight, x]

    def as_ours(results: Results) -> Results:
        h, w_iog, b_iog, u_iog, w_f, b_f, u_f, d_x = results

        def join(iog: Tensor, f: Tensor) -> Tensor:
            i, o, g = iog.chunk(3)
            return torch.cat([i, f, g, o])

        bias = join(b_iog, b_f)
        return [h, bias, bias, join(u_iog, u_f), join(w_iog, w_f), d_x]  # parameters by name, as ours

    step = training_step(lambda: cell(x, orders[0], edges, orders[1])[0], wanted)
    return Runner(step, as_ours)


def trees(quick: bool, device: torch.device) -> Work:
    """Random binary trees of 20 leaves on average, about as a treebank's sentences have, every node with an input."""
    number, leaves, features, hidden = (3, 5, 4, 6) if quick else (256, 38, 300, 150)
    torch.manual_seed(0)
    parents = torch.from_numpy(random_forest(number, leaves))
    edge_index = tree_graph(parents).edge_index.to(device)
    ours = LSTM(features, hidden).to(device)
    x = torch.randn(len(parents), features, device=device).requires_grad_()
    schedule = topological(edge_index, len(parents))
    return Work(
        title="LSTM, binary trees",
        shape=f"{number} trees, N={len(parents)} F={features} H={hidden}, {len(schedule)} levels",
        ours=Runner(training_step(lambda: ours(x, schedule)[0], [*parameters(ours), x])),
        peers={
            "DGL prop_nodes_topo": peer("dgl", lambda: dgl_runner(ours, x, edge_index, keep_frontiers=False)),
            "DGL prop_nodes, frontiers kept": peer("dgl", lambda: dgl_runner(ours, x, edge_index, keep_frontiers=True)),
            "pytorch-tree-lstm": peer("pytorch-tree-lstm", lambda: treelstm_runner(ours, x, edge_index)),
        },
        limit=BareProducts(tree_products(schedule, features, hidden), device),
    )


TREE_WORKS: dict[str, Callable[[bool, torch.device], Work]] = {"trees": trees}
