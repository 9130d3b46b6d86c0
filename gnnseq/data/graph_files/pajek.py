"""Pajek's .net: numbered vertices, then arcs, edges, lists of them, or a matrix."""

import re

from gnnseq.data.graph_files.draft import Draft, number, wrong
from gnnseq.data.graph_files.gml import draft_names

__all__ = ["read_pajek"]

FIELD = re.compile(r'"([^"]*)"(?=\s|$)|(\S+)')
KINDS = ("*arcs", "*edges", "*arcslist", "*edgeslist", "*matrix")


def read_pajek(text: str, draft: Draft) -> None:
    """Arcs go one way and edges both, in any order of their sections; a line without a value weighs 1."""
    draft.form, draft.default = "Pajek", 1.0
    labels: dict[str, str | None] = {}
    section, count, seen = "", 0, set[int]()
    found: list[tuple[int, int, float | None, bool, int]] = []
    row = 0
    entries = text.count("\n") + 1
    for line, content in enumerate(text.split("\n"), start=1):
        fields = [match[2] if match[1] is None else match[1] for match in FIELD.finditer(content)]
        if not fields or content.lstrip().startswith("%"):
            continue
        if content.lstrip().startswith("*"):
            section = fields[0].lower()
            if section == "*vertices":
                if count:
                    raise wrong(draft.path, line, "a second *Vertices", "one network a file")
                count = int(fields[1]) if len(fields) > 1 and re.fullmatch(r"\d{1,18}", fields[1]) else 0
                if count == 0:
                    raise wrong(draft.path, line, f"{content.strip()[:60]!r}", "*Vertices and how many, 1 or more")
                draft.declare(count, entries, line)
                labels = {str(node): None for node in range(1, count + 1)}
            elif section not in ("*network", *KINDS):
                raise wrong(draft.path, line, f"section {fields[0]!r}", f"*Network, *Vertices, {', '.join(KINDS)}")
            elif section in KINDS and not count:
                raise wrong(draft.path, line, f"{fields[0]!r} before *Vertices", "*Vertices first")
            continue
        if section == "*matrix":
            row += 1
            values = [number(field) for field in fields]
            if len(values) != count or None in values or row > count:
                raise wrong(
                    draft.path,
                    line,
                    f"row {row} of the matrix has {len(values)} columns",
                    f"{count} rows of {count} numbers",
                )
            found += [(row, at, value, True, line) for at, value in enumerate(values, start=1) if value]
        elif section == "*vertices":
            node = _vertex(fields[0], count, draft, line)
            if node in seen:
                raise wrong(draft.path, line, f"vertex {node} a second time", "each vertex once")
            seen.add(node)
            labels[str(node)] = fields[1] if len(fields) > 1 else None
        elif section in KINDS:
            here = _vertex(fields[0], count, draft, line)
            if section.endswith("list"):
                found += [
                    (here, _vertex(field, count, draft, line), None, section == "*arcslist", line)
                    for field in fields[1:]
                ]
                continue
            if len(fields) < 2:
                raise wrong(draft.path, line, f"{content.strip()[:60]!r}", "two vertices, then a value or nothing")
            weight = number(fields[2]) if len(fields) > 2 else None
            if len(fields) > 2 and weight is None and len(fields) % 2:  # else attributes, in pairs of name and value
                raise wrong(draft.path, line, f"value {fields[2][:60]!r}", "a number")
            found.append((here, _vertex(fields[1], count, draft, line), weight, section == "*arcs", line))
        else:
            raise wrong(draft.path, line, f"{content.strip()[:60]!r}", "*Vertices and a number first")
    if not count:
        raise wrong(draft.path, None, "no *Vertices", "Pajek: *Vertices and how many, then *Arcs or *Edges")
    if section == "*matrix" and row != count:
        raise wrong(draft.path, None, f"a matrix of {row} rows", f"{count}, one a vertex")
    names = draft_names(labels)
    draft.nodes.update(dict.fromkeys(names.values()))
    for here, there, weight, one_way, line in found:
        draft.link(names[str(here)], names[str(there)], weight, one_way, line)


def _vertex(text: str, count: int, draft: Draft, line: int) -> int:
    if not re.fullmatch(r"\d{1,18}", text) or not 1 <= int(text) <= count:
        raise wrong(draft.path, line, f"vertex {text[:60]!r}", f"a whole number of 1..{count}")
    return int(text)
