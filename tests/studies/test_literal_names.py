"""Names from users' files stand in terminals and figures as they are, whatever is markup to rich or matplotlib."""

import ast
import io
import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.text import Text
from rich.console import Console

import harness.report
from harness import figure_layout
from harness.report import PLAIN, literal, print_checks, said, table
from studies.social_relations import figures as scenes

NAMES = [
    "[red]x[/]", "[/]", "[link=https://example.org]y[/link]", "[bold", "a\\[b]", ":smile:", "$x_1$", "$\\alpha", "$$",
    "\\frac{1}{2}", "a_b^c", "\\$5",
]  # fmt: skip


def printed(show, console=None):
    out = io.StringIO()
    show(console or Console(file=out, width=500))
    return out.getvalue() if console is None else console.file.getvalue()


def house():
    console = harness.report.console()
    console.file, console.width = io.StringIO(), 500
    return console


@pytest.mark.parametrize("name", NAMES)
def test_in_tables_and_lines(name):
    made = table(f"title {name}", f"caption {name}", [f"heading {name}"], ["number"])
    made.add_row(f"cell {name}", said("red", "red", f" number {name}"))
    for console in (None, house()):
        text = printed(lambda console: console.print(made), console)
        assert all(f"{part} {name}" in text for part in ("title", "caption", "heading", "cell", "number")), text
    shows = (
        lambda console: console.print(f"a line {name}", **PLAIN),
        lambda console: console.print(f"a line {name}", style="yellow", **PLAIN),
        lambda console: print_checks([(f"a line {name}", False)], console),
    )
    for show in shows:
        assert f"line {name}" in printed(show)
    assert printed(lambda console: console.print(f"[{name}]"), house()) == f"[{name}]\n"


def test_a_name_does_not_steer_the_terminal():
    name = "a\x1b]0;title\x07\r\x9b2J"
    said_as = r"a\x1b]0;title\x07\x0d\x9b2J"
    assert literal(name).plain == said_as
    assert printed(lambda console: console.print(name, **PLAIN), house()) == f"{said_as}\n"


def shown(figure):
    """What matplotlib shows of all texts, and whether as mathematics."""
    return [text._preprocess_math(text.get_text()) for text in figure.findobj(Text)]


@pytest.mark.parametrize("name", NAMES)
def test_in_figures(name):
    for options in ({}, {"handles": [Line2D([], [], label=f"legend {name}")]}):
        figure, axes = figure_layout.panels(1, 1, f"title {name}", f"note {name} and {name}")
        axes[0, 0].plot([0, 1], label=f"legend {name}")
        named = () if options else axes[0, 0].get_legend_handles_labels()
        figure_layout.legend(figure, *named, **options)
        found = shown(figure)
        for text in (f"title {name}", f"note {name} and {name}", f"legend {name}"):
            assert (text, False) in found
    scene = {
        "image": name, "size": [40, 30], "persons": [[1, 1, 9, 9], [20, 2, 30, 20]], "objects": [[10, 10, 15, 15]],
        "names": [name], "pairs": [[0, 1]], "relations": [name],
    }  # fmt: skip
    drawn = scenes._graph({"data": name, "example": scene})
    assert shown(drawn).count((name, False)) == 2
    assert (f"A scene as a graph: {name}, {name}", False) in shown(drawn)


def test_dollars_are_drawn():
    figure = Figure(figsize=(2, 1))
    figure.text(0, 0.5, figure_layout.written("$\\frac{$ and $\\undefined$"))
    figure.savefig(io.BytesIO(), format="png")


def test_no_study_prints_with_markup():
    houses = Path(figure_layout.__file__).parents[1]
    for path in set(houses.rglob("*.py")) - {houses / "studies/faults/pages.py"}:  # which makes such names up
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\[/[a-z]*\]", text), path
        tree = ast.parse(text if "console.print" in text else "")
        for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
            if ast.unparse(call.func) == "console.print" and any(isinstance(each, ast.JoinedStr) for each in call.args):
                assert ast.unparse(call).endswith("**PLAIN)"), (path, ast.unparse(call))
