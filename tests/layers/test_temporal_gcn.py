"""TemporalGCN: three orders against a dense reference, their reach against networkx, streams, masks, errors."""

import pickle
import sys

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks

import reference
from gnnseq import receptive_field, topological
from gnnseq.graphs import path_graph, space_time_graph
from gnnseq.kernels.native import functions as native
from gnnseq.layers import GCN, TemporalGCN
from gnnseq.normalization import gcn_normalize
from strategies import graphs

ORDERS = ("time_then_space", "space_then_time", "space_time")
CELLS = ("LSTM", "GRU", "RNN")
EXACT = {"rtol": 0, "atol": 1e-12}
EDGES = torch.tensor([[0, 1], [1, 2]])


def make(order, cell="LSTM", num_layers=1, sizes=(3, 4, 2)):
    torch.manual_seed(0)
    layer = TemporalGCN(*sizes, order=order, recurrent=cell, num_layers=num_layers).double()
    for parameter in layer.parameters():  # biases, too, which begin at zero
        torch.nn.init.normal_(parameter, std=0.7)
    return layer


def features(steps, nodes, seed=0):
    return torch.randn(steps, nodes, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def parts(state):
    return state if isinstance(state, tuple) else (state,)


@st.composite
def histories(draw):
    """T graphs of the same nodes, and who is there at each step: x, edges, weights, mask."""
    first = draw(graphs(max_nodes=3))
    steps, nodes = draw(st.integers(1, 3)), first.num_nodes
    node = st.integers(0, nodes - 1)
    # Without doubles: of several self-loops the last one counts, whichever that is.
    edges = [draw(st.lists(st.tuples(node, node), max_size=5, unique=True)) for _ in range(steps)]
    generator = torch.Generator().manual_seed(first.seed)
    edge_index = [torch.tensor(pairs, dtype=torch.long).view(-1, 2).t() for pairs in edges]
    weights = [torch.rand(each.size(1), dtype=torch.float64, generator=generator) + 0.1 for each in edge_index]
    mask = torch.tensor(draw(st.lists(st.booleans(), min_size=steps * nodes, max_size=steps * nodes)))
    return features(steps, nodes, first.seed), edge_index, weights, mask.view(steps, nodes)


def dense(edge_index, weights, mask):
    """The normalised adjacencies of the nodes that are there."""
    kept = [there[edges].all(0) for edges, there in zip(edge_index, mask, strict=True)]
    return [
        reference.gcn_adjacency(edges[:, own], mask.size(1), weight[own])
        for edges, weight, own in zip(edge_index, weights, kept, strict=True)
    ]


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("order", ORDERS)
@settings(max_examples=6)
@given(history=histories(), num_layers=st.integers(1, 2))
def test_equals_the_dense_reference_on_changing_graphs_with_nodes_that_come_and_go(order, cell, history, num_layers):
    x, edge_index, weights, mask = history
    layer = make(order, cell, num_layers)
    p = dict(layer.named_parameters())
    weights = [weight.requires_grad_() for weight in weights]
    y, state = layer(x, edge_index, weights, mask=mask)
    expected = reference.temporal_gcn(order, cell, x, dense(edge_index, weights, mask), p, num_layers, mask)
    states = parts(state)
    for actual, wanted in zip((y, *states), expected[: 1 + len(states)], strict=True):
        torch.testing.assert_close(actual, wanted, **EXACT)
    wanted = [*p.values(), *weights]
    loss = [out.square().sum() for out in (y, *states)], [out.square().sum() for out in expected[: 1 + len(states)]]
    gradients = [torch.autograd.grad(sum(terms), wanted, allow_unused=True, materialize_grads=True) for terms in loss]
    for actual, known in zip(*gradients, strict=True):
        torch.testing.assert_close(actual, known, rtol=1e-11, atol=1e-11)  # sums of many terms in another order


@pytest.mark.parametrize("cell", CELLS)
@settings(max_examples=15)
@given(graph=graphs(max_nodes=6), steps=st.integers(1, 5), num_layers=st.integers(1, 2))
def test_space_time_is_the_recurrence_on_the_space_time_graph(cell, graph, steps, num_layers):
    """Values and gradients of the layer itself under its topological schedule."""
    layer, x = make("space_time", cell, num_layers), features(steps, graph.num_nodes, graph.seed)
    y, state = layer(x, graph.edge_index, graph.edge_weight)
    unrolled = space_time_graph(graph.edge_index, graph.num_nodes, steps, graph.edge_weight)
    schedule = topological(unrolled.edge_index, unrolled.num_nodes, unrolled.edge_weight)
    h, final = layer.recurrence(x.flatten(0, 1), schedule)
    torch.testing.assert_close(y, layer.lin(h).view_as(y), **EXACT)
    for actual, wanted in zip(parts(state), parts(final), strict=True):
        torch.testing.assert_close(actual, wanted, **EXACT)
    found = [torch.autograd.grad(out.square().sum(), list(layer.recurrence.parameters()))
             for out in (y, layer.lin(h))]  # fmt: skip
    for actual, wanted in zip(*found, strict=True):
        torch.testing.assert_close(actual, wanted, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("order", ORDERS)
@settings(max_examples=10)
@given(history=histories(), num_layers=st.integers(1, 2))
def test_a_stream_day_by_day_is_the_whole(order, cell, history, num_layers):
    x, edge_index, weights, mask = history
    layer = make(order, cell, num_layers)
    whole, last = layer(x, edge_index, weights, mask=mask)
    state, days = None, []
    for t in range(len(x)):
        y, state = layer(x[t : t + 1], edge_index[t : t + 1], weights[t : t + 1], state, mask[t : t + 1])
        days.append(y)
    torch.testing.assert_close(torch.cat(days), whole, **EXACT)
    for actual, wanted in zip(parts(state), parts(last), strict=True):
        torch.testing.assert_close(actual, wanted, **EXACT)


@pytest.mark.parametrize("order", ORDERS)
@given(graph=graphs(max_nodes=6), data=st.data())
@settings(max_examples=15)
def test_node_order_is_carried_along_and_edge_order_does_not_matter(order, graph, data):
    layer, x = make(order), features(3, graph.num_nodes, graph.seed)
    y, state = layer(x, graph.edge_index, graph.edge_weight)
    new = torch.tensor(data.draw(st.permutations(range(graph.num_nodes))))  # node i is now new[i]
    listed = torch.tensor(data.draw(st.permutations(range(graph.edge_index.size(1)))), dtype=torch.long)
    moved, moved_state = layer(x[:, new.argsort()], new[graph.edge_index][:, listed], graph.edge_weight[listed])
    loops = graph.edge_index[0] == graph.edge_index[1]
    if int(loops.sum()) == len(graph.edge_index[:, loops].unique(dim=1)[0]):  # of several self-loops the last counts
        torch.testing.assert_close(moved[:, new], y, **EXACT)
        torch.testing.assert_close(moved_state[1][:, new], state[1], **EXACT)


@pytest.mark.parametrize("order", ORDERS)
@given(graph=graphs(max_nodes=5))
@settings(max_examples=10)
def test_one_graph_is_a_list_of_the_same_and_all_there_is_no_mask(order, graph):
    layer, x = make(order), features(3, graph.num_nodes, graph.seed)
    y, _ = layer(x, graph.edge_index, graph.edge_weight)
    listed, _ = layer(x, [graph.edge_index] * 3, [graph.edge_weight] * 3)
    masked, _ = layer(x, graph.edge_index, graph.edge_weight, mask=torch.ones(3, graph.num_nodes, dtype=torch.bool))
    adjacency = torch.sparse_coo_tensor(graph.edge_index.flip(0), graph.edge_weight, (graph.num_nodes,) * 2)
    torch.testing.assert_close(listed, y, **EXACT)
    torch.testing.assert_close(masked, y, **EXACT)
    if len(set(map(tuple, graph.edge_index.t().tolist()))) == graph.edge_index.size(1):
        torch.testing.assert_close(layer(x, adjacency)[0], y, **EXACT)


@pytest.mark.parametrize("order", ORDERS)
def test_who_is_away_is_not_read(order):
    layer, x = make(order), features(4, 5)
    edges = path_graph(5, undirected=True).edge_index
    mask = torch.ones(4, 5, dtype=torch.bool)
    mask[1, 2] = mask[2, 2] = mask[0, 4] = False
    y, state = layer(x, edges, mask=mask)
    changed = torch.where(mask.unsqueeze(2), x, torch.nan)
    torch.testing.assert_close(layer(changed, edges, mask=mask)[0], y, rtol=0, atol=0)
    assert not y[~mask].any()
    nobody = torch.zeros(1, 5, dtype=torch.bool)
    _, kept = layer(x[:1], edges, state=state, mask=nobody)
    assert all(torch.equal(new, old) for new, old in zip(kept, state, strict=True))


@pytest.mark.parametrize("order", ORDERS)
def test_one_graph_is_checked_and_taken_in_every_form_beside_a_mask(order):
    layer, x = TemporalGCN(2, 3, 2, order), torch.randn(2, 3, 2)
    mask = torch.tensor([[True, True, True], [True, True, False]])
    for edges in ([[0], [-1]], [[0], [3]]):
        with pytest.raises(ValueError, match="expected 0"):
            layer(x, torch.tensor(edges), mask=mask)
    edge_index = torch.tensor([[1, 2], [0, 1]])
    adjacency = torch.sparse_coo_tensor(edge_index.flip(0), torch.ones(2), (3, 3))
    torch.testing.assert_close(layer(x, adjacency, mask=mask)[0], layer(x, edge_index, mask=mask)[0])
    with pytest.raises(ValueError, match="shape"):
        layer(x, torch.zeros(2, dtype=torch.int64))


@pytest.mark.parametrize("order", ORDERS)
def test_tangents_of_weights_after_a_first_call(order):
    layer, x, edges, weight = TemporalGCN(2, 3, 2, order), torch.randn(3, 4, 2), path_graph(4).edge_index, torch.rand(3)

    def outputs(weight):
        return layer(x, edges, weight)[0]

    outputs(weight)
    torch.testing.assert_close(torch.func.jacfwd(outputs)(weight), torch.func.jacrev(outputs)(weight))


@pytest.mark.parametrize("order", ORDERS)
def test_a_weight_may_be_missing_in_some_steps(order):
    layer, x, edges = make(order), features(2, 3), [torch.tensor([[0, 1], [1, 2]]), torch.tensor([[2], [0]])]
    weight = torch.tensor([0.5], dtype=torch.float64)
    y, _ = layer(x, edges, [None, weight])
    torch.testing.assert_close(layer(x, edges, [torch.ones(2, dtype=torch.float64), weight])[0], y, **EXACT)


@pytest.mark.parametrize("order", ORDERS)
def test_nothing_in_nothing_out(order):
    layer = make(order)
    for edges in (path_graph(3).edge_index, []):
        y, state = layer(features(0, 3), edges)
        assert y.shape == (0, 3, 2)
        assert not any(part.any() for part in state)
    y, _ = layer(features(2, 3), torch.empty(2, 0, dtype=torch.long))
    assert y.shape == (2, 3, 2)


# Reach: each order's rule as its docstring has it, from networkx alone, against measured derivatives.


def known_reach(order, histories, nodes):
    """Row (i, t): the inputs (j, s) that it should depend on. [T * N, T * N]"""
    steps = len(histories)
    reach = np.zeros((steps * nodes, steps * nodes), dtype=bool)
    unrolled = nx.DiGraph()
    unrolled.add_nodes_from(range(steps * nodes))
    for t, graph in enumerate(histories):
        pairs = [*graph.edges(), *((i, i) for i in range(nodes))]
        for j, i in pairs:
            if order == "time_then_space":
                reach[t * nodes + i, [s * nodes + j for s in range(t + 1)]] = True
            elif order == "space_then_time":
                reach[[s * nodes + i for s in range(t, steps)], t * nodes + j] = True
            elif t > 0:
                unrolled.add_edge((t - 1) * nodes + j, t * nodes + i)
    if order == "space_time":
        for v in unrolled:
            reach[v, [v, *nx.ancestors(unrolled, v)]] = True
    return reach


GRAPHS = {
    "path": lambda: nx.path_graph(5).to_directed(),
    "directed path": lambda: nx.path_graph(5, create_using=nx.DiGraph),
}


# Random ones need no case of their own: those that change are.
@pytest.mark.parametrize(("name", "num_layers"), [("path", 2), ("directed path", 1), ("changing", 2)])
@pytest.mark.parametrize("order", ORDERS)
def test_reach_is_as_stated(order, name, num_layers):
    steps, nodes = 4, 5
    if name == "changing":
        history = [nx.gnp_random_graph(nodes, 0.3, seed=seed, directed=True) for seed in range(steps)]
    else:
        history = [GRAPHS[name]()] * steps
    edges = [torch.tensor(list(graph.edges()), dtype=torch.long).view(-1, 2).t() for graph in history]

    def call(module, x, _):
        given = edges[0] if name != "changing" else edges
        return module(x.view(steps, nodes, -1), given)[0].flatten(0, 1)

    # Wide enough that some unit of the relu is on at every node.
    layer = TemporalGCN(3, 8, 2, order=order, num_layers=num_layers)
    field = receptive_field(
        layer, torch.randn(steps * nodes, 3), torch.empty(2, 0, dtype=torch.long), call=call, influence_nodes=1
    )
    assert (field.reach.toarray() == known_reach(order, history, nodes)).all()
    assert field.certain


# Gradients and what else looks on.


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("order", ORDERS)
def test_gradients_of_everything(order, cell):
    layer, x, edges = make(order, cell, sizes=(3, 2, 2)), features(2, 3).requires_grad_(), EDGES
    weight = torch.tensor([0.5, 2.0], dtype=torch.float64, requires_grad=True)
    states = layer.recurrence.cell.states
    state = tuple(torch.randn(1, 3, 2, dtype=torch.float64, requires_grad=True) for _ in range(states))

    def function(x, weight, *state):
        y, last = layer(x, edges, weight, state if len(state) > 1 else state[0])
        return y, *parts(last)

    assert torch.autograd.gradcheck(function, (x, weight, *state))
    if order == "space_time":
        assert torch.autograd.gradgradcheck(function, (x, weight, *state))


@pytest.mark.parametrize("cell", CELLS)
@settings(max_examples=8)
@given(history=histories(), num_layers=st.integers(1, 2))
def test_float32_is_float64_rounded(cell, history, num_layers):
    """Compiled where there is a compiler: states that enter along weighted edges, into any step."""
    x, edge_index, weights, mask = history
    found = []
    for dtype in (torch.float32, torch.float64):
        layer = make("space_time", cell, num_layers).to(dtype)
        learnt = [weight.to(dtype).requires_grad_() for weight in weights]
        generator = torch.Generator().manual_seed(0)
        shape = num_layers, x.size(1), 4
        state = [torch.randn(*shape, dtype=torch.float64, generator=generator).to(dtype).requires_grad_()
                 for _ in range(layer.recurrence.cell.states)]  # fmt: skip
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(native, "LEAST_SIZE", 0)
            y, last = layer(x.to(dtype), edge_index, learnt, tuple(state) if len(state) > 1 else state[0], mask)
            loss = sum(part.square().sum() for part in (y, *parts(last)))
            gradients = torch.autograd.grad(
                loss, [*layer.parameters(), *learnt, *state], allow_unused=True, materialize_grads=True
            )
        found.append([y, *parts(last), *gradients])
    for rounded, exact in zip(*found, strict=True):
        torch.testing.assert_close(rounded.double(), exact, rtol=1e-4, atol=1e-4)  # float32 carries 6e-8


@pytest.mark.parametrize("transform", [torch.func.jacrev, torch.func.jacfwd])
@pytest.mark.parametrize("cell", CELLS)
def test_jacobians_by_torch_func(cell, transform):
    layer, x, state = make("space_time", cell), features(3, 3), None
    for _ in range(2):  # without a state, and with one
        expected = torch.autograd.functional.jacobian(lambda x, state=state: layer(x, EDGES, state=state)[0], x)
        found = transform(lambda x, state=state: layer(x, EDGES, state=state)[0])(x)
        torch.testing.assert_close(found, expected, **EXACT)
        state = layer(x, EDGES)[1]


@pytest.mark.parametrize("order", ORDERS)
def test_a_negative_degree_names_its_step_and_node(order):
    """And no option that the layer does not have."""
    layer, x, edges, good = (
        make(order),
        features(3, 3),
        path_graph(3, undirected=True).edge_index,
        torch.ones(4).double(),
    )
    bad, there = torch.tensor([1, -3, 1, 1]).double(), torch.ones(3, 3, dtype=torch.bool)
    away = there.clone()
    away[0, 1] = False
    for graph, mask, words in [
        ((edges, bad), None, "edge_weight gives node 1 the out-degree -1;"),
        (([edges] * 3, [good, bad, None]), None, "step 1: edge_weight gives node 1 the out-degree -1;"),
        (([edges] * 3, [good, good, bad]), there, "step 2: edge_weight gives node 1 the out-degree -1;"),
        ((edges, bad), away, "step 1: edge_weight gives node 1 the out-degree -1;"),
    ]:
        with pytest.raises(ValueError, match=f"^{words}.*larger self-loops$") as caught:
            layer(x, *graph, mask=mask)
        assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


@pytest.mark.parametrize("zeroed", range(4))
def test_an_explainers_mask_is_listed_as_the_edges_are(zeroed):
    """Where it hides an edge into a node, that node's gradient by the edge's source is gone after one step."""
    layer, x, edges = (
        make("space_time", "GRU"),
        features(2, 3).requires_grad_(),
        path_graph(3, undirected=True).edge_index,
    )
    mask = torch.tensor([[True, True, True], [True, True, False]])
    source, target = edges[:, zeroed].tolist()
    for there in (None, mask):
        shown = torch.ones(4, dtype=torch.float64)
        for value in (1.0, 0.0):
            shown[zeroed] = value
            set_masks(layer, shown, edges, apply_sigmoid=False)
            y, _ = layer(x, edges, mask=there)
            clear_masks(layer)
            (gradient,) = torch.autograd.grad(y[1, target].sum(), x)
            away = there is not None and 2 in (source, target)
            assert bool(gradient[0, source].any()) == (value == 1.0 and not away)


def test_a_hook_sees_the_messages_and_changes_no_number():
    layer, x, edges = make("space_time"), features(3, 4), path_graph(4, undirected=True).edge_index
    y, state = layer(x, edges)
    y, _ = layer(x, edges, state=state)
    seen = []
    layer.recurrence.register_message_forward_hook(lambda _module, _inputs, out: seen.append(out.shape))
    torch.testing.assert_close(layer(x, edges, state=state)[0], y, **EXACT)
    assert seen == [(6 + 4, 8)] * 3  # edges and self-loops, h beside c


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("changing", [False, True])
def test_a_graph_is_normalised_once(order, changing, monkeypatch):
    counted = []

    def count(*given, **named):
        counted.append(given[2])
        return gcn_normalize(*given, **named)

    for name in ("layers.GCN", "schedule.space_time"):
        monkeypatch.setattr(sys.modules[f"gnnseq.{name}"], "gcn_normalize", count)
    layer, x, edges = make(order), features(6, 4), path_graph(4, undirected=True).edge_index
    given = [edges] * 6 if changing else edges
    layer(x, given)
    assert len(counted) == 1
    layer(x, given)
    assert len(counted) == 1
    layer(x, [edges[:, 1:]] * 6 if changing else edges[:, 1:])  # another graph is never served the old one
    assert len(counted) == 2


@pytest.mark.parametrize("cell", CELLS)
def test_autocast_leaves_recurrences_in_float32(cell):
    layer, x = make("space_time", cell).float(), features(3, 4).float()
    edges = path_graph(4, undirected=True).edge_index
    with torch.autocast("cpu", dtype=torch.bfloat16):
        _, state = layer(x.bfloat16(), edges)
    assert all(part.dtype == torch.float32 for part in parts(state))


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"x": torch.zeros(3, 4, 3)}, "x has type torch.float32"),
        ({"x": features(3, 4)[0]}, r"x has shape \[4, 3\]; expected \[T, N, 3\]"),
        ({"edge_index": [EDGES] * 2}, "edge_index has 2 entries and x 3 steps; expected a list of one a step"),
        ({"edge_index": [EDGES, EDGES + 2, EDGES]}, r"step 1: edge_index holds node 4; expected 0\.\.3"),
        ({"edge_weight": [None] * 3}, "edge_weight is a list and edge_index one graph"),
        ({"edge_index": [EDGES] * 3, "edge_weight": [None]}, "edge_weight has 1 entries and x 3 steps"),
        ({"edge_index": [EDGES] * 3, "edge_weight": torch.ones(2)}, "edge_weight has type Tensor and x 3 steps"),
        ({"edge_index": EDGES + 3}, "edge_index holds node 5"),
        ({"edge_weight": torch.ones(3)}, r"edge_weight has shape \[3\]; expected \[2\]"),
        ({"mask": torch.ones(3, 4)}, r"mask has shape \[3, 4\] and type torch.float32; expected \[3, 4\] of"),
        ({"mask": torch.ones(4, 3, dtype=torch.bool)}, r"mask has shape \[4, 3\].*expected \[3, 4\]"),
        ({"mask": [True]}, "mask has shape list; expected"),
        ({"state": torch.zeros(1, 4, 4).double()}, r"state has shape \[1, 4, 4\]; expected a pair \(h, c\)"),
        ({"state": (torch.zeros(1, 3, 4).double(),) * 2}, r"expected a pair \(h, c\), each \[1, 4, 4\]"),
        ({"state": (torch.zeros(1, 4, 4),) * 2}, "state is torch.float32 on cpu; expected torch.float64 on cpu"),
    ],
)
@pytest.mark.parametrize("order", ORDERS)
def test_what_cannot_be_is_refused(order, given, words):
    arguments = {"x": features(3, 4), "edge_index": EDGES, **given}
    with pytest.raises(ValueError, match=words):
        make(order)(**arguments)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"order": "time"}, "order='time'; expected one of 'time_then_space', "),
        ({"recurrent": "TRNN"}, "recurrent='TRNN'; expected one of 'RNN', 'LSTM', 'GRU'"),
        ({"recurrent": ["LSTM"]}, r"recurrent=\['LSTM'\]; expected one of 'RNN', 'LSTM', 'GRU'"),
        ({"num_layers": 0}, "num_layers=0; expected an integer of 1 or more"),
    ],
)
def test_settings_that_cannot_be_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        TemporalGCN(3, 4, 2, **options)


def test_parts_are_the_layers_that_exist():
    layer = make("time_then_space", num_layers=2)
    assert isinstance(layer.gcn, GCN)
    assert repr(layer) == "TemporalGCN(3, 4, 2, order='time_then_space', recurrent='LSTM', num_layers=2)"
    before = layer.gcn.lin.weight.clone()
    layer.reset_parameters()
    assert not torch.equal(layer.gcn.lin.weight, before)
