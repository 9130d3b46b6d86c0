"""
Explaining a forecast on a graph in time
========================================

Which relations did a forecast lean on? torch_geometric's explainers work on these layers, and a mask of the relations
stays on the relations: it never touches steps of time, and never credits an edge beyond the receptive field.
"""

import matplotlib.pyplot as plt
import networkx as nx
import torch
from torch_geometric.data import Data
from torch_geometric.explain import Explainer, GNNExplainer
from torch_geometric.utils import to_networkx

from gnnseq.layers import TemporalGCN
from gnnseq.plots import COLORS

torch.manual_seed(0)
steps, nodes = 3, 8
ring = torch.arange(nodes)
edges = torch.stack([torch.cat([ring, (ring + 1) % nodes]), torch.cat([(ring + 1) % nodes, ring])])
loud = torch.tensor([1.0, 1, 0, 0, 1, 1, 0, 0])

# %%
# Planted: a node's next value is the sum of the last ones of all that are *loud* among its neighbours and itself. The
# graph, a ring, has edges from all neighbours; who is loud is known at every step.


class Network(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = TemporalGCN(1, 24, 1, order="space_time", exogenous_channels=1)

    def windows(self, x, edge_index):  # x [B, T, N]
        known = loud.expand_as(x).unsqueeze(-1)
        return self.layer(x.unsqueeze(-1), edge_index, exogenous=known)[0][:, -1, :, 0]

    def forward(self, x, edge_index):  # x [N, T], as explainers want a row a node
        return self.windows(x.t().unsqueeze(0), edge_index).t()


def truth(x):
    heard = loud * x[:, -2]
    return heard + heard.roll(1, -1) + heard.roll(-1, -1)


network = Network()
optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
for _ in range(200):
    x = torch.randn(64, steps, nodes)
    loss = (network.windows(x, edges) - truth(x)).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
x = torch.randn(1000, steps, nodes)
error, trivial = (network.windows(x, edges) - truth(x)).square().mean(), truth(x).square().mean()
print(f"mean squared error {error:.3f}; the trivial answer, zero, has {trivial:.3f}")

# %%
# The explanation of one node's forecast, averaged over a few inputs. What is left on 5 -> 4 is two hops away and within
# reach: the state that 4 sends has heard 5, a step earlier.

explainer = Explainer(
    network,
    algorithm=GNNExplainer(epochs=80, lr=0.05, edge_size=0.1, edge_ent=0.02),
    explanation_type="model",
    edge_mask_type="object",
    model_config={"mode": "regression", "task_level": "node", "return_type": "raw"},
)
asked, mask = 3, torch.zeros(edges.shape[1])
for _ in range(4):
    mask += explainer(torch.randn(nodes, steps), edges, index=asked).edge_mask / 4

graph = to_networkx(Data(edge_index=edges, num_nodes=nodes))
weight = {(int(source), int(target)): float(value) for source, target, value in zip(*edges, mask, strict=True)}
places = nx.circular_layout(graph)
figure, axes = plt.subplots(figsize=(5.4, 4.4), layout="constrained")
drawn = nx.draw_networkx_edges(
    graph, places, ax=axes, edge_color=[weight[edge] for edge in graph.edges], edge_cmap=plt.cm.Blues,
    edge_vmin=-0.2, edge_vmax=float(mask.max()), width=2, connectionstyle="arc3,rad=0.15", node_size=500,
)  # fmt: skip
colors = [COLORS["vermillion"] if node == asked else "#dddddd" for node in graph]
nx.draw_networkx_nodes(graph, places, ax=axes, node_color=colors, node_size=500)
nx.draw_networkx_labels(graph, places, ax=axes)
figure.colorbar(plt.cm.ScalarMappable(plt.Normalize(-0.2, float(mask.max())), plt.cm.Blues), ax=axes, label="mask")
axes.set_title(f"what node {asked} leaned on")
axes.axis("off")
plt.show()

print(f"4 -> 3, from the loud neighbour: {weight[4, 3]:.2f}; 2 -> 3, from the quiet one: {weight[2, 3]:.2f}")
beyond = [weight[edge] for edge in weight if min((edge[1] - asked) % nodes, (asked - edge[1]) % nodes) > steps - 2]
print(f"beyond what {steps} steps can reach, {len(beyond)} edges: at most {max(beyond):.2f}")
