"""Is a file's first line a heading or an edge? Decided where the file shows it, asked where it does not."""

import re
from collections import Counter
from pathlib import Path

from gnnseq.data.graph_files.draft import number, wrong

__all__ = ["columns_of", "has_heading", "is_weight"]

WHAT = "(?:id|node|vertex|entity|user|person|city|name|label|index|idx|key)?"
SOURCE = re.compile(f"{WHAT}(?:source|src|from|origin|orig|sender){WHAT}{WHAT}")
TARGET = re.compile(f"{WHAT}(?:target|tgt|trg|destination|dest|dst|to|receiver|recipient){WHAT}{WHAT}")
# Pairs that say no direction, or that fields use both ways: the column on the left is the source.
LEFT = re.compile(
    "u|i|start|tail|head|parent|child|row|left|"
    "(?:id|node|nodeid|vertex|entity|user|userid|person|city|n|v)(?:1|a|i|u|x)"
)
RIGHT = re.compile(
    "v|j|end|tail|head|parent|child|col|column|right|"
    "(?:id|node|nodeid|vertex|entity|user|userid|person|city|n|v)(?:2|b|j|v|y)"
)
WEIGHT = re.compile("(?:edge)?(?:weights?|w|values?|strength)")
NO_WEIGHT = re.compile(
    "(?:edge)?(?:id|key|label|name|type|kind|relation|time|timestamp|timeset|date|day|year|t|ts|index)"
)


def has_heading(
    rows: list[list[str]], plain: list[bool], given: bool | None, path: Path, line: int, comma: bool
) -> bool:
    """Whether the first row is a heading.

    It is one if it has two known words (source and target, from and to, src and dst, u and v and their like) that are
    no node's name below; if its third column is text and that of all other rows a number; or if its two names are text
    and all others whole numbers. It is an edge if one of its names is a number or stands below as well. A ValueError
    asks where both may be: known words that stand below too, or names that stand nowhere else while every other edge
    touches another one.

    Args:
        rows: Fields of the lines.
        plain: Whether a row has none of networkx's dicts.
        given: What the user says, None for nothing.
        path: For messages.
        line: Of the first row, for messages.
        comma: Whether a comma may stand for the point.
    """
    first, others = rows[0], rows[1:]
    if given is not None or len(first) < 2 or not plain[0]:
        return bool(given)
    below = Counter(name for row in others for name in row[:2])
    ask = wrong(
        path,
        line,
        f"{', '.join(first)[:60]!r} may be a heading or an edge",
        "heading=True or heading=False (--heading yes or no), which says it",
    )
    ends = _ends(first)
    if ends is not None:
        names = [first[end] for end in ends]
        again = any(row[end] in names for row in others for end in ends if end < len(row))
        if SOURCE.fullmatch(_plain(names[0])) is None:  # u and v, node1 and node2: nodes are called so as well
            if again or not others:
                return False
            stems = {name[:-1].lower() for name in names}
            again = any(name[:-1].lower() in stems and not name.isdigit() for name in below)
        if again:
            raise ask
        return True
    if not first[0] and len(first) > 2:
        raise wrong(
            path,
            line,
            f"{','.join(first)[:60]!r}, a heading with an empty name",
            "an edge list, or a heading that says source and target: a table of a matrix is saved as .mtx or .npz",
        )
    if any(number(name, comma) is not None for name in first[:2]) or not others:
        return False
    if len(first) > 2 and first[2] and number(first[2], comma) is None:
        return all(len(row) == len(first) and number(row[2], comma) is not None for row in others)
    if all(re.fullmatch(r"\d+", name) for name in below):
        return True
    alone = all(len(name) > 1 and name not in below for name in first[:2]) and first[0] != first[1]
    joined = not any(len(row) > 1 and below[row[0]] == below[row[1]] == 1 for row in others)
    if alone and joined and len(others) > 1:
        raise ask
    return False


def _ends(heading: list[str]) -> tuple[int, int] | None:
    """Which columns are source and target, by known words; None if there are none."""
    words = [_plain(word) for word in heading]
    sources = [at for at, word in enumerate(words) if SOURCE.fullmatch(word)]
    targets = [at for at, word in enumerate(words) if TARGET.fullmatch(word)]
    if len(sources) == len(targets) == 1:
        return sources[0], targets[0]
    if LEFT.fullmatch(words[0]) and RIGHT.fullmatch(words[1]) and words[0] != words[1]:
        return 0, 1
    return None


def columns_of(heading: list[str], path: Path, line: int) -> tuple[int, int, int | None, int | None]:
    """The columns of source, target, weight and of directed or undirected; None where there is none."""
    ends = _ends(heading)
    words = [_plain(word) for word in heading]
    if ends is None and len(heading) not in (2, 3):
        raise wrong(
            path,
            line,
            f"a heading of {len(heading)} columns, {', '.join(heading)[:60]!r}",
            "two of them called source and target",
        )
    source, target = ends or (0, 1)
    left = [at for at in range(len(heading)) if at not in (source, target) and words[at]]
    weights = [at for at in left if is_weight(heading[at])]
    if len(weights) > 1:
        raise wrong(path, line, f"{len(weights)} columns of weights, {', '.join(heading)[:60]!r}", "one")
    if not weights and len(left) == 1 and not NO_WEIGHT.fullmatch(words[left[0]]):
        weights = left
    kind = next((at for at in left if words[at] == "type"), None)
    return source, target, weights[0] if weights else None, kind


def is_weight(word: str) -> bool:
    """Whether a column is called as weights are."""
    return WEIGHT.fullmatch(_plain(word)) is not None


def _plain(word: str) -> str:
    return re.sub(r"[^a-z0-9]", "", word.lower())
