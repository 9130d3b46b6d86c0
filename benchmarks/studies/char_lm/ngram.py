"""Character n-grams with modified Kneser-Ney smoothing: what a language model has to beat.

Letters: K contexts, N characters of a text, U pairs of context and character, V characters of the vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from gnnseq.checks import check_whole

Integers = NDArray[np.int64]
Reals = NDArray[np.float64]
Text = Sequence[int] | Integers | Tensor

FALLBACK = np.array([0.0, 0.5, 1.0, 1.5])  # KenLM's discounts where a text is too small to estimate them


class _Level(NamedTuple):
    """Contexts of one length and what follows them.

    The code of a context is the number of the context without its first character, times V, plus this character; its
    own number is its place among the sorted codes. So no code exceeds N V, however long the context.
    """

    contexts: Integers  # codes [K]
    pairs: Integers  # codes of context and following character [U]
    shares: Reals  # max(c - D, 0) / total of each pair [U]
    rests: Reals  # lambda of each context [K]


@dataclass(frozen=True, eq=False)
class NGram:
    """Probabilities of characters given those before them, from :func:`fit_ngram`."""

    vocabulary: int
    levels: tuple[_Level, ...]  # one for each length of context, 0 first

    def nats_per_character(self, text: Text) -> float:
        """Mean of -log p of the characters [N], each given all before it in this text, as far as the order goes."""
        return float(-np.log(self._of_each(_checked("text", text, 1, self.vocabulary))).mean())

    def probabilities(self, context: Text = ()) -> Reals:
        """Of every character to come next [V], after these."""
        before = np.tile(_checked("context", context, 0, self.vocabulary)[:, None], self.vocabulary)
        chances: Reals = self._of_each(np.vstack([before, np.arange(self.vocabulary)]))[-1]
        return chances

    def _of_each(self, text: Integers) -> Reals:
        """The probability of each character of a text [N], or of several as long as one another [N, ...]."""
        chances = np.full(text.shape, 1 / self.vocabulary)
        numbers = np.zeros_like(text)  # of each character's context on the level, -1 if it was not seen
        for length, level in enumerate(self.levels[: len(text)]):
            if length > 0:  # from character number `length` on; the codes of what was not seen are negative
                numbers = _places(level.contexts, numbers[1:] * self.vocabulary + text[:-length])
            place = _places(level.pairs, numbers * self.vocabulary + text[length:])
            share = np.where(place < 0, 0.0, level.shares[place])
            rest = np.where(numbers < 0, 1.0, level.rests[numbers])
            chances[length:] = share + rest * chances[length:]
        return chances


def fit_ngram(text: Text, vocabulary: int, order: int = 5) -> NGram:
    r"""Count the n-grams of a text, indices [N] below V, and smooth them; order 0 is the uniform distribution.

    A character w after a context c, of which c' lacks the first character, has the probability

    .. math::
        p(w | c) = \frac{\max(n(cw) - D(n(cw)), 0)}{\sum_v n(cv)} + \lambda(c)\, p(w | c'), \qquad
        \lambda(c) = \frac{\sum_{v: n(cv) > 0} D(n(cv))}{\sum_v n(cv)}

    or p(w | c') where c was not seen; below the empty context stands the uniform distribution. For contexts of
    order - 1 characters n counts occurrences. For shorter ones it counts the different left neighbours of cw, the
    beginning of the text among them: how readily cw follows something new, which is when it is asked for. With
    :math:`n_j` the number of cw that have n(cw) = j, on each level :math:`Y = n_1 / (n_1 + 2 n_2)` and

    .. math:: D(1) = 1 - 2 Y n_2 / n_1, \quad D(2) = 2 - 3 Y n_3 / n_2, \quad D(3 \ldots) = 3 - 4 Y n_4 / n_3

    or 1/2, 1 and 3/2 where these are not all defined and in (0, j].

    Source: Chen and Goodman, "An empirical study of smoothing techniques for language modeling", Computer Speech and
    Language 13, 1999 (interpolated modified Kneser-Ney); the fallback is KenLM's (Heafield et al., ACL 2013).

    Example:
        >>> model = fit_ngram([0, 1, 0, 1, 0, 1, 0, 1], vocabulary=3, order=2)
        >>> model.probabilities([0]).round(3)
        array([0.188, 0.75 , 0.062])
        >>> round(model.nats_per_character([0, 1, 0, 1]), 3)
        0.389
    """
    check_whole(1, vocabulary=vocabulary)
    check_whole(0, order=order)
    indices = _checked("text", text, order, vocabulary)
    contexts, pairs, counts, firsts = [np.zeros(1, dtype=np.int64)], [], [], []
    numbers = np.zeros_like(indices)
    for length in range(order):
        if length > 0:
            codes, numbers = np.unique(numbers[1:] * vocabulary + indices[:-length], return_inverse=True)
            contexts.append(codes)
        following = numbers * vocabulary + indices[length:]
        codes, count = np.unique(following, return_counts=True)
        pairs.append(codes)
        counts.append(count)
        firsts.append(following[0])
    for shorter in range(order - 1):
        context, character = np.divmod(pairs[shorter + 1], vocabulary)
        inner = contexts[shorter + 1][context] // vocabulary * vocabulary + character
        inner = np.append(inner, firsts[shorter])  # whose left neighbour is the beginning
        counts[shorter] = np.bincount(np.searchsorted(pairs[shorter], inner))
    levels = []
    for codes, following, count in zip(contexts[:order], pairs, counts, strict=True):
        context = following // vocabulary
        totals, discount = np.bincount(context, count), _discounts(count)[np.minimum(count, 3)]
        shares, rests = (count - discount) / totals[context], np.bincount(context, discount) / totals
        levels.append(_Level(codes, following, shares, rests))
    return NGram(vocabulary, tuple(levels))


def _discounts(counts: Integers) -> Reals:
    """D of a count of 0, 1, 2, and 3 or more. [4]"""
    n = np.bincount(counts[counts <= 4], minlength=5).astype(np.float64)
    if n[1:4].min() == 0:
        return FALLBACK
    steps = np.arange(4)
    estimate = steps - (steps + 1) * n[1] / (n[1] + 2 * n[2]) * n[1:5] / np.maximum(n[:4], 1)
    estimate[0] = 0
    return estimate if estimate[1:].min() > 0 else FALLBACK  # that D(j) is at most j holds by its form


def _places(codes: Integers, wanted: Integers) -> Integers:
    """Where each of the wanted codes stands among the sorted ones, -1 where it does not."""
    place = np.minimum(np.searchsorted(codes, wanted), len(codes) - 1)
    return np.where(codes[place] == wanted, place, -1)


def _checked(name: str, text: Text, least: int, vocabulary: int) -> Integers:
    indices = np.asarray(text) if len(text) else np.empty(0, dtype=np.int64)
    if indices.ndim != 1 or indices.dtype.kind not in "iu":
        raise ValueError(f"{name} has shape {indices.shape} and type {indices.dtype}; expected indices of characters")
    if len(indices) < least:
        raise ValueError(f"{name} has {len(indices)} characters; expected at least {least}")
    wrong = indices[(indices < 0) | (indices >= vocabulary)]
    if len(wrong) > 0:
        raise ValueError(f"{name} has the index {wrong[0]}; expected 0 to {vocabulary - 1}")
    return indices.astype(np.int64)
