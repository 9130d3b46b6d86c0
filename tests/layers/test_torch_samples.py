"""Recurrent layers pass what torch's own tests of modules ask of RNN, LSTM and GRU, on samples of the same forms.

Torch's samples are products of all options with two layers: sequences [T, F] without a batch, with and without a state,
and packed ones. Here dense batches and a batch of none are samples too.
"""

import copy
import io
import itertools
import pickle

import pytest
import torch
from torch import nn
from torch.autograd import gradcheck, gradgradcheck
from torch.nn.utils import parametrizations, prune
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence

from gnnseq.layers import GRU, LSTM, RNN

PAIRS = [(RNN, nn.RNN), (LSTM, nn.LSTM), (GRU, nn.GRU)]
EVERY_PAIR = pytest.mark.parametrize(("ours", "torchs"), PAIRS)
FORMS = ["alone", "alone with a state", "batch", "batch with a state", "no sequences", "packed", "packed with a state"]


def options_of(ours):
    """Every combination of options that torch's samples have."""
    choices = {"bias": (False, True), "batch_first": (False, True), "bidirectional": (False, True)}
    if ours is RNN:
        choices["nonlinearity"] = ("relu", "tanh")
    if ours is LSTM:
        choices["proj_size"] = (0,)
    return [dict(zip(choices, values, strict=True)) for values in itertools.product(*choices.values())]


def made(ours, torchs, options):
    sizes = {"input_size": 2, "hidden_size": 3, "num_layers": 2, "dtype": torch.float64, "device": "cpu"}
    known, mine = torchs(**sizes, **options), ours(**sizes, **options)
    mine.load_state_dict(known.state_dict())
    return mine, known


def inputs_of(layer, form):
    """What the layer is called with: x, and perhaps a state. All of it requires grad."""

    def draw(*shape):
        return torch.randn(shape, dtype=torch.float64, requires_grad=True)

    batch = {"alone": (), "no": (0,)}.get(form.split()[0], (4,))
    if form.startswith("packed"):
        x = pack_padded_sequence(draw(5, 4, 2).detach(), torch.tensor([5, 3, 3, 2]))
        x.data.requires_grad_()
    else:
        x = draw(*batch, 3, 2) if layer.batch_first else draw(3, *batch, 2)
    if not form.endswith("with a state"):
        return (x,)
    rows = layer.num_layers * (2 if layer.bidirectional else 1)
    h = draw(rows, *batch, 3)
    return (x, (h, draw(rows, *batch, 3))) if isinstance(layer, LSTM) else (x, h)


def tensors_of(nested):
    if isinstance(nested, PackedSequence):
        return [nested.data]
    if isinstance(nested, tuple):
        return [tensor for part in nested for tensor in tensors_of(part)]
    return [nested]


def assert_alike(found, expected, tolerance=1e-12):
    for one, other in zip(found, expected, strict=True):
        assert one.shape == other.shape
        torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def gradients(outputs, inputs, layer):
    leaves = [*tensors_of(inputs), *layer.parameters()]
    return torch.autograd.grad(sum(out.square().sum() for out in outputs), leaves)


def spread(tensor):
    """The same numbers, not side by side in memory."""
    return torch.stack([tensor.detach(), torch.zeros_like(tensor)], dim=-1)[..., 0].requires_grad_()


@EVERY_PAIR
@pytest.mark.parametrize("form", FORMS)
def test_values_and_gradients(ours, torchs, form):
    for options in options_of(ours):
        mine, known = made(ours, torchs, options)
        inputs, found = inputs_of(mine, form), []
        for layer in (mine, known):
            y = layer(*inputs)
            found.append((type(y[0]), tensors_of(y), gradients(tensors_of(y), inputs, layer)))
        (kind, values, slopes), (other, expected, expected_slopes) = found
        assert kind is other
        assert_alike(values, expected)
        assert_alike(slopes, expected_slopes, 1e-11)  # sums over steps and sequences


@EVERY_PAIR
def test_inputs_with_holes_in_memory(ours, torchs):
    for number, options in enumerate(options_of(ours)):
        layer, _ = made(ours, torchs, options)
        inputs = inputs_of(layer, ("alone with a state", "batch with a state")[number % 2])
        x, state = inputs
        holes = spread(x), tuple(map(spread, state)) if isinstance(state, tuple) else spread(state)
        assert not any(tensor.is_contiguous() for tensor in tensors_of(holes))
        y, other = tensors_of(layer(*holes)), tensors_of(layer(*inputs))
        assert_alike(y, other)
        assert_alike(gradients(y, holes, layer), gradients(other, inputs, layer))


@EVERY_PAIR
def test_copies_and_files_compute_the_same(ours, torchs):
    for options in options_of(ours)[::3]:
        layer, _ = made(ours, torchs, options)
        inputs, file = inputs_of(layer, "batch with a state"), io.BytesIO()
        torch.save(layer, file)
        file.seek(0)
        expected = tensors_of(layer(*inputs))
        for again in (
            pickle.loads(pickle.dumps(layer)), copy.deepcopy(layer), torch.load(file, weights_only=False)
        ):  # fmt: skip
            assert repr(again) == repr(layer)
            assert all(map(torch.equal, tensors_of(again(*inputs)), expected))


@EVERY_PAIR
@pytest.mark.parametrize("form", ["alone with a state", "batch", "packed"])
def test_second_derivatives(ours, torchs, form):
    first = ["alone with a state", "batch", "packed"].index(form)  # of the options, each with one form
    for options in options_of(ours)[first::3]:
        mine, known = made(ours, torchs, options)
        inputs, found = inputs_of(mine, form), []
        for layer in (mine, known):
            leaves = [*tensors_of(inputs), *layer.parameters()]
            loss = sum(out.square().sum() for out in tensors_of(layer(*inputs)))
            slopes = torch.autograd.grad(loss, leaves, create_graph=True)
            size = sum(slope.square().sum() for slope in slopes)
            found.append(torch.autograd.grad(size, leaves))
        assert_alike(*found, 1e-10)  # products of gradients, summed over steps, sequences and parameters


@EVERY_PAIR
def test_derivatives_are_those_of_differences(ours, torchs):
    layer, _ = made(ours, torchs, {"bidirectional": True})
    x, state = inputs_of(layer, "alone with a state")

    def run(x, *state):
        y, final = layer(x, state if len(state) > 1 else state[0])
        return y.sum(1) + tensors_of(final)[-1].sum()

    assert gradcheck(run, (x, *tensors_of(state)), fast_mode=True)
    assert gradgradcheck(run, (x, *tensors_of(state)), fast_mode=True)


@pytest.mark.parametrize(("ours", "cell"), [(RNN, nn.RNNCell), (LSTM, nn.LSTMCell), (GRU, nn.GRUCell)])
@pytest.mark.parametrize("batch", [(), (4,), (0,)])
def test_a_cell_is_one_step(ours, cell, batch):
    """torch.nn's cells take no sequence; here they are a sequence of one."""
    for options in [{}, {"bias": False}, *([{"nonlinearity": "relu"}] if ours is RNN else [])]:
        known, mine = cell(5, 10, dtype=torch.float64, **options), ours(5, 10, dtype=torch.float64, **options)
        mine.load_state_dict({f"{name}_l0": weight for name, weight in known.state_dict().items()})
        x, h, c = (torch.randn(*batch, width).double() for width in (5, 10, 10))
        expected = known(x, (h, c) if ours is LSTM else h)
        y, state = mine(x[None], (h[None], c[None]) if ours is LSTM else h[None])
        assert_alike([part[0] for part in tensors_of(state)], tensors_of(expected))
        assert_alike([y[0]], tensors_of(expected)[:1])


@EVERY_PAIR
def test_what_torch_refuses_is_refused(ours, torchs):
    """Torch's samples of errors."""
    for sizes, options in [
        ((10, 0, 1), {}), ((10, 10, 0), {}), ((3.0, 5), {}), (("3", 5), {}), ((3, 5.0), {}), ((3, 5), {"bias": 0}),
        ((3, 5), {"bias": "True"}), ((3, 5), {"batch_first": 1}), ((3, 5), {"batch_first": "False"}),
        ((3, 5), {"hidden_size": 4}), ((3, 5), {"dropout": 2.0}),
    ]:  # fmt: skip
        for layer in (ours, torchs):
            with pytest.raises((ValueError, TypeError)):
                layer(*sizes, **options)
    with pytest.raises(ValueError, match=r"x has type torch.float64 and the parameters torch.float32"):
        ours(3, 5)(torch.randn(2, 4, 3).double())
    with pytest.raises(ValueError, match=r"proj_size=2; expected 0"):
        LSTM(3, 5, proj_size=2)


@EVERY_PAIR
def test_torchs_names(ours, torchs):
    """Arguments, the state's and attributes; weights listed by layer and direction."""
    for bias in (True, False):
        mine, known = made(ours, torchs, {"bidirectional": True, "bias": bias})
        for own, expected in zip(mine.all_weights, known.all_weights, strict=True):
            assert all(map(torch.equal, own, expected))
            assert len(own) == len(expected)
    x, state = inputs_of(mine, "batch with a state")
    assert_alike(tensors_of(mine(x, hx=state)), tensors_of(known(x, hx=state)))
    assert mine.proj_size == getattr(known, "proj_size", 0)
    for make in (lambda: ours(3, 4, input_size=3), lambda: ours(in_channels=3, hidden_channels=4, hidden_size=4)):
        with pytest.raises(TypeError, match="two names of one argument; give one"):
            make()
    for call in (lambda: mine(x, state, hx=state), lambda: mine(x, None, state, hx=state)):
        with pytest.raises(ValueError, match=r"state came twice"):
            call()


@EVERY_PAIR
def test_weights_that_are_computed(ours, torchs):
    """torch.nn.utils puts something else in a parameter's place."""
    for change in (
        lambda layer: parametrizations.weight_norm(layer, "weight_hh_l0"),
        lambda layer: prune.l1_unstructured(layer, "weight_ih_l1", 0.5),
    ):
        mine, known = made(ours, torchs, {})
        x = torch.randn(3, 4, 2).double()
        assert_alike(tensors_of(change(mine)(x)), tensors_of(change(known)(x)))
