"""The n-gram model is a distribution, and the one that Chen and Goodman define."""

import itertools
import math
from collections import Counter, defaultdict
from fractions import Fraction

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from studies.char_lm.ngram import fit_ngram


def slow_probability(text, vocabulary, order, context, character):
    """The definition with dictionaries of strings, and fractions."""
    if order == 0:
        return Fraction(1, vocabulary)
    tables = {}
    for k in range(1, order + 1):
        grams = [tuple(text[i : i + k]) for i in range(len(text) - k + 1)]
        neighbours = defaultdict(set)
        for i, gram in enumerate(grams):
            neighbours[gram].add(text[i - 1] if i > 0 else "begin")
        tables[k] = Counter(grams) if k == order else Counter({gram: len(left) for gram, left in neighbours.items()})

    def p(context):
        table = tables[len(context) + 1]
        shorter = p(context[1:]) if context else Fraction(1, vocabulary)
        after = {gram: count for gram, count in table.items() if gram[:-1] == context}
        if not after:
            return shorter
        n = {j: sum(count == j for count in table.values()) for j in (1, 2, 3, 4)}
        D = {1: Fraction(1, 2), 2: Fraction(1), 3: Fraction(3, 2)}
        if n[1] and n[2] and n[3]:
            Y = Fraction(n[1], n[1] + 2 * n[2])
            estimated = {j: j - (j + 1) * Y * n[j + 1] / n[j] for j in (1, 2, 3)}
            D = estimated if min(estimated.values()) > 0 else D
        count, total = after.get((*context, character), 0), sum(after.values())
        share = count - D[min(count, 3)] if count else Fraction(0)
        return share / total + sum(D[min(c, 3)] for c in after.values()) / Fraction(total) * shorter

    return p(tuple(context[len(context) - min(order - 1, len(context)) :]))


TEXTS = st.lists(st.integers(0, 2), min_size=4, max_size=60)


@given(TEXTS, st.integers(0, 4), st.lists(st.integers(0, 3), max_size=6))
def test_probabilities_are_those_of_the_definition_and_sum_to_one(text, order, context):
    found = fit_ngram(text, 4, order).probabilities(context)
    expected = [float(slow_probability(text, 4, order, context, character)) for character in range(4)]
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)
    assert found.sum() == pytest.approx(1, abs=1e-12)
    assert found.min() > 0


def test_discounts_are_estimated_where_the_text_is_large_enough():
    rng = np.random.default_rng(0)
    text = rng.choice(4, 400, p=[0.7, 0.2, 0.07, 0.03]).tolist()
    model = fit_ngram(text, 5, order=4)
    counts = model.levels[3].rests
    assert len(np.unique(counts)) > 20  # rather than multiples of one half over totals
    for context in itertools.product(range(4), repeat=3):
        found = model.probabilities(context)
        expected = [float(slow_probability(text, 5, 4, context, character)) for character in range(5)]
        np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


@given(TEXTS, st.integers(0, 5), st.lists(st.integers(0, 3), min_size=1, max_size=20))
def test_nats_are_those_of_the_probabilities(text, order, held_out):
    model = fit_ngram(text, 4, min(order, len(text)))
    expected = [-math.log(model.probabilities(held_out[:t])[w]) for t, w in enumerate(held_out)]
    assert model.nats_per_character(held_out) == pytest.approx(sum(expected) / len(expected), abs=1e-12)


def test_a_case_by_hand():
    # "aba" of the alphabet abc. Left neighbours: of a {begin, b}, of b {a}; too few counts to estimate, D = 1/2, 1.
    # p(a) = (2 - 1)/3 + 1/2 * 1/3 = 1/2, p(b) = (1 - 1/2)/3 + 1/6 = 1/3, p(c) = 1/6, where 1/2 = (1 + 1/2) / 3.
    # After a only b was seen, once: p(b | a) = 1/2 + 1/2 * 1/3 = 2/3; after b only a: p(a | b) = 1/2 + 1/2 * 1/2 = 3/4.
    model = fit_ngram([0, 1, 0], vocabulary=3, order=2)
    np.testing.assert_allclose(model.probabilities(), [1 / 2, 1 / 3, 1 / 6], rtol=0, atol=1e-15)
    np.testing.assert_allclose(model.probabilities([0]), [1 / 4, 2 / 3, 1 / 12], rtol=0, atol=1e-15)
    np.testing.assert_allclose(model.probabilities([2]), model.probabilities(), rtol=0, atol=0)
    assert model.nats_per_character([0, 1, 0]) == pytest.approx(-math.log(1 / 2 * 2 / 3 * 3 / 4) / 3, abs=1e-15)


def test_order_0_is_uniform_and_order_1_counts():
    text = [0] * 50 + [1] * 30 + [2] * 20
    assert fit_ngram(text, 4, order=0).probabilities([1, 2]).tolist() == [0.25] * 4
    # Of each count 3/2 is taken and given to all four alike.
    expected = (np.array([48.5, 28.5, 18.5, 0]) + 4.5 / 4) / 100
    np.testing.assert_allclose(fit_ngram(text, 4, order=1).probabilities([1]), expected, rtol=0, atol=1e-15)


def test_a_markov_chain_costs_its_entropy():
    rng = np.random.default_rng(0)
    chain = rng.dirichlet([0.5] * 6, 6)
    draws, text = rng.random(40_000), [0]
    cumulative = chain.cumsum(1)
    for draw in draws:
        text.append(int(min(np.searchsorted(cumulative[text[-1]], draw), 5)))
    train, test = text[:30_000], text[30_000:]
    truth = -np.log(chain[test[:-1], test[1:]]).mean()
    model = fit_ngram(torch.tensor(train), 6, order=2)
    # 30 free probabilities, each costing about half an observation's share of a nat: 15 / 30,000.
    assert model.nats_per_character(torch.tensor(test)) == pytest.approx(truth, abs=3e-3)
    assert fit_ngram(train, 6, order=5).nats_per_character(test) == pytest.approx(truth, rel=0.05)
    assert fit_ngram(train, 6, order=1).nats_per_character(test) > truth + 0.1


def test_codes_do_not_overflow_at_high_orders():
    text = np.random.default_rng(0).integers(0, 1000, 300)
    model = fit_ngram(text, 1000, order=40)  # 1000^40 different n-grams
    assert model.probabilities(text[:39])[text[39]] > 0.4


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda: fit_ngram([0, 1], 2, order=5), "text has 2 characters; expected at least 5"),
        (lambda: fit_ngram([0, 1, 2], 2, order=1), "text has the index 2; expected 0 to 1"),
        (lambda: fit_ngram([0, -1, 2], 3, order=1), "text has the index -1; expected 0 to 2"),
        (lambda: fit_ngram([0.5, 1], 2, order=1), r"text has shape \(2,\) and type float64; expected indices"),
        (lambda: fit_ngram("text", 2, order=1), r"text has shape \(\) and type <U4; expected indices"),
        (lambda: fit_ngram([0, 1], 2, order=-1), "order=-1; expected an integer of 0 or more"),
        (lambda: fit_ngram([0, 1], 0, order=1), "vocabulary=0; expected an integer of 1 or more"),
        (lambda: fit_ngram([0, 1], 2, 1).nats_per_character([]), "text has 0 characters; expected at least 1"),
        (lambda: fit_ngram([0, 1], 2, 1).probabilities([7]), "context has the index 7; expected 0 to 1"),
    ],
)
def test_what_does_not_fit(function, words):
    with pytest.raises(ValueError, match=words):
        function()
