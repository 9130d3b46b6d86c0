"""Names with markup: what they say stands in every HTML file, in terminals and in figures as text."""

import io
import json
import tempfile
from pathlib import Path
from typing import Any

import networkx as nx
import torch
from rich.console import Console

from gnnseq.layers import GCN
from gnnseq.reach import receptive_field, write_page
from harness.figure_layout import panels
from harness.report import table

__all__ = ["NAMES", "raw_markup", "try_pages"]

NAMES = (
    "<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", '"><svg onload=alert(1)>', "<!--", "]]>",
    "a & b", "it's", "{{7*7}}", "\u2028line", "</style><b>bold</b>", "&lt;already&gt;", "javascript:alert(1)",
)  # fmt: skip
MARKUP = ("[red]x[/]", "[/]", "[link=https://example.org]y[/link]", ":smile:", "$x_1$", "$$", "\\alpha", "a\\[b]")


def raw_markup(page: str) -> list[str]:
    """Marks of names that stand in a page as they were written, so that a browser would read them as markup."""
    return [mark for mark in ("<img src=x", "<svg onload", "<script>alert", "<b>bold", '<!--"') if mark in page]


def try_pages(settings: Any) -> list[tuple[str, int, list[str]]]:
    """A page of receptive fields of nodes that are called so."""
    fell = []
    graph = nx.path_graph(len(NAMES))
    edges = torch.tensor(list(graph.edges)).t()
    field = receptive_field(GCN(3, 4), torch.randn(len(NAMES), 3), edges, influence_nodes=list(range(len(NAMES))))
    with tempfile.TemporaryDirectory() as folder:
        for name in NAMES:
            path = Path(folder, "page.html")
            write_page({name: field}, path, names=list(NAMES), title=name)
            fell += [f"{json.dumps(name)}: {mark}" for mark in raw_markup(path.read_text(encoding="utf-8"))]
    return [
        ("names with markup are text in pages of receptive fields", len(NAMES), fell),
        ("names with markup are text in tables of a terminal and in figures", *_terminal_and_figures()),
    ]


def _terminal_and_figures() -> tuple[int, list[str]]:
    """How many names were tried, and which were not shown as they are."""
    fell, tried = [], [name for name in (*NAMES, *MARKUP) if name.isprintable()]
    for name in tried:
        made, shown = table(name, "", [name], []), io.StringIO()
        made.add_row(name)
        Console(file=shown, width=200).print(made)
        if shown.getvalue().count(name) != 3:
            fell.append(f"{json.dumps(name)}: in a table")
        figure, _ = panels(1, 1, name, f"{name} {name}")
        set_so: list[Any] = figure.texts
        if [text._preprocess_math(text.get_text()) for text in set_so] != [(name, False), (f"{name} {name}", False)]:
            fell.append(f"{json.dumps(name)}: in a figure")
    return len(tried), fell
