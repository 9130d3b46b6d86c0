"""Docstrings and examples as the project writes them, made fit for a page."""

import re
from typing import Any

from docutils import nodes

HEADINGS = ("Shapes", "Sources", "Reach", "Time")


def setup(app: Any) -> dict[str, Any]:
    app.connect("autodoc-process-docstring", plain, priority=100)  # before Napoleon reads the sections
    app.connect("doctree-read", without_last_lines)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def plain(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    """`Shapes: ...` within a line is no section; it becomes a bold word at the head of its paragraph."""
    for at, line in enumerate(lines):
        lines[at] = re.sub(rf"^({'|'.join(HEADINGS)}): ", r"**\1.** ", line)


def without_last_lines(app: Any, doctree: nodes.document) -> None:
    """Examples in Markdown end with an empty line, for doctest's sake."""
    for block in doctree.findall(nodes.literal_block):
        text = block.astext().rstrip()
        if block.rawsource == block.astext():  # highlighted as it stands, without markup within
            block.rawsource, block.children = text, []
            block += nodes.Text(text)
