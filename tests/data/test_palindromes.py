"""Every draw is a palindrome, all of them are equally likely, and no stream repeats another."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gnnseq.data import Palindromes

lengths = st.integers(2, 40)
encodings = st.sampled_from(["scalar", "one-hot"])


@given(lengths, encodings, st.integers(0, 1000), st.integers(0, 5))
def test_input_and_target_together_read_the_same_backwards(length, encoding, seed, size):
    stream = Palindromes(length, encoding, seed)
    x, target = stream.sample(size)
    assert x.shape == (length - 1, size, stream.num_features)
    given_digits = x[..., 0].long() if encoding == "scalar" else x.argmax(-1)
    whole = torch.cat([given_digits, target[None]])
    assert torch.equal(whole, whole.flip(0))
    if encoding == "one-hot":
        assert torch.equal(x.sum(-1), torch.ones(length - 1, size))


@given(lengths, st.integers(0, 1000))
def test_both_encodings_are_of_the_same_digits(length, seed):
    scalar, _ = Palindromes(length, "scalar", seed).sample(4)
    one_hot, _ = Palindromes(length, "one-hot", seed).sample(4)
    assert torch.equal(scalar[..., 0].long(), one_hot.argmax(-1))


def test_every_palindrome_is_equally_likely():
    # 100 palindromes of length 4, 20000 draws: chi^2 with 99 degrees of freedom exceeds 181 once in a million.
    digits = Palindromes(4).digits(20_000)
    counts = torch.bincount(10 * digits[0] + digits[1], minlength=100).double()
    assert ((counts - 200) ** 2 / 200).sum() < 181


def test_the_first_digit_is_independent_of_the_other_given_ones():
    # This is what keeps a model that cannot see digit 0 exactly at chance.
    digits = Palindromes(7).digits(20_000)
    for step in range(1, 6):
        counts = torch.bincount(10 * digits[0] + digits[step], minlength=100).double()
        assert ((counts - 200) ** 2 / 200).sum() < 181


def test_streams_repeat_by_seed_and_differ_between_seeds_and_splits():
    draws = {
        (seed, split): Palindromes(21, seed=seed, split=split).digits(64)
        for seed in range(20)
        for split in ("train", "test")
    }
    assert torch.equal(draws[3, "test"], Palindromes(21, seed=3, split="test").digits(64))
    columns = {tuple(column.tolist()) for draw in draws.values() for column in draw.T}
    assert len(columns) == 20 * 2 * 64  # 10^11 palindromes: any repeat would be the same stream


def test_a_stream_goes_on():
    stream = Palindromes(21)
    assert not torch.equal(stream.digits(8), stream.digits(8))


def test_float64_reaches_the_data():
    torch.set_default_dtype(torch.float64)
    try:
        assert {Palindromes(5, encoding).sample(2)[0].dtype for encoding in ("scalar", "one-hot")} == {torch.float64}
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"length": 1}, "length: got 1; .* at least 2 digits"),
        ({"length": 5, "encoding": "binary"}, "encoding: got 'binary'; expected one of 'scalar', 'one-hot'"),
        ({"length": 5, "split": "dev"}, "split: got 'dev'; expected one of 'train', 'test'"),
        ({"length": 5, "seed": -1}, "seed: got -1; expected 0 or more"),
    ],
)
def test_bad_arguments_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        Palindromes(**arguments)
