r"""Characters from a language model: drawn one after another, or the likeliest string found by beam search.

A language model is a recurrent layer, or a module that is called as torch.nn's are, a readout and, unless characters
are given one-hot, an embedding:

.. math:: p(s_{t+1} | s_1 ... s_t) = \mathrm{softmax}(W h_t + b), \qquad h_t = \mathrm{layer}(s_1 ... s_t)

Characters are indices into the model's vocabulary, here and in all that is returned.

Letters: B paths, E embedding channels, H hidden channels, P characters of a prompt, V characters of the vocabulary.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnnseq.checks import as_tensor, check_whole, whole
from gnnseq.layers.recurrent import Recurrent
from gnnseq.stream import Stream

__all__ = ["Beam", "beam_search", "probabilities", "sample"]


class Blocks(Protocol):
    """A module that is called as torch.nn's recurrent layers are: [T, B, F] and a state to [T, B, H] and one."""

    in_channels: int
    hidden_channels: int

    def __call__(self, x: Tensor, state: Any = None) -> tuple[Tensor, Any]:
        """Goes on from a state."""


Layer = Recurrent | Blocks


class Beam(NamedTuple):
    """A continuation that beam search found, and log p(continuation | prompt) in nats."""

    characters: list[int]
    log_probability: float


def sample(
    layer: Layer,
    readout: nn.Linear,
    length: int,
    *,
    embedding: nn.Embedding | None = None,
    prompt: Sequence[int] | Tensor = (),
    temperature: float = 1.0,
    top_k: int | None = None,
    nucleus: float | None = None,
    generator: torch.Generator | None = None,
) -> Iterator[int]:
    """Draws characters one after another, each fed back to the model, and hands on each as soon as it is drawn.

    Dropout is not applied. What the parameters are when this is called is what counts: training may go on while
    characters are still being drawn.

    Args:
        layer: A recurrent layer of one direction, or :class:`gnnseq.models.RecurrentBlocks`.
        readout: From H channels to V logits.
        length: Number of characters, those of the prompt not counted.
        embedding: What the layer reads in place of each character; one-hot characters if None.
        prompt: The characters to go on from. Where there is none the first character is drawn uniformly. [P]
        temperature: See :func:`probabilities`; 0 takes the likeliest character.
        top_k: See :func:`probabilities`.
        nucleus: See :func:`probabilities`.
        generator: Source of the draws, on the CPU wherever the model is; torch's own if None. The same state of it
            draws the same characters.

    Returns:
        An iterator over ``length`` indices.

    Raises:
        ValueError: At once, if an argument is out of its range or sizes do not fit; while characters are drawn, if
            the model's logits are not finite.

    Example:
        >>> from gnnseq.layers import LSTM
        >>> vocabulary = " aeht"
        >>> layer, readout = LSTM(5, 16), nn.Linear(16, 5)
        >>> text = "".join(vocabulary[s] for s in sample(layer, readout, 30, prompt=[4, 3, 2], temperature=0.5))
        >>> len(text)
        30
    """
    length = whole(0, length=length)
    _check_choice(temperature, top_k, nucleus)
    if generator is not None and generator.device.type != "cpu":
        raise ValueError(f"generator is on {generator.device}; expected one on the CPU, where characters are drawn: "
                         "torch.Generator()")  # fmt: skip
    model = _Model(layer, readout, embedding)
    read = model.check_prompt(prompt)

    def draw(chances: Tensor) -> int:
        return int(chances.argmax() if temperature == 0 else torch.multinomial(chances, 1, generator=generator))

    def characters() -> Iterator[int]:
        known = read
        for _ in range(length):
            if known:
                chances = _probabilities(model(known)[0], temperature, top_k, nucleus)
                character = draw(chances)
            else:
                character = int(torch.randint(model.vocabulary, (), generator=generator, device="cpu"))
            known = [[character]]
            yield character

    return characters()


def beam_search(
    layer: Layer,
    readout: nn.Linear,
    length: int,
    *,
    prompt: Sequence[int] | Tensor,
    beams: int = 8,
    embedding: nn.Embedding | None = None,
) -> list[Beam]:
    r"""Looks for the likeliest continuations of a prompt, keeping the best few strings of each length.

    Of all :math:`B V` strings that are one character longer than the B kept ones, those B are kept for which
    :math:`\sum_t \log p(s_t | s_1 ... s_{t-1})` is largest, summed in float64. One beam takes the likeliest character
    every time, as temperature 0 does; :math:`V^{length - 1}` beams try all strings. All beams are paths of one
    :class:`~gnnseq.stream.Stream`. Strings that beam search finds in a language model tend to repeat themselves
    (Holtzman et al. 2020, https://arxiv.org/abs/1904.09751): it is for likely completions, not for prose.

    Args:
        layer: A recurrent layer of one direction, or :class:`gnnseq.models.RecurrentBlocks`.
        readout: From H channels to V logits.
        length: Number of characters, those of the prompt not counted.
        prompt: The characters to go on from, at least one. [P]
        beams: Strings kept, B.
        embedding: What the layer reads in place of each character; one-hot characters if None.

    Returns:
        The strings, likeliest first; ``beams`` of them unless there are fewer.

    Raises:
        ValueError: If an argument is out of its range, sizes do not fit, or the model's logits are not finite.

    Example:
        >>> from gnnseq.layers import GRU
        >>> layer, readout = GRU(5, 16), nn.Linear(16, 5)
        >>> [len(found.characters) for found in beam_search(layer, readout, 30, prompt=[4, 3, 2], beams=3)]
        [30, 30, 30]
    """
    length, beams = whole(0, length=length), whole(1, beams=beams)
    model = _Model(layer, readout, embedding, beams)
    known = model.check_prompt(prompt)
    if not known:
        raise ValueError("prompt is empty; beam search expects at least one character to go on from")
    # The beams are equal until they part: all but the first begin as impossible.
    totals = torch.full((beams, 1), -math.inf, dtype=torch.float64, device="cpu")
    totals[0] = 0.0
    strings = torch.empty(beams, 0, dtype=torch.int64, device="cpu")
    for _ in range(length):
        longer = (totals + model(known).log_softmax(dim=1)).flatten()  # [B * V]
        totals, best = (part[:beams] for part in longer.sort(descending=True, stable=True))
        rows, characters = best // model.vocabulary, best % model.vocabulary
        strings = torch.cat([strings[rows], characters.unsqueeze(1)], dim=1)
        model.select(rows)
        known, totals = [characters.tolist()], totals.unsqueeze(1)
    return [
        Beam(string, total)
        for string, total in zip(strings.tolist(), totals.flatten().tolist(), strict=True)
        if total > -math.inf
    ]


def probabilities(
    logits: Tensor, temperature: float = 1.0, top_k: int | None = None, nucleus: float | None = None
) -> Tensor:
    r"""What characters are drawn with.

    .. math:: p = \mathrm{softmax}(z / \tau)

    of the logits z, then zero but for the k likeliest (Fan et al. 2018, https://arxiv.org/abs/1805.04833), then, of
    what is left, zero but for the likeliest characters that together first reach the nucleus (Holtzman et al. 2020,
    https://arxiv.org/abs/1904.09751), and scaled to a sum of one after each. Of equally likely characters the first
    counts as likelier.

    Args:
        logits: z. [..., V]
        temperature: tau. Below 1 likely characters become likelier; at 0, the limit, the likeliest is certain.
        top_k: k; all V if None.
        nucleus: Of 0 to 1; 1 if None.

    Returns:
        Probabilities in float64. [..., V]

    Raises:
        ValueError: If an argument is out of its range, or logits is no tensor.

    Example:
        >>> z = torch.tensor([1 / 2, 1 / 4, 1 / 8, 1 / 8]).log()
        >>> probabilities(z, top_k=2)
        tensor([0.6667, 0.3333, 0.0000, 0.0000], dtype=torch.float64)
        >>> probabilities(z, nucleus=0.8)
        tensor([0.5714, 0.2857, 0.1429, 0.0000], dtype=torch.float64)
    """
    _check_choice(temperature, top_k, nucleus)
    if not isinstance(logits, Tensor):
        raise ValueError(
            f"logits is a {type(logits).__name__}; expected a tensor [..., V]: use torch.as_tensor(logits)"
        )
    return _probabilities(logits.to(torch.float64), temperature, top_k, nucleus)


def _probabilities(logits: Tensor, temperature: float, top_k: int | None, nucleus: float | None) -> Tensor:
    if temperature == 0:
        return functional.one_hot(logits.argmax(-1), logits.size(-1)).to(torch.float64)
    if temperature != 1:  # shifted before it is divided: any temperature is then far from overflow
        logits = (logits - logits.amax(-1, keepdim=True)) / float(temperature)  # whole ones may be too big for torch
    chances = logits.softmax(-1)
    if top_k is None and nucleus is None:
        return chances
    chances, order = chances.sort(dim=-1, descending=True, stable=True)
    if top_k is not None:
        chances[..., top_k:] = 0
        chances /= chances.sum(-1, keepdim=True)
    if nucleus is not None:
        before = functional.pad(chances.cumsum(-1)[..., :-1], (1, 0))
        chances[before >= nucleus] = 0
        chances /= chances.sum(-1, keepdim=True)
    return torch.zeros_like(chances).scatter(-1, order, chances)


class _Steps:
    """What a :class:`~gnnseq.stream.Stream` is to a recurrent layer, of a module that is called as torch.nn's are."""

    def __init__(self, layer: Any, embedding: Tensor) -> None:
        self._layer, self._embedding = copy.deepcopy(layer).eval(), embedding
        self._state: tuple[Tensor, ...] | None = None

    def __call__(self, characters: Tensor) -> Tensor:
        """What the layer makes of one more character of each path. [B, H]"""
        h, self._state = self._layer(self._embedding[characters].unsqueeze(0), self._state)
        last: Tensor = h[0]
        return last

    def select(self, rows: Tensor) -> None:
        """Every path goes on from another's state."""
        if self._state is not None:
            self._state = tuple(part[:, rows] for part in self._state)


class _Model:
    """Reads characters of B paths and returns the logits of the next ones."""

    @torch.inference_mode(False)  # characters may be drawn outside the block in which they were asked for
    @torch.no_grad()
    def __init__(self, layer: Layer, readout: nn.Linear, embedding: nn.Embedding | None, batch: int = 1) -> None:
        self.vocabulary = readout.out_features
        if readout.in_features != layer.hidden_channels:
            raise ValueError(f"readout takes {readout.in_features} channels and the layer gives "
                             f"{layer.hidden_channels}; expected one width")  # fmt: skip
        if embedding is None and layer.in_channels != self.vocabulary:
            raise ValueError(f"layer takes {layer.in_channels} channels and readout gives {self.vocabulary} "
                             "characters; expected as many, or embedding=, which is what is not one-hot")  # fmt: skip
        if embedding is not None and embedding.num_embeddings != self.vocabulary:
            raise ValueError(f"embedding has {embedding.num_embeddings} rows and readout gives {self.vocabulary} "
                             "characters; expected as many")  # fmt: skip
        self.batch = batch
        # Training may go on: the stream copies the layer's parameters, and these two are copied here.
        rows = None if embedding is None else embedding.weight.clone()
        self.stream: Stream | _Steps
        if isinstance(layer, Recurrent):
            self.stream = Stream(layer, batch, embedding=rows)
        elif rows is None:
            raise ValueError(
                f"layer is a {type(layer).__name__}; expected an embedding with what is no recurrent layer"
            )
        elif rows.size(1) != layer.in_channels:
            raise ValueError(f"embedding has shape {list(rows.shape)}; expected [V, {layer.in_channels}], a row of the "
                             "layer's in_channels for each index")  # fmt: skip
        else:
            self.stream = _Steps(layer, rows)
        self.readout = copy.deepcopy(readout)
        self.select = self.stream.select

    def check_prompt(self, prompt: Sequence[int] | Tensor) -> list[list[int]]:
        """The prompt, each character once for all paths. [P][1]"""
        try:
            given = as_tensor(prompt, device="cpu")
            given = given if len(prompt) > 0 else given.long()  # an empty list is of no type
        except (TypeError, ValueError, RuntimeError):  # torch raises any of them
            raise ValueError(f"prompt={prompt!r}; expected indices of characters: look them up in the model's "
                             "vocabulary") from None  # fmt: skip
        if given.dim() != 1 or given.is_floating_point() or given.is_complex() or given.dtype == torch.bool:
            raise ValueError(f"prompt has shape {list(given.shape)} and type {given.dtype}; expected indices of "
                             "characters, whole numbers [P]")  # fmt: skip
        given = given.to(torch.int64)
        wrong = given[(given < 0) | (given >= self.vocabulary)]
        if len(wrong) > 0:
            raise ValueError(f"prompt has the index {int(wrong[0])}; expected 0 to {self.vocabulary - 1}, indices of "
                             "the model's vocabulary")  # fmt: skip
        return [[character] for character in given.tolist()]

    @torch.no_grad()
    def __call__(self, characters: Sequence[Sequence[int]]) -> Tensor:
        """Logits after these characters, each one of every path or one for all: float64 on the CPU. [B, V]"""
        for each in characters:
            h = self.stream(torch.tensor(each, device=self.readout.weight.device).expand(self.batch))
        logits: Tensor = self.readout(h).to("cpu", torch.float64)
        if not math.isfinite(logits.sum()):
            raise ValueError("readout gives logits that are not finite; expected a model whose parameters are and "
                             "whose states stay bounded: take a checkpoint from before training diverged")  # fmt: skip
        return logits


def _check_choice(temperature: float, top_k: int | None, nucleus: float | None) -> None:
    try:
        float(temperature)
    except OverflowError:  # a whole number of more than 308 digits, which may be too long to be printed
        temperature = math.inf
    if not 0 <= temperature < math.inf:
        raise ValueError(f"temperature={temperature}; expected a finite number of 0 or more, 0 for the likeliest "
                         "character")  # fmt: skip
    if top_k is not None:
        check_whole(1, top_k=top_k)
    if nucleus is not None and not 0 < nucleus <= 1:
        raise ValueError(f"nucleus={nucleus}; expected a probability above 0 and up to 1, None for all characters")
