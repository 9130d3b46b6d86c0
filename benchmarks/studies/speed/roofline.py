"""The bare work of a training step: its matrix products, and the bytes of its aggregations at torch's copy speed."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from gnnseq import Schedule


class Product(NamedTuple):
    """The shape of a matrix product [m, k] x [k, n]; over_nodes if k counts nodes, as in a weight's gradient."""

    m: int
    k: int
    n: int
    over_nodes: bool = False


class Roofline:
    """Nothing but products, those of a shape sharing a weight, and copies of a buffer until ``moved`` bytes have moved.

    The results' memory is there already.
    """

    def __init__(
        self, products: Sequence[Product], device: torch.device, moved: float = 0, buffer: tuple[int, int] = (1, 1)
    ) -> None:
        self.name = " and ".join(["products"] * bool(products) + ["bytes"] * bool(moved))
        weights: dict[tuple[int, int], torch.Tensor] = {}
        self.operands = []
        for m, k, n, over_nodes in products:
            left = torch.randn(k, m, device=device).t() if over_nodes else torch.randn(m, k, device=device)
            right = torch.randn(k, n, device=device)
            right = right if over_nodes else weights.setdefault((k, n), right)
            self.operands.append((left, right, torch.empty(m, n, device=device)))
        self.source = torch.randn(buffer, device=device)
        self.target = torch.empty_like(self.source)
        times, rest = divmod(moved / 2, 4 * self.source.numel())
        self.times, self.rows = int(times), round(rest / (4 * buffer[1]))

    def __call__(self) -> None:
        """Do it."""
        for left, right, result in self.operands:
            torch.mm(left, right, out=result)
        for _ in range(self.times):
            self.target.copy_(self.source)
        self.target[: self.rows].copy_(self.source[: self.rows])


def aggregation_bytes(edges: int, nodes: int, width: int) -> int:
    """Read: a row, a weight and an index for every edge and self-loop; written: a row for every node."""
    return 4 * ((edges + nodes) * (width + 2) + nodes * width)


def linear_products(nodes: int, inner: int, outer: int, x_grad: bool = True) -> list[Product]:
    """Those of a linear map inner -> outer of so many nodes: forward, the weight's gradient, the input's."""
    products = [Product(nodes, inner, outer), Product(outer, nodes, inner, over_nodes=True)]
    return [*products, Product(nodes, outer, inner)] if x_grad else products


def path_products(alive: Sequence[int], features: int, hidden: int, gates: int, x_grad: bool) -> list[Product]:
    """Those of a sweep over paths of which so many live in each step; the first step reads no state."""
    products = linear_products(sum(alive), features, gates * hidden, x_grad)
    products += [Product(paths, hidden, gates * hidden) for paths in alive[1:]]
    products += [Product(paths, gates * hidden, hidden) for paths in alive[:0:-1]]
    return [*products, Product(gates * hidden, sum(alive[1:]), hidden, over_nodes=True)]


def tree_products(schedule: Schedule, features: int, hidden: int) -> list[Product]:
    """Those of a child-sum LSTM: i, g and o read where there are children, f is read where there is a parent."""
    has_parent = torch.zeros(schedule.num_nodes, dtype=torch.bool)
    has_parent[schedule.edge_index[0].cpu()] = True
    children = [int(has_parent[step.nodes.cpu()].sum()) for step in schedule]
    inner = schedule.step_sizes[1:]
    products = linear_products(schedule.num_nodes, features, 4 * hidden)
    for size in inner:
        products += [Product(size, hidden, 3 * hidden), Product(size, 3 * hidden, hidden)]
    for size in filter(None, children):
        products += [Product(size, hidden, hidden)] * 2
    over = ((3 * hidden, sum(inner)), (hidden, sum(children)))
    return [*products, *(Product(width, nodes, hidden, over_nodes=True) for width, nodes in over)]
