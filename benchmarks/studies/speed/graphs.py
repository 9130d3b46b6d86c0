"""The speed benchmark on graphs: convolutions against torch_geometric's, and receptive fields."""

import contextlib
import io
import os
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from scipy.sparse import csr_array, eye_array
from torch import Tensor, nn
from torch_geometric.data import Data
from torch_geometric.io import read_planetoid_data
from torch_geometric.nn import GatedGraphConv, GCNConv
from torch_geometric.utils import total_influence

from gnnseq import receptive_field
from gnnseq.layers import GCN, GatedGraph, RelationalGCN
from studies.speed.measure import Case, Peer, Step, layer_step, same_weights
from studies.speed.roofline import Roofline, aggregation_bytes, linear_products

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


def cora(quick: bool, device: torch.device) -> tuple[Tensor, Tensor, str]:
    """Features [N, 1433] and edges of Cora from the folder GNNSEQ_DATA, or random ones of its size and sparsity."""
    nodes, edges, features = (20, 40, 9) if quick else (2708, 10556, 1433)
    folder = Path(os.environ.get("GNNSEQ_DATA", "")) / "citation" / "Cora" / "raw"
    if not quick and "GNNSEQ_DATA" in os.environ and folder.is_dir():
        data = read_planetoid_data(str(folder), "cora")
        return data.x.to(device), data.edge_index.to(device), "Cora"
    x = torch.rand(nodes, features, generator=torch.Generator().manual_seed(0)) < (0.3 if quick else 0.0127)
    return x.float().to(device), random_graph(nodes, edges).to(device), "a random graph of Cora's size"


def large(quick: bool, device: torch.device) -> tuple[Tensor, dict[str, Tensor], str]:
    """x, which needs a gradient, and a graph of average degree 20, as around a layer inside a network.

    The graph as edges, and as torch_geometric's adj_t: row target, column source.
    """
    nodes, edges, width = (20, 60, 5) if quick else (20_000, 400_000, 128)
    x = torch.randn(nodes, width, generator=torch.Generator().manual_seed(0)).to(device).requires_grad_()
    edge_index = random_graph(nodes, edges).to(device)
    matrix = torch.sparse_coo_tensor(edge_index.flip(0), torch.ones(edges, device=device), (nodes, nodes))
    return x, {"edge_index": edge_index, "CSR": matrix.coalesce().to_sparse_csr()}, f"N={nodes} E={edges}"


def peer(theirs: Callable[[], nn.Module], ours: nn.Module, x: Tensor, graph: Tensor) -> Peer:
    """torch_geometric's layer, which may remember its graph and so is made anew for each."""
    return Peer("torch_geometric", lambda: layer_step(same_weights(theirs(), ours), x, graph))


def inside(gated: bool, quick: bool, device: torch.device) -> Case:
    """A convolution, or the gated graph network, inside a network."""
    x, graphs, sizes = large(quick, device)
    (nodes, width), edge_index = x.shape, graphs["edge_index"]
    torch.manual_seed(0)
    products, moved = linear_products(nodes, width, width), 2 * aggregation_bytes(edge_index.size(1), nodes, width)
    if gated:
        ours: nn.Module = GatedGraph(width, num_rounds=2).to(device)
        name, theirs = "GatedGraphConv", partial(GatedGraphConv, width, num_layers=2)
        products, moved = 2 * [*products, *2 * linear_products(nodes, width, 3 * width)], 2 * moved
    else:
        ours, name, theirs = GCN(width, width).to(device), PEER, partial(GCNConv, width, width, cached=True)
    return Case(
        title="GatedGraph, 2 rounds" if gated else "GCN",
        shape=f"{sizes} {f'F={width} ' * (not gated)}H={width}",
        ours=layer_step(ours, x, edge_index),
        peers={f"{name}, {form}": peer(theirs, ours, x, graph) for form, graph in graphs.items()},
        roofline=lambda: Roofline(products, device, moved, (nodes, width)),
        rounds=7 if gated else None,
    )


def first_layer(sparse: bool, quick: bool, device: torch.device) -> Case:
    """The first layer on Cora, whose features are data and need no gradient; sparse ones against the peer's dense."""
    x, edge_index, place = cora(quick, device)
    (nodes, features), edges, hidden = x.shape, edge_index.size(1), 3 if quick else 16
    torch.manual_seed(0)
    ours = GCN(features, hidden).to(device)
    filled, width = int((x != 0).sum()), min(features, hidden)
    moved = 2 * aggregation_bytes(edges, nodes, width)
    products = linear_products(nodes, features, hidden, False)
    if sparse:  # a row of the weight for every number that is not zero, forward; of the gradient for each, backward
        products, moved = [], moved + 2 * 4 * (filled * (hidden + 2) + nodes * hidden)
    name, layer = f"{PEER}{', dense' * sparse}", partial(GCNConv, features, hidden, cached=True)
    return Case(
        title=f"GCN, {'sparse' if sparse else 'dense'} features",
        shape=f"{place}, N={nodes} E={edges} F={features} H={hidden}, "
        f"{f'{filled} numbers not zero, ' * sparse}no gradient of x",
        ours=layer_step(ours, x.to_sparse_csr() if sparse else x, edge_index),
        peers={name: peer(layer, ours, x, edge_index)},
        roofline=lambda: Roofline(products, device, moved, (nodes, width)),
    )


def relational(quick: bool, device: torch.device) -> Case:
    """RelationalGCN with the strengths that read most; for autocast alone, it has no peer."""
    x, graphs, sizes = large(quick, device)
    edge_index = graphs["edge_index"]
    relations = torch.eye(4, device=device)[torch.arange(edge_index.size(1), device=device) % 4]
    torch.manual_seed(0)
    ours = RelationalGCN(x.size(1), 4, strength="implicit").to(device)
    return Case("RelationalGCN, implicit, 4 types", sizes, layer_step(ours, x, edge_index, relations))


class Stack(nn.ModuleList):
    """Convolutions with tanh between them."""

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """The last one's output."""
        for number, layer in enumerate(self):
            x = layer(torch.tanh(x) if number else x, edge_index)
        return x


def receptive(equally: bool, quick: bool, device: torch.device) -> Case:
    """The receptive field of every output of three convolutions, with influence on a sample of them.

    total_influence knows reach by every output's influence alone: its time is multiplied, or, equally, as it is.
    """
    _, edge_index, name = cora(quick, device)
    nodes, width, sample = (20, 3, 2) if quick else (2708, 16, 40 if equally else 10)
    share = 1.0 if equally else sample / nodes
    x = torch.randn(nodes, width, generator=torch.Generator().manual_seed(0)).to(device)
    torch.manual_seed(0)
    ours = Stack(GCN(width, width) for _ in range(3)).to(device)
    pairs = (np.ones(edge_index.size(1)), edge_index.flip(0).cpu().numpy())
    adjacency = csr_array(pairs, shape=(nodes, nodes)) + eye_array(nodes)
    three_hops = (adjacency @ adjacency @ adjacency) != 0
    if (receptive_field(ours, x, edge_index, influence_nodes=sample).reach != three_hops).nnz:
        raise ValueError("the reach of three convolutions is not three hops, nothing was timed")

    def make() -> Step:
        theirs, data = Stack(GCNConv(width, width) for _ in range(3)).to(device), Data(x=x, edge_index=edge_index)

        def sampled() -> list[Tensor]:
            torch.manual_seed(0)  # the same outputs in every round
            with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
                return [total_influence(theirs, data, max_hops=3, num_samples=sample, device=device)[0]]

        return sampled

    return Case(
        title="influence, 3 GCN layers" if equally else "receptive field, 3 GCN layers",
        shape=f"{name}, N={nodes} E={edge_index.size(1)}, {width} wide, all {three_hops.nnz} pairs, influence on "
        f"{sample} outputs; total_influence: {sample} outputs{'' if equally else f', times {nodes / sample:g}'}",
        ours=lambda: [torch.from_numpy(receptive_field(ours, x, edge_index, influence_nodes=sample).hops)],
        peers={"total_influence": Peer("torch_geometric", make, as_ours=None, share=share)},
        rounds=5,
        is_step=False,
    )


GRAPH_CASES: dict[str, Callable[[bool, torch.device], Case]] = {
    "gcn": partial(inside, False),
    "cora": partial(first_layer, False),
    "cora-sparse": partial(first_layer, True),
    "gated": partial(inside, True),
    "reach": partial(receptive, False),
    "influence": partial(receptive, True),
}
