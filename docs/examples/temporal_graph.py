"""
A graph in time: what each order can see
========================================

:class:`gnnseq.layers.TemporalGCN` joins a recurrence and a graph convolution in three orders. They differ in which
(node, step) an output depends on, and so in what they can learn: here a shock that travels one hop a step, which only
``space_time`` can follow over several hops.
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
# The shock: at a random step a node far from the middle is hit, and every step it moves one node on. Ask for the middle
# node's next value.


def make(windows):
    x = 0.1 * torch.randn(windows, steps + 1, nodes, 1)
    for window in x:
        start, direction = int(torch.randint(1, steps - 2, ())), 1 if torch.rand(()) < 0.5 else -1
        place = nodes // 2 - direction * (steps - start) + int(torch.randint(-1, 2, ()))
        for step in range(start, steps + 1):
            if 0 <= place < nodes:
                window[step, place] += 1
            place += direction
    return x[:, :-1], x[:, -1]


(x, target), (new_x, new_target) = make(120), make(200)
errors = {"the mean": (new_target - target.mean(0)).square().mean().item()}
for order in orders:
    torch.manual_seed(0)
    layer = TemporalGCN(1, 16, 1, order=order)
    optimizer = torch.optim.Adam(layer.parameters(), lr=0.03)
    for _ in range(60):
        loss = (layer(x, road)[0][:, -1] - target).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        errors[order] = (layer(new_x, road)[0][:, -1] - new_target).square().mean().item()

figure, axes = plt.subplots(figsize=(6.5, 2.6), layout="constrained")
axes.barh(list(errors), list(errors.values()), color=[COLORS["ink"], *[COLORS["sky"]] * 2, COLORS["blue"]])
axes.axvline(0.01, color=COLORS["vermillion"], ls="--", label="noise, which nobody can foresee")
axes.set(xlabel="mean squared error on new windows")
axes.invert_yaxis()
axes.legend(frameon=False)
plt.show()
