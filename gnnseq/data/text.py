"""Text as characters: read, split by position, numbered, and cut into windows for training.

Letters: N characters of a text, V characters of the vocabulary, B windows of a batch, T steps of a window.
"""

import csv
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gnnseq.checks import check_whole

__all__ = ["CORPORA", "Corpus", "TextWindows", "Vocabulary", "Window", "load_corpus", "load_parts", "read_text"]

CORPORA = ("pydoc", "tinyshakespeare", "southpark")
UNKNOWN = "\ufffd"  # what Unicode writes for a character that is not known
SHARES = (0.9, 0.05, 0.05)


@dataclass(frozen=True)
class Vocabulary:
    """The characters that a model knows; each is an index, its place.

    Whatever is not among them is read as the first, the replacement character U+FFFD.

    Attributes:
        characters: All of them. [V]
    """

    characters: str

    def __post_init__(self) -> None:
        if self.characters[:1] != UNKNOWN or len(set(self.characters)) < len(self.characters):
            raise ValueError(f"characters={self.characters[:40]!r}; expected U+FFFD first and no character twice, as "
                             "Vocabulary.of(text) makes them")  # fmt: skip

    @classmethod
    def of(cls, text: str) -> "Vocabulary":
        r"""The characters that occur at least twice in a text, in Unicode's order.

        One that occurs once is counted as unknown, so that a model sees what it is to meet something new.

        Example:
            >>> Vocabulary.of("noon, no").characters
            '\ufffdno'
        """
        known = {character for character, count in Counter(text).items() if count > 1} - {UNKNOWN}
        return cls(UNKNOWN + "".join(sorted(known)))

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Tensor:
        """Indices of a text's characters. int64 [N]

        Example:
            >>> Vocabulary.of("noon").encode("on!").tolist()
            [2, 1, 0]
        """
        known = {character: index for index, character in enumerate(self.characters)}
        return torch.tensor([known.get(character, 0) for character in text], dtype=torch.int64, device="cpu")

    def decode(self, indices: Sequence[int] | Tensor) -> str:
        """The text of indices."""
        return "".join(self.characters[index] for index in indices)


@dataclass(frozen=True, eq=False)
class Corpus:
    """A text in three stretches, the first for training, as indices of one vocabulary.

    Attributes:
        name: What was read.
        vocabulary: Of the training part alone.
        training: int64 [N]
        validation: int64 [N']
        test: int64 [N'']
    """

    name: str
    vocabulary: Vocabulary
    training: Tensor
    validation: Tensor
    test: Tensor

    @property
    def digest(self) -> str:
        """SHA-256 of what there is to read: the characters, and which of them are in which part."""
        found = hashlib.sha256(self.vocabulary.characters.encode())
        for part in (self.training, self.validation, self.test):
            found.update(len(part).to_bytes(8, "little") + part.numpy().tobytes())
        return found.hexdigest()

    @classmethod
    def of(cls, text: str, name: str = "text", shares: Sequence[float] = SHARES) -> "Corpus":
        """Splits a text by position: what comes first is for training, what comes last for the test.

        Args:
            text: At least two characters for each part.
            name: What to call it.
            shares: Of the characters, for training, validation and test.

        Raises:
            ValueError: If the shares are not three positive ones that sum to 1, or the text is too short for them.

        Example:
            >>> corpus = Corpus.of("To be, or not to be, that is the question. " * 3)
            >>> [len(part) for part in (corpus.training, corpus.validation, corpus.test)]
            [116, 6, 7]
        """
        if len(shares) != 3 or min(shares) <= 0 or abs(sum(shares) - 1) > 1e-9:
            raise ValueError(f"shares={tuple(shares)}; expected three positive numbers that sum to 1: training, "
                             "validation, test")  # fmt: skip
        first, second = int(shares[0] * len(text)), int((shares[0] + shares[1]) * len(text))
        parts = text[:first], text[first:second], text[second:]
        if min(map(len, parts)) < 2:
            raise ValueError(f"text has {len(text)} characters, its parts {[len(part) for part in parts]}; expected at "
                             "least 2 in each: take a longer text")  # fmt: skip
        return cls.of_parts(*parts, name=name)

    @classmethod
    def of_parts(cls, training: str, validation: str, test: str, name: str = "text") -> "Corpus":
        """Three texts as they are: one to learn from, with the vocabulary, and two that are held out.

        Args:
            training: At least two characters, as of the others.
            validation: To choose by.
            test: To measure once.
            name: What to call it.

        Raises:
            ValueError: If a text is too short.

        Example:
            >>> corpus = Corpus.of_parts("to be or not to be", "be", "zebra")
            >>> corpus.vocabulary.decode(corpus.test)
            '\ufffdeb\ufffd\ufffd'
        """
        parts = {"training": training, "validation": validation, "test": test}
        for part, text in parts.items():
            if len(text) < 2:
                raise ValueError(f"{part} has {len(text)} characters; expected at least 2: take a longer text")
        vocabulary = Vocabulary.of(training)
        return cls(name, vocabulary, *map(vocabulary.encode, parts.values()))


def load_corpus(source: str | Path, shares: Sequence[float] = SHARES) -> Corpus:
    """What :func:`read_text` reads, split and numbered; called by the built-in's or the file's own name."""
    name = str(source) if str(source) in CORPORA else Path(source).resolve().name
    text = read_text(source)
    try:
        return Corpus.of(text, name, shares)
    except ValueError as error:
        raise ValueError(f"{source}: {error}") from error


def load_parts(training: str | Path, validation: str | Path, test: str | Path) -> Corpus:
    """What :func:`read_text` reads of three files, or folders, as they are split; called by their names.

    Raises:
        ValueError: If two are the same, so that what is held out would be learnt, or one is too short.
    """
    paths = {"training": Path(training), "validation": Path(validation), "test": Path(test)}
    read = {part: read_text(path) for part, path in paths.items()}
    places: dict[Path, str] = {}
    for part, path in paths.items():
        if (other := places.setdefault(path.resolve(), part)) != part:
            raise ValueError(f"{part}={str(path)!r} is the {other} text too; expected a text of its own for each part")
        if len(read[part]) < 2:
            raise ValueError(f"{part}={str(path)!r} has {len(read[part])} characters; expected at least 2")
    return Corpus.of_parts(**read, name="+".join(path.resolve().name for path in paths.values()))


def read_text(source: str | Path) -> str:
    r"""The text of a built-in corpus, of a file, or of all files of a folder.

    Built-in are ``"pydoc"``, the help topics that ship with Python, which need no network; ``"tinyshakespeare"``
    (Karpathy's char-rnn); and ``"southpark"``, every line of 19 seasons, without who speaks, in lower case and one to a
    line of text (BobAdamsEE/SouthParkData, CC BY-SA 3.0). The last two are downloaded once and checked,
    see :mod:`gnnseq.data.cache`.

    Args:
        source: A name above, or a path. Of a folder, all files in it and below are read in the order of their paths,
            one after another; hidden ones are left out. Line ends become "\\n".

    Raises:
        FileNotFoundError: If there is nothing at the path, or no file in the folder.
        ValueError: If a file is not UTF-8; the message names it and the place.
        ConnectionError: If a built-in corpus is neither cached nor to be had.

    Example:
        >>> "assert" in read_text("pydoc")
        True
    """
    if source == "pydoc":
        from pydoc_data.topics import topics

        return "\n".join(topics[name] for name in sorted(topics))
    if source in CORPORA:
        from gnnseq.data.cache import fetch, names

        if source == "tinyshakespeare":
            return _decoded(fetch("text/tinyshakespeare.txt"))
        return "".join(_spoken(fetch(name)) for name in names("text/southpark/"))
    path = Path(source)
    if not path.exists():
        raise FileNotFoundError(f"source={str(source)!r}: no such file or folder; expected one, or the name of a "
                                f"built-in text: {', '.join(CORPORA)}")  # fmt: skip
    if not path.is_dir():
        return _decoded(path)
    files = [
        each
        for each in sorted(path.rglob("*"))
        if each.is_file() and not any(part.startswith(".") for part in each.relative_to(path).parts)
    ]
    if not files:
        raise FileNotFoundError(f"source={str(source)!r}: a folder without files; expected text files in it")
    return "".join(map(_decoded, files))


class Window(NamedTuple):
    """A batch of stretches of text, and the characters that come next.

    Attributes:
        x: Characters, time-major. [T, B]
        y: The character after each. [T, B]
        fresh: Whether these begin anew, or go on where the group's window before ended.
        group: Which streams they are of, a number of as many groups as take turns.
    """

    x: Tensor
    y: Tensor
    fresh: bool
    group: int = 0


class TextWindows:
    """Windows of a text, any of which is known by its number: training can go on from any step.

    Contiguous streams cut the text into S equal stretches and read all of them side by side, T characters at a time, so
    that state can be carried from window to window; at their end they begin anew. The rest that does not fill a window
    is left out. Where S is a multiple of B, S / B groups of streams take turns, each with a state of its own: few
    streams would read few places of the text for a long time, and what they teach would be of these places. Shifted
    streams are cut elsewhere whenever they begin anew, where ``seed`` and the number say, and go on from the text's end
    to its beginning: else all passes would end windows, and with them gradients, at the same characters. Random windows
    begin wherever ``seed`` and the number say, and each begins anew.

    Args:
        text: Indices of characters. [N]
        batch: B.
        length: T.
        random: Whether windows are random.
        seed: Of random windows, and of where shifted streams are cut.
        streams: S, B or a multiple of it; B if None.
        shifted: Whether streams are.

    Raises:
        ValueError: If the text is too short for one window, streams are no multiple of the batch, or random windows are
            to be shifted.

    Example:
        >>> first, second, third = [TextWindows(torch.arange(11), batch=2, length=2)[step] for step in range(3)]
        >>> first.x.tolist(), second.x.tolist(), second.y.tolist()
        ([[0, 5], [1, 6]], [[2, 7], [3, 8]], [[3, 8], [4, 9]])
        >>> first.fresh, second.fresh, third.fresh
        (True, False, True)
    """

    def __init__(
        self,
        text: Tensor,
        batch: int,
        length: int,
        random: bool = False,
        seed: int = 0,
        streams: int | None = None,
        shifted: bool = False,
    ) -> None:
        streams = batch if streams is None else streams
        check_whole(1, batch=batch, length=length, streams=streams)
        if streams % batch != 0 or (random and streams != batch):
            raise ValueError(f"streams={streams} with batch={batch}; expected a multiple of it, or as many of random "
                             "windows")  # fmt: skip
        if random and shifted:
            raise ValueError("shifted=True with random windows, which begin anywhere; expected streams")
        self.groups, self.stretch = streams // batch, (len(text) - 1) // streams
        least = length if random else streams * length
        if len(text) <= least:
            raise ValueError(f"text has {len(text)} characters; expected more than {least}, for a batch of windows: "
                             "take a longer text, fewer or shorter windows")  # fmt: skip
        self.text, self.batch, self.length, self.random, self.seed = text, batch, length, random, seed
        self.shifted = shifted

    def __getitem__(self, number: int) -> Window:
        fresh, group = True, 0
        if self.random:
            generator = np.random.default_rng([self.seed, number])
            drawn = generator.integers(len(self.text) - self.length, size=self.batch)
            begin = torch.from_numpy(drawn).to(self.text.device)
        else:
            turn, group = divmod(number, self.groups)
            time, place = divmod(turn, self.stretch // self.length)
            fresh = place == 0
            streams = torch.arange(group, self.groups * self.batch, self.groups, device=self.text.device)
            begin = streams * self.stretch + place * self.length
            if self.shifted and time > 0:
                begin += int(np.random.default_rng([self.seed, time]).integers(len(self.text) - 1))
        at = begin + torch.arange(self.length, device=self.text.device).unsqueeze(1)  # [T, B]
        at %= len(self.text) - 1  # the last character is asked for alone
        return Window(self.text[at], self.text[at + 1], fresh, group)


def _decoded(path: Path) -> str:
    content = path.read_bytes()
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: byte {error.start} is not UTF-8 ({error.reason}); convert the file, or move it out "
                         "of the folder") from None  # fmt: skip
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _spoken(path: Path) -> str:
    """The lines of one season."""
    rows: Iterator[list[str]] = csv.reader(_decoded(path).splitlines(keepends=True))
    try:
        header = next(rows, [])
    except csv.Error as error:
        raise ValueError(f"{path}: {error}; expected Season, Episode, Character, Line") from error
    if header != ["Season", "Episode", "Character", "Line"]:
        raise ValueError(f"{path}: its header is {header}; expected Season, Episode, Character, Line")
    try:
        spoken = [" ".join(row[3].lower().split()) for row in rows]
    except (csv.Error, IndexError) as error:
        raise ValueError(f"{path}: a row is cut off or no row ({error}); expected Season, Episode, Character, "
                         "Line") from error  # fmt: skip
    return "".join(line + "\n" for line in spoken if line)
