"""What has nothing to do with a model's device does not depend on torch's default one, here one without numbers."""

import pytest
import torch
from torch_geometric.data import Data
from torch_geometric.sampler import EdgeSamplerInput, NegativeSampling, NodeSamplerInput

from gnnseq import pack_trees, receptive_field, synchronous, topological
from gnnseq.data.epidemics import planted
from gnnseq.data.palindromes import Palindromes
from gnnseq.data.stocks.market import make_market
from gnnseq.data.text import Corpus, TextWindows
from gnnseq.graphs import path_graph, space_time_graph, tree_graph
from gnnseq.layers import GCN, LSTM, RelationalGCN, TemporalGCN
from gnnseq.models.language_model import LanguageModel, score
from gnnseq.sampler import NeighborSampler
from gnnseq.schedule import pack_paths, packed_paths, unpack_paths


@pytest.fixture
def meta():
    """Factories that name no device make tensors without numbers."""
    torch.set_default_device("meta")
    yield
    torch.set_default_device(None)


def on_cpu(layer):
    return layer.to_empty(device="cpu").requires_grad_()


def drawn(*shape):
    return torch.rand(shape, device="cpu", generator=torch.Generator("cpu").manual_seed(0))


@pytest.mark.usefixtures("meta")
def test_graphs_and_schedules():
    assert path_graph(3, undirected=True).edge_index.sum() == 8
    assert tree_graph([[1, -1], [-1]]).ptr.tolist() == [0, 2, 3]
    edges = tree_graph([2, 2, -1]).edge_index
    assert space_time_graph(edges, 3, 2).edge_index.device.type == "cpu"
    for schedule in (
        topological(edges, 3),
        topological(edges, 3).reversed,
        synchronous(edges, 3, 2),
        packed_paths([2]),
    ):
        assert [step.nodes.device.type for step in schedule] == ["cpu"] * len(schedule)
    x, schedule = pack_paths([drawn(2, 3), drawn(4, 3)])
    assert [len(part) for part in unpack_paths(x, schedule)] == [2, 4]
    assert pack_trees([drawn(2, 3)], [[1, -1]])[1].num_nodes == 2


@pytest.mark.usefixtures("meta")
def test_layers_and_their_reach():
    edges = path_graph(4, undirected=True).edge_index
    torch.manual_seed(0)
    for layer in (GCN(3, 2), LSTM(3, 2, 2, bidirectional=True), RelationalGCN(3, 2, "implicit")):
        layer = on_cpu(layer)
        with torch.no_grad():
            for number, parameter in enumerate(layer.parameters()):
                parameter.copy_(drawn(*parameter.shape) + 0.01 * number)
        if isinstance(layer, RelationalGCN):
            layer(drawn(4, 3), edges, drawn(6, 2)).sum().backward()
            continue
        graph = topological(path_graph(4).edge_index, 4) if isinstance(layer, LSTM) else edges
        field = receptive_field(layer, drawn(4, 3), graph, influence_nodes=2)
        assert field.certain
        assert receptive_field(layer, drawn(4, 3), graph, use_structure=False).reach.nnz == field.reach.nnz
    for order in ("time_then_space", "space_then_time", "space_time"):
        layer = on_cpu(TemporalGCN(3, 2, 2, order=order))
        layer(drawn(5, 4, 3), edges)[0].sum().backward()


@pytest.mark.usefixtures("meta")
def test_data_windows_and_prompts():
    corpus = Corpus.of("To be, or not to be, that is the question. " * 9)
    for random in (False, True):
        assert TextWindows(corpus.training, 4, 10, random, seed=0)[0].x.shape == (10, 4)
    model = on_cpu(LanguageModel(len(corpus.vocabulary), hidden=4))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(drawn(*parameter.shape))
    generator = torch.Generator("cpu").manual_seed(0)
    for prompt in ([], [1, 2], corpus.training[:3]):
        assert len(list(model.sample(5, prompt=prompt, generator=generator))) == 5
    assert len(model.beam_search(3, [1, 2], 2)) == 2
    assert score(model, corpus.test)[0] > 0
    for encoding in ("scalar", "one-hot"):
        assert Palindromes(5, encoding, 0, "train").sample(2)[0].device.type == "cpu"
    assert planted(nodes=4, steps=20).graphs[0][0].device.type == "cpu"
    make_market(16, 200, seed=0)


@pytest.mark.usefixtures("meta")
def test_samples():
    edges = torch.randint(50, (2, 5000), device="cpu")  # enough for compiled code
    data = Data(edge_index=edges, num_nodes=50, time=torch.zeros(50, device="cpu"))
    seeds = torch.tensor([3, 4], device="cpu")
    for options in ({}, {"disjoint": True}, {"time_attr": "time"}, {"subgraph_type": "induced"}):
        sampler = NeighborSampler(data, [3, 50], **options)
        out = sampler.sample_from_nodes(NodeSamplerInput(None, seeds))
        assert torch.equal(out.node[out.row], edges[0, out.edge])
        links = EdgeSamplerInput(None, seeds, seeds)
        out = sampler.sample_from_edges(links, NegativeSampling("triplet", 2))
        assert out.metadata[3].shape == (2, 2)
