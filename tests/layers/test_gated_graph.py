"""GatedGraph is torch_geometric's GatedGraphConv, and the equations of Li et al. 2016."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.nn import GatedGraphConv

import reference
from gnnseq.graphs import path_graph
from gnnseq.kernels import gated_round, gru_rows
from gnnseq.kernels.native import functions
from gnnseq.layers import GatedGraph
from strategies import graphs

EXACT = {"rtol": 0, "atol": 1e-12}


@given(graphs(), st.integers(1, 4), st.integers(1, 4), st.booleans())
def test_equals_gatedgraphconv_and_the_reference(graph, channels, rounds, bias):
    torch.manual_seed(graph.seed)
    mine = GatedGraph(4, num_rounds=rounds, bias=bias).double()
    theirs = GatedGraphConv(4, num_layers=rounds, bias=bias).double()
    mine.load_state_dict(theirs.state_dict())
    x, weight = graph.features(channels).requires_grad_(), graph.edge_weight.clone().requires_grad_()
    h = mine(x, graph.edge_index, weight)
    torch.testing.assert_close(h, theirs(x, graph.edge_index, weight), **EXACT)
    A = reference.dense_adjacency(graph.edge_index, graph.num_nodes, weight)
    expected = reference.gated_graph(x, A, mine.weight, dict(mine.rnn.named_parameters()))
    torch.testing.assert_close(h, expected, **EXACT)
    inputs, direction = [x, weight, *mine.parameters()], torch.randn_like(h)
    gradients = torch.autograd.grad(h, inputs, direction, allow_unused=True, materialize_grads=True)
    known = torch.autograd.grad(expected, inputs, direction, allow_unused=True, materialize_grads=True)
    for a, b in zip(gradients, known, strict=True):
        torch.testing.assert_close(a, b, **EXACT)
    seen = []
    mine.register_message_forward_hook(lambda *messages: seen.append(messages))  # so that messages are held
    torch.testing.assert_close(mine(x, graph.edge_index, weight), h, **EXACT)
    assert len(seen) == rounds


@given(graphs(), st.integers(1, 3))
def test_k_rounds_reach_exactly_k_hops(graph, rounds):
    """A node reads its own previous state too, so nearer nodes stay within reach."""
    torch.manual_seed(graph.seed)
    layer, x = GatedGraph(3, num_rounds=rounds).double(), graph.features(3).requires_grad_()
    h = layer(x, graph.edge_index, graph.edge_weight)
    A = (reference.dense_adjacency(graph.edge_index, graph.num_nodes) > 0).double()
    expected = torch.linalg.matrix_power(A + torch.eye(graph.num_nodes).double(), rounds) > 0
    for v in range(graph.num_nodes):
        (gradient,) = torch.autograd.grad(h[v].sum(), x, retain_graph=True)
        assert torch.equal((gradient != 0).any(1), expected[v])


def test_start_and_names_are_gatedgraphconvs():
    mine, theirs = GatedGraph(4, num_rounds=2), GatedGraphConv(4, num_layers=2)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    assert all(value.abs().max() <= 4**-0.5 for value in mine.parameters())


@pytest.mark.parametrize("weighted", [False, True])
def test_a_changed_graph_is_noticed(weighted):
    """What the layer remembers is never served for another graph, nor for weights that want their gradient."""
    layer, x, edges = GatedGraph(3, num_rounds=2), torch.randn(5, 3), path_graph(5, undirected=True).edge_index.clone()
    weight = torch.rand(8) if weighted else None
    layer(x, edges, weight)
    changes = [lambda: edges.data[0].fill_(4), lambda: edges.numpy()[1].fill(2)]
    changes += [lambda: weight.data.mul_(3), lambda: weight.numpy().fill(0.5)] if weighted else []
    for change in changes:
        before = layer(x, edges, weight)
        change()
        after = layer(x, edges, weight)
        assert not torch.equal(after, before)
        assert torch.equal(after, copy.deepcopy(layer)(x, edges, weight))
    if weighted:
        for _ in range(2):
            assert torch.autograd.grad(layer(x, edges, weight.requires_grad_()).sum(), weight)[0].any()


@pytest.mark.parametrize("watched", [False, True])
def test_a_number_of_rounds_changed_later_is_obeyed_or_refused(watched):
    layer, x, edges = GatedGraph(4, num_rounds=3), torch.randn(5, 4), path_graph(5).edge_index
    if watched:
        layer.register_message_forward_hook(lambda _module, _inputs, _out: None)
    fewer = GatedGraph(4, num_rounds=2)
    fewer.load_state_dict(
        {name: value[:2] if name == "weight" else value for name, value in layer.state_dict().items()}
    )
    layer.num_rounds = np.int64(2)
    torch.testing.assert_close(layer(x, edges), fewer(x, edges))
    assert (layer.reach(edges, 5) != fewer.reach(edges, 5)).nnz == 0
    for rounds, words in [
        (4, "num_rounds=4 and weight has 3; expected 3 rounds or fewer"),
        (0, "num_rounds=0; expected"),
        (2.0, r"num_rounds=2\.0; expected an integer"),
    ]:
        layer.num_rounds = rounds
        for call in (lambda: layer(x, edges), lambda: layer.reach(edges, 5)):
            with pytest.raises(ValueError, match=words):
                call()


@pytest.fixture
def _at_once(monkeypatch):
    """Rounds in compiled code, also of few nodes."""
    monkeypatch.setattr(functions, "LEAST_SIZE", 0)
    monkeypatch.setattr(gated_round, "LEAST_NODES", 0)
    monkeypatch.setattr(gru_rows, "BLOCK", 1)
    monkeypatch.setattr(gru_rows, "FEWEST", 4)


@pytest.mark.usefixtures("_at_once")
@settings(max_examples=15)
@given(graphs(), st.integers(1, 3), st.booleans(), st.booleans())
def test_compiled_rounds_are_float64_rounded(graph, rounds, bias, weighted):
    torch.manual_seed(graph.seed)
    layer, found = GatedGraph(4, num_rounds=rounds, bias=bias), []
    for dtype in (torch.float32, torch.float64):
        x = graph.features(3).to(dtype).requires_grad_()
        h = layer.to(dtype)(x, graph.edge_index, graph.edge_weight.to(dtype) if weighted else None)
        inputs, loss = [x, *layer.parameters()], h.sin().sum()
        once = torch.autograd.grad(loss, inputs, retain_graph=True)
        again = torch.autograd.grad(loss, inputs, create_graph=True)
        twice = torch.autograd.grad(sum(part.square().sum() for part in again), inputs, retain_graph=True)
        many = torch.autograd.grad(h, x, torch.stack([h.detach(), h.detach().cos()]), is_grads_batched=True)
        found.append([h, *once, *again, *twice, *many])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a.double(), b, rtol=1e-4, atol=1e-5 * (1 + float(b.detach().abs().max())))


@pytest.mark.usefixtures("_at_once")
def test_a_cell_that_is_watched_or_altered_is_called():
    layer, x, edges, seen = GatedGraph(4, num_rounds=2), torch.randn(20, 4), path_graph(20).edge_index, []
    expected = layer(x, edges)
    handle = layer.rnn.register_forward_hook(lambda *called: seen.append(called))
    torch.testing.assert_close(layer(x, edges), expected)
    handle.remove()
    assert len(seen) == 2
    torch.nn.utils.parametrizations.weight_norm(layer.rnn, "weight_hh")
    torch.testing.assert_close(layer(x, edges), expected)


@pytest.mark.usefixtures("_at_once")
def test_second_derivatives_of_features_that_lie_otherwise():
    layer, edges = GatedGraph(16, num_rounds=2), torch.randint(60, (2, 200))
    found = []
    for dtype in (torch.float32, torch.float64):
        torch.manual_seed(0)
        x = torch.randn(16, 60).to(dtype).t().requires_grad_()
        h = layer.to(dtype)(x, edges)
        (once,) = torch.autograd.grad(h.sin().sum(), [x], create_graph=True)
        found.append(torch.autograd.grad(once.square().sum(), [x])[0])
    torch.testing.assert_close(found[0].double(), found[1], rtol=1e-3, atol=1e-4)
