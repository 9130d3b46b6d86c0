"""
What does this module see?
==========================

:func:`gnnseq.receptive_field` asks any torch module on a graph which inputs its outputs depend on. Counting modules, as
torch_geometric's ``get_num_hops`` does, is another thing.
"""

import matplotlib.pyplot as plt
import networkx as nx
import torch
from torch_geometric.nn import APPNP, ChebConv, GCNConv
from torch_geometric.utils import from_networkx, get_num_hops

from gnnseq import receptive_field
from gnnseq.plots import COLORS

torch.manual_seed(0)
graph = nx.Graph(nx.les_miserables_graph().edges)  # without weights
names, edges = list(graph), from_networkx(graph).edge_index
x = torch.randn(len(names), 4)

for module in (GCNConv(4, 4), ChebConv(4, 4, K=4), APPNP(K=3, alpha=0.1)):
    field = receptive_field(module, x, edges)
    says = "proven" if field.certain else "in doubt"
    print(f"{module}: {field.hops.max()} hops, {says}; get_num_hops says {get_num_hops(module)}")

# %%
# On whom does one character's output depend, and how strongly? Influence falls with the distance, long before the reach
# ends.

field = receptive_field(ChebConv(4, 4, K=4), x, edges)
hero = names.index("Perpetue")
seen = set(field.reach[[hero]].indices.tolist())
print(f"Perpetue depends on {len(seen)} of {len(names)} characters")

places = nx.kamada_kawai_layout(graph)
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 4), width_ratios=(1.4, 1), layout="constrained")
colors = [COLORS["blue"] if node in seen else "#bbbbbb" for node in range(len(names))]
colors[hero] = COLORS["vermillion"]
nx.draw_networkx_edges(graph, places, ax=left, edge_color="#aaaaaa", width=0.5)
nx.draw_networkx_nodes(graph, places, names, ax=left, node_color=colors, node_size=40)
left.set_title("seen (blue) by Perpetue (red)")
left.axis("off")
field.plot(right, marker="o", color=COLORS["blue"])
right.set_title("mean influence")
plt.show()
