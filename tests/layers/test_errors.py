"""Bad input: the message names the argument, what came, what is legal, and what to do."""

import re

import networkx as nx
import pandas
import pytest
import torch
import torch_geometric
from torch_geometric.data import Batch, Data, HeteroData

from gnnseq import pack_paths, synchronous, topological, unpack_paths
from gnnseq.graphs import path_graph, space_time_graph, tree_graph
from gnnseq.layers import GCN, GRU, LSTM, RNN, EvolveGCN, GatedGraph, RelationalGCN, TemporalGCN
from gnnseq.schedule import packed_paths

X = torch.zeros(3, 2)
EDGES = torch.tensor([[0, 1], [1, 2]])
NAN = torch.tensor([1.0, float("nan")])
INFINITE = torch.tensor([float("inf"), 1.0])
BAD_EDGES = {
    "too large": (torch.tensor([[0, 1], [1, 3]]), ["edge_index", "3", r"0\.\.2"]),
    "negative": (torch.tensor([[0, -1], [1, 2]]), ["edge_index", "-1", r"0\.\.2"]),
    "float": (EDGES.float(), ["edge_index", "float32", "int64", r"\.long\(\)"]),
    "int32": (EDGES.int(), ["edge_index", "int32", "int64", r"\.long\(\)"]),
    "bool": (EDGES.bool(), ["edge_index", "bool", "int64"]),
    "transposed": (torch.zeros(3, 2, dtype=torch.long), ["edge_index", r"\[3, 2\]", r"\[2, E\]"]),
    "flat": (torch.zeros(4, dtype=torch.long), ["edge_index", r"\[4\]", r"\[2, E\]"]),
    "list": ([[0, 1], [1, 2]], ["edge_index", "list", r"\[2, E\]"]),
    "sparse of another size": (torch.eye(4).to_sparse(), ["edge_index", r"\[4, 4\]", r"\[3, 3\]"]),
}
BAD_WEIGHTS = {
    "too few": (torch.ones(1), ["edge_weight", r"\[1\]", r"\[2\]"]),
    "two columns": (torch.ones(2, 1), ["edge_weight", r"\[2, 1\]", r"\[2\]"]),
    "integers": (torch.ones(2, dtype=torch.long), ["edge_weight", "int64", r"float"]),
    "nan": (NAN, ["edge_weight", r"\[1\]", "nan", "finite"]),
    "infinite": (INFINITE, ["edge_weight", r"\[0\]", "inf", "finite"]),
    "list": ([1.0, 1.0], ["edge_weight", "list", r"\[2\]", "as_tensor"]),
    "on another device": (torch.ones(2, device="meta"), ["edge_weight", "meta", "cpu", "to one"]),
}
MAKERS = {
    "topological": lambda edges, weight=None: topological(edges, 3, weight),
    "synchronous": lambda edges, weight=None: synchronous(edges, 3, edge_weight=weight),
    "GCN": lambda edges, weight=None: GCN(2, 2)(X, edges, weight),
    "GCN without normalisation": lambda edges, weight=None: GCN(2, 2, normalize=False)(X, edges, weight),
    "GatedGraph": lambda edges, weight=None: GatedGraph(2, 1)(X, edges, weight),
    "space_time_graph": lambda edges, weight=None: space_time_graph(edges, 3, 2, weight),
}


def assert_says(function, words):
    with pytest.raises(ValueError, match=r"\S") as error:
        function()
    message = str(error.value)
    for word in words:
        assert re.search(word, message), f"{word!r} is not in {message!r}"


TAKERS = {
    "topological": MAKERS["topological"],
    "GCN": MAKERS["GCN"],
    "GatedGraph": MAKERS["GatedGraph"],
    "LSTM": lambda graph: LSTM(2, 2)(X, graph),
    "RelationalGCN": lambda graph: RelationalGCN(2, 1)(X, graph, torch.ones(2, 1)),
    "TemporalGCN": lambda graph: TemporalGCN(2, 2, 1)(X.expand(2, 3, 2), graph),
}
NETWORK = nx.DiGraph()
NETWORK.add_edges_from([(0, 1), (1, 2)])
HETERO = HeteroData()
HETERO["a", "to", "a"].edge_index = EDGES
OTHER_GRAPHS = {  # what somebody gives as edges, and how the message says to make EDGES of it
    "array": (EDGES.numpy(), "torch.as_tensor({})"),
    "array of pairs": (EDGES.t().repeat(2, 1).numpy()[:3], "torch.as_tensor({}).t()"),
    "Data": (Data(edge_index=EDGES), "{}.edge_index"),
    "Batch": (Batch.from_data_list([Data(edge_index=EDGES, num_nodes=3)]), "{}.edge_index"),
    "HeteroData": (HETERO, "{}[relation].edge_index"),
    "dict": ({("a", "to", "a"): EDGES}, "{}[relation]"),
    "networkx": (NETWORK, "torch_geometric.utils.from_networkx({}).edge_index"),
    "edges of networkx": (NETWORK.edges, "torch.tensor(list({})).t()"),
    "scipy": (nx.to_scipy_sparse_array(NETWORK), "torch_geometric.utils.from_scipy_sparse_matrix({})[0]"),
    "pandas": (pandas.DataFrame({"source": [0, 1], "target": [1, 2]}), "torch.tensor({}.to_numpy()).t()"),
    "tuples": ([(0, 1), (1, 2)], "torch.tensor({}).t()"),
    "lists": ([[0, 1], [1, 2]], "torch.tensor({})"),
    "tensors": (tuple(EDGES), "torch.stack({})"),
    "set": ({(0, 1), (1, 2)}, "torch.tensor(list({})).t()"),
}


@pytest.mark.parametrize("case", OTHER_GRAPHS)
@pytest.mark.parametrize("taker", TAKERS)
def test_other_graphs_are_told_what_to_call(taker, case):
    graph, remedy = OTHER_GRAPHS[case]
    names = {"torch": torch, "torch_geometric": torch_geometric, "graph": graph, "relation": ("a", "to", "a")}
    assert eval(remedy.format("graph"), names).shape[0] == 2
    with pytest.raises(ValueError, match=f"(edge_index|graph) is a {type(graph).__name__}; expected") as error:
        TAKERS[taker](graph)
    assert remedy.format("edge_index") in str(error.value) or remedy.format("graph") in str(error.value)


def test_tensors_of_another_shape_are_told_what_to_call():
    assert_says(lambda: GCN(2, 2)(X, EDGES.t().repeat(2, 1)), [r"use edge_index\.t\(\)"])
    assert_says(lambda: GCN(2, 2)(X, torch.eye(3)), ["dense_to_sparse"])


@pytest.mark.parametrize("case", BAD_EDGES)
@pytest.mark.parametrize("maker", MAKERS)
def test_edge_index(maker, case):
    edges, words = BAD_EDGES[case]
    assert_says(lambda: MAKERS[maker](edges), words)


@pytest.mark.parametrize("case", BAD_EDGES)
@pytest.mark.parametrize("layer_type", [RNN, LSTM, GRU])
def test_edge_index_given_to_a_recurrent_layer(layer_type, case):
    edges, words = BAD_EDGES[case]
    assert_says(lambda: layer_type(2, 2)(X, edges), [word.replace("edge_index", "edge_index|graph") for word in words])


@pytest.mark.parametrize("case", BAD_WEIGHTS)
@pytest.mark.parametrize("maker", MAKERS)
def test_edge_weight(maker, case):
    weight, words = BAD_WEIGHTS[case]
    assert_says(lambda: MAKERS[maker](EDGES, weight), words)


def test_bad_input_is_noticed_after_good_input():
    """What a layer remembers of a good graph does not wave a bad one through."""
    layer = GCN(2, 2)
    layer(X, EDGES, torch.ones(2))
    assert_says(lambda: layer(X, EDGES, NAN), ["edge_weight", "nan"])
    assert_says(lambda: layer(X, EDGES.tolist(), torch.ones(2)), ["edge_index", "list"])
    assert_says(lambda: layer(X, EDGES, [1.0, 1.0]), ["edge_weight", "list"])
    assert_says(lambda: layer(X[:2], EDGES, torch.ones(2)), ["edge_index", "2", r"0\.\.1"])


def test_weights_beside_a_sparse_adjacency():
    adjacency = torch.sparse_coo_tensor(EDGES, torch.ones(2), (3, 3))
    assert_says(lambda: GCN(2, 2)(X, adjacency, torch.ones(2)), ["edge_weight", "sparse", "one of the two"])


def test_nan_in_a_sparse_adjacency():
    adjacency = torch.sparse_coo_tensor(EDGES, NAN, (3, 3))
    assert_says(lambda: GCN(2, 2)(X, adjacency), ["nan", "finite"])


def test_degrees_without_a_root():
    assert_says(
        lambda: GCN(2, 2)(X, EDGES, torch.tensor([1.0, -5.0])),
        ["edge_weight", "node", "degree", "-4", "normalize=False"],
    )


@pytest.mark.parametrize(
    ("edges", "named"),
    [
        ([[0, 1, 2], [1, 2, 0]], ["0->1", "1->2", "2->0"]),
        ([[0, 1], [1, 1]], ["1->1"]),
        ([[0, 1, 2], [1, 2, 1]], ["1->2", "2->1"]),
    ],
)
def test_cycle(edges, named):
    for function in (lambda e: topological(e, 3), lambda e: LSTM(2, 2)(X, e)):
        assert_says(lambda f=function: f(torch.tensor(edges)), ["cycle", *named, "acyclic", r"synchronous\(\)"])


LAYERS = {
    "GCN": lambda: GCN(2, 2),
    "GatedGraph": lambda: GatedGraph(2, 1),
    "RNN": lambda: RNN(2, 2),
    "LSTM": lambda: LSTM(2, 2),
    "GRU": lambda: GRU(2, 2),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_x_of_a_wrong_shape(layer):
    assert_says(lambda: LAYERS[layer]()(torch.zeros(3, 5), EDGES), ["x", r"\[3, 5\]", "2"])
    assert_says(lambda: LAYERS[layer]()(torch.zeros(3), EDGES), ["x", r"\[3\]", "2"])


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.int64])
def test_x_of_a_wrong_type(layer, dtype):
    assert_says(lambda: LAYERS[layer]()(X.to(dtype), EDGES), ["x", str(dtype), "float32", "convert"])


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("x", [None, X.tolist(), X.numpy()])
def test_x_that_is_no_tensor(layer, x):
    assert_says(lambda: LAYERS[layer]()(x, EDGES), ["x", type(x).__name__, "float32", "as_tensor"])


@pytest.mark.parametrize("layer", LAYERS)
def test_devices_that_differ(layer):
    assert_says(lambda: LAYERS[layer]()(X.to("meta"), EDGES), ["x", "meta", "cpu", "to one"])
    assert_says(lambda: LAYERS[layer]()(X, EDGES.to("meta")), ["meta", "cpu", "to one"])
    assert_says(lambda: LAYERS[layer]().to("meta")(X, EDGES), ["meta", "cpu", "to one"])


@pytest.mark.parametrize("layer", [RNN, LSTM, GRU])
def test_a_schedule_of_another_size_or_device(layer):
    assert_says(lambda: layer(2, 2)(X, topological(EDGES, 4)), ["x", "3", "4", "one row a node"])
    assert_says(lambda: layer(2, 2)(X, topological(EDGES, 3).to("meta")), ["meta", "cpu", "to one"])


@pytest.mark.parametrize("layer", [RNN, LSTM, GRU])
@pytest.mark.parametrize("shape", [(1, 2, 2), (1, 1, 3), (2, 1, 2), (1, 2)])
def test_state_of_a_wrong_shape(layer, shape):
    state = torch.zeros(shape)
    state = (state, state) if layer is LSTM else state
    came = re.escape(str(list(shape)))
    assert_says(lambda: layer(2, 2)(X, EDGES, state), ["state", came, r"\[1, 1, 2\]", "layers", "hidden_channels"])


def test_state_of_a_wrong_kind():
    h = torch.zeros(1, 1, 2)
    assert_says(lambda: LSTM(2, 2)(X, EDGES, h), ["state", "pair"])
    assert_says(lambda: LSTM(2, 2)(X, EDGES, (h,)), ["state", "pair"])
    assert_says(lambda: LSTM(2, 2)(X, EDGES, [h]), ["state", "pair"])
    LSTM(2, 2)(X, EDGES, [h, h])  # a list is a pair too
    assert_says(lambda: LSTM(2, 2)(X, EDGES, (h, None)), ["state", "NoneType", "pair"])
    assert_says(lambda: GRU(2, 2)(X, EDGES, (h, h)), ["state"])
    assert_says(lambda: GRU(2, 2)(X, EDGES, h.double()), ["state", "float64", "float32"])
    assert_says(lambda: GRU(2, 2)(X, EDGES, h.to("meta")), ["state", "meta", "cpu"])


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda: path_graph(-1), ["length=-1", "0 or more"]),
        (lambda: path_graph(2.5), [r"length=2\.5", "integer"]),
        (lambda: topological(EDGES, "3"), ["num_nodes='3'", "integer"]),
        (lambda: synchronous(EDGES, None), ["num_nodes=None", "integer"]),
        (lambda: synchronous(EDGES, 3, rounds=2.0), [r"rounds=2\.0", "integer"]),
        (lambda: space_time_graph(EDGES, 3, 1.5), [r"steps=1\.5", "integer"]),
        (lambda: LSTM(2, 2.0), [r"hidden_channels=2\.0", "integer"]),
        (lambda: GCN(2, 2.0), [r"out_channels=2\.0", "integer"]),
        (lambda: GatedGraph(2, None), ["num_rounds=None", "integer"]),
        (lambda: tree_graph([1, 2]), [r"parents\[1\]=2", "-1", r"0\.\.1"]),
        (lambda: tree_graph([-2]), [r"parents\[0\]=-2", "-1"]),
        (lambda: tree_graph([0.5, -1]), ["parents", "float32", "integer"]),
        (lambda: tree_graph(torch.zeros(2, 2, dtype=torch.long)), ["parents", r"\[2, 2\]"]),
        (lambda: space_time_graph(EDGES, 3, -1), ["steps=-1", "0 or more"]),
        (lambda: topological(torch.empty(2, 0, dtype=torch.long), -1), ["num_nodes=-1", "0 or more"]),
        (lambda: synchronous(EDGES, 3, rounds=-1), ["rounds=-1", "0 or more"]),
        (lambda: packed_paths([2, -1]), ["lengths", "-1", "non-negative"]),
        (lambda: packed_paths([1.5]), ["lengths", r"1\.5", "integer"]),
        (lambda: pack_paths([]), ["sequences", "empty", "at least one"]),
        (lambda: pack_paths([torch.zeros(3)]), [r"sequences\[0\]", r"\[3\]", r"\[T, F\]"]),
        (lambda: pack_paths([torch.zeros(3, 2), torch.zeros(2, 3)]), [r"sequences\[1\]", r"\[2, 3\]", "alike"]),
        (lambda: pack_paths([torch.zeros(1, 2), torch.zeros(1, 2).double()]), [r"sequences\[1\]", "float64", "alike"]),
        (lambda: unpack_paths(X, topological(torch.tensor([[0, 1], [2, 2]]), 3)), ["schedule", "path"]),
        (lambda: unpack_paths(X, synchronous(EDGES, 3)), ["schedule", "path"]),
        (lambda: unpack_paths(X[:2], topological(EDGES, 3)), ["h", r"\[2, 2\]", "3"]),
        (lambda: LSTM(-1, 2), ["in_channels=-1", "0 or more"]),
        (lambda: LSTM(2, 0), ["hidden_channels=0", "1 or more"]),
        (lambda: LSTM(2, 2, num_layers=0), ["num_layers=0", "1 or more"]),
        (lambda: GRU(2, 2, dropout=1.5), [r"dropout=1\.5", "0 to 1"]),
        (lambda: RNN(2, 2, nonlinearity="sin"), ["nonlinearity='sin'", "tanh", "relu"]),
        (lambda: RNN(2, 2, init="xavier"), ["init='xavier'", "torch", "he", "orthogonal"]),
        (lambda: RNN(2, 2)(X, path_graph(3)), ["graph is a Data", "Schedule", r"edge_index", "pack_paths"]),
        (lambda: RNN(2, 2, init="chrono"), ["init='chrono'", "torch", "he", "orthogonal"]),
        (lambda: LSTM(2, 2, init="chrono"), ["time_scale=None", "chrono", "longest"]),
        (lambda: LSTM(2, 2, init="chrono", time_scale=1), ["time_scale=1", "chrono", "2 or more"]),
        (lambda: LSTM(2, 2, init="chrono", time_scale=float("nan")), ["time_scale=nan", "chrono", "2 or more"]),
        (lambda: GRU(2, 2, init="chrono", time_scale=float("inf")), ["time_scale=inf", "chrono", "2 or more"]),
        (lambda: LSTM(2, 2, time_scale=9), ["time_scale=9", "torch"]),
        (lambda: GRU(2, 2, bias=False, init="chrono", time_scale=9), ["chrono", "bias=False", "bias=True"]),
        (lambda: LSTM(2, 2).reset_parameters(init="zeros"), ["init='zeros'", "torch", "chrono"]),
        (lambda: GCN(2, 2).reset_parameters(init="chrono"), ["init='chrono'", "glorot"]),
        (lambda: GCN(0, -1), ["out_channels=-1", "or more"]),
        (lambda: GatedGraph(0, 1), ["out_channels=0", "1 or more"]),
        (lambda: GatedGraph(2, 0), ["num_rounds=0", "1 or more"]),
    ],
)
def test_arguments(function, words):
    assert_says(function, words)


def test_a_refused_initialisation_leaves_the_parameters():
    layer = LSTM(3, 2, bias=False)
    before = [parameter.clone() for parameter in layer.parameters()]
    with pytest.raises(ValueError, match="bias=False leaves none; use bias=True"):
        layer.reset_parameters("chrono", time_scale=10.0)
    assert all(torch.equal(a, b) for a, b in zip(before, layer.parameters(), strict=True))


def test_chrono_keeps_the_constructors_time_scale():
    torch.manual_seed(0)
    layer = LSTM(3, 2, init="chrono", time_scale=50.0)
    torch.manual_seed(0)
    layer.reset_parameters("chrono")
    torch.manual_seed(0)
    for a, b in zip(layer.parameters(), LSTM(3, 2, init="chrono", time_scale=50.0).parameters(), strict=True):
        assert torch.equal(a, b)


def test_sparse_inputs_of_layers_that_take_none_are_named():
    edges, x = torch.tensor([[0, 1], [1, 2]]), torch.randn(3, 4)
    calls = [
        (LSTM(4, 5), (x.to_sparse(), edges), "x"),
        (GRU(4, 5), (x.to_sparse_csr(),), "x"),
        (GRU(4, 5), (x, edges, torch.zeros(1, 1, 5).to_sparse()), "state"),
        (GatedGraph(4, 2), (x.to_sparse_csr(), edges), "x"),
        (GatedGraph(4, 2), (x, edges, torch.ones(2).to_sparse()), "edge_weight"),
        (RelationalGCN(4, 2), (x.to_sparse(), edges, torch.ones(2, 2)), "x"),
        (TemporalGCN(4, 5, 2), (x.unsqueeze(0).to_sparse(), edges), "x"),
        (EvolveGCN(4, 5), (x.unsqueeze(0).to_sparse(), edges), "x"),
        (GCN(4, 5), (x, edges, torch.ones(2).to_sparse()), "edge_weight"),
    ]
    for layer, arguments, name in calls:
        with pytest.raises(ValueError, match=rf"^{name} is torch.sparse_c..; expected a dense tensor: use {name}"):
            layer(*arguments)
