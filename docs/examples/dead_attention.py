"""
Finding dead attention by its reach
===================================

A layer may be built to look at its neighbours and yet never do it: scores that a relu cuts off for every input, a gate
that has closed for good. Losses and shapes do not tell. The reach does: it is measured.
"""

import matplotlib.pyplot as plt
import torch
from torch_geometric.nn import MessagePassing
from torch_geometric.utils import get_num_hops

from gnnseq import receptive_field
from gnnseq.graphs import path_graph

torch.manual_seed(0)


class SparseAttention(MessagePassing):
    """x'_i = x_i + sum over neighbours of relu(score(x_i, x_j)) V x_j, with scores in -1..1."""

    def __init__(self, channels, bias=0.0):
        super().__init__(aggr="add")
        self.query, self.value = torch.nn.Linear(channels, channels), torch.nn.Linear(channels, channels)
        self.bias = torch.nn.Parameter(torch.tensor(bias))

    def forward(self, x, edge_index):
        return x + self.propagate(edge_index, x=x)

    def message(self, x_i, x_j):
        score = torch.tanh((self.query(x_i) * x_j).sum(-1, keepdim=True)) + self.bias
        return torch.relu(score) * self.value(x_j)


class Network(torch.nn.Module):
    def __init__(self, *biases):
        super().__init__()
        self.layers = torch.nn.ModuleList(SparseAttention(4, bias) for bias in biases)

    def forward(self, x, edge_index):
        for layer in self.layers:
            x = layer(x, edge_index)
        return x


edges, x = path_graph(11, undirected=True).edge_index, torch.randn(11, 4)
networks = {"three layers, alive": Network(0.5, 0.5, 0.5), "the second is dead": Network(0.5, -1.5, 0.5)}

# %%
# Both networks count three modules. The bias of -1.5 leaves no score above zero, whatever the input: what is proven to
# be read is two hops. The pairs beyond are *in doubt*, since NaN would have passed through the relu: that is how a dead
# unit looks from outside, and ``certain`` is False.

figure, axes = plt.subplots(1, 2, figsize=(8, 3.8), layout="constrained")
for panel, (name, network) in zip(axes, networks.items(), strict=True):
    field = receptive_field(network, x, edges)
    doubt = field.possible.toarray() & ~field.reach.toarray()
    print(f"{name}: measured {field.hops.max()} hops (get_num_hops: {get_num_hops(network)}), {doubt.sum()} in doubt")
    panel.imshow(field.reach.toarray() + 0.4 * doubt, cmap="Blues", vmax=1.3)
    panel.set(title=name, xlabel="input", ylabel="output")
plt.show()

# %%
# Which layer is it? Ask each alone.

for number, layer in enumerate(networks["the second is dead"].layers, 1):
    field = receptive_field(layer, x, edges)
    print(f"layer {number}: {field.hops.max()} hops, {'proven' if field.certain else 'in doubt'}")
