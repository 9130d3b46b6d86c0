"""
Sequences of any length, without padding
========================================

A network that learns which of two kinds a sequence is, from sequences of 3 to 40 steps. They lie end to end as one
graph of paths: no padding, no mask, no sorting.
"""

import matplotlib.pyplot as plt
import torch

from gnnseq import pack_paths
from gnnseq.layers import GRU
from gnnseq.plots import COLORS

torch.manual_seed(0)


def make(count):
    """Noise, with a bump in the first third (kind 1) or without; what tells the kinds lies far from the end."""
    kinds = torch.randint(2, (count,))
    sequences = [0.5 * torch.randn(int(length), 1) for length in torch.randint(3, 41, (count,))]
    for kind, sequence in zip(kinds, sequences, strict=True):
        sequence[: max(1, len(sequence) // 3)] += 1.5 * kind
    return sequences, kinds


sequences, kinds = make(256)
x, schedule = pack_paths(sequences)
print(f"{len(sequences)} sequences are {len(x):,} nodes; the schedule has {len(schedule)} steps, as the longest")

# %%
# The final states come in the order of the sequences, one row each, so the readout needs no gathering.

layer = GRU(1, 16, init="chrono", time_scale=40)
readout = torch.nn.Linear(16, 2)
optimizer = torch.optim.Adam([*layer.parameters(), *readout.parameters()], lr=0.01)
losses = []
for _ in range(60):
    _, state = layer(x, schedule)
    loss = torch.nn.functional.cross_entropy(readout(state[-1]), kinds)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())

# %%
# On new sequences, by length: the memory has to last for two thirds of a sequence.

sequences, kinds = make(2000)
with torch.no_grad():
    _, state = layer(*pack_paths(sequences))
right = (readout(state[-1]).argmax(1) == kinds).float()
lengths = torch.tensor([len(sequence) for sequence in sequences])
groups = [(low, min(low + 7, 40)) for low in range(3, 41, 8)]
shares = [right[(lengths >= low) & (lengths <= high)].mean().item() for low, high in groups]
for (low, high), share in zip(groups, shares, strict=True):
    print(f"{low:2} to {high:2} steps: {share:.1%} right")

figure, (left, panel) = plt.subplots(1, 2, figsize=(8, 3), layout="constrained")
left.plot(losses, color=COLORS["blue"])
left.set(title="training", xlabel="step", ylabel="cross entropy", ylim=0)
panel.bar([f"{low}-{high}" for low, high in groups], shares, color=COLORS["green"])
panel.axhline(0.5, color=COLORS["ink"], ls="--", lw=1)
panel.set(title="new sequences", xlabel="steps", ylabel="share right (chance: dashed)", ylim=(0, 1))
plt.show()
