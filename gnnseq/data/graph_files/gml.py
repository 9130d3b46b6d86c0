"""GML: keys and values in square brackets, read by its grammar, so that 1e-3 is a number and a label is text."""

import html
import re
from typing import Any

from gnnseq.data.graph_files.draft import Draft, number, wrong

__all__ = ["read_gml"]

TOKEN = re.compile(r'(?P<text>"[^"]*")|(?P<open>\[)|(?P<close>\])|(?P<word>[^\s\[\]"]+)|(?P<quote>")')
DEEPEST = 100  # brackets in brackets

Entry = tuple[str, Any, int]  # key, value, line


def read_gml(text: str, draft: Draft) -> None:
    """Nodes by id and label, edges by ids; a weight is called weight, or value where no edge has a weight."""
    draft.form = "GML"
    graphs = [entry for entry in _parse(text, draft) if entry[0] == "graph"]
    if len(graphs) != 1 or not isinstance(graphs[0][1], list):
        raise wrong(
            draft.path, graphs[1][2] if len(graphs) > 1 else None, f"{len(graphs)} graphs", "one: graph [ ... ]"
        )
    about = graphs[0][1]
    directed = _only(about, "directed", draft, graphs[0][2])
    if directed not in (None, "0", "1"):
        raise wrong(draft.path, graphs[0][2], f"directed {directed!r}", "0 or 1")
    ids: dict[str, str | None] = {}
    for key, node, line in about:
        if key == "node":
            name = _id(node, "id", draft, line)
            if name in ids:
                raise wrong(draft.path, line, f"a second node of id {name}", "one node an id")
            ids[name] = _only(node, "label", draft, line)
    names = draft_names(ids)
    draft.nodes.update(dict.fromkeys(names.values()))
    edges = [(edge, line) for key, edge, line in about if key == "edge"]
    weigh = next((key for key in ("weight", "value") if any(_has(edge, key) for edge, _ in edges)), "weight")
    for edge, line in edges:
        ends = [_id(edge, end, draft, line) for end in ("source", "target")]
        for end in ends:
            if end not in names:
                raise wrong(draft.path, line, f"an edge of node {end}", "ids of nodes that the file lists")
        said = _only(edge, weigh, draft, line)
        weight = None if said is None else number(said.removeprefix('"').removesuffix('"'))
        if said is not None and weight is None:
            raise wrong(draft.path, line, f"{weigh} {said[:60]!r}", "a number")
        draft.link(names[ends[0]], names[ends[1]], weight, directed == "1", line)


def draft_names(labels: dict[str, str | None]) -> dict[str, str]:
    """The name of each id: its label where every node has one and no two the same, else the id itself."""
    found = list(labels.values())
    good = all(found) and len(set(found)) == len(found)
    return {name: str(label) if good else name for name, label in labels.items()}


def _parse(text: str, draft: Draft) -> list[Entry]:
    """All entries; a value is text as it stands, or a list of entries."""
    plain = re.sub(r"(?m)^\s*#.*$", "", text)
    inside: list[list[Entry]] = [[]]
    key: tuple[str, int] | None = None
    line, seen = 1, 0
    opened = [1]
    for match in TOKEN.finditer(plain):
        line += plain.count("\n", seen, match.start())
        seen, kind, token = match.start(), match.lastgroup, match[0]
        if kind == "quote":
            raise wrong(draft.path, line, "a quotation mark that is not closed", "GML: text between two")
        if kind == "close":
            if key is not None or len(inside) == 1:
                raise wrong(draft.path, line, "a bracket ']' that closes nothing", "GML: key [ ... ]")
            inside.pop()
            opened.pop()
        elif key is None:
            if kind != "word" or not re.fullmatch(r"[A-Za-z_]\w*", token):
                raise wrong(draft.path, line, f"{token[:60]!r}", "GML: a key, which is a word, before every value")
            key = token, line
        elif kind == "open":
            if len(inside) > DEEPEST:
                raise wrong(draft.path, line, f"more than {DEEPEST} brackets in brackets", "a graph of GML")
            made: list[Entry] = []
            inside[-1].append((key[0], made, line))
            inside.append(made)
            opened.append(line)
            key = None
        else:
            inside[-1].append((key[0], html.unescape(token) if kind == "text" else token, line))
            key = None
    if key is not None or len(inside) > 1:
        raise wrong(
            draft.path,
            opened[-1] if key is None else key[1],
            "an entry that the file ends in",
            "GML: as many ] as [, and a value to every key",
        )
    return inside[0]


def _has(entries: Any, key: str) -> bool:
    return isinstance(entries, list) and any(name == key for name, _, _ in entries)


def _only(entries: Any, key: str, draft: Draft, line: int) -> str | None:
    """The value of a key that may stand once, text without its quotes; None if it is not there."""
    if not isinstance(entries, list):
        raise wrong(draft.path, line, f"{entries[:60]!r}", "a bracket [ ... ]")
    values = [value for name, value, _ in entries if name == key]
    if len(values) > 1 or any(isinstance(value, list) for value in values):
        raise wrong(draft.path, line, f"{len(values)} values of {key}, or one of brackets", "one plain value")
    return values[0].removeprefix('"').removesuffix('"') if values else None


def _id(entries: Any, key: str, draft: Draft, line: int) -> str:
    value = _only(entries, key, draft, line)
    if value is None or not re.fullmatch(r"[+-]?\d+", value):
        raise wrong(draft.path, line, f"{key} {value!r}", "a whole number")
    return str(int(value))
