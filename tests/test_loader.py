"""Loaders of large graphs: torch_geometric's batches, repeated by seeds, and what layers make of them.

Letters: N nodes, E edges; P links.
"""

import numpy as np
import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.loader import LinkLoader
from torch_geometric.nn import GCNConv
from torch_geometric.sampler import NegativeSampling

from gnnseq.checks import as_tensor
from gnnseq.kernels import Adjacency
from gnnseq.layers import GCN
from gnnseq.loader import LinkNeighborLoader, NeighborLoader, layerwise
from gnnseq.sampler import GraphDegrees, NeighborSampler

N, E = 60, 240


def graph(weighted=False, loops=True):
    edge_index = torch.randint(N, (2, E))
    if not loops:
        edge_index = edge_index[:, edge_index[0] != edge_index[1]]
    data = Data(edge_index=edge_index, x=torch.randn(N, 5, dtype=torch.float64), y=torch.arange(N))
    if weighted:
        data.edge_weight = torch.rand(edge_index.size(1), dtype=torch.float64)
    return data


def edges_of(loader):
    return [(batch.n_id.tolist(), batch.e_id.tolist()) for batch in loader]


def test_batches_have_what_torch_geometric_gives_them():
    data = graph()
    loader = NeighborLoader(data, [3, 2], input_nodes=torch.arange(10, 40), batch_size=7, shuffle=True)
    seen = []
    for batch in loader:
        assert torch.equal(batch.y, batch.n_id)
        assert torch.equal(batch.n_id[: batch.batch_size], batch.input_id + 10)  # positions among input_nodes
        assert torch.equal(batch.n_id[batch.edge_index], data.edge_index[:, batch.e_id])
        assert sum(batch.num_sampled_nodes) == batch.num_nodes
        assert sum(batch.num_sampled_edges) == batch.num_edges
        seen += batch.n_id[: batch.batch_size].tolist()
    assert sorted(seen) == [*range(10, 40)]
    assert len(loader) == 5


def test_seeds_repeat_an_epoch_with_any_number_of_workers():
    data = graph()
    epochs = {}
    for workers in (0, 2):
        loader = NeighborLoader(data, [2, 2], batch_size=16, shuffle=True, num_workers=workers)
        torch.manual_seed(5)
        epochs[workers] = edges_of(loader), edges_of(loader)
    assert epochs[0] == epochs[2]
    assert epochs[0][0] != epochs[0][1]
    plain = NeighborLoader(data, [2, 2], batch_size=16)
    assert edges_of(plain) != edges_of(plain)
    own = [edges_of(NeighborLoader(data, [2], batch_size=16, shuffle=True, generator=torch.Generator().manual_seed(3)))
           for _ in range(2)]  # fmt: skip
    assert own[0] == own[1]
    kept = NeighborLoader(data, [2], batch_size=16, seed=0)
    assert edges_of(kept) == edges_of(kept)


@pytest.mark.parametrize("nodes", [np.arange(N) % 3 == 0, [i % 3 == 0 for i in range(N)], np.arange(0, N, 3)], ids=type)
def test_masks_in_lists_and_arrays_are_masks(nodes):
    batch = next(iter(NeighborLoader(graph(), [1], input_nodes=nodes, batch_size=N)))
    assert batch.n_id[: batch.batch_size].tolist() == [*range(0, N, 3)]


def test_rows_alone_make_batches_with_edges():
    data = graph()
    sampler = NeighborSampler(Adjacency.of(data.edge_index, N).by_target, [-1])
    batch = next(iter(NeighborLoader(Data(x=data.x), [], neighbor_sampler=sampler, batch_size=4)))
    assert torch.equal(batch.n_id[batch.edge_index], data.edge_index[:, batch.e_id])


@pytest.mark.parametrize("weighted", [False, True], ids=["plain", "weighted"])
@pytest.mark.parametrize("layer_of", [GCN, GCNConv], ids=["gnnseq", "torch_geometric"])
def test_all_neighbours_with_the_graphs_degrees_are_the_whole_graph(weighted, layer_of):
    data = graph(weighted)
    whole = [GCN(5, 8).double(), GCN(8, 3).double()]
    parts = [layer_of(5, 8, normalize=False).double(), layer_of(8, 3, normalize=False).double()]
    for part, layer in zip(parts, whole, strict=True):
        part.load_state_dict(layer.state_dict())
    weight = data.edge_weight if weighted else None
    h = whole[1](whole[0](data.x, data.edge_index, weight).relu(), data.edge_index, weight)
    degrees = GraphDegrees(data.edge_index, N, weight)
    lost = 0.0
    for batch in NeighborLoader(data, [-1, -1], batch_size=9):
        edges = degrees.normalize(batch)
        seeds = batch.n_id[: batch.batch_size]
        out = parts[1](parts[0](batch.x, *edges).relu(), *edges)[: batch.batch_size]
        assert torch.allclose(out, h[seeds], rtol=0, atol=1e-12)
        own = batch.edge_index, batch.edge_weight if weighted else None  # what is usually done
        usual = whole[1](whole[0](batch.x, *own).relu(), *own)[: batch.batch_size]
        lost = max(lost, (usual - h[seeds]).abs().max().item() / h.abs().max().item())
    assert lost > 0.05


def test_sums_over_drawn_neighbours_are_the_graphs_on_average():
    data = graph(weighted=True)
    layer = GCN(5, 2).double()
    h = layer(data.x, data.edge_index, data.edge_weight)
    degrees = GraphDegrees(data.edge_index, N, data.edge_weight)
    part = GCN(5, 2, normalize=False).double()
    part.load_state_dict(layer.state_dict())
    loader = NeighborLoader(data, [2], batch_size=N)
    with torch.no_grad():
        outs = torch.stack([part(b.x, *degrees.normalize(b))[:N] for _ in range(64) for b in loader])
    spread = outs.std(0) / 8 + 1e-9  # of the mean of 64
    assert bool(((outs.mean(0) - h).abs() < 5 * spread).all())


def test_layers_one_after_another_are_the_whole_graph():
    data = graph()
    one, two = GCN(5, 8).double(), GCN(8, 3).double()
    h = two(one(data.x, data.edge_index).relu(), data.edge_index)
    for layer in (one, two):
        layer.normalize = layer.add_self_loops = False
    degrees = GraphDegrees(data.edge_index, N)
    layers = [lambda x, b: one(x, *degrees.normalize(b)).relu(), lambda x, b: two(x, *degrees.normalize(b))]
    for x in (data.x, data.x.numpy()):
        out = layerwise(layers, x, NeighborLoader(data, [-1], batch_size=7))
        assert torch.allclose(out, h, rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match="node 7 0 times as a seed; expected every node once"):
        layerwise(layers, data.x, NeighborLoader(data, [-1], input_nodes=torch.arange(7)))


@pytest.mark.parametrize("disjoint", [False, True])
@pytest.mark.parametrize("amount", [1, 2, 0.5, 1.5])
def test_links_and_made_up_ones(disjoint, amount):
    data = graph()
    links, label = data.edge_index[:, :50], torch.arange(50) % 3
    options = {"batch_size": 7, "disjoint": disjoint}
    for batch in LinkNeighborLoader(
        data, [3], links, label, neg_sampling=NegativeSampling("binary", amount), **options
    ):
        size = len(batch.input_id)
        ends = batch.n_id[batch.edge_label_index]
        assert torch.equal(ends[:, :size], links[:, batch.input_id])
        assert torch.equal(batch.edge_label[:size], label[batch.input_id] + 1)
        assert batch.edge_label[size:].tolist() == [0] * int(np.ceil(size * amount))
        assert torch.equal(batch.n_id[batch.edge_index], data.edge_index[:, batch.e_id])
        if disjoint:  # a made-up link counts to the true one beside it, both ends alike
            source, target = batch.batch[batch.edge_label_index]
            assert torch.equal(source, target)
            assert torch.equal(source, torch.arange(len(source) - size + size) % size if amount >= 1 else
                               torch.cat([torch.arange(size), torch.arange(len(source) - size)]))  # fmt: skip
    if amount == int(amount):
        for batch in LinkNeighborLoader(data, [3], links, neg_sampling=NegativeSampling("triplet", amount), **options):
            assert torch.equal(batch.n_id[batch.src_index], links[0, batch.input_id])
            assert torch.equal(batch.n_id[batch.dst_pos_index], links[1, batch.input_id])
            shape = (len(batch.input_id), amount) if amount > 1 else (len(batch.input_id),)
            assert batch.dst_neg_index.shape == shape


def test_made_up_links_are_of_nodes_that_are_there():
    data = graph()
    data.time = torch.arange(N) // 2
    when = torch.randint(N // 2, (E,))
    for mode in ("binary", "triplet"):
        sampler = NeighborSampler(data, [3, 3], time_attr="time")
        loader = LinkLoader(data, sampler, edge_label_time=when, neg_sampling=mode, batch_size=32)
        for batch in loader:
            if mode == "binary":
                size = len(batch.input_id)
                made_up = batch.n_id[batch.edge_label_index[:, size:]]
                assert torch.equal(batch.edge_label_time, when[batch.input_id].repeat(2))
                assert bool((data.time[made_up] <= when[batch.input_id]).all())
            else:
                assert bool((data.time[batch.n_id[batch.dst_neg_index]] <= when[batch.input_id]).all())
            source = batch.edge_index[0]
            assert bool((data.time[batch.n_id[source]] <= when[batch.input_id][batch.batch[source]]).all())
    weight = (torch.arange(N) == 5).float()  # node 5 is there from time 2 on
    early = LinkNeighborLoader(data, [1], time_attr="time", edge_label_time=torch.zeros(E, dtype=torch.int64),
                               neg_sampling=NegativeSampling("triplet", 1, dst_weight=weight))  # fmt: skip
    with pytest.raises(ValueError, match="no node is there at time 0"):
        next(iter(early))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"input_nodes": torch.tensor([N])}, "input_nodes hold node 60"),
        ({"input_nodes": torch.ones(5, dtype=torch.bool)}, r"a mask of shape \[5\]; expected \[60\]"),
        ({"input_nodes": torch.tensor([0.5])}, "input_nodes have shape"),
        ({"input_nodes": "train"}, "input_nodes is a str"),
        ({"input_time": torch.zeros(N)}, "input_time without time_attr"),
        ({"input_time": torch.zeros(3), "time_attr": "y"}, r"input_time has shape \[3\]; expected \[60\]"),
        ({"neighbor_sampler": NeighborSampler(Data(edge_index=torch.zeros(2, 0, dtype=torch.int64), num_nodes=N), []),
          "replace": True}, "neighbor_sampler came with replace"),
        ({"neighbor_sampler": object()}, "neighbor_sampler is a object"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_loader_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        NeighborLoader(graph(), [2], **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"edge_label_index": torch.tensor([[0], [N]])}, "edge_label_index hold node 60"),
        ({"edge_label_index": torch.tensor([0, 1])}, r"edge_label_index is \[2\]"),
        ({"edge_label": torch.zeros(3)}, "edge_label has 3 entries; expected 240"),
        ({"edge_label_time": torch.zeros(E)}, "edge_label_time and time_attr; expected both"),
    ],
)
def test_what_is_wrong_with_links_is_named(options, message):
    with pytest.raises(ValueError, match=message):
        LinkNeighborLoader(graph(), [2], **options)


def test_labels_below_zero_are_refused_where_links_are_made_up():
    loader = LinkNeighborLoader(graph(), [2], edge_label=torch.arange(E) - 1, neg_sampling="binary")
    with pytest.raises(ValueError, match="edge_label holds -1, and made-up links are labelled 0"):
        next(iter(loader))


@pytest.mark.parametrize("times", [False, True])
@pytest.mark.parametrize("wrong", [-1.0, torch.nan, torch.inf, None])
def test_weights_of_made_up_ends_are_checked(wrong, times):
    data, weight = graph(), torch.ones(N)
    data.time = torch.zeros(N)
    if wrong is None:
        weight.zero_()
    else:
        weight[7] = wrong
    options = {"time_attr": "time", "edge_label_time": torch.ones(E)} if times else {}
    negatives = NegativeSampling("binary", 1, dst_weight=weight)
    with pytest.raises(ValueError, match="dst_weight is negative, not finite or 0 of every node"):
        next(iter(LinkNeighborLoader(data, [2], neg_sampling=negatives, **options)))


def test_a_label_that_is_nan_is_refused_where_links_are_made_up():
    label = torch.ones(E).index_fill(0, torch.tensor([0]), torch.nan)
    with pytest.raises(ValueError, match="edge_label holds nan"):
        next(iter(LinkNeighborLoader(graph(), [2], edge_label=label, neg_sampling="binary", batch_size=E)))


def test_fractional_labels_are_refused_where_links_are_made_up():
    label = torch.ones(E).index_fill(0, torch.tensor([3]), 0.5)
    assert len(next(iter(LinkNeighborLoader(graph(), [2], edge_label=label, batch_size=E))).edge_label) == E
    with pytest.raises(
        ValueError, match="edge_label holds fractions, and made-up links are labelled 0; expected whole numbers"
    ):
        next(iter(LinkNeighborLoader(graph(), [2], edge_label=label, neg_sampling="binary", batch_size=E)))


def test_arrays_that_step_backwards_are_arrays():
    nodes = np.arange(N)[::-1]
    found = [batch.n_id[: batch.batch_size] for batch in NeighborLoader(graph(), [2], nodes, batch_size=7)]
    assert torch.cat(found).tolist() == nodes.tolist()
    assert as_tensor(np.arange(1)[::-1]).tolist() == [0]
    assert as_tensor(np.array(5)).dim() == 0  # which is then refused, as a number is


def test_more_neighbours_than_any_graph_has_are_all():
    loader = NeighborLoader(graph(), [2**40], batch_size=N)
    assert next(iter(loader)).edge_index.size(1) == E


def test_degrees_of_another_graph_are_refused():
    data = graph(weighted=True)
    batch = next(iter(NeighborLoader(data, [2], input_nodes=torch.tensor([N - 1]), batch_size=1)))
    with pytest.raises(ValueError, match="n_id holds node"):
        GraphDegrees(torch.zeros(2, 0, dtype=torch.int64), 3).normalize(batch)
    with pytest.raises(ValueError, match="expected a loader's batch"):
        GraphDegrees(data.edge_index, N).normalize(data)
    del batch.edge_weight
    with pytest.raises(ValueError, match="batch has no edge_weight"):
        GraphDegrees(data.edge_index, N, data.edge_weight).normalize(batch)


NOTHING = {
    "list": lambda: {"input_nodes": []},
    "tensor": lambda: {"input_nodes": torch.empty(0, dtype=torch.int64)},
    "mask": lambda: {"input_nodes": torch.zeros(N, dtype=torch.bool)},
    "times": lambda: {"input_nodes": [], "time_attr": "y", "input_time": torch.empty(0, dtype=torch.int64)},
}


@pytest.mark.parametrize(
    "options", [{}, {"drop_last": True}, {"generator": torch.Generator()}], ids=["", "drop", "own"]
)
@pytest.mark.parametrize("shuffle", [False, True])
def test_of_no_seeds_there_are_no_batches(shuffle, options):
    options = {**options, "shuffle": shuffle, "batch_size": 2}
    for seeds in NOTHING.values():
        loader = NeighborLoader(graph(), [2], **seeds(), **options)
        assert (len(loader), list(loader)) == (0, [])
    bare = Data(edge_index=torch.empty(2, 0, dtype=torch.int64), num_nodes=3)
    for data, links in ((graph(), bare.edge_index), (bare, None)):
        for made_up in ({}, {"neg_sampling": "binary"}, {"neg_sampling": "triplet"}):
            loader = LinkNeighborLoader(data, [2], links, **made_up, **options)
            assert (len(loader), list(loader)) == (0, [])
    assert list(NeighborLoader(Data(edge_index=bare.edge_index, num_nodes=0), [2], **options)) == []


@pytest.mark.parametrize("shuffle", [False, True])
def test_batches_that_are_larger_than_all_seeds(shuffle):
    options = {"input_nodes": torch.arange(5), "batch_size": 100, "shuffle": shuffle}
    (batch,) = NeighborLoader(graph(), [2], **options)
    assert sorted(batch.n_id[: batch.batch_size].tolist()) == [*range(5)]
    assert list(NeighborLoader(graph(), [2], **options, drop_last=True)) == []
    (links,) = LinkNeighborLoader(graph(), [2], batch_size=1000, shuffle=shuffle)
    assert sorted(links.input_id.tolist()) == [*range(E)]


def test_a_batch_of_no_size_is_refused():
    for size in (0, -1, None):
        for loader_of in (NeighborLoader, LinkNeighborLoader):
            with pytest.raises(ValueError, match=f"batch_size={size}"):
                loader_of(graph(), [2], batch_size=size)
