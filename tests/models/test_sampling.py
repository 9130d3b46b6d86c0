"""Characters are drawn with the model's own probabilities, and beam search finds the likeliest strings."""

import itertools
import math

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import chisquare
from torch import nn

from gnnseq.layers import GRU, LSTM, RNN
from gnnseq.sampling import beam_search, probabilities, sample
from gnnseq.schedule import packed_paths

V, H, E = 5, 8, 3
MODELS = pytest.mark.parametrize("cell", [RNN, LSTM, GRU])
EMBEDDED = pytest.mark.parametrize("embedded", [False, True])


def language_model(cell=LSTM, embedded=False, characters=V, seed=0):
    """A layer of two stacked cells, a readout and an embedding or None, in float64; far from uniform."""
    torch.manual_seed(seed)
    layer = cell(E if embedded else characters, H, num_layers=2).double()
    embedding = nn.Embedding(characters, E).double() if embedded else None
    readout = nn.Linear(H, characters).double()
    with torch.no_grad():
        for parameter in [*layer.parameters(), *readout.parameters()]:
            parameter.mul_(3)
    return layer, readout, embedding


def logits_by_the_layer(model, string):
    """The logits after each character, from one call on the whole string. [T, V]"""
    layer, readout, embedding = model
    index = torch.tensor(string)
    x = torch.eye(layer.in_channels, dtype=torch.float64)[index] if embedding is None else embedding(index)
    h, _ = layer(x, packed_paths([len(string)]))
    return readout(h).detach()


@EMBEDDED
@MODELS
def test_each_character_is_drawn_with_the_probabilities_of_all_before_it(cell, embedded):
    layer, readout, embedding = model = language_model(cell, embedded)
    choice = {"temperature": 0.7, "top_k": 4, "nucleus": 0.9}
    found = list(sample(layer, readout, 20, embedding=embedding, prompt=[3, 1], generator=seeded(), **choice))
    expected, generator = [3, 1], seeded()
    for _ in range(20):
        chances = probabilities(logits_by_the_layer(model, expected)[-1], **choice)
        expected.append(int(torch.multinomial(chances, 1, generator=generator)))
    assert found == expected[2:]


def seeded(seed=7):
    return torch.Generator().manual_seed(seed)


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({}, [8, 4, 2, 1, 1]),
        ({"temperature": 0.5}, [64, 16, 4, 1, 1]),
        ({"temperature": 2.0}, [8**0.5, 4**0.5, 2**0.5, 1, 1]),
        ({"top_k": 2}, [2, 1, 0, 0, 0]),
        ({"nucleus": 0.7}, [2, 1, 0, 0, 0]),
    ],
)
def test_draws_have_the_distribution_that_was_asked_for(choice, expected):
    # Without kernels the state is constant, so that draws are independent with the readout's biases as logits.
    layer, readout = LSTM(V, H), nn.Linear(H, V)
    with torch.no_grad():
        for parameter in [*layer.parameters(), readout.weight]:
            parameter.zero_()
        readout.bias.copy_(torch.tensor([8.0, 4.0, 2.0, 1.0, 1.0]).log())
    counts = torch.bincount(
        torch.tensor(list(sample(layer, readout, 1000, prompt=[0], generator=seeded(), **choice))), minlength=V
    )
    possible = [i for i in range(V) if expected[i] > 0]
    assert counts.sum() == counts[possible].sum()
    share = [1000 * expected[i] / sum(expected) for i in possible]
    assert chisquare(counts[possible].tolist(), share).pvalue > 1e-3  # a fixed seed: passes always or never


def test_a_whole_number_beyond_every_float_is_no_temperature():
    with pytest.raises(ValueError, match="temperature=inf; expected a finite number"):
        probabilities(torch.zeros(V), temperature=10**400)
    torch.testing.assert_close(probabilities(torch.zeros(V), temperature=2**1000), torch.full((V,), 1 / V).double())


@pytest.mark.parametrize("temperature", [0.0, 1.0])
def test_without_a_prompt_the_first_character_is_uniform(temperature):
    layer, readout, _ = language_model()
    generator = seeded()
    firsts = [next(sample(layer, readout, 1, temperature=temperature, generator=generator)) for _ in range(300)]
    assert chisquare(torch.bincount(torch.tensor(firsts), minlength=V).tolist()).pvalue > 1e-3


def test_without_a_prompt_the_rest_goes_on_from_the_first_character():
    layer, readout, _ = language_model()
    first, *rest = sample(layer, readout, 9, temperature=0, generator=seeded())
    assert rest == list(sample(layer, readout, 8, temperature=0, prompt=[first]))


@pytest.mark.parametrize("length", [0, 1, 300])
def test_as_many_characters_as_asked_for(length):
    layer, readout, _ = language_model()
    assert len(list(sample(layer, readout, length))) == length
    assert len(list(sample(layer, readout, length, prompt=torch.tensor([1])))) == length


def test_the_same_seed_gives_the_same_characters_and_another_others():
    layer, readout, _ = language_model()
    one, same, other = (list(sample(layer, readout, 50, generator=seeded(seed))) for seed in (1, 1, 2))
    assert one == same != other
    torch.manual_seed(1)
    assert list(sample(layer, readout, 50)) == one


@EMBEDDED
@MODELS
def test_characters_come_one_by_one_from_the_parameters_of_the_call(cell, embedded):
    layer, readout, embedding = language_model(cell, embedded)
    expected = list(sample(layer, readout, 50, embedding=embedding, generator=seeded()))
    characters = sample(layer, readout, 50, embedding=embedding, generator=seeded())
    found = [next(characters)]
    assert torch.is_grad_enabled()  # between characters training may go on
    with torch.no_grad():
        for module in (layer, readout, *([embedding] if embedded else [])):
            for parameter in module.parameters():
                parameter.zero_()
    assert [*found, *characters] == expected


def test_characters_asked_for_in_inference_mode_may_be_drawn_outside_of_it():
    layer, readout, embedding = language_model(embedded=True)
    expected = list(sample(layer, readout, 20, embedding=embedding, prompt=[1], generator=seeded()))
    with torch.inference_mode():
        characters = sample(layer, readout, 20, embedding=embedding, prompt=[1], generator=seeded())
        found = [next(characters)]
    assert [*found, *characters] == expected


def test_a_model_in_training_is_left_in_training_and_draws_without_dropout():
    layer, readout, _ = language_model()
    expected = list(sample(layer, readout, 50, generator=seeded()))
    layer.dropout = 0.9
    layer.train()
    assert list(sample(layer, readout, 50, generator=seeded())) == expected
    assert layer.training


LOGITS = st.lists(st.floats(-50, 50), min_size=1, max_size=12)


@given(LOGITS, st.floats(1e-3, 1e3))
def test_temperature_divides_logits(logits, temperature):
    z = torch.tensor(logits, dtype=torch.float64)
    expected = (z / temperature).softmax(0)
    torch.testing.assert_close(probabilities(z, temperature), expected, rtol=0, atol=1e-12)


@given(LOGITS)
def test_temperature_zero_is_certain_of_the_first_of_the_likeliest(logits):
    chances = probabilities(torch.tensor(logits, dtype=torch.float64), 0)
    assert chances.tolist() == [float(i == logits.index(max(logits))) for i in range(len(logits))]


@given(LOGITS, st.integers(1, 14), st.floats(0.01, 1.0))
def test_what_is_kept_is_the_least_that_suffices_in_its_old_proportions(logits, top_k, nucleus):
    z = torch.tensor(logits, dtype=torch.float64)
    whole = probabilities(z)
    k, n, both = (probabilities(z, top_k=a, nucleus=b) for a, b in ((top_k, None), (None, nucleus), (top_k, nucleus)))
    for chances in (k, n, both):
        kept = chances > 0
        torch.testing.assert_close(chances, whole * kept / whole[kept].sum(), rtol=0, atol=1e-12)
        if (~kept).any():
            assert whole[kept].min() >= whole[~kept].max()
    positive = int((whole > 0).sum())
    assert int((k > 0).sum()) == min(top_k, positive)
    reached = whole[n > 0]
    slack = 1e-12  # sums of the same numbers in another order
    assert reached.sum() >= min(nucleus, 1 - slack) - slack
    assert reached.sum() - reached.min() < nucleus + slack
    torch.testing.assert_close(both, probabilities(k.log(), nucleus=nucleus), rtol=0, atol=1e-12)


@pytest.mark.parametrize("temperature", [5e-324, 1e-40, 1e300])
def test_extreme_temperatures_do_not_overflow(temperature):
    chances = probabilities(torch.tensor([3.0, 1.0, 3.0, -2.0]), temperature)
    expected = [0.25] * 4 if temperature > 1 else [0.5, 0, 0.5, 0]
    torch.testing.assert_close(chances, torch.tensor(expected, dtype=torch.float64), rtol=0, atol=1e-12)


@EMBEDDED
@MODELS
def test_enough_beams_find_all_strings_in_the_order_of_their_probabilities(cell, embedded):
    characters, length, prompt = 3, 4, [2, 0]
    layer, readout, embedding = model = language_model(cell, embedded, characters)
    known = {}
    for string in itertools.product(range(characters), repeat=length):
        steps = logits_by_the_layer(model, [*prompt, *string]).log_softmax(1)[len(prompt) - 1 :]
        known[string] = sum(float(steps[t, character]) for t, character in enumerate(string))
    ranking = sorted(known, key=known.get, reverse=True)
    for beams in (characters ** (length - 1), characters**length, 100):
        found = beam_search(layer, readout, length, prompt=prompt, beams=beams, embedding=embedding)
        assert [tuple(beam.characters) for beam in found] == ranking[:beams]
        for beam in found:
            assert beam.log_probability == pytest.approx(known[tuple(beam.characters)], rel=0, abs=1e-12)
    assert sum(map(math.exp, known.values())) == pytest.approx(1, abs=1e-12)


@MODELS
def test_few_beams_equal_a_search_that_reads_every_string_anew(cell):
    layer, readout, _ = model = language_model(cell)
    beams, kept = 3, [([1], 0.0)]
    for _ in range(12):
        longer = [
            ([*string, character], total + float(step))
            for string, total in kept
            for character, step in enumerate(logits_by_the_layer(model, string)[-1].log_softmax(0))
        ]
        kept = sorted(longer, key=lambda pair: -pair[1])[:beams]
    found = beam_search(layer, readout, 12, prompt=[1], beams=beams)
    assert [beam.characters for beam in found] == [string[1:] for string, _ in kept]
    assert [beam.log_probability for beam in found] == pytest.approx([total for _, total in kept], rel=0, abs=1e-12)


@EMBEDDED
@MODELS
def test_one_beam_is_greedy(cell, embedded):
    layer, readout, embedding = language_model(cell, embedded)
    (beam,) = beam_search(layer, readout, 40, prompt=[2], beams=1, embedding=embedding)
    assert beam.characters == list(sample(layer, readout, 40, prompt=[2], temperature=0, embedding=embedding))


def test_no_further_characters_have_probability_one():
    layer, readout, _ = language_model()
    assert beam_search(layer, readout, 0, prompt=[2], beams=4) == [([], 0.0)]


def broken():
    layer, readout, _ = language_model()
    with torch.no_grad():
        readout.weight[0, 0] = math.nan
    return list(sample(layer, readout, 3))


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda layer, readout: sample(layer, readout, -1), "length=-1; expected an integer of 0 or more"),
        (
            lambda layer, readout: sample(layer, readout, 3, temperature=-1),
            "temperature=-1; expected a finite number of 0 or more",
        ),
        (lambda layer, readout: sample(layer, readout, 3, temperature=math.nan), "temperature=nan; expected a finite"),
        (lambda layer, readout: sample(layer, readout, 3, top_k=0), "top_k=0; expected an integer of 1 or more"),
        (
            lambda layer, readout: sample(layer, readout, 3, nucleus=0.0),
            "nucleus=0.0; expected a probability above 0 and up to 1",
        ),
        (lambda layer, readout: sample(layer, readout, 3, nucleus=1.5), "nucleus=1.5; expected"),
        (lambda layer, readout: sample(layer, readout, 3, prompt=[1, V]), r"prompt has the index 5; expected 0 to 4"),
        (lambda layer, readout: sample(layer, readout, 3, prompt=[-1]), r"prompt has the index -1; expected 0 to 4"),
        (
            lambda layer, readout: sample(layer, readout, 3, prompt=[0.5]),
            r"prompt has shape \[1\] and type torch.float32; expected indices",
        ),
        (lambda layer, readout: sample(layer, readout, 3, prompt=[[1]]), r"prompt has shape \[1, 1\]"),
        (
            lambda layer, readout: sample(layer, readout, 3, prompt="the"),
            "prompt='the'; expected indices of characters: look them up",
        ),
        (lambda layer, readout: sample(layer, readout, 3, prompt={1, 2}), r"prompt=\{1, 2\}; expected indices"),
        (lambda layer, readout: sample(layer, readout, 3, prompt=[1j]), r"type torch.complex64; expected indices"),
        (
            lambda layer, readout: sample(layer, nn.Linear(H + 1, V), 3),
            "readout takes 9 channels and the layer gives 8",
        ),
        (
            lambda layer, readout: sample(layer, nn.Linear(H, V + 1), 3),
            "layer takes 5 channels and readout gives 6 .* embedding=",
        ),
        (
            lambda layer, readout: sample(layer, readout, 3, embedding=nn.Embedding(6, V)),
            "embedding has 6 rows and readout gives 5",
        ),
        (
            lambda layer, readout: sample(layer, readout, 3, embedding=nn.Embedding(V, 2)),
            r"embedding has shape \[5, 2\]; expected \[V, 5\]",
        ),
        (lambda layer, readout: sample(LSTM(V, H, bidirectional=True), readout, 3), "two directions"),
        (
            lambda layer, readout: beam_search(layer, readout, 3, prompt=[]),
            "prompt is empty; beam search expects at least one character",
        ),
        (
            lambda layer, readout: beam_search(layer, readout, 3, prompt=[1], beams=0),
            "beams=0; expected an integer of 1 or more",
        ),
        (lambda layer, readout: beam_search(layer, readout, -3, prompt=[1]), "length=-3"),
        (lambda layer, readout: probabilities(torch.zeros(3), temperature=-1), "temperature=-1"),
        (lambda layer, readout: broken(), "logits that are not finite; .* checkpoint from before training diverged"),
    ],
)
def test_what_does_not_fit_is_said_at_once(function, words):
    with pytest.raises(ValueError, match=words):
        function(*language_model()[:2])


@pytest.mark.parametrize("logits", [[0.5, 0.5], np.zeros(3), 1.0], ids=["list", "array", "number"])
def test_logits_that_are_no_tensor_are_named(logits):
    with pytest.raises(ValueError, match=r"logits is a \w+; expected a tensor"):
        probabilities(logits)


def test_a_temperature_may_be_a_large_whole_number():
    torch.testing.assert_close(
        probabilities(torch.tensor([0.0, 1.0]), temperature=2**70), torch.full((2,), 0.5).double()
    )
