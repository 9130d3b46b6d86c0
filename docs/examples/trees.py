"""
An LSTM on trees
================

The same layer that reads sequences reads trees: here arithmetic, ``(a + b) * (c + d)``, whose value it learns. A leaf
is a number from -1 to 1, an inner node is a sum or a product, and the root's final state is read out.
"""

import matplotlib.pyplot as plt
import torch

from gnnseq import pack_trees
from gnnseq.layers import LSTM
from gnnseq.plots import COLORS

torch.manual_seed(0)
LEAF, SUM, PRODUCT = range(3)


def expression(depth):
    """Inputs (number, one-hot kind), parents and value of a random expression; the root comes last."""
    if depth == 0 or torch.rand(()) < 0.2:
        value = 2 * torch.rand(()).item() - 1
        return [[value, 1, 0, 0]], [-1], value
    (x_a, parents_a, a), (x_b, parents_b, b) = expression(depth - 1), expression(depth - 1)
    kind = SUM if torch.rand(()) < 0.6 else PRODUCT
    root, shift = len(x_a) + len(x_b), len(x_a)
    parents = [root if parent < 0 else parent for parent in parents_a]
    parents += [root if parent < 0 else parent + shift for parent in parents_b]
    value = a + b if kind == SUM else a * b
    return [*x_a, *x_b, [0, 0, kind == SUM, kind == PRODUCT]], [*parents, -1], value


def forest(count):
    made = [expression(2) for _ in range(count)]
    x, schedule = pack_trees([torch.tensor(x, dtype=torch.float) for x, _, _ in made], [each for _, each, _ in made])
    return x, schedule, torch.tensor([value for _, _, value in made])


x, schedule, values = forest(200)
print(f"200 trees: {len(x)} nodes in {len(schedule)} steps, leaves first")

# %%
# Roots' states are in the order of the trees.

layer, readout = LSTM(4, 48), torch.nn.Linear(48, 1)
optimizer = torch.optim.Adam([*layer.parameters(), *readout.parameters()], lr=0.01)
for step in range(91):
    _, (h_n, _) = layer(x, schedule)
    loss = torch.nn.functional.mse_loss(readout(h_n[-1]).squeeze(-1), values)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(f"step {step:3}: mean squared error {loss.item():.4f}")

# %%
# New trees, beside the trivial answer (the mean of the training values).

new_x, new_schedule, truth = forest(200)
with torch.no_grad():
    found = readout(layer(new_x, new_schedule)[1][0][-1]).squeeze(-1)
error, trivial = (found - truth).square().mean(), (values.mean() - truth).square().mean()
print(f"new trees: {error:.4f}; the training mean has {trivial:.4f}")

figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained")
axes.plot(truth, found, ".", color=COLORS["blue"], alpha=0.6)
axes.axline((0, 0), slope=1, color=COLORS["ink"], lw=1)
axes.set(xlabel="value of the expression", ylabel="what the root says", title="New expressions")
plt.show()
