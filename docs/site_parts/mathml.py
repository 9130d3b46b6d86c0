"""Equations as MathML, which browsers draw themselves: no script, and nothing to fetch."""

import re
from typing import Any

from docutils.nodes import SkipNode
from latex2mathml.converter import convert


def setup(app: Any) -> dict[str, Any]:
    app.add_html_math_renderer("mathml", (inline, None), (display, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def mathml(latex: str, display: str) -> str:
    """Rows are aligned where the equation has any; text keeps its underscores."""
    if re.search(r"(?<!\\)&|\\\\", latex):
        latex = rf"\begin{{align*}}{latex}\end{{align*}}"
    return convert(latex, display=display).replace(r"\_", "_")


def inline(self: Any, node: Any) -> None:
    self.body.append(mathml(node.astext(), "inline"))
    raise SkipNode


def display(self: Any, node: Any) -> None:
    self.body.append(f'<div class="math">{mathml(node.astext(), "block")}</div>')
    raise SkipNode
