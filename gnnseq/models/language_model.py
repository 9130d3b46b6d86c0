r"""A recurrent language model over characters.

.. math:: p(s_{t+1} | s_1 ... s_t) = \mathrm{softmax}(W h_t + b), \qquad h_t = \mathrm{layers}(s_1 ... s_t)

Letters: T steps, B paths, N = T B nodes, E embedding channels, H hidden channels, L layers, V characters of the
vocabulary.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from gnnseq.checks import flag, named_beyond_places, probability, whole
from gnnseq.layers.cells import CellName, cell_named
from gnnseq.layers.recurrent import Recurrent
from gnnseq.models.blocks import LockedDropout, RecurrentBlocks, equal_paths
from gnnseq.sampling import Beam, beam_search, sample

__all__ = ["LanguageModel", "Score", "State", "score"]

State = Tensor | tuple[Tensor, ...] | None


class LanguageModel(nn.Module):
    """Recurrent layers over characters, dropout after each of them, and a linear readout.

    Args:
        vocabulary: V.
        hidden: H.
        kind: ``"LSTM"``, ``"GRU"``, ``"RNN"``, ``"MinGRU"`` or ``"MinLSTM"``.
        layers: L.
        embedding: E of a learnt embedding; 0 for one-hot characters, which are looked up in the first layer's kernel
            and never made dense. Residual blocks read an embedding of H channels, whether 0 or H is asked for.
        dropout: Probability with which outputs of every layer are dropped in training; of residual blocks see
            :class:`~gnnseq.models.LockedDropout`, which drops what is embedded too.
        init: Of the layers, see :meth:`gnnseq.layers.recurrent.Recurrent.reset_parameters`.
        residual: Whether layers are :class:`~gnnseq.models.RecurrentBlocks`, in place of one stacked upon another.
        expansion: Channels of these layers' states, as a multiple of H.

    Raises:
        ValueError: If an argument is out of its range.

    Example:
        >>> model = LanguageModel(vocabulary=5, hidden=16)
        >>> logits, state = model(torch.tensor([[0, 1], [2, 3], [4, 4]]))
        >>> logits.shape
        torch.Size([3, 2, 5])
        >>> further, state = model(torch.tensor([[1, 1]]), state)
        >>> len(list(model.sample(20, prompt=[0, 2, 4])))
        20
    """

    @named_beyond_places
    def __init__(
        self,
        vocabulary: int,
        hidden: int,
        kind: CellName = "LSTM",
        *,
        layers: int = 1,
        embedding: int = 0,
        dropout: float = 0.0,
        init: str = "torch",
        residual: bool = False,
        expansion: int = 1,
    ) -> None:
        super().__init__()
        vocabulary, embedding = whole(1, vocabulary=vocabulary), whole(0, embedding=embedding)
        hidden, layers = whole(1, hidden=hidden), whole(1, layers=layers)
        dropout = probability(dropout=dropout)
        residual = flag(residual=residual)
        if residual:
            if embedding not in (0, hidden):
                raise ValueError(
                    f"embedding={embedding}; expected {hidden} or 0 of residual blocks of {hidden} channels"
                )
            embedding = hidden
        elif whole(1, expansion=expansion) > 1:
            raise ValueError(
                f"expansion={expansion} and residual=False; expected 1, or residual=True: stacked layers have {hidden} "
                "channels, as hidden says"
            )
        self.embedding = nn.Embedding(vocabulary, embedding) if embedding > 0 else None
        self.layer: Recurrent | RecurrentBlocks
        if residual:
            self.layer = RecurrentBlocks(
                hidden, kind, num_layers=layers, dropout=dropout, init=init, expansion=expansion
            )
        else:
            self.layer = cell_named(kind=kind)(
                embedding or vocabulary, hidden, num_layers=layers, dropout=dropout if layers > 1 else 0.0, init=init
            )
        self.dropout = LockedDropout(dropout) if residual else nn.Dropout(dropout)
        self.readout = nn.Linear(hidden, vocabulary)

    def forward(self, characters: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Logits of what comes after each character.

        Args:
            characters: Indices, time-major. [T, B]
            state: What the paths go on from, as the layers return it; zeros if None.

        Returns:
            Logits [T, B, V], and the state after the last step.
        """
        _check_characters(characters)
        steps, batch = characters.shape
        if isinstance(self.layer, RecurrentBlocks):
            assert self.embedding is not None
            h, last = self.layer(self.dropout(self.embedding(characters)), state)  # [T, B, H]
            return self.readout(self.dropout(h)), last
        x = characters.flatten() if self.embedding is None else self.embedding(characters.flatten())  # [N] or [N, E]
        h, last = self.layer(x, equal_paths(steps, batch, characters.device), state)  # [N, H]
        return self.readout(self.dropout(h)).view(steps, batch, self.readout.out_features), last

    def sample(self, length: int, **choice: Any) -> Iterator[int]:
        """Draws characters, see :func:`gnnseq.sampling.sample` for the choices."""
        return sample(self.layer, self.readout, length, embedding=self.embedding, **choice)

    def beam_search(self, length: int, prompt: Sequence[int] | Tensor, beams: int = 8) -> list[Beam]:
        """Looks for the likeliest continuations, see :func:`gnnseq.sampling.beam_search`."""
        return beam_search(self.layer, self.readout, length, prompt=prompt, beams=beams, embedding=self.embedding)


class Score(NamedTuple):
    """How well characters were predicted.

    Attributes:
        loss: Mean of -log p, in nats a character.
        accuracy: Share of characters that were the likeliest.
    """

    loss: float
    accuracy: float


@torch.no_grad()
def score(model: LanguageModel, text: Tensor, batch: int = 64, length: int = 128) -> Score:
    """How well a model predicts a text, without dropout.

    The text is cut into B stretches that are read side by side, each from a zero state that is carried on to its end.
    So all characters but the first are predicted once, except the fewer than B ones that are left over at the end.

    Args:
        model: Its training mode is put back.
        text: Indices, at least two. [N]
        batch: B; fewer if the text is short.
        length: Characters read at once, which does not change the result.

    Raises:
        ValueError: If the text has fewer than two characters.

    Example:
        >>> found = score(LanguageModel(vocabulary=5, hidden=8), torch.randint(5, (1000,)))
        >>> 1.2 < found.loss < 2.2, 0 <= found.accuracy <= 1
        (True, True)
    """
    if len(text) < 2:
        raise ValueError(f"text has {len(text)} characters; expected at least 2, one to predict from the other")
    batch = min(batch, len(text) - 1)
    training = model.training
    model.eval()
    stretch = (len(text) - 1) // batch
    loss, right = 0.0, 0
    state: State = None
    device = model.readout.weight.device
    for begin in range(0, stretch, length):
        within = torch.arange(begin, min(begin + length, stretch), device=text.device).unsqueeze(1)
        at = torch.arange(batch, device=text.device) * stretch + within  # [T, B]
        logits, state = model(text[at].to(device), state)
        y = text[at + 1].to(device).flatten()
        loss += functional.cross_entropy(logits.flatten(0, 1), y, reduction="sum").item()
        right += int((logits.flatten(0, 1).argmax(1) == y).sum())
    model.train(training)
    return Score(loss / (stretch * batch), right / (stretch * batch))


def _check_characters(characters: object) -> None:
    """Raises a ValueError unless there are indices [T, B]; their range is seen where they are looked up."""
    if (
        not isinstance(characters, Tensor)
        or characters.dim() != 2
        or characters.dtype not in (torch.int64, torch.int32)
    ):
        kind = f"{characters.dtype} {list(characters.shape)}" if isinstance(characters, Tensor) else type(characters)
        raise ValueError(f"characters are {kind}; expected indices [T, B] of torch.int64")
