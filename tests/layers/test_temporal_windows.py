"""TemporalGCN on windows, with missing values, exogenous inputs, hidden states, bias, dropout and improved."""

import copy
import pickle
import sys

import pytest
import torch
from torch import nn
from torch_geometric.explain.algorithm.utils import clear_masks, set_masks

import reference
from gnnseq.graphs import path_graph
from gnnseq.layers import TemporalGCN
from meter import Meter

ORDERS = ("time_then_space", "space_then_time", "space_time")
CELLS = ("LSTM", "GRU", "RNN")
EXACT = {"rtol": 0, "atol": 1e-12}
EDGES = torch.tensor([[0, 1, 3, 2, 2], [1, 2, 0, 2, 0]])
B, T, N, F = 5, 3, 4, 3


def make(order, cell="LSTM", *, out=2, features=F, **options):
    torch.manual_seed(0)
    layer = TemporalGCN(features, 4, out, order, cell, **options).double()
    for parameter in layer.parameters():  # biases, too, which begin at zero
        nn.init.normal_(parameter, std=0.7)
    return layer


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def given(cell="LSTM", layers=1):
    generator = torch.Generator().manual_seed(0)
    draw = lambda *shape: torch.randn(shape, dtype=torch.float64, generator=generator)  # noqa: E731
    state = tuple(draw(layers, B, N, 4).requires_grad_() for _ in range(2 if cell == "LSTM" else 1))
    return {
        "x": draw(B, T, N, F).requires_grad_(),
        "state": state if cell == "LSTM" else state[0],
        "mask": draw(B, T, N) > -1,
        "observed": draw(B, T, N, F) > -0.5,
        "exogenous": draw(B, T, N, 2).requires_grad_(),
    }


@pytest.mark.parametrize("changing", [False, True])
@pytest.mark.parametrize(("order", "cell"), [*zip(ORDERS, CELLS, strict=True), ("space_time", "LSTM")])
def test_a_batch_is_its_windows_one_by_one(order, cell, changing):
    """Values, states and gradients, of weights too, whatever the chunks."""
    layer, batch = make(order, cell, num_layers=2, exogenous_channels=2), given(cell, 2)
    weight = torch.tensor([0.5, 2.0, 1.0, 0.7, 1.5], dtype=torch.float64, requires_grad=True)
    graph = ([EDGES, EDGES.flip(0), EDGES], [weight, None, weight * 2]) if changing else (EDGES, weight)
    leaves = [batch["x"], batch["exogenous"], weight, *parts(batch["state"]), *layer.parameters()]

    def window(b):
        own = {name: value[b] for name, value in batch.items() if name != "state"}
        state = tuple(part[:, b] for part in parts(batch["state"]))
        y, last = layer(own.pop("x"), *graph, state if cell == "LSTM" else state[0], **own)
        return y, *parts(last)

    expected = [torch.stack(found, dim=0 if k == 0 else 1) for k, found in
                enumerate(zip(*map(window, range(B)), strict=True))]  # fmt: skip
    wanted = torch.autograd.grad(sum(out.square().sum() for out in expected), leaves, retain_graph=True)
    for chunk_size in (None, 2, 1):
        named = {name: value for name, value in batch.items() if name != "x"}
        y, last = layer(batch["x"], *graph, **named, chunk_size=chunk_size)
        for actual, known in zip((y, *parts(last)), expected, strict=True):
            torch.testing.assert_close(actual, known, **EXACT)
        found = torch.autograd.grad(sum(out.square().sum() for out in (y, *parts(last))), leaves, retain_graph=True)
        for actual, known in zip(found, wanted, strict=True):
            torch.testing.assert_close(actual, known, rtol=1e-11, atol=1e-11)  # sums in another order


@pytest.mark.parametrize("order", ORDERS)
def test_memory_does_not_grow_with_windows(order, monkeypatch):
    """Nothing made is larger than a chunk's parts, but for what is returned; nor is anything kept for the backward."""
    layer, largest, kept = TemporalGCN(3, 16, 1, order), [], []
    monkeypatch.setattr(sys.modules["gnnseq.layers.TemporalGCN"], "NUMBERS", 20_000)  # as if a long batch were long
    for windows in (20, 80):
        x = torch.randn(windows, 6, 4, 3)
        with Meter() as meter, torch.no_grad():
            layer(x, EDGES)
        largest.append(meter.largest)
        saved = 0

        def save(tensor):
            nonlocal saved
            saved += tensor.untyped_storage().nbytes()
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(save, lambda tensor: tensor):
            layer(x, EDGES)
        kept.append(saved)
    assert largest[1] <= max(2 * largest[0], 80 * 4 * 16)  # the states
    assert kept[1] <= max(2 * kept[0], x.untyped_storage().nbytes())


@pytest.mark.parametrize("order", ORDERS)
def test_no_windows_no_nodes_no_steps(order):
    layer = make(order)
    for shape in ((0, T, N, F), (2, T, 0, F), (2, 0, N, F)):
        edges = EDGES if shape[2] else EDGES[:, :0]
        y, state = layer(torch.zeros(shape).double(), edges)
        assert (y.shape, state[0].shape) == ((*shape[:3], 2), (1, shape[0], shape[2], 4))


@pytest.mark.parametrize("order", ORDERS)
def test_a_missing_value_reaches_nothing_and_is_read_as_0(order):
    layer, x = make(order), given()["x"].detach()
    observed = torch.rand(x.shape) > 0.3
    hidden = x.masked_fill(~observed, torch.nan).requires_grad_()
    for own, seen in ((hidden, observed), (hidden[0], observed[0])):
        y, state = layer(own, EDGES, observed=seen)
        filled, after = layer(own.detach().nan_to_num(0.0), EDGES)
        assert torch.equal(y, filled)
        assert all(torch.equal(*pair) for pair in zip(state, after, strict=True))
        everything = torch.ones_like(seen)
        assert torch.equal(layer(filled.new_ones(own.shape), EDGES, observed=everything)[0],
                           layer(filled.new_ones(own.shape), EDGES)[0])  # fmt: skip
        loss = y.square().sum()
        gradients = torch.autograd.grad(loss, [hidden, *layer.parameters()])
        assert all(gradient.isfinite().all() for gradient in gradients)
        assert not gradients[0][~observed].any()


@pytest.mark.parametrize("order", ORDERS)
def test_exogenous_inputs_are_more_features(order):
    layer, wide = make(order, exogenous_channels=2), make(order, features=F + 2)
    wide.load_state_dict(layer.state_dict())
    x, exogenous = given()["x"].detach(), given()["exogenous"].detach()
    y, _ = layer(x, EDGES, exogenous=exogenous)
    torch.testing.assert_close(y, wide(torch.cat([x, exogenous], dim=3), EDGES)[0], rtol=0, atol=0)
    torch.testing.assert_close(layer(x[0], EDGES, exogenous=exogenous[0])[0], y[0], **EXACT)
    shared = exogenous[:, :, :1].expand_as(exogenous)
    y, _ = layer(x, EDGES, exogenous=shared)
    torch.testing.assert_close(layer(x, EDGES, exogenous=exogenous[:, :, 0])[0], y, rtol=0, atol=0)
    torch.testing.assert_close(layer(x[0], EDGES, exogenous=exogenous[0, :, 0])[0], y[0], **EXACT)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("order", ORDERS)
def test_without_out_channels_the_outputs_are_the_hidden_states(order, cell):
    layer, full, batch = make(order, cell, out=None, num_layers=2), make(order, cell, num_layers=2), given(cell)
    full.load_state_dict(layer.state_dict(), strict=False)
    x, mask = batch["x"].detach()[0], batch["mask"][0]
    y, state = layer(x, EDGES, mask=mask)
    _, known = full(x, EDGES, mask=mask)
    assert y.shape == (T, N, 4)
    assert all(torch.equal(*pair) for pair in zip(parts(state), parts(known), strict=True))
    for t in range(T):  # the state after each step
        _, after = full(x[: t + 1], EDGES, mask=mask[: t + 1])
        there = mask[t]
        torch.testing.assert_close(y[t, there], parts(after)[0][-1, there], **EXACT)
        assert not y[t, ~there].any()
    with pytest.raises(ValueError, match="edge_index holds node 6"):
        layer(x, EDGES + 3)


@pytest.mark.parametrize("order", ORDERS)
def test_improved_and_bias(order):
    layer = make(order, improved=True, bias=False)
    assert not any("bias" in name for name, _ in layer.named_parameters())
    x, p = given()["x"].detach()[0], dict(layer.named_parameters())
    p |= {"gcn.bias": torch.zeros(1).double(), "lin.bias": torch.zeros(1).double()}
    p |= {f"recurrence.bias_{each}_l0": torch.zeros(16).double() for each in ("ih", "hh")}
    edges = path_graph(N, undirected=True).edge_index
    doubled = torch.cat([edges, torch.arange(N).expand(2, -1)], dim=1)
    weight = torch.cat([torch.ones(edges.size(1)), torch.full((N,), 2.0)]).double()
    there = torch.ones(T, N, dtype=torch.bool)
    adjacency = reference.gcn_adjacency(doubled, N, weight)
    expected, _, _ = reference.temporal_gcn(order, "LSTM", x, [adjacency] * T, p, 1, there)
    torch.testing.assert_close(layer(x, edges)[0], expected, **EXACT)
    layer.improved = False  # is obeyed, whatever is remembered
    plain = make(order, bias=False)
    plain.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer(x, edges)[0], plain(x, edges)[0], rtol=0, atol=0)


@pytest.mark.parametrize("order", ORDERS)
def test_dropout_is_between_parts_and_in_training_alone(order):
    layer, x = make(order, dropout=1.0, num_layers=2), given()["x"].detach()
    y, _ = layer(x, EDGES)
    bias = layer.gcn.bias if order == "time_then_space" else layer.lin.bias
    torch.testing.assert_close(y, bias.expand_as(y))
    plain = make(order, num_layers=2)
    plain.load_state_dict(layer.state_dict())
    torch.testing.assert_close(layer.eval()(x, EDGES)[0], plain(x, EDGES)[0], rtol=0, atol=0)
    layer.train().dropout = 0.0
    torch.testing.assert_close(layer(x, EDGES)[0], plain(x, EDGES)[0], rtol=0, atol=0)
    layer.dropout = 0.5
    outputs = layer(x.requires_grad_(), EDGES, chunk_size=2)[0]
    outputs.sum().backward()  # each chunk once more, with the same units dropped
    seeded = []
    for chunk_size in (5, 1):
        torch.manual_seed(1)
        seeded.append(layer(x, EDGES, chunk_size=chunk_size)[0])
    assert not torch.equal(*seeded)


def test_dropout_that_drops_nothing_is_told():
    with pytest.warns(UserWarning, match=r"dropout=0\.5 drops nothing"):
        TemporalGCN(3, 4, None, dropout=0.5)
    with pytest.raises(ValueError, match="dropout=2; expected a probability"):
        TemporalGCN(3, 4, 2, dropout=2)


@pytest.mark.parametrize("order", ORDERS)
def test_an_explainers_mask_reaches_every_window(order):
    layer, x = make(order), given()["x"].detach()
    set_masks(layer, torch.rand(EDGES.size(1)).double(), EDGES, apply_sigmoid=False)
    y, _ = layer(x, EDGES)
    torch.testing.assert_close(y, torch.stack([layer(own, EDGES)[0] for own in x]), **EXACT)
    clear_masks(layer)
    assert not torch.allclose(y, layer(x, EDGES)[0])


def test_options_are_shown_copied_and_pickled():
    layer = make("space_time", "GRU", exogenous_channels=2, bias=False, dropout=0.1, improved=True)
    shown = "exogenous_channels=2, bias=False, dropout=0.1, improved=True)"
    assert repr(pickle.loads(pickle.dumps(copy.deepcopy(layer)))).endswith(shown)


@pytest.mark.parametrize(
    ("named", "words"),
    [
        ({"x": torch.zeros(1, B, T, N, F).double()}, r"expected \[T, N, 3\], or windows \[B, T, N, 3\]"),
        ({"mask": torch.ones(T, N).bool()}, r"mask has shape \[3, 4\] and type torch.bool; expected \[5, 3, 4\] of"),
        ({"mask": torch.ones(B, T, N, F).bool()}, "which values are known is observed="),
        ({"observed": torch.ones(B, T, N).bool()}, "which nodes are there is mask="),
        ({"observed": torch.ones(B, T, N, F)}, "observed has shape .* and type torch.float32"),
        ({"exogenous": torch.zeros(B, T, 2).double()}, "make it with exogenous_channels="),
        ({"state": (torch.zeros(1, B * N, 4).double(),) * 2}, r"each \[1, 5, 4, 4\]: layers, windows, nodes"),
        ({"state": (torch.zeros(1, B, N, 4),) * 2}, "state is torch.float32"),
        ({"chunk_size": 0}, "chunk_size=0; expected an integer of 1 or more"),
        ({"edge_index": [EDGES] * B}, "edge_index has 5 entries and x 3 steps"),
        ({"edge_index": EDGES + 2}, "edge_index holds node 5"),
    ],
)
def test_what_cannot_be_is_refused(named, words):
    arguments = {"x": torch.zeros(B, T, N, F).double(), "edge_index": EDGES, **named}
    with pytest.raises(ValueError, match=words):
        make("time_then_space")(**arguments)


@pytest.mark.parametrize(
    ("exogenous", "words"),
    [
        (None, r"exogenous is missing; expected \[3, 4, 2\], or \[3, 2\] if all nodes share it"),
        (torch.zeros(T, N, 3).double(), r"exogenous has shape \[3, 4, 3\]; expected \[3, 4, 2\]"),
        (torch.zeros(T, 2), "exogenous has type torch.float32 and x torch.float64"),
    ],
)
def test_exogenous_inputs_are_as_the_layer_was_made(exogenous, words):
    with pytest.raises(ValueError, match=words):
        make("space_time", exogenous_channels=2)(torch.zeros(T, N, F).double(), EDGES, exogenous=exogenous)
    with pytest.raises(ValueError, match="chunk_size=2 and x has shape"):
        make("space_time")(torch.zeros(T, N, F).double(), EDGES, chunk_size=2)


def test_a_negative_degree_names_its_window():
    layer, x, weight = make("space_time"), torch.zeros(B, T, N, F).double(), torch.ones(5).double()
    weight[0] = -3
    with pytest.raises(ValueError, match=r"^edge_weight gives node 0 the out-degree -2;"):
        layer(x, EDGES, weight)
    mask = torch.ones(B, T, N).bool()
    mask[:3, :, 0] = mask[3, 0, 0] = mask[4, :, 0] = False
    with pytest.raises(ValueError, match=r"^window 3, step 1: edge_weight gives node 0 the out-degree -2;"):
        layer(x, EDGES, weight, mask=mask, chunk_size=2)
