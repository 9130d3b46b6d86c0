"""Palindromes: a sequence that is the same read backwards; its last digit is to be predicted from all the others.

The last digit equals the first and is independent of every other given digit, so what a model scores above 1/10 is
information that it carried over L - 2 steps.

Shapes: L length of a palindrome, T = L - 1 given digits, B sequences, F features of a digit (1 or 10).
"""

from typing import Literal, get_args

import torch
from torch import Tensor

Encoding = Literal["scalar", "one-hot"]
Split = Literal["train", "test"]

DIGITS = 10


class Palindromes:
    """An endless stream of palindromes, uniform over all 10^ceil(L/2) of them.

    A palindrome d_0 ... d_{L-1} has d_t = d_{L-1-t}; the input is d_0 ... d_{L-2}, the target is d_{L-1}. The first
    half is drawn uniformly, the second is its mirror image.

    Train and test are two streams of draws, not two lists: a generator seeded with ``3 * seed + 1`` makes the training
    stream and one with ``3 * seed + 2`` the test stream, so no two of them share a stream (``3 * seed`` is left to the
    weights of the model). A short palindrome occurs in both (there are only 1000 of length 5); at length 17, of which
    there are 10^9, a test draw is practically always new.

    Args:
        length: L, at least 2.
        encoding: ``"scalar"`` is the digit as a float (F = 1), ``"one-hot"`` a row of the identity (F = 10).
        seed: Which pair of streams.
        split: ``"train"`` or ``"test"``.

    Raises:
        ValueError: An argument is not one of those.

    Example:
        >>> stream = Palindromes(length=5, encoding="scalar", seed=0)
        >>> x, target = stream.sample(3)
        >>> x.shape, target.shape  # [T, B, F], [B]
        (torch.Size([4, 3, 1]), torch.Size([3]))
        >>> bool((x[0, :, 0] == target).all())
        True
    """

    def __init__(self, length: int, encoding: Encoding = "one-hot", seed: int = 0, split: Split = "train") -> None:
        if length < 2:
            raise ValueError(f"length: got {length}; a palindrome with a digit to predict has at least 2 digits")
        if encoding not in get_args(Encoding):
            raise ValueError(f"encoding: got {encoding!r}; expected one of {', '.join(map(repr, get_args(Encoding)))}")
        if split not in get_args(Split):
            raise ValueError(f"split: got {split!r}; expected one of {', '.join(map(repr, get_args(Split)))}")
        if seed < 0:
            raise ValueError(f"seed: got {seed}; expected 0 or more")
        self.length = length
        self.encoding = encoding
        self.generator = torch.Generator("cpu").manual_seed(3 * seed + 1 + get_args(Split).index(split))

    @property
    def num_features(self) -> int:
        """F, the features of one digit."""
        return 1 if self.encoding == "scalar" else DIGITS

    def digits(self, size: int) -> Tensor:
        """Draw ``size`` whole palindromes, [L, B] int64, one a column."""
        half = torch.randint(DIGITS, ((self.length + 1) // 2, size), generator=self.generator, device="cpu")
        return torch.cat([half, half[: self.length // 2].flip(0)])  # the middle digit of an odd L occurs once

    def sample(self, size: int) -> tuple[Tensor, Tensor]:
        """Draw ``size`` palindromes as input and target.

        Returns:
            The given digits [T, B, F] as floats, time first as the schedule of equal paths stores them, and the last
            digit [B] as int64.
        """
        digits = self.digits(size)
        given, target = digits[:-1], digits[-1]
        if self.encoding == "scalar":
            return given.unsqueeze(-1).to(torch.get_default_dtype()), target
        return torch.eye(DIGITS, device="cpu")[given], target
