"""Samples: what may be drawn, how often, and that compiled code and NumPy draw the same.

Letters: N nodes, E edges; B seeds.
"""

import pickle
from threading import Thread

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch_geometric.data import Data, HeteroData
from torch_geometric.loader import LinkLoader, NodeLoader
from torch_geometric.sampler import NodeSamplerInput
from torch_geometric.utils import k_hop_subgraph

from gnnseq.kernels import Adjacency
from gnnseq.kernels.native import library
from gnnseq.sampler import NeighborSampler
from gnnseq.sampler import rows as rows_module
from gnnseq.sampler.draws import sample

FORMS = [
    {},
    {"replace": True},
    {"disjoint": True},
    {"subgraph_type": "induced"},
    {"subgraph_type": "induced", "disjoint": True},
    {"weight_attr": "edge_weight"},
    {"weight_attr": "edge_weight", "replace": True},
    {"time_attr": "time"},
    {"time_attr": "time", "temporal_strategy": "last"},
    {"time_attr": "edge_time", "subgraph_type": "induced"},
    {"time_attr": "edge_time", "weight_attr": "edge_weight", "replace": True},
]


def graph(num_nodes=40, num_edges=300, seed=0):
    """Loops, doubled edges, a hub, nodes without edges; times with ties; weights of 0."""
    random = torch.Generator().manual_seed(seed)
    edge_index = torch.randint(num_nodes * 3 // 4, (2, num_edges), generator=random)
    edge_index[1, : num_edges // 4] = 0
    return Data(
        edge_index=edge_index,
        num_nodes=num_nodes,
        time=torch.randint(6, (num_nodes,), generator=random),
        edge_time=torch.randint(6, (num_edges,), generator=random),
        edge_weight=torch.randint(4, (num_edges,), generator=random).float(),
    )


def draw(sampler, seeds, time=None):
    return sampler.sample_from_nodes(NodeSamplerInput(None, torch.as_tensor(seeds), time))


def star(leaves, **attributes):
    """Edges from 1, 2, ... into 0."""
    edge_index = torch.stack([torch.arange(1, leaves + 1), torch.zeros(leaves, dtype=torch.int64)])
    return Data(edge_index=edge_index, num_nodes=leaves + 1, **attributes)


def counts(sampler, leaves, trials):
    """How often each leaf of a star was drawn, in one call of that many trees."""
    drawn = draw(sampler, torch.zeros(trials, dtype=torch.int64))
    return torch.bincount(drawn.node[drawn.row], minlength=leaves + 1)[1:].numpy()


@pytest.mark.skipif(library() is None, reason="no compiler")
@pytest.mark.parametrize("form", FORMS, ids=str)
def test_compiled_code_and_numpy_draw_the_same(form, monkeypatch):
    seeds, time = torch.tensor([0, 7, 0, 3, 39, 12]), torch.tensor([5, 2, 0, -3, 9, 3]) if "time_attr" in form else None
    for num_neighbors in ([3, 2], [40, -1, 1], [-1, 50], [0, 2], []):
        drawn = []
        for least in (0, 2**40):  # edges for which a compiler is worth it
            monkeypatch.setattr(rows_module, "LEAST_EDGES", least)
            drawn.append(draw(NeighborSampler(graph(), num_neighbors, seed=3, **form), seeds, time))
        one, other = drawn
        for name in ("node", "row", "col", "edge", "batch"):
            a, b = getattr(one, name), getattr(other, name)
            assert (a is None and b is None) or torch.equal(a, b), name
        assert (one.num_sampled_nodes, one.num_sampled_edges) == (other.num_sampled_nodes, other.num_sampled_edges)


@pytest.mark.parametrize("form", FORMS, ids=str)
def test_what_is_drawn_is_of_the_graph(form):
    data, seeds = graph(), torch.tensor([0, 7, 0, 3, 39, 12])
    time = torch.tensor([5, 2, 0, -3, 9, 3]) if "time_attr" in form else None
    out = draw(NeighborSampler(data, [4, 3], seed=0, **form), seeds, time)
    source, target = data.edge_index[:, out.edge]
    assert torch.equal(out.node[out.row], source)
    assert torch.equal(out.node[out.col], target)
    assert torch.equal(out.node[: len(seeds)], seeds)
    assert sum(out.num_sampled_nodes) == len(out.node)
    if out.batch is not None:
        assert torch.equal(out.batch[: len(seeds)], torch.arange(len(seeds)))
        assert torch.equal(out.batch[out.row], out.batch[out.col])
    if out.num_sampled_edges is not None:
        assert sum(out.num_sampled_edges) == len(out.edge)
        hop = torch.repeat_interleave(torch.arange(2), torch.tensor(out.num_sampled_edges))
        per_target = torch.bincount(out.col * 2 + hop)
        assert int(per_target[0::2].max()) <= 4
        assert int(per_target[1::2].max()) <= 3
        if not form.get("replace"):
            pairs = torch.stack([out.edge, out.col])
            assert pairs.unique(dim=1).size(1) == pairs.size(1)
    if form.get("weight_attr"):
        assert bool((data.edge_weight[out.edge] > 0).all())


@pytest.mark.parametrize("form", [form for form in FORMS if "time_attr" in form], ids=str)
def test_nothing_is_read_of_the_future(form):
    for seed in range(10):
        data = graph(seed=seed)
        seeds = torch.arange(40)
        now = torch.randint(-1, 7, (40,))
        out = draw(NeighborSampler(data, [3, 3, 3], **form), seeds, now)
        if form["time_attr"] == "time":
            assert bool((data.time[out.node[out.row]] <= now[out.batch[out.row]]).all())
        else:
            assert bool((data.edge_time[out.edge] <= now[out.batch[out.col]]).all())
        assert bool(out.edge.numel())
        assert torch.equal(out.metadata[1], now)


def test_the_last_are_the_last():
    data = star(9, edge_time=torch.tensor([5, 1, 9, 3, 7, 2, 8, 4, 6]))
    out = draw(NeighborSampler(data, [3], time_attr="edge_time", temporal_strategy="last"), [0], torch.tensor([7]))
    assert sorted(data.edge_time[out.edge].tolist()) == [5, 6, 7]
    none = draw(NeighborSampler(data, [3], time_attr="edge_time", temporal_strategy="last"), [0], torch.tensor([0]))
    assert none.edge.numel() == 0


def test_times_are_compared_exactly():
    """Nanoseconds, which float64 would round, and times between whole ones."""
    now = 2**60
    data = star(3, edge_time=torch.tensor([now - 1, now, now + 1]))
    sampler = NeighborSampler(data, [-1], time_attr="edge_time")
    assert draw(sampler, [0], torch.tensor([now])).edge.tolist() == [0, 1]
    half = NeighborSampler(star(3, edge_time=torch.tensor([1, 2, 3])), [-1], time_attr="edge_time")
    assert draw(half, [0], torch.tensor([2.5])).edge.tolist() == [0, 1]
    assert draw(half, [0], torch.tensor([torch.inf])).edge.tolist() == [0, 1, 2]


def test_seeds_of_nodes_with_times_have_their_own():
    data = star(4, time=torch.tensor([2, 1, 2, 3, 4]))
    out = draw(NeighborSampler(data, [-1], time_attr="time"), [0])
    assert out.node.tolist() == [0, 1, 2]
    assert out.metadata[1].tolist() == [2]


@pytest.mark.parametrize("least", [0, 2**40], ids=["compiled", "numpy"])
def test_every_neighbour_is_as_likely(least, monkeypatch):
    monkeypatch.setattr(rows_module, "LEAST_EDGES", least)
    for k, leaves in ((1, 12), (5, 12), (11, 12), (40, 60)):
        drawn = counts(NeighborSampler(star(leaves), [k], disjoint=True, seed=1), leaves, 3000)
        assert drawn.sum() == 3000 * k
        # Without replacement counts vary less, by (leaves - k) / (leaves - 1).
        scaled = ((drawn - 3000 * k / leaves) ** 2).sum() / (3000 * k / leaves) * (leaves - 1) / (leaves - k)
        assert scaled < 3 * leaves
    drawn = counts(NeighborSampler(star(12), [5], disjoint=True, replace=True, seed=1), 12, 3000)
    assert chisquare(drawn).pvalue > 1e-3


def test_every_pair_of_neighbours_is_as_likely():
    out = draw(NeighborSampler(star(6), [2], disjoint=True, seed=2), torch.zeros(6000, dtype=torch.int64))
    pairs = out.node[out.row].view(-1, 2).sort(1).values
    possible = [7 * a + b for a in range(1, 6) for b in range(a + 1, 7)]
    assert chisquare(torch.bincount(pairs[:, 0] * 7 + pairs[:, 1])[possible].numpy()).pvalue > 1e-3


@pytest.mark.parametrize("least", [0, 2**40], ids=["compiled", "numpy"])
def test_neighbours_are_drawn_by_weight(least, monkeypatch):
    monkeypatch.setattr(rows_module, "LEAST_EDGES", least)
    weight = torch.tensor([1.0, 2.0, 0.0, 3.0, 4.0])
    data = star(5, edge_weight=weight)
    options = {"weight_attr": "edge_weight", "disjoint": True, "seed": 5}
    for replace in (False, True):
        drawn = counts(NeighborSampler(data, [1], replace=replace, **options), 5, 1000)
        assert drawn[2] == 0
        assert chisquare(drawn[[0, 1, 3, 4]], 1000 * weight[[0, 1, 3, 4]].numpy() / 10).pvalue > 1e-3
    two = counts(NeighborSampler(data, [2], **options), 5, 2000)
    p = weight.double() / 10
    expected = [p[i] + sum(p[j] * p[i] / (1 - p[j]) for j in range(5) if j != i) for i in range(5)]
    assert np.allclose(two / 2000, expected, atol=0.05)


def test_few_neighbours_are_all_drawn():
    out = draw(NeighborSampler(star(5), [5]), [0])
    assert out.node.tolist() == [0, 1, 2, 3, 4, 5]
    assert out.edge.tolist() == [0, 1, 2, 3, 4]


@settings(max_examples=12)
@given(st.integers(0, 10**6), st.integers(1, 3), st.integers(1, 4))
def test_all_neighbours_are_the_k_hop_subgraph(seed, hops, size):
    data = graph(30, 60, seed)
    seeds = torch.randperm(30)[:size]
    nodes, _, _, inside = k_hop_subgraph(seeds, hops, data.edge_index, num_nodes=30)
    out = draw(NeighborSampler(data, [-1] * hops, subgraph_type="induced"), seeds)
    assert torch.equal(out.node.sort().values, nodes)
    assert torch.equal(out.edge.sort().values, inside.nonzero().view(-1))
    drawn = draw(NeighborSampler(data, [-1] * hops), seeds)
    assert torch.equal(drawn.node, out.node)
    # Directional: all edges into what is less than `hops` away.
    inner = k_hop_subgraph(seeds, hops - 1, data.edge_index, num_nodes=30)[0] if hops > 1 else seeds
    assert torch.equal(drawn.edge.sort().values, torch.isin(data.edge_index[1], inner).nonzero().view(-1))


def test_seeds_of_torch_repeat_samples_and_threads_do_not_mix_them():
    data = graph(200, 6000)
    sampler = NeighborSampler(data, [5, 5], seed=4)
    expected = [draw(sampler, range(i, i + 20)).edge for i in range(24)]
    found = [None] * 24

    def work(first):
        for i in range(first, 24, 4):
            found[i] = draw(sampler, range(i, i + 20)).edge

    threads = [Thread(target=work, args=(first,)) for first in range(4)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert all(map(torch.equal, expected, found))
    again = pickle.loads(pickle.dumps(sampler))
    assert torch.equal(draw(again, range(20)).edge, expected[0])
    free = NeighborSampler(data, [5, 5])
    torch.manual_seed(1)
    one = draw(free, range(20)).edge
    two = draw(free, range(20)).edge
    torch.manual_seed(1)
    assert torch.equal(draw(free, range(20)).edge, one)
    assert not torch.equal(one, two)


def test_rows_that_the_library_holds_are_not_copied():
    data = graph()
    rows = Adjacency.of(data.edge_index, data.num_nodes).by_target
    sampler = NeighborSampler(rows, [-1, -1])
    assert sampler.csr.indices.data_ptr() == rows.indices.data_ptr()
    assert sampler.csr.indptr.data_ptr() == rows.indptr.data_ptr()
    assert sampler.csr.indices.dtype == torch.int32
    out = draw(sampler, [0, 3])
    assert torch.equal(out.node[out.row], data.edge_index[0, out.edge])
    assert set(out.edge.tolist()) == set(draw(NeighborSampler(data, [-1, -1]), [0, 3]).edge.tolist())


def test_loaders_of_torch_geometric_take_it():
    data = graph()
    data.x = torch.arange(40.0).unsqueeze(1)
    data.edge_attr = torch.arange(300.0)
    for form in FORMS:
        time = {"input_time": torch.arange(40) % 7} if "time_attr" in form else {}
        for batch in NodeLoader(data, NeighborSampler(data, [3, 2], **form), batch_size=16, **time):
            assert torch.equal(batch.n_id[: batch.batch_size], batch.input_id)
            assert torch.equal(batch.x.view(-1).long(), batch.n_id)
            assert torch.equal(batch.edge_attr.long(), batch.e_id)
    sampler = NeighborSampler(data, [2], subgraph_type="bidirectional")
    batch = next(iter(NodeLoader(data, sampler, batch_size=4)))
    edges = {tuple(edge) for edge in batch.edge_index.t().tolist()}
    assert edges == {edge[::-1] for edge in edges}
    mask = torch.arange(40) % 2 == 0
    assert [b.input_id.tolist() for b in NodeLoader(data, sampler, input_nodes=mask, batch_size=20)] == [
        [*range(0, 40, 2)]
    ]
    assert LinkLoader(data, sampler, batch_size=2).link_sampler is sampler


HETERO = HeteroData({"a": {"x": torch.ones(2, 1)}})


@pytest.mark.parametrize(
    ("data", "options", "message"),
    [
        (HETERO, {}, r"several kinds.*to_homogeneous"),
        ((HETERO, HETERO), {}, r"several kinds"),
        (torch.ones(2, 2), {}, r"data is a Tensor; expected a torch_geometric Data"),
        (Data(x=torch.ones(3, 1)), {}, r"data has no edge_index"),
        (graph(), {"num_neighbors": {("a", "b", "c"): [1]}}, r"of several kinds apart; expected a list"),
        (graph(), {"num_neighbors": 5}, r"num_neighbors=5; expected a list"),
        (graph(), {"num_neighbors": [-2]}, r"num_neighbors=-2; expected an integer of -1 or more"),
        (graph(), {"num_neighbors": [2.5]}, r"num_neighbors=2.5"),
        (graph(), {"subgraph_type": "star"}, r"subgraph_type='star'; expected one of directional"),
        (graph(), {"sample_direction": "backward"}, r"give a graph with edge_index.flip"),
        (graph(), {"temporal_strategy": "newest"}, r"expected 'uniform' or 'last'"),
        (graph(), {"temporal_strategy": "last"}, r"'last' without time_attr"),
        (graph(), {"time_attr": "when"}, r"time_attr='when' is no attribute"),
        (graph(), {"weight_attr": "time"}, r"weight_attr='time' is \[40\]; expected an attribute \[300\]"),
        (star(2, edge_weight=torch.tensor([1.0, -1.0])), {"weight_attr": "edge_weight"}, r"edge_weight\[1\]=-1"),
        (star(2, edge_weight=torch.tensor([torch.nan, 1])), {"weight_attr": "edge_weight"}, r"edge_weight\[0\]=nan"),
        (star(2, edge_time=torch.tensor([1, torch.nan])), {"time_attr": "edge_time"}, r"edge_time\[1\] is NaN"),
        (Data(edge_index=torch.zeros(2, 3, dtype=torch.int64), num_nodes=3, t=torch.ones(3)), {"time_attr": "t"},
         r"call it node_t or edge_t"),
        (Data(edge_index=torch.tensor([[0], [5]]), num_nodes=3), {}, r"edge_index holds node 5"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(data, options, message):
    with pytest.raises(ValueError, match=message):
        NeighborSampler(data, **{"num_neighbors": [2], **options})


def test_seeds_that_are_none_are_named():
    sampler = NeighborSampler(graph(), [2])
    for seeds, message in (([40], "hold node 40"), ([-1], "hold node -1"), ([0.5], "type torch.float32")):
        with pytest.raises(ValueError, match=message):
            draw(sampler, seeds)
    with pytest.raises(ValueError, match="input_time without time_attr"):
        draw(sampler, [0], torch.tensor([1]))
    with pytest.raises(ValueError, match="give input_time"):
        draw(NeighborSampler(graph(), [2], time_attr="edge_time"), [0])


def test_rows_that_were_written_to_end_no_process(monkeypatch):
    if library() is None:
        pytest.skip("no compiler")
    monkeypatch.setattr(rows_module, "LEAST_EDGES", 0)
    data = graph()
    for name, value in (("indices", 10**6), ("indices", -1), ("indptr", 10**6), ("indptr", -5)):
        rows = Adjacency.of(data.edge_index, data.num_nodes).by_target
        sampler = NeighborSampler(rows, [-1, -1])
        getattr(rows, name)[2:] = value
        with pytest.raises(ValueError, match="were written to since"):
            draw(sampler, range(40))


def test_graphs_without_edges_or_seeds():
    for data in (Data(edge_index=torch.zeros(2, 0, dtype=torch.int64), num_nodes=3), graph()):
        for form in ({}, {"disjoint": True}, {"subgraph_type": "induced"}):
            out = draw(NeighborSampler(data, [2, -1], **form), torch.zeros(0, dtype=torch.int64))
            assert out.node.numel() == out.edge.numel() == 0
    lone = draw(NeighborSampler(graph(), np.array([2, 2])), [39])
    assert (lone.node.tolist(), lone.num_sampled_nodes, lone.num_sampled_edges) == ([39], [1, 0, 0], [0, 0])


def test_a_sample_of_too_many_edges_is_refused():
    sampler = NeighborSampler(star(10), [2**28], replace=True)
    with pytest.raises(ValueError, match="more than 2\\^31 edges"):
        sample(sampler._rows, torch.zeros(9, dtype=torch.int64), [2**28], 0, replace=True)
