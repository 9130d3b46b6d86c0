"""CoNLL-U, the format of Universal Dependencies: a word a line in ten columns, an empty line after each sentence.

https://universaldependencies.org/format.html
"""

import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

__all__ = ["Sentence", "is_conllu", "read_sentences"]

COLUMNS = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
FIRST_LINE = re.compile(r"#|[\d.-]+\t")
WORD = re.compile(r"[1-9][0-9]*")
MULTIWORD = re.compile(r"([1-9][0-9]*)-([1-9][0-9]*)")
EMPTY = re.compile(r"(0|[1-9][0-9]*)\.[1-9][0-9]*")


class Sentence(NamedTuple):
    """The syntactic words of a sentence, a place each. ``parents`` count from 0, -1 at a root."""

    line: int
    tokens: list[str | None]
    parents: list[int]
    labels: list[str]
    relations: list[str]


def is_conllu(line: str) -> bool:
    """Whether a file's first line that is not empty begins as CoNLL-U does."""
    return FIRST_LINE.match(line) is not None


def read_sentences(lines: Sequence[str], name: object) -> Iterator[Sentence]:
    """The sentences of a file's lines, without multiword tokens (1-2) and empty nodes (8.1), which have no head.

    Raises:
        ValueError: A line is not as the format has it, or heads make no tree; the message names file and line.
    """
    rows: list[tuple[int, list[str]]] = []
    reaches = (0, 0)  # the last word of the last multiword token, and its line
    for number, line in enumerate([*lines, ""], 1):
        if not line.strip():
            if reaches[0] > len(rows):
                raise ValueError(f"{name}, line {reaches[1]}: a multiword token to word {reaches[0]} of a sentence of "
                                 f"{len(rows)}; expected words of the sentence")  # fmt: skip
            if rows:
                yield _sentence(rows, name)
            rows, reaches = [], (0, 0)
        elif not line.startswith("#"):
            row, wanted = _columns(line, f"{name}, line {number}"), len(rows) + 1
            if several := MULTIWORD.fullmatch(row[0]):
                first, last = int(several[1]), int(several[2])
                if first != wanted or last <= first or first <= reaches[0]:
                    raise ValueError(f"{name}, line {number}: the multiword token {row[0]} before word {wanted}; "
                                     "expected it right before its first word, from lower to higher")  # fmt: skip
                reaches = (last, number)
            elif not EMPTY.fullmatch(row[0]):
                if not WORD.fullmatch(row[0]) or int(row[0]) != wanted:
                    raise ValueError(f"{name}, line {number}: ID {row[0]!r}; expected {wanted}, as words are numbered "
                                     "1, 2, ... in each sentence and an empty line ends it")  # fmt: skip
                rows.append((number, row))


def _columns(line: str, where: str) -> list[str]:
    row = line.split("\t")
    if len(row) != len(COLUMNS):
        remedy = "; here are spaces in place of tabs" if len(row) == 1 and len(line.split()) > 1 else ""
        raise ValueError(f"{where}: {len(row)} columns; expected {len(COLUMNS)} between tabs, {', '.join(COLUMNS)}, "
                         f"and _ in those that are empty{remedy}")  # fmt: skip
    for column, cell in zip(COLUMNS, row, strict=True):
        if not cell.strip():
            raise ValueError(f"{where}: nothing in column {column}; expected _ in those that are empty")
    return row


def _sentence(rows: list[tuple[int, list[str]]], name: object) -> Sentence:
    parents = []
    for number, row in rows:
        head = row[6]
        if not (head.isascii() and head.isdigit() and int(head) <= len(rows)):
            remedy = "; the annotation is not finished, leave the sentence out" if head == "_" else ""
            raise ValueError(f"{name}, line {number}: HEAD {head!r} of word {row[0]}; expected 0 at a root, or a word "
                             f"of 1..{len(rows)}{remedy}")  # fmt: skip
        parents.append(int(head) - 1)
    leads = [parent < 0 for parent in parents]  # to a root
    for begin in range(len(rows)):
        node, passed = begin, set()
        while not leads[node]:
            if node in passed:
                number, row = rows[node]
                raise ValueError(f"{name}, line {number}: word {row[0]} is above itself, in a cycle of heads; expected "
                                 "heads that lead to a root, whose HEAD is 0")  # fmt: skip
            passed.add(node)
            node = parents[node]
        for node in passed:
            leads[node] = True
    cells = [row for _, row in rows]
    return Sentence(
        rows[0][0], [row[1] for row in cells], parents, [row[3] for row in cells], [row[7] for row in cells]
    )
