"""Libraries that are measured beside this one, where they are installed."""

import os
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

__all__ = ["dgl_tree_lstm", "import_dgl"]


def import_dgl() -> Any:
    """DGL, without its graphbolt, whose compiled part exists only for older versions of torch and is not used here."""

    class Empty(ModuleType):
        def __getattr__(self, name: str) -> type:
            if name.startswith("__"):
                raise AttributeError(name)
            return type(name, (), {})

    sys.modules.setdefault("dgl.graphbolt", Empty("dgl.graphbolt"))
    os.environ.setdefault("DGLBACKEND", "pytorch")  # otherwise it says what it assumes, and writes a file at home
    return import_module("dgl")


def dgl_tree_lstm(graph: Any, propagate: Callable[..., object], x: Tensor, *weights: Tensor) -> Tensor:
    """The child-sum LSTM in DGL's message passing, as its Tree-LSTM example has it but for one thing: h of all nodes.

    There the reduce function puts U_iou h~ in the place where W_iou x was, so that an inner node's input is lost; here
    both are kept and added.

    Args:
        graph: DGL's, edges from child to parent.
        propagate: DGL's function that goes through it, called with the graph and its three functions.
        x: [N, F]
        weights: torch.nn.LSTM's weight_ih, weight_hh, bias_ih and bias_hh, gates in the order i, f, g, o.
    """
    weight_ih, weight_hh, bias_ih, bias_hh = weights
    weight_i, forget_weight, weight_g, weight_o = weight_hh.chunk(4)
    other_weight = torch.cat([weight_i, weight_g, weight_o])
    i, f, g, o = functional.linear(x, weight_ih, bias_ih + bias_hh).chunk(4, dim=1)

    def reduce(nodes: Any) -> dict[str, Tensor]:
        h, c = nodes.mailbox["h"], nodes.mailbox["c"]  # [n, children, H]
        forget_gate = torch.sigmoid(nodes.data["f_x"].unsqueeze(1) + h @ forget_weight.t())
        return {"igo_h": h.sum(1) @ other_weight.t(), "c": (forget_gate * c).sum(1)}

    def update(nodes: Any) -> dict[str, Tensor]:
        i, g, o = (nodes.data["igo_x"] + nodes.data["igo_h"]).chunk(3, dim=1)
        c = torch.sigmoid(i) * torch.tanh(g) + nodes.data["c"]
        return {"h": torch.sigmoid(o) * torch.tanh(c), "c": c}

    def send(edges: Any) -> dict[str, Tensor]:
        return {"h": edges.src["h"], "c": edges.src["c"]}

    with graph.local_scope():
        graph.ndata["igo_x"], graph.ndata["f_x"] = torch.cat([i, g, o], dim=1), f
        graph.ndata["igo_h"] = x.new_zeros(len(x), len(other_weight))
        graph.ndata["h"] = graph.ndata["c"] = x.new_zeros(len(x), weight_hh.size(1))
        propagate(graph, message_func=send, reduce_func=reduce, apply_node_func=update)
        h: Tensor = graph.ndata["h"]
    return h
