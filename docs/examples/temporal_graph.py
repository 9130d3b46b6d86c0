"""
A graph in time: what each order can see
========================================

:class:`gnnseq.layers.TemporalGCN` joins a recurrence and a graph convolution in three orders. They differ in which
(node, step) an output depends on, and so in what they can learn: here heat
that spreads one hop a step, which only ``space_time`` can follow over several hops.
"""

import matplotlib.pyplot as plt
import torch

from gnnseq import receptive_field
from gnnseq.graphs import path_graph
from gnnseq.layers import TemporalGCN
from gnnseq.plots import COLORS

torch.manual_seed(0)
steps, nodes = 8, 9
road = path_graph(nodes, undirected=True).edge_index
orders = ("time_then_space", "space_then_time", "space_time")

# %%
# The reach of the middle node's last output. ``receptive_field`` takes any module; ``call`` lays steps and nodes out as
# one list.

middle = (steps - 1) * nodes + nodes // 2
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), sharey=True, layout="constrained")
for panel, order in zip(axes, orders, strict=True):
    layer = TemporalGCN(1, 8, 1, order=order)
    field = receptive_field(
        layer,
        torch.randn(steps * nodes, 1),
        torch.empty(2, 0, dtype=torch.long),
        call=lambda module, x, _: module(x.view(steps, nodes, 1), road)[0].reshape(steps * nodes, 1),
        influence_nodes=[middle],
    )
    seen = field.reach[[middle]].toarray().reshape(steps, nodes)
    panel.imshow(seen, cmap="Blues", vmax=1.4, aspect="auto")
    panel.set(title=order, xlabel="node", xticks=range(nodes), yticks=range(steps))
    print(f"{order}: {seen.sum()} of {steps * nodes} (node, step) pairs")
axes[0].set_ylabel("step")
plt.show()


# %%
# Heat: at every step each node shares its own evenly among its neighbours and itself. Seen is only where and when new
# heat falls, on one node in twelve; asked for is how hot each node is.

spread = torch.eye(nodes)
spread[road[1], road[0]] = 1
spread /= spread.sum(0)


def make(windows):
    fallen = (torch.rand(windows, steps, nodes) < 1 / 12).float()
    heat = [fallen[:, 0]]
    for new in fallen[:, 1:].unbind(1):
        heat.append(heat[-1] @ spread.T + new)
    return fallen.unsqueeze(-1), torch.stack(heat, 1).unsqueeze(-1)


(x, heat), (new_x, new_heat) = make(200), make(200)
errors = {"the mean": (new_heat - heat.mean(0)).square()[:, -1].mean().item()}
for order in orders:
    torch.manual_seed(0)
    layer = TemporalGCN(1, 16, 1, order=order)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.03)
    for _ in range(60):
        loss = (layer(x, road)[0] - heat).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        errors[order] = (layer(new_x, road)[0] - new_heat).square()[:, -1].mean().item()

figure, axes = plt.subplots(figsize=(6.5, 2.6), layout="constrained")
for name, error in errors.items():
    print(f"{name}: {error:.4f}")
axes.barh(list(errors), list(errors.values()), color=[COLORS["ink"], *[COLORS["sky"]] * 2, COLORS["blue"]])
axes.set(xlabel="mean squared error of the last step, new windows")
axes.invert_yaxis()
plt.show()
