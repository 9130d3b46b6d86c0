"""What is remembered is never served for anything else."""

import copy
import pickle

import pytest
import torch

from gnnseq.graphs import path_graph
from gnnseq.kernels import Adjacency, memo
from gnnseq.kernels.memo import Memo
from gnnseq.layers.graph_cache import NormalizedGraph


def test_a_value_is_computed_once():
    remembered, a = Memo(), torch.ones(2)
    assert remembered.get((a, None), "key", lambda: "first") == "first"
    assert remembered.get((a.clone(), None), "key", lambda: "second") == "first"


def test_threads_that_share_a_memo_get_their_own_values(monkeypatch):
    """Another thread's graph may arrive at any moment, also between comparing and returning."""
    remembered, mine, other = Memo(), torch.zeros(2), torch.ones(2)
    remembered.get((mine,), None, lambda: "mine")
    compare = memo._same

    def interrupted(*inputs):
        monkeypatch.setattr(memo, "_same", compare)
        same = compare(*inputs)
        remembered.get((other,), None, lambda: "other")
        return same

    monkeypatch.setattr(memo, "_same", interrupted)
    assert remembered.get((mine,), None, lambda: "mine") == "mine"
    assert remembered.get((other,), None, lambda: "other") == "other"


def test_a_value_that_could_not_be_computed_leaves_the_last_one():
    remembered, a, b = Memo(), torch.zeros(2), torch.ones(2)
    remembered.get((a,), None, lambda: "a")
    with pytest.raises(ZeroDivisionError):
        remembered.get((b,), None, lambda: 1 / 0)
    assert remembered.get((a,), None, lambda: "again") == "a"


def double(edge_index, edge_weight, num_nodes):
    """Stands for a normalisation."""
    return edge_index, 2 * (torch.ones(edge_index.size(1)) if edge_weight is None else edge_weight)


def test_edges_are_sorted_and_weights_normalised_once_for_each_graph(monkeypatch):
    made, compress = [], Adjacency.of
    monkeypatch.setattr(Adjacency, "of", lambda *given: made.append("edges") or compress(*given))
    normalize = lambda *given: made.append("weights") or double(*given)  # noqa: E731
    cache, edges = NormalizedGraph(), path_graph(4).edge_index
    for weight in (torch.ones(3), torch.ones(3), torch.zeros(3), None):
        graph, learnt = cache.normalized(edges, weight, 4, normalize)
        expected = torch.full((3,), 2.0) if weight is None else 2 * weight
        assert learnt is None
        assert torch.equal(graph.by_target.weight, expected)
    assert made == ["edges", "weights", "weights", "weights"]  # ones are known, and None is another graph
    cache.normalized(edges, None, 4, normalize, options="others")
    assert made[4:] == ["weights"]
    cache.normalized(edges.flip(0), None, 4, normalize, options="others")
    assert made[5:] == ["edges", "weights"]


def test_weights_to_learn_are_normalised_in_every_call():
    cache, edges, weight = NormalizedGraph(), path_graph(4).edge_index, torch.ones(3)
    cache.normalized(edges, weight, 4, double)
    weight.requires_grad_()
    for _ in range(2):
        graph, learnt = cache.normalized(edges, weight, 4, double)
        assert graph.by_target.weight is None
        assert torch.equal(torch.autograd.grad(learnt.sum(), weight)[0], torch.full((3,), 2.0))
    with torch.no_grad():
        assert cache.normalized(edges, weight, 4, double)[1] is None


def test_copies_of_it_are_empty():
    cache, edges = NormalizedGraph(), torch.randint(9, (2, 500))
    empty = len(pickle.dumps(cache))
    cache.normalized(edges, None, 9, double)
    assert len(pickle.dumps(cache)) == len(pickle.dumps(copy.deepcopy(cache))) == empty
