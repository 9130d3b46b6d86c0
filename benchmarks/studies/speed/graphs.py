"""The speed benchmark on graphs: convolutions against torch_geometric's, and receptive fields.

Letters: N nodes, E directed edges, F input channels, H output channels.
"""

import contextlib
import io
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.io import read_planetoid_data
from torch_geometric.nn import GatedGraphConv, GCNConv
from torch_geometric.utils import total_influence

from gnnseq import receptive_field
from gnnseq.layers import GCN, GatedGraph
from studies.speed.measure import (
    BareProducts,
    Product,
    Runner,
    Work,
    linear_products,
    parameters,
    peer,
    training_step,
)

PEER = "GCNConv(cached=True)"


def random_graph(nodes: int, edges: int, seed: int = 0) -> Tensor:
    """An undirected graph of so many directed edges, ends drawn uniformly, no self-loops and no doubles. [2, E]"""
    if edges > nodes * (nodes - 1) // 2:
        raise ValueError(f"{edges} edges among {nodes} nodes: expected at most half of all, so that drawing ends soon")
    rng = np.random.default_rng(seed)
    pairs = np.empty(0, dtype=np.int64)
    while len(pairs) < edges // 2:
        ends = np.sort(rng.integers(0, nodes, (2, edges // 2 - len(pairs) + 16)), axis=0)
        ends = ends[:, ends[0] < ends[1]]
        pairs = np.unique(np.concatenate([pairs, ends[0] * nodes + ends[1]]))
    one_way = torch.from_numpy(np.stack(np.divmod(rng.permutation(pairs)[: edges // 2], nodes)))
    return torch.cat([one_way, one_way.flip(0)], dim=1)


def cora(quick: bool) -> tuple[Tensor, Tensor, str]:
    """x [N, 1433] and edges of Cora from the folder GNNSEQ_DATA, or random ones of its size and sparsity."""
    nodes, edges, features = (20, 40, 9) if quick else (2708, 10556, 1433)
    folder = Path(os.environ.get("GNNSEQ_DATA", "")) / "citation" / "Cora" / "raw"
    if not quick and "GNNSEQ_DATA" in os.environ and folder.is_dir():
        data = read_planetoid_data(str(folder), "cora")
        return data.x, data.edge_index, "Cora"
    generator = torch.Generator().manual_seed(0)
    x = (torch.rand(nodes, features, generator=generator) < (0.3 if quick else 0.0127)).float()
    return x, random_graph(nodes, edges), "a random graph of Cora's size"


def copies(buffer: Tensor, moved: float) -> Callable[[], None]:
    """Copies a tensor until so many bytes have been read or written: what aggregation takes at torch's copy speed."""
    target = torch.empty_like(buffer)
    times, rest = divmod(moved / 2, buffer.numel() * buffer.element_size())
    rows = round(rest / (buffer.element_size() * max(1, buffer.numel() // len(buffer))))

    def run() -> None:
        for _ in range(int(times)):
            target.copy_(buffer)
        target[:rows].copy_(buffer[:rows])

    return run


def aggregation_bytes(edges: int, nodes: int, width: int) -> int:
    """Read: a row, a weight and an index for every edge and self-loop; written: a row for every node."""
    return 4 * ((edges + nodes) * (width + 2) + nodes * width)


def products_and_bytes(
    products: list[Product], aggregations: int, edges: int, nodes: int, width: int, device: torch.device
) -> Callable[[], None]:
    """Bare products, and the bytes of so many aggregations."""
    multiply = BareProducts(products, device)
    move = copies(torch.randn(nodes, width, device=device), aggregations * aggregation_bytes(edges, nodes, width))

    def run() -> None:
        multiply()
        move()

    return run


def convolution_limit(
    edges: int, nodes: int, features: int, hidden: int, x_grad: bool, device: torch.device
) -> Callable[[], None]:
    """Bare products, and the bytes of a forward and a backward aggregation on the narrower side of the product."""
    backward = x_grad or hidden < features  # the weight's gradient comes after the aggregation's
    products = linear_products(nodes, features, hidden, x_grad)
    return products_and_bytes(products, 1 + backward, edges, nodes, min(features, hidden), device)


def convolution_pair(features: int, hidden: int, device: torch.device) -> tuple[GCN, GCNConv]:
    """Our layer and torch_geometric's with the same weights."""
    torch.manual_seed(0)
    ours, theirs = GCN(features, hidden).to(device), GCNConv(features, hidden, cached=True).to(device)
    ours.load_state_dict(theirs.state_dict())
    return ours, theirs


def as_csr(edge_index: Tensor, nodes: int) -> Tensor:
    """The adjacency as torch_geometric's adj_t: row target, column source."""
    ones = torch.ones(edge_index.size(1), device=edge_index.device)
    return torch.sparse_coo_tensor(edge_index.flip(0), ones, (nodes, nodes)).coalesce().to_sparse_csr()


def large(quick: bool, device: torch.device) -> Work:
    """A layer inside a network, on a graph of average degree 20."""
    nodes, edges, width = (20, 60, 5) if quick else (20_000, 400_000, 128)
    edge_index = random_graph(nodes, edges).to(device)
    ours, theirs = convolution_pair(width, width, device)
    on_csr = convolution_pair(width, width, device)[1]
    adjacency = as_csr(edge_index, nodes)
    x = torch.randn(nodes, width, device=device).requires_grad_()
    return Work(
        title="GCN",
        shape=f"N={nodes} E={edges} F={width} H={width}",
        ours=Runner(training_step(lambda: ours(x, edge_index), [*parameters(ours), x])),
        peers={
            f"{PEER}, edge_index": peer(
                "torch_geometric",
                lambda: Runner(training_step(lambda: theirs(x, edge_index), [*parameters(theirs), x])),
            ),
            f"{PEER}, CSR": peer(
                "torch_geometric",
                lambda: Runner(training_step(lambda: on_csr(x, adjacency), [*parameters(on_csr), x])),
            ),
        },
        limit=convolution_limit(edges, nodes, width, width, True, device),
        limit_is="products and bytes",
    )


def first_layer(quick: bool, device: torch.device) -> Work:
    """The first layer on Cora, whose features are data and need no gradient."""
    x, edge_index, name = cora(quick)
    x, edge_index, hidden = x.to(device), edge_index.to(device), 3 if quick else 16
    ours, theirs = convolution_pair(x.size(1), hidden, device)
    return Work(
        title="GCN, dense features",
        shape=f"{name}, {_sizes(x, edge_index, hidden)}, no gradient of x",
        ours=Runner(training_step(lambda: ours(x, edge_index), parameters(ours))),
        peers={
            PEER: peer(
                "torch_geometric", lambda: Runner(training_step(lambda: theirs(x, edge_index), parameters(theirs)))
            )
        },
        limit=convolution_limit(edge_index.size(1), len(x), x.size(1), hidden, False, device),
        limit_is="products and bytes",
    )


def sparse_first_layer(quick: bool, device: torch.device) -> Work:
    """The same with the features as a sparse matrix, against dense ones."""
    x, edge_index, name = cora(quick)
    x, edge_index, hidden = x.to(device), edge_index.to(device), 3 if quick else 16
    ours, theirs = convolution_pair(x.size(1), hidden, device)
    sparse = x.to_sparse_csr()
    filled = sparse.values().numel()
    # A row of the weight for every number that is not zero, forward; a row of the gradient for each, backward.
    products = 2 * 4 * (filled * (hidden + 2) + len(x) * hidden)
    aggregation = 2 * aggregation_bytes(edge_index.size(1), len(x), hidden)
    return Work(
        title="GCN, sparse features",
        shape=f"{name}, {_sizes(x, edge_index, hidden)}, {filled} numbers not zero, no gradient of x",
        ours=Runner(training_step(lambda: ours(sparse, edge_index), parameters(ours))),
        peers={
            f"{PEER}, dense": peer(
                "torch_geometric", lambda: Runner(training_step(lambda: theirs(x, edge_index), parameters(theirs)))
            )
        },
        limit=copies(torch.randn(len(x), hidden, device=device), products + aggregation),
        limit_is="bytes",
    )


def gated(quick: bool, device: torch.device) -> Work:
    """The gated graph network on the graph of :func:`large`."""
    nodes, edges, width = (20, 60, 5) if quick else (20_000, 400_000, 128)
    edge_index = random_graph(nodes, edges).to(device)
    torch.manual_seed(0)
    ours, theirs = GatedGraph(width, num_rounds=2).to(device), GatedGraphConv(width, num_layers=2).to(device)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(nodes, width, device=device).requires_grad_()
    round_ = [*linear_products(nodes, width, width), *2 * linear_products(nodes, width, 3 * width)]
    return Work(
        title="GatedGraph, 2 rounds",
        shape=f"N={nodes} E={edges} H={width}",
        ours=Runner(training_step(lambda: ours(x, edge_index), [*parameters(ours), x])),
        peers={
            f"GatedGraphConv, {form}": peer(
                "torch_geometric",
                lambda graph=graph: Runner(training_step(lambda: theirs(x, graph), [*parameters(theirs), x])),
            )
            for form, graph in (("edge_index", edge_index), ("CSR", as_csr(edge_index, nodes)))
        },
        limit=products_and_bytes(2 * round_, 4, edges, nodes, width, device),
        limit_is="products and bytes",
        rounds=7,
    )


class Stack(nn.Module):
    """Convolutions with tanh between them."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        for number, layer in enumerate(self.layers):
            x = layer(torch.tanh(x) if number else x, edge_index)
        return x


def receptive(equally: bool, quick: bool, device: torch.device) -> Work:
    """The receptive field of every output of three convolutions, with influence on a sample of them.

    total_influence knows no reach but through the influence of every output: its time on the sample is multiplied, or,
    equally, as it is.
    """
    _, edge_index, name = cora(quick)
    nodes, width, sample = (20, 3, 2) if quick else (2708, 16, 40 if equally else 10)
    share = 1.0 if equally else sample / nodes
    x = torch.randn(nodes, width, generator=torch.Generator().manual_seed(0)).to(device)
    edge_index = edge_index.to(device)
    torch.manual_seed(0)
    ours = Stack(*(GCN(width, width) for _ in range(3))).to(device)
    theirs = Stack(*(GCNConv(width, width) for _ in range(3))).to(device)
    data = Data(x=x, edge_index=edge_index)
    pairs = (edge_index.new_ones(edge_index.size(1)).cpu().numpy(), edge_index.flip(0).cpu().numpy())
    adjacency = csr_array(pairs, shape=(nodes, nodes)) + csr_array((np.ones(nodes), (range(nodes), range(nodes))))
    three_hops = (adjacency @ adjacency @ adjacency) != 0

    def measured() -> list[Tensor]:
        found = receptive_field(ours, x, edge_index, influence_nodes=sample)
        return [torch.from_numpy(found.hops)]

    if (receptive_field(ours, x, edge_index, influence_nodes=sample).reach != three_hops).nnz:
        raise ValueError("the reach of three convolutions is not three hops, nothing was timed")

    def sampled() -> list[Tensor]:
        torch.manual_seed(0)  # the same outputs in every round
        with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
            return [total_influence(theirs, data, max_hops=3, num_samples=sample, device=device)[0]]

    return Work(
        title="influence, 3 GCN layers" if equally else "receptive field, 3 GCN layers",
        shape=f"{name}, N={nodes} E={edge_index.size(1)}, {width} wide, all {three_hops.nnz} pairs, influence on "
        f"{sample} outputs; total_influence: {sample} outputs{'' if equally else f', times {nodes / sample:g}'}",
        ours=Runner(measured),
        peers={"total_influence": peer("torch_geometric", lambda: Runner(sampled, as_ours=None, share=share))},
        rounds=5,
        is_step=False,
    )


def _sizes(x: Tensor, edge_index: Tensor, hidden: int) -> str:
    return f"N={len(x)} E={edge_index.size(1)} F={x.size(1)} H={hidden}"


GRAPH_WORKS: dict[str, Callable[[bool, torch.device], Work]] = {
    "gcn": large,
    "cora": first_layer,
    "cora-sparse": sparse_first_layer,
    "gated": gated,
    "reach": partial(receptive, False),
    "influence": partial(receptive, True),
}
