"""Forests from parents, and batches in which some graph has no nodes."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch_geometric.data import Batch, Data

from gnnseq import pack_paths, pack_trees, packed_paths, topological, unpack_paths
from gnnseq.graphs import path_graph, tree_graph
from gnnseq.layers import GRU, LSTM, RNN
from gnnseq.models import GraphClassifier, LanguageModel, SequenceClassifier
from strategies import forests

F, H = 2, 3
LAYERS = pytest.mark.parametrize("layer", [RNN, LSTM, GRU])
EXACT = {"rtol": 0, "atol": 1e-12}
SHAPES = [[2, 2, 4, 4, -1], [-1], [], [1, -1], [-1, 0, 0, 1], []]  # the third and the last have no nodes


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def edges(data):
    return sorted(map(tuple, data.edge_index.t().tolist()))


@given(st.lists(forests(), min_size=1, max_size=4))
def test_several_lists_are_their_graphs_side_by_side(trees):
    data = tree_graph(trees)
    sizes = [len(tree) for tree in trees]
    assert data.num_nodes == sum(sizes)
    assert data.ptr.tolist() == [0, *np.cumsum(sizes).tolist()]
    batch = Batch.from_data_list([tree_graph(tree) for tree in trees])
    assert torch.equal(data.edge_index, batch.edge_index)
    assert edges(tree_graph([torch.tensor(tree, dtype=torch.int64) for tree in trees])) == edges(data)


def test_parents_that_went_through_a_batch():
    """Under a name without "index" they come back as they were given; under one with it, shifted, -1 too."""
    trees = [[2, 2, -1], [1, -1]]
    sized = [
        {"num_nodes": len(tree), "parents": torch.tensor(tree), "parent_index": torch.tensor(tree)} for tree in trees
    ]
    batch = Batch.from_data_list([Data(**fields) for fields in sized])
    sizes = batch.ptr.diff().tolist()
    assert edges(tree_graph(batch.parents.split(sizes))) == edges(tree_graph(trees))
    own = batch.parent_index - batch.ptr[batch.batch]
    assert edges(tree_graph(own.split(sizes))) == edges(tree_graph(trees))
    shifted = tree_graph(batch.parent_index)
    with pytest.raises(ValueError, match=r"edge 4 -> 2 .* of graph 1 .* of graph 0"):
        topological(shifted.edge_index, shifted.num_nodes, ptr=batch.ptr)


@pytest.mark.parametrize("options", [{}, {"num_layers": 2, "bidirectional": True}])
@LAYERS
def test_packed_trees_are_their_trees_one_by_one(layer, options):
    layer = layer(F, H, **options).double()
    values = [torch.randn(len(tree), F, dtype=torch.float64) for tree in SHAPES]
    x, schedule = pack_trees(values, SHAPES)
    h, final = layer(x, schedule)
    for b, (own, tree, found) in enumerate(zip(values, SHAPES, h.split([len(tree) for tree in SHAPES]), strict=True)):
        alone, state = layer(own, tree_graph(tree).edge_index)
        torch.testing.assert_close(found, alone, **EXACT)
        for mine, known in zip(parts(final), parts(state), strict=True):
            forward = slice(None, None, layer.num_directions)  # the backward direction's rows are the leaves
            known = known[forward, :1] if tree else torch.zeros_like(mine[forward, b : b + 1])
            torch.testing.assert_close(mine[forward, b : b + 1], known, **EXACT)
    if not options.get("bidirectional"):
        assert all(part.size(1) == len(SHAPES) for part in parts(final))


@LAYERS
def test_initial_states_of_packed_trees_enter_at_leaves_and_pass_through_where_no_nodes_are(layer):
    layer = layer(F, H).double()
    values = [torch.randn(len(tree), F, dtype=torch.float64) for tree in SHAPES]
    x, schedule = pack_trees(values, SHAPES)
    leaves = [0, 1, 3, 5, -1, 6, 10, 11, -1]
    assert schedule.starts.tolist() == leaves
    state = tuple(torch.randn(1, len(leaves), H, dtype=torch.float64) for _ in range(layer.cell.states))
    h, final = layer(x, schedule, state)
    kept = [row for row, leaf in enumerate(leaves) if leaf >= 0]
    for mine, given_ in zip(parts(final), state, strict=True):
        assert torch.equal(mine[:, 2], given_[:, 4])
        assert torch.equal(mine[:, 5], given_[:, 8])
    expected, ends = layer(x, tree_graph(SHAPES).edge_index, tuple(part[:, kept] for part in state))
    torch.testing.assert_close(h, expected, **EXACT)
    for mine, known in zip(parts(final), parts(ends), strict=True):
        torch.testing.assert_close(mine[:, [0, 1, 3, 4]], known, **EXACT)
    layer.register_message_forward_hook(lambda *_: None)  # by the readable loop
    again, slow = layer(x, schedule, state)
    torch.testing.assert_close(again, h, **EXACT)
    for mine, known in zip(parts(slow), parts(final), strict=True):
        torch.testing.assert_close(mine, known, **EXACT)


def test_a_large_forest_in_compiled_code_has_the_same_rows():
    layer, trees = LSTM(F, 32), SHAPES * 20
    x, schedule = pack_trees([torch.randn(len(tree), F) for tree in trees], trees)
    state = tuple(torch.randn(1, schedule.starts.numel(), 32) for _ in range(2))
    h, final = layer(x, schedule, state)
    expected = layer.double()(x.double(), schedule, tuple(part.double() for part in state))
    torch.testing.assert_close(h.double(), expected[0], rtol=0, atol=1e-5)  # float32's rounding
    for mine, known in zip(final, expected[1], strict=True):
        assert mine.size(1) == len(trees)
        torch.testing.assert_close(mine.double(), known, rtol=0, atol=1e-5)


@pytest.mark.parametrize("weighted", [False, True])
@LAYERS
def test_a_batch_of_paths_is_those_paths_packed(layer, weighted):
    layer = layer(F, H, bidirectional=True).double()
    lengths = [0, 3, 0, 0, 1, 2, 0]
    batch = Batch.from_data_list([path_graph(length) for length in lengths])
    weight = torch.ones(batch.num_edges) if weighted else None
    schedule = topological(batch.edge_index, batch.num_nodes, weight, ptr=batch.ptr)
    assert schedule.lengths == tuple(lengths)
    values = [torch.randn(length, F, dtype=torch.float64) for length in lengths]
    state = tuple(torch.randn(2, len(lengths), H, dtype=torch.float64) for _ in range(layer.cell.states))
    x, packed = pack_paths(values)
    h, final = layer(torch.cat(values), schedule, state)
    expected, known = layer(x, packed, state)
    for one, other in zip(unpack_paths(h, schedule), unpack_paths(expected, packed), strict=True):
        torch.testing.assert_close(one, other, **EXACT)
    for one, other in zip(parts(final), parts(known), strict=True):
        torch.testing.assert_close(one, other, **EXACT)


@LAYERS
def test_a_batch_in_which_no_graph_has_nodes(layer):
    layer = layer(F, H, num_layers=2)
    for schedule in (
        topological(torch.empty(2, 0, dtype=torch.int64), 0, ptr=[0, 0, 0]),
        packed_paths([0, 0]),
        pack_trees([torch.empty(0, F)] * 2, [[], []])[1],
    ):
        h, final = layer(torch.empty(0, F), schedule)
        assert h.shape == (0, H)
        assert all(part.shape == (2, 2, H) and not part.any() for part in parts(final))
        assert len(schedule.reversed) == len(schedule) == 0


def test_a_reversed_forest_passes_the_same_rows_back():
    _, schedule = pack_trees([torch.zeros(len(tree), F) for tree in SHAPES], SHAPES)
    back = schedule.reversed
    assert back.passed[back.ends < 0].tolist() == (back.starts < 0).nonzero().flatten().tolist() == [2, 5]
    assert torch.equal(back.reversed.passed, schedule.passed)


@pytest.mark.parametrize("cell", ["RNN", "LSTM", "GRU"])
def test_classifiers_and_language_models_of_sequences_without_items(cell):
    model = SequenceClassifier(cell, F, H, 4)
    logits = model(torch.zeros(0, 3, F))
    torch.testing.assert_close(logits, model.readout.bias.expand(3, -1))
    assert model(torch.zeros(0, 0, F)).shape == model(torch.zeros(5, 0, F)).shape == (0, 4)
    assert GraphClassifier(F, H, 4, num_layers=2)(torch.zeros(0, 3, F)).shape == (3, 4)
    logits, state = LanguageModel(5, H, cell, layers=2)(torch.zeros(0, 3, dtype=torch.int64))
    assert logits.shape == (0, 3, 5)
    assert all(part.shape == (2, 3, H) for part in parts(state))


TWO = [torch.zeros(2, F), torch.zeros(3, F)]


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda: tree_graph([1, 0]), ["parents", "cycle 0 -> 1 -> 0", "-1"]),
        (lambda: tree_graph([-1, 2, 3, 1, 3]), ["cycle 1 -> 2 -> 3 -> 1"]),
        (lambda: tree_graph([2, 0, 2]), ["cycle 2 -> 2", "count from 1", "subtract 1"]),
        (lambda: tree_graph([[1, -1], [0, -1]]), ["parents[1]", "cycle 0 -> 0"]),
        (lambda: tree_graph([[1, -1], [3, -1]]), ["parents[1][0]=3", "0..1"]),
        (lambda: tree_graph([[1, -1], 3]), ["parents[1]", "int", "one list a tree"]),
        (lambda: tree_graph([[1, -1], [0.5]]), ["parents[1]", "float32"]),
        (lambda: tree_graph([None, 0]), ["parents", "-1 at a root"]),
        (lambda: tree_graph(None), ["parents", "-1 at a root"]),
        (lambda: tree_graph("0"), ["parents", "-1 at a root"]),
        (lambda: tree_graph(np.zeros((2, 2), dtype=int)), ["parents", "[2, 2]"]),
        (lambda: tree_graph([True, False]), ["parents", "bool"]),
        (lambda: pack_trees(TWO, [[1, -1], [-1, -1, 0]]), ["parents[1]", "2 roots", "nodes 0, 1"]),
        (lambda: pack_trees(TWO, [[1, -1]]), ["parents", "1", "2", "one list a tree"]),
        (lambda: pack_trees(TWO, [1, -1]), ["parents", "one list a tree"]),
        (lambda: pack_trees(TWO, [[1, -1], [1, -1]]), ["x[1]", "3 rows", "2"]),
        (lambda: pack_trees([TWO[0], TWO[1].double()], [[1, -1], [1, 2, -1]]), ["x[1]", "float64", "alike"]),
        (lambda: pack_trees([], []), ["x is empty", "at least one"]),
        (lambda: pack_trees(TWO[0], [[1, -1]]), ["x", "Tensor", "list"]),
        (lambda: topological(path_graph(3).edge_index, 3, ptr=[0, 2]), ["ptr=[0, 2]", "0 to 3", "num_nodes"]),
        (lambda: topological(path_graph(3).edge_index, 3, ptr=[0, 2, 1, 3]), ["ptr=[0, 2, 1, 3]", "never fall"]),
        (lambda: topological(path_graph(3).edge_index, 3, ptr=[0.0, 3.0]), ["ptr", "integers"]),
        (lambda: topological(path_graph(3).edge_index, 3, ptr=[0, 2, 3]), ["edge 1 -> 2", "graph 0", "graph 1"]),
    ],
)
def test_what_cannot_be_a_forest_is_refused(function, words):
    with pytest.raises(ValueError, match=r"\S") as raised:
        function()
    for word in words:
        assert word in str(raised.value)
