"""Edges as lines of text: between blanks, tabs, commas or semicolons, and networkx's own lines that end with a dict."""

import ast
import csv
import re
from pathlib import Path
from typing import NamedTuple

from gnnseq.data.graph_files.draft import Draft, number, wrong
from gnnseq.data.graph_files.heading import columns_of, has_heading, is_weight

__all__ = ["Row", "lines_of", "read_adjacency_list", "read_edge_list"]

COMMENT = ("#", "%")
Comments = dict[str, int]  # the sign of comments that a name may follow directly, and a line with one
NAMES = {None: "blanks", "\t": "tabs", ";": "semicolons", ",": "commas"}
FIELD = re.compile(r'"((?:[^"]|"")*)"(?=\s|$)|(\S+)')
DICT = re.compile(r"[\s,;](\{.*\})\s*$")
LONGEST = 10_000  # characters of a dict


class Row(NamedTuple):
    """One line's fields; weight is that of networkx's dict, and plain says that there was none."""

    line: int
    fields: list[str]
    weight: float | None = None
    plain: bool = True


def read_edge_list(text: str, draft: Draft, heading: bool | None) -> None:
    """Two names a line, then a weight or nothing; more columns under a heading that says which they are."""
    rows, delimiter, comments = lines_of(text, draft.path, dicts=True)
    draft.form = f"edge list, {NAMES[delimiter]} between"
    comma = delimiter not in (None, ",")
    if rows and has_heading(
        [row.fields for row in rows], [row.plain for row in rows], heading, draft.path, rows[0].line, comma
    ):
        draft.heading = rows[0].fields
        _headed(rows, draft, comma, comments)
        return
    for row in rows:
        fields = row.fields[:-1] if len(row.fields) == 3 and not row.fields[2] else row.fields
        if len(fields) not in (2, 3) or (not row.plain and len(fields) == 3):
            raise wrong(
                draft.path,
                row.line,
                f"{' '.join(row.fields)[:60]!r} is no edge",
                f"two names, {NAMES[delimiter]} between as in line {rows[0].line}, then a weight or nothing; names "
                "with blanks in quotes; an adjacency list is named .adjlist; more columns need a heading: source, "
                "target, weight",
            )
        _check_names(fields[:2], draft.path, row.line, comments)
        weight = row.weight
        if len(fields) == 3:
            weight = number(fields[2], comma)
            if weight is None:
                raise wrong(
                    draft.path,
                    row.line,
                    f"third column {fields[2][:60]!r}",
                    "a number, the edge's weight; names with blanks in quotes; an adjacency list is named .adjlist; "
                    "other columns need a heading: source, target, weight",
                )
        draft.link(fields[0], fields[1], weight, None, row.line)


def _headed(rows: list[Row], draft: Draft, comma: bool, comments: Comments) -> None:
    """Under a heading: the columns that it names, and as many fields in every line."""
    heading, below = rows[0].fields, rows[1:]
    width = len(heading)
    for row in below:
        if not row.plain or len(row.fields) != width:
            raise wrong(draft.path, row.line, f"{len(row.fields)} columns", f"{width}, as the heading has")
    source, target, weigh, kind = columns_of(heading, draft.path, rows[0].line)
    if weigh is not None and not any(row.fields[weigh] for row in below):
        weigh = None  # an empty column
    if weigh is not None and all(number(row.fields[weigh], comma) is None for row in below) and len(heading) == 3:
        weigh = weigh if is_weight(heading[weigh]) else None  # a column of words, which is passed over
    for row in below:
        names = [row.fields[source], row.fields[target]]
        _check_names(names, draft.path, row.line, comments)
        weight, one_way = None, None
        if weigh is not None and row.fields[weigh]:
            weight = number(row.fields[weigh], comma)
            if weight is None:
                raise wrong(draft.path, row.line, f"{heading[weigh]} is {row.fields[weigh][:60]!r}", "a number")
        if kind is not None and row.fields[kind].lower() in ("directed", "undirected"):
            one_way = row.fields[kind].lower() == "directed"
        draft.link(names[0], names[1], weight, one_way, row.line)


def read_adjacency_list(text: str, draft: Draft) -> None:
    """A node, then its neighbours; a name alone is a node without any."""
    rows, delimiter, comments = lines_of(text, draft.path, dicts=False)
    draft.form = f"adjacency list, {NAMES[delimiter]} between"
    for row in rows:
        fields = row.fields[:-1] + row.fields[-1:] * bool(row.fields[-1])
        _check_names(fields, draft.path, row.line, comments)
        draft.nodes.setdefault(fields[0])
        for neighbour in fields[1:]:
            draft.link(fields[0], neighbour, None, None, row.line)


def lines_of(text: str, path: Path, dicts: bool) -> tuple[list[Row], str | None, Comments]:
    """The lines that are neither empty nor comments, cut at what the first of them has between: None means blanks."""
    rows: list[Row] = []
    comments: Comments = {}
    delimiter: str | None = None
    for line, content in enumerate(text.split("\n"), start=1):
        begin = content.lstrip()
        if not begin:
            continue
        if begin.startswith(COMMENT):
            if not begin[1:2].isspace() and len(begin) > 1:
                comments.setdefault(begin[0], line)
            continue
        cut = DICT.search(content) if dicts and content.rstrip().endswith("}") else None
        weight = None if cut is None else _weight(cut[1], path, line)
        body = content if cut is None else content[: cut.start()]
        if not rows:
            shown = body if dicts else re.sub(r"(?m)^\s*[#%].*$", "", text)  # a node alone shows nothing
            unquoted = re.sub(r'"[^"]*"', "", shown)
            delimiter = next((sign for sign in "\t;," if sign in unquoted), None)
        fields = _fields(body, delimiter, path, line)
        if delimiter is not None and len(fields) == 1 and rows and len(rows[0].fields) > 1 and dicts:
            raise wrong(
                path,
                line,
                f"{body.strip()[:60]!r} is no edge",
                f"{NAMES[delimiter]} between, as in line {rows[0].line}",
            )
        rows.append(Row(line, fields, weight, cut is None))
    return rows, delimiter, comments


def _fields(body: str, delimiter: str | None, path: Path, line: int) -> list[str]:
    if delimiter is None and '"' not in body and "#" not in body:
        return body.split()
    if delimiter is None:
        fields = []
        for match in FIELD.finditer(body):
            if match[2] is not None and match[2].startswith("#"):
                break  # a comment
            if match[2] is not None and match[2].startswith('"'):
                raise wrong(
                    path, line, f"{body.strip()[:60]!r}: a quote that is not closed", "quotes round a whole name"
                )
            fields.append(match[2] if match[1] is None else match[1].replace('""', '"'))
        return fields
    try:
        return [
            field.strip() for field in next(csv.reader([body], delimiter=delimiter, strict=True, skipinitialspace=True))
        ]
    except csv.Error as error:
        raise wrong(
            path, line, f"{body[:60]!r}: {error}", "quotes in pairs round a whole name, and a quote inside them twice"
        ) from error


def _check_names(names: list[str], path: Path, line: int, comments: Comments) -> None:
    for name in names:
        if not name:
            raise wrong(path, line, "an empty name", "a name on either side of what stands between")
        if name[0] in comments:
            raise wrong(
                path,
                line,
                f"name {name[:60]!r}, and line {comments[name[0]]} begins with {name[0]} and counts as a comment",
                f"quotes round names that begin so, or a blank after the {name[0]} of a comment",
            )


def _weight(text: str, path: Path, line: int) -> float | None:
    """The weight in a dict of networkx's, read as a literal: nothing in it is run."""
    found: object = None
    if len(text) <= LONGEST:
        try:
            found = ast.literal_eval(text)
        except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
            found = None
    if not isinstance(found, dict):
        raise wrong(
            path,
            line,
            f"{text[:60]!r}",
            f"a dict of plain values, as networkx.write_edgelist writes it, of at most {LONGEST:,} characters",
        )
    weight = found.get("weight")
    if weight is None and "weight" not in found:
        return None
    if isinstance(weight, bool) or not isinstance(weight, (int, float)) or abs(weight) > 1e308:
        raise wrong(path, line, f"weight {str(weight)[:60]!r}", "a finite number")
    return float(weight)
