"""The speed benchmark on cells that are linear in the state: torch's scans and loops, its LSTM, and ours on trees.

Letters: T steps, B paths, F input channels, H hidden channels.
"""

import torch
from torch import Tensor
from torch.nn import functional

from gnnseq import layers, packed_paths, topological
from gnnseq.graphs import tree_graph
from studies.speed.measure import Case, Peer, Step, layer_step, training_step
from studies.speed.roofline import Roofline, linear_products
from studies.speed.trees import random_forest


def mingru(quick: bool, device: torch.device) -> Case:
    """Long paths, on which torch has a loop, a sum of logarithms, or another cell."""
    steps, batch, features, hidden = (7, 3, 4, 6) if quick else (1000, 16, 128, 128)
    torch.manual_seed(0)
    ours = layers.MinGRU(features, hidden).to(device)
    x = torch.randn(steps * batch, features, device=device).requires_grad_()
    weight, bias = ours.weight_ih_l0, ours.bias_ih_l0
    assert isinstance(weight, Tensor)
    assert isinstance(bias, Tensor)
    leaves = [bias, weight, x]

    def gates() -> tuple[Tensor, Tensor]:
        z, candidate = functional.linear(x, weight, bias).view(steps, batch, -1).chunk(2, dim=2)
        return z, candidate

    def loop(by_index: bool) -> Tensor:
        z, candidate = gates()
        keep, added = torch.sigmoid(-z), torch.sigmoid(z) * candidate
        h, outputs = added.new_zeros(batch, hidden), []
        taken = ((keep[t], added[t]) for t in range(steps))  # the gradient of each is zeros as large as all of them
        for a, b in taken if by_index else zip(keep, added, strict=True):
            h = a * h + b
            outputs.append(h)
        return torch.cat(outputs)

    def scan() -> Tensor:
        """As published packages have it: candidates are made positive, because there is no logarithm of others."""
        z, candidate = gates()
        kept = torch.cumsum(-functional.softplus(z), dim=0)
        added = torch.log(functional.softplus(candidate)) - functional.softplus(-z)
        return torch.exp(kept + torch.logcumsumexp(added - kept, dim=0)).flatten(0, 1)

    def lstm() -> Step:
        return layer_step(
            torch.nn.LSTM(features, hidden).to(device), x.detach().view(steps, batch, -1).requires_grad_()
        )

    peers = {
        "loop in torch, by index": Peer("torch", lambda: training_step(lambda: loop(True), leaves)),
        "loop in torch, unbound": Peer("torch", lambda: training_step(lambda: loop(False), leaves)),
        "scan of logarithms in torch": Peer("torch", lambda: training_step(scan, leaves), as_ours=None),
        "torch.nn.LSTM, as wide": Peer("torch", lstm, as_ours=None),
    }
    return Case(
        title="MinGRU, equal-length paths",
        shape=f"T={steps} B={batch} F={features} H={hidden}",
        ours=layer_step(ours, x, packed_paths([steps] * batch).to(device)),
        peers=peers,
        roofline=lambda: Roofline(linear_products(steps * batch, features, 2 * hidden), device),
        rounds=5,  # of the loop, which takes seconds
    )


def mingru_trees(quick: bool, device: torch.device) -> Case:
    """The trees of the LSTM's case, as wide."""
    number, leaves, features, hidden = (3, 5, 4, 6) if quick else (256, 38, 300, 150)
    torch.manual_seed(0)
    parents = torch.from_numpy(random_forest(number, leaves))
    schedule = topological(tree_graph(parents).edge_index.to(device), len(parents))
    x = torch.randn(len(parents), features, device=device).requires_grad_()
    theirs = layers.LSTM(features, hidden).to(device)
    return Case(
        title="MinGRU, binary trees",
        shape=f"{number} trees, N={len(parents)} F={features} H={hidden}, {len(schedule)} levels",
        ours=layer_step(layers.MinGRU(features, hidden).to(device), x, schedule),
        peers={"our LSTM": Peer("torch", lambda: layer_step(theirs, x, schedule), as_ours=None)},
        roofline=lambda: Roofline(linear_products(len(parents), features, 2 * hidden), device),
    )


def minlstm(quick: bool, device: torch.device) -> Case:
    """The other cell, of which autocast's error is asked."""
    steps, batch, features, hidden = (7, 3, 4, 6) if quick else (1000, 16, 128, 128)
    torch.manual_seed(0)
    x = torch.randn(steps * batch, features, device=device).requires_grad_()
    return Case(
        title="MinLSTM, equal-length paths",
        shape=f"T={steps} B={batch} F={features} H={hidden}",
        ours=layer_step(layers.MinLSTM(features, hidden).to(device), x, packed_paths([steps] * batch).to(device)),
    )
