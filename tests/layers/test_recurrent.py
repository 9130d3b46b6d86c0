"""RNN, LSTM and GRU: torch.nn's on paths, the node-by-node reference on trees and DAGs.

T steps, B paths, F inputs, H hidden, L layers, D directions, N nodes.
"""

import copy
import pickle

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence, pad_sequence

import reference
from gnnseq import pack_paths, synchronous, topological, unpack_paths
from gnnseq.graphs import path_graph, tree_graph
from gnnseq.layers import GRU, LSTM, RNN
from gnnseq.schedule import packed_paths
from strategies import dags, forests

EXACT = {"rtol": 0, "atol": 1e-12}
F, H = 3, 4
PAIRS = {
    "tanh": (RNN, torch.nn.RNN, {"nonlinearity": "tanh"}),
    "relu": (RNN, torch.nn.RNN, {"nonlinearity": "relu"}),
    "lstm": (LSTM, torch.nn.LSTM, {}),
    "gru": (GRU, torch.nn.GRU, {}),
}
RULES = pytest.mark.parametrize("rule", PAIRS)
NO_EDGES = torch.empty(2, 0, dtype=torch.long)


def build(rule, **options):
    mine, _, extra = PAIRS[rule]
    return mine(F, H, **extra, **options).double()


def build_pair(rule, **options):
    """Ours and torch's with the same parameters."""
    mine, theirs, extra = PAIRS[rule]
    theirs = theirs(F, H, **extra, **options).double()
    mine = mine(F, H, **extra, **options).double()
    mine.load_state_dict(theirs.state_dict())
    return mine, theirs


def parts(state):
    return state if isinstance(state, tuple) else (state,)


def random_state(rule, rows, num_layers=1, directions=1):
    made = [torch.randn(num_layers * directions, rows, H, dtype=torch.float64, requires_grad=True) for _ in range(2)]
    return tuple(made) if rule == "lstm" else made[0]


def assert_same_gradients(mine, theirs, my_inputs, their_inputs):
    """Gradients of the same random direction, through outputs and final states together."""
    directions = [torch.randn_like(output) for output in theirs]
    mine = torch.autograd.grad(mine, my_inputs, directions)
    theirs = torch.autograd.grad(theirs, their_inputs, directions)
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, **EXACT)


@RULES
@pytest.mark.parametrize("num_layers", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("given_state", [False, True])
def test_equal_length_paths_are_torch(rule, num_layers, bidirectional, bias, given_state):
    """Values, final states and all gradients, for the [T, B, F] tensor that torch takes, flattened."""
    T, B, D = 6, 3, 1 + bidirectional
    mine, theirs = build_pair(rule, num_layers=num_layers, bidirectional=bidirectional, bias=bias)
    x = torch.randn(T, B, F, dtype=torch.float64, requires_grad=True)
    state = random_state(rule, B, num_layers, D) if given_state else None
    expected, expected_state = theirs(x, state)
    h, final = mine(x.reshape(T * B, F), packed_paths([T] * B), state)
    assert h.shape == (T * B, H * D)
    torch.testing.assert_close(h, expected.reshape(T * B, H * D), **EXACT)
    for a, b in zip(parts(final), parts(expected_state), strict=True):
        assert a.shape == (num_layers * D, B, H)
        torch.testing.assert_close(a, b, **EXACT)
    inputs = [x, *(parts(state) if given_state else ())]
    assert_same_gradients(
        [h.reshape(expected.shape), *parts(final)],
        [expected, *parts(expected_state)],
        [*inputs, *(mine.get_parameter(name) for name, _ in theirs.named_parameters())],
        [*inputs, *theirs.parameters()],
    )


@RULES
@pytest.mark.parametrize("num_layers", [1, 2])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("lengths", [[5, 5, 2], [1, 7, 3, 3, 2], [40, 1, 2, 39, 20, 20, 3]])
def test_ragged_paths_are_torchs_packed_sequences(rule, num_layers, bidirectional, lengths):
    """In the caller's order, with initial states, values, final states and gradients."""
    D = 1 + bidirectional
    mine, theirs = build_pair(rule, num_layers=num_layers, bidirectional=bidirectional)
    sequences = [torch.randn(n, F, dtype=torch.float64, requires_grad=True) for n in lengths]
    state = random_state(rule, len(lengths), num_layers, D)
    packed = pack_padded_sequence(pad_sequence(sequences), torch.tensor(lengths), enforce_sorted=False)
    expected, expected_state = theirs(packed, state)
    expected, _ = pad_packed_sequence(expected)
    x, schedule = pack_paths(sequences)
    h, final = mine(x, schedule, state)
    unpacked = unpack_paths(h, schedule)
    for b, n in enumerate(lengths):
        torch.testing.assert_close(unpacked[b], expected[:n, b], **EXACT)
    for a, b in zip(parts(final), parts(expected_state), strict=True):
        torch.testing.assert_close(a, b, **EXACT)
    assert_same_gradients(
        [pad_sequence(unpacked), *parts(final)],
        [expected, *parts(expected_state)],
        [*sequences, *parts(state), *(mine.get_parameter(name) for name, _ in theirs.named_parameters())],
        [*sequences, *parts(state), *theirs.parameters()],
    )


@RULES
def test_state_dicts_load_both_ways(rule):
    options = {"num_layers": 2, "bidirectional": True}
    mine, theirs = build_pair(rule, **options)
    assert list(mine.state_dict()) == list(theirs.state_dict())
    fresh = build(rule, **options)
    theirs.load_state_dict(fresh.state_dict())
    for name, value in theirs.state_dict().items():
        assert torch.equal(value, fresh.state_dict()[name])


@RULES
def test_a_seed_gives_torchs_own_start(rule):
    mine, theirs, extra = PAIRS[rule]
    torch.manual_seed(3)
    expected = theirs(F, H, num_layers=2, **extra).state_dict()
    torch.manual_seed(3)
    actual = mine(F, H, num_layers=2, **extra).state_dict()
    assert all(torch.equal(actual[name], expected[name]) for name in expected)


@RULES
@given(st.lists(st.integers(0, 6), min_size=1, max_size=6), st.booleans(), st.booleans())
def test_a_batch_of_paths_equals_its_paths(rule, lengths, bidirectional, given_state):
    """Empty paths included: they give no output, and their state comes back as it went in."""
    torch.manual_seed(sum(lengths))
    layer = build(rule, bidirectional=bidirectional, num_layers=2)
    sequences = [torch.randn(n, F, dtype=torch.float64) for n in lengths]
    state = random_state(rule, len(lengths), 2, 1 + bidirectional) if given_state else None
    x, schedule = pack_paths(sequences)
    h, final = layer(x, schedule, state)
    for b, (sequence, together) in enumerate(zip(sequences, unpack_paths(h, schedule), strict=True)):
        own = None if state is None else tuple(part[:, b : b + 1] for part in parts(state))
        own = own[0] if own is not None and len(own) == 1 else own
        alone, alone_final = layer(*pack_paths([sequence]), own)
        torch.testing.assert_close(together, alone, **EXACT)
        for whole, single in zip(parts(final), parts(alone_final), strict=True):
            torch.testing.assert_close(whole[:, b : b + 1], single, **EXACT)
        if len(sequence) == 0:
            entered = parts(state) if given_state else [torch.zeros_like(part) for part in parts(final)]
            for whole, before in zip(parts(final), entered, strict=True):
                assert torch.equal(whole[:, b], before[:, b])


@RULES
def test_gradients_reach_the_state_of_an_empty_path(rule):
    layer, state = build(rule), random_state(rule, 2)
    _, final = layer(*pack_paths([torch.randn(0, F).double(), torch.randn(2, F).double()]), state)
    for entered, left in zip(parts(state), parts(final), strict=True):
        (gradient,) = torch.autograd.grad(left[:, 0].sum(), entered, retain_graph=True)
        assert torch.equal(gradient[:, 0], torch.ones(1, H).double())
        assert not gradient[:, 1].any()


@RULES
@given(st.lists(st.integers(0, 7), min_size=1, max_size=5), st.data())
def test_a_stream_in_chunks_equals_one_pass(rule, lengths, data):
    """Paths cut anywhere, some chunks empty: the final state of one chunk is the initial state of the next."""
    torch.manual_seed(sum(lengths))
    layer = build(rule, num_layers=2)
    sequences = [torch.randn(n, F, dtype=torch.float64) for n in lengths]
    cuts = [data.draw(st.integers(0, n)) for n in lengths]
    x, schedule = pack_paths(sequences)
    whole, whole_final = layer(x, schedule)
    outputs, state = [], None
    for chunk in (
        [sequence[:cut] for sequence, cut in zip(sequences, cuts, strict=True)],
        [sequence[cut:] for sequence, cut in zip(sequences, cuts, strict=True)],
    ):
        x, part_schedule = pack_paths(chunk)
        h, state = layer(x, part_schedule, state)
        outputs.append(unpack_paths(h, part_schedule))
    for first, second, expected in zip(*outputs, unpack_paths(whole, schedule), strict=True):
        torch.testing.assert_close(torch.cat([first, second]), expected, **EXACT)
    for a, b in zip(parts(state), parts(whole_final), strict=True):
        torch.testing.assert_close(a, b, **EXACT)


@given(forests())
def test_lstm_on_a_tree_is_the_child_sum_tree_lstm(parents):
    torch.manual_seed(len(parents))
    layer, x = build("lstm"), torch.randn(len(parents), F, dtype=torch.float64, requires_grad=True)
    h, _ = layer(x, tree_graph(parents).edge_index)
    expected = reference.tree_lstm(x, parents, dict(layer.named_parameters()))
    torch.testing.assert_close(h, expected, **EXACT)
    inputs = [x, *layer.parameters()]
    direction = torch.randn_like(h)
    mine = torch.autograd.grad(h, inputs, direction, allow_unused=True, materialize_grads=True)
    theirs = torch.autograd.grad(expected, inputs, direction, allow_unused=True, materialize_grads=True)
    for a, b in zip(mine, theirs, strict=True):
        torch.testing.assert_close(a, b, **EXACT)


@RULES
@given(dags())
def test_stacked_layers_with_states_on_a_dag(rule, graph):
    """Every layer reads the layer below; row b of its initial state enters at the b-th node without predecessor."""
    torch.manual_seed(graph.seed)
    layer, x = build(rule, num_layers=2), graph.features(F).requires_grad_()
    weight = graph.edge_weight.clone().requires_grad_()
    schedule = topological(graph.edge_index, graph.num_nodes, weight)
    assert schedule.starts.tolist() == sorted(schedule.starts.tolist())
    state = random_state(rule, len(schedule.starts), num_layers=2)
    h, final = layer(x, schedule, state)
    below, finals, parameters = x, [], dict(layer.named_parameters())
    for k in range(2):
        entering = tuple(part[k] for part in parts(state))
        swept = reference.sweep(rule, below, graph.edge_index, parameters, weight, entering, f"l{k}")
        below = swept[0]
        finals.append(torch.stack([part[schedule.ends] for part in swept]))
    torch.testing.assert_close(h, below, **EXACT)
    expected_final = torch.stack(finals, dim=1)
    torch.testing.assert_close(torch.stack(parts(final)), expected_final, **EXACT)
    inputs = [x, *parts(state), *layer.parameters()] + ([weight] if weight.numel() else [])
    directions = [torch.randn_like(h), torch.randn_like(expected_final)]
    mine = torch.autograd.grad([h, torch.stack(parts(final))], inputs, directions, allow_unused=True)
    theirs = torch.autograd.grad([below, expected_final], inputs, directions, allow_unused=True)
    for a, b, value in zip(mine, theirs, inputs, strict=True):
        zeros = torch.zeros_like(value)
        torch.testing.assert_close(zeros if a is None else a, zeros if b is None else b, **EXACT)


@RULES
@given(dags())
def test_bidirectional_sweeps_the_reversed_edges_too(rule, graph):
    torch.manual_seed(graph.seed)
    layer, x = build(rule, bidirectional=True), graph.features(F)
    h, _ = layer(x, topological(graph.edge_index, graph.num_nodes, graph.edge_weight))
    parameters = dict(layer.named_parameters())
    forward = reference.sweep(rule, x, graph.edge_index, parameters, graph.edge_weight)[0]
    backward = reference.sweep(rule, x, graph.edge_index.flip(0), parameters, graph.edge_weight, suffix="l0_reverse")[0]
    torch.testing.assert_close(h, torch.cat([forward, backward], dim=1), **EXACT)


@RULES
def test_state_rows_on_a_tree(rule):
    """States enter at the leaves and are read at the roots; backwards it is the other way round."""
    edge_index, x = tree_graph([3, 3, 4, 4, -1]).edge_index, torch.randn(5, F).double()
    layer = build(rule, num_layers=2)
    h, final = layer(x, edge_index, random_state(rule, 3, num_layers=2))
    assert all(part.shape == (2, 1, H) for part in parts(final))
    torch.testing.assert_close(parts(final)[0][1], h[4:], **EXACT)
    h, final = layer(x, edge_index.flip(0), random_state(rule, 1, num_layers=2))
    assert all(part.shape == (2, 3, H) for part in parts(final))
    torch.testing.assert_close(parts(final)[0][1], h[:3], **EXACT)


@RULES
def test_bidirectional_state_on_a_tree(rule):
    """Rows of the shorter direction are padded: two leaves forwards, one root backwards."""
    edge_index, x = tree_graph([2, 2, -1]).edge_index, torch.randn(3, F).double()
    layer, state = build(rule, bidirectional=True), random_state(rule, 2, directions=2)
    h, final = layer(x, edge_index, state)
    p = dict(layer.named_parameters())
    forward = reference.sweep(rule, x, edge_index, p, state=tuple(s[0] for s in parts(state)))
    backward = reference.sweep(
        rule, x, edge_index.flip(0), p, state=tuple(s[1, :1] for s in parts(state)), suffix="l0_reverse"
    )
    torch.testing.assert_close(h, torch.cat([forward[0], backward[0]], dim=1), **EXACT)
    for k, part in enumerate(parts(final)):
        assert part.shape == (2, 2, H)
        torch.testing.assert_close(part[0, :1], forward[k][2:], **EXACT)
        torch.testing.assert_close(part[1], backward[k][:2], **EXACT)


@RULES
def test_state_of_synchronous_rounds_continues_them(rule):
    """Rows are all nodes: five rounds are three rounds and then two more."""
    edge_index, x = torch.tensor([[0, 1, 2, 2], [1, 2, 0, 2]]), torch.randn(4, F).double()
    layer = build(rule)
    whole, whole_final = layer(x, synchronous(edge_index, 4, rounds=5))
    _, state = layer(x, synchronous(edge_index, 4, rounds=3))
    h, final = layer(x, synchronous(edge_index, 4, rounds=2), state)
    torch.testing.assert_close(h, whole, **EXACT)
    for a, b in zip(parts(final), parts(whole_final), strict=True):
        assert a.shape == (1, 4, H)
        torch.testing.assert_close(a, b, **EXACT)


@RULES
@pytest.mark.parametrize("num_nodes", [1, 3])
@pytest.mark.parametrize("bidirectional", [False, True])
def test_nodes_without_edges(rule, num_nodes, bidirectional):
    layer, x = build(rule, bidirectional=bidirectional), torch.randn(num_nodes, F).double()
    h, final = layer(x, NO_EDGES)
    expected = reference.sweep(rule, x, NO_EDGES, dict(layer.named_parameters()))[0]
    torch.testing.assert_close(h[:, :H], expected, **EXACT)
    assert all(part.shape == (1 + bidirectional, num_nodes, H) for part in parts(final))


@RULES
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize(
    "schedule", [topological(NO_EDGES, 0), synchronous(NO_EDGES, 0, rounds=2), packed_paths([0, 0]), packed_paths([])]
)
def test_no_nodes(rule, bidirectional, schedule):
    D = 1 + bidirectional
    layer = build(rule, num_layers=2, bidirectional=bidirectional)
    x = torch.empty(0, F, dtype=torch.float64, requires_grad=True)
    h, final = layer(x, schedule)
    assert h.shape == (0, H * D)
    assert all(part.shape == (2 * D, len(schedule.starts), H) for part in parts(final))
    # An empty batch does not stop a training loop.
    (h.sum() + sum(part.sum() for part in parts(final))).backward()
    assert x.grad is None or x.grad.shape == (0, F)


@RULES
def test_no_input_channels(rule):
    """The states evolve by themselves."""
    mine, _, extra = PAIRS[rule]
    layer, x, edge_index = mine(0, H, **extra).double(), torch.empty(4, 0).double(), path_graph(4).edge_index
    expected = reference.sweep(rule, x, edge_index, dict(layer.named_parameters()))[0]
    torch.testing.assert_close(layer(x, edge_index)[0], expected, **EXACT)


@RULES
def test_an_edge_index_means_its_topological_schedule(rule):
    layer, edge_index, x = build(rule), torch.tensor([[0, 0, 1], [1, 2, 2]]), torch.randn(3, F).double()
    assert torch.equal(layer(x, edge_index)[0], layer(x, topological(edge_index, 3))[0])


@RULES
def test_unit_weights_change_nothing(rule):
    """Weights of one take another kernel than no weights at all."""
    layer, x, edge_index = build(rule), torch.randn(6, F).double(), path_graph(6).edge_index
    weighted, weighted_final = layer(x, topological(edge_index, 6, torch.ones(5).double()))
    plain, final = layer(x, topological(edge_index, 6))
    torch.testing.assert_close(weighted, plain, **EXACT)
    for a, b in zip(parts(weighted_final), parts(final), strict=True):
        torch.testing.assert_close(a, b, **EXACT)


@RULES
@pytest.mark.parametrize("graph", ["path", "tree", "weighted dag"])
def test_second_order_gradients(rule, graph):
    """Hand-derived backward passes can be differentiated again, as a gradient penalty does."""
    edge_index = {
        "path": path_graph(4).edge_index,
        "tree": tree_graph([2, 2, 3, -1]).edge_index,
        "weighted dag": torch.tensor([[0, 0, 1, 1], [1, 2, 2, 3]]),
    }[graph]
    weight = torch.rand(4).double().add(0.5).requires_grad_() if graph == "weighted dag" else None
    layer, x = build(rule), torch.randn(4, F).double().requires_grad_()
    schedule = topological(edge_index, 4, weight)
    state = random_state(rule, len(schedule.starts))
    inputs = [x, layer.weight_ih_l0, layer.weight_hh_l0, layer.bias_hh_l0, *parts(state)]
    inputs += [] if weight is None else [weight]

    def second(h):
        first = torch.autograd.grad(h.square().sum(), inputs, create_graph=True)
        return torch.autograd.grad(sum(g.square().sum() for g in first), inputs)

    mine = second(layer(x, schedule, state)[0])
    entering = tuple(part[0] for part in parts(state))
    expected = reference.sweep(rule, x, edge_index, dict(layer.named_parameters()), weight, entering)[0]
    for a, b in zip(mine, second(expected), strict=True):
        # Sums of many products of first derivatives, up to some hundreds.
        torch.testing.assert_close(a, b, rtol=1e-11, atol=1e-11)


@RULES
@pytest.mark.parametrize("weighted", [False, True])
def test_gradients_that_can_be_differentiated_count_every_use_once(rule, weighted):
    """A state handed on, an input and an edge weight that come from the same parameters are uses of their own."""
    edge_index = tree_graph([2, 2, 3, -1]).edge_index.flip(0)  # one source, from which a state enters
    layer, x = build(rule), torch.randn(4, F).double().requires_grad_()

    def loss():
        weight = torch.sigmoid(layer.bias_hh_l0[:3] * x.mean()) if weighted else None
        schedule = topological(edge_index, 4, weight)
        _, state = layer(x, schedule)
        state = tuple(part[:, :1] for part in parts(state))
        h, _ = layer(x * parts(state)[0].sum(), schedule, state if rule == "lstm" else state[0])
        return h.square().sum()

    inputs = [x, *layer.parameters()]
    once = torch.autograd.grad(loss(), inputs)
    for a, b in zip(torch.autograd.grad(loss(), inputs, create_graph=True), once, strict=True):
        torch.testing.assert_close(a, b, **EXACT)


@RULES
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_types_are_kept(rule, dtype):
    layer = build(rule).to(dtype)
    for schedule in (packed_paths([3, 1]), topological(torch.tensor([[0, 1], [2, 2]]), 4)):
        h, final = layer(torch.randn(4, F, dtype=dtype), schedule)
        assert h.dtype == dtype
        assert all(part.dtype == dtype for part in parts(final))


# Dropout sits between layers, as in torch.nn.


def doubling_stack(p):
    """Two relu layers without recurrence that pass positive numbers on, so the output shows the dropout mask."""
    layer = RNN(1, 1, num_layers=2, nonlinearity="relu", dropout=p, bias=False)
    with torch.no_grad():
        for name, value in layer.named_parameters():
            value.fill_(float("ih" in name))
    return layer


def test_dropout_zeroes_a_share_and_scales_the_rest():
    x, p = torch.ones(10_000, 1), 0.3
    h, _ = doubling_stack(p)(x, NO_EDGES)
    dropped = (h == 0).float().mean().item()
    # Five standard deviations of a binomial share; the seed is fixed.
    assert abs(dropped - p) < 5 * (p * (1 - p) / 10_000) ** 0.5
    torch.testing.assert_close(h[h != 0], torch.full_like(h[h != 0], 1 / (1 - p)))


def test_dropout_is_off_in_eval_and_repeats_with_the_seed():
    layer, x = doubling_stack(0.5), torch.ones(100, 1)
    first, second = layer(x, NO_EDGES)[0], layer(x, NO_EDGES)[0]
    assert not torch.equal(first, second)
    torch.manual_seed(5)
    first = layer(x, NO_EDGES)[0]
    torch.manual_seed(5)
    assert torch.equal(layer(x, NO_EDGES)[0], first)
    assert torch.equal(layer.eval()(x, NO_EDGES)[0], x)


@RULES
def test_dropout_spares_the_last_layer_and_the_states(rule):
    """With everything dropped between the layers, the second sees zeros, the first layer's final state does not."""
    mine, _, extra = PAIRS[rule]
    layer = mine(F, H, num_layers=2, dropout=1.0, **extra).double()
    x, edge_index = torch.randn(5, F).double(), path_graph(5).edge_index
    h, final = layer(x, edge_index)
    p = dict(layer.named_parameters())
    below = reference.sweep(rule, x, edge_index, p)
    above = reference.sweep(rule, torch.zeros(5, H).double(), edge_index, p, suffix="l1")
    torch.testing.assert_close(h, above[0], **EXACT)
    for k, part in enumerate(parts(final)):
        torch.testing.assert_close(part[0], below[k][4:], **EXACT)


# Initialisation by name.


@pytest.mark.parametrize(("layer_type", "gates"), [(RNN, 1), (LSTM, 4), (GRU, 3)])
def test_named_initialisations(layer_type, gates):
    F, H = 60, 80
    he = layer_type(F, H, init="he")
    for kernel, width in [(he.weight_ih_l0, F), (he.weight_hh_l0, H)]:
        for gate in kernel.chunk(gates):
            # The standard deviation of n normal numbers is known to about 1 / sqrt(2 n).
            assert gate.std().item() == pytest.approx((2 / width) ** 0.5, rel=5 / (2 * gate.numel()) ** 0.5)
    assert not he.bias_ih_l0.any()
    assert not he.bias_hh_l0.any()
    orthogonal = layer_type(F, H, init="orthogonal").double()
    for gate in orthogonal.weight_hh_l0.chunk(gates):
        # Drawn in float32.
        torch.testing.assert_close(gate @ gate.T, torch.eye(H).double(), rtol=0, atol=1e-5)
    for gate in orthogonal.weight_ih_l0.chunk(gates):
        bound = (6 / (F + H)) ** 0.5  # Glorot's
        assert 0.95 * bound < gate.abs().max() <= bound * (1 + 1e-6)
    assert not orthogonal.bias_ih_l0.any()
    torch_like = layer_type(F, H)
    assert all(0.95 * H**-0.5 < value.abs().max() <= H**-0.5 for value in torch_like.parameters())


@pytest.mark.parametrize("layer_type", [LSTM, GRU])
def test_chrono_keeps_memories_from_one_to_time_scale_steps(layer_type):
    """A gate that keeps sigmoid(b) a step forgets with time constant 1 / (1 - sigmoid(b)), uniform up to time_scale."""
    H, longest = 300, 100
    layer = layer_type(2, H, init="chrono", time_scale=longest, num_layers=2, bidirectional=True)
    for suffix in ("l0", "l0_reverse", "l1", "l1_reverse"):
        bias = getattr(layer, f"bias_ih_{suffix}") + getattr(layer, f"bias_hh_{suffix}")
        gates = bias.detach().chunk(4 if layer_type is LSTM else 3)
        keep = gates[1]
        time = 1 / (1 - torch.sigmoid(keep.double()))
        assert time.min() >= 2 - 1e-4  # log of a number that float32 rounds
        assert time.max() <= longest + 1e-3
        # The mean of 300 uniform numbers is known to 3 %.
        assert time.mean().item() == pytest.approx((2 + longest) / 2, rel=0.12)
        if layer_type is LSTM:
            torch.testing.assert_close(gates[0], -keep)


def test_chrono_state_outlives_the_default():
    x, edge_index = torch.zeros(100, 1), path_graph(100).edge_index

    def influence(layer):
        c_0 = torch.zeros(1, 1, 16, requires_grad=True)
        _, (_, c) = layer(x, edge_index, (torch.zeros(1, 1, 16), c_0))
        return torch.autograd.grad(c.sum(), c_0)[0].abs().mean()

    assert influence(LSTM(1, 16, init="chrono", time_scale=100)) > 1e6 * influence(LSTM(1, 16))


@RULES
def test_reset_parameters_by_name(rule):
    layer = build(rule)
    before = layer.weight_ih_l0.clone()
    layer.reset_parameters()
    assert not torch.equal(layer.weight_ih_l0, before)
    layer.reset_parameters(init="he")
    assert not layer.bias_ih_l0.any()
    if rule in ("lstm", "gru"):
        layer.reset_parameters(init="chrono", time_scale=30)
        assert layer.bias_ih_l0.any()


@RULES
def test_copies_and_pickles(rule):
    layer, x, edge_index = build(rule, num_layers=2), torch.randn(5, F).double(), path_graph(5).edge_index
    h, _ = layer(x, edge_index)
    assert torch.equal(copy.deepcopy(layer)(x, edge_index)[0], h)
    assert torch.equal(pickle.loads(pickle.dumps(layer))(x, edge_index)[0], h)


@RULES
def test_message_passing_hooks_see_every_step(rule):
    """Hooks of torch_geometric's MessagePassing work: the layer then takes the step-by-step loop, same numbers."""
    layer, x, edge_index = build(rule), torch.randn(4, F).double(), tree_graph([2, 2, 3, -1]).edge_index
    expected, _ = layer(x, edge_index)
    seen = []
    handle = layer.register_message_forward_hook(lambda module, inputs, output: seen.append(output))
    h, _ = layer(x, edge_index)
    handle.remove()
    assert len(seen) == 3
    torch.testing.assert_close(h, expected, **EXACT)
