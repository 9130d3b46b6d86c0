"""Reports: from a result's JSON alone to tables in a terminal, tables in a page, and figures beside the result.

Names come from users' files, and stand in a terminal as they are: what is markup to rich is text here, in cells, titles
and lines that are printed with :data:`PLAIN`. :func:`said` colours a word.

A study's ``report`` module is what :func:`show` is given. It has ``print_report(result, console)`` and
``figures(result, stem) -> paths``, and may have ``checks(result)``: statements, each with whether it holds.
"""

import json
import statistics
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.files import expect_result, read_json

# Brackets and colons are text, numbers in the terminal's colour, paths in one piece.
PLAIN: dict[str, Any] = {"markup": False, "emoji": False, "highlight": False, "soft_wrap": True}
# A name must not steer the terminal: characters that would are shown by their numbers.
CONTROLS = {code: f"\\x{code:02x}" for code in (*range(32), *range(127, 160)) if chr(code) not in "\t\n"}


def console(stderr: bool = False, quiet: bool = False) -> Console:
    """The terminal, or 120 columns where output is a file or a pipe, as tables need them."""
    return _Console(width=None if sys.stdout.isatty() else 120, stderr=stderr, quiet=quiet)


class _Console(Console):
    """A terminal that shows texts as they are."""

    def render_str(self, text: str, **options: Any) -> Text:
        """The text without markup."""
        return super().render_str(text.translate(CONTROLS), **options | {"markup": False, "emoji": False})


def literal(text: str, style: str = "") -> Text:
    """A text that a terminal shows as it is, whatever is markup to rich in it."""
    return Text(text.translate(CONTROLS), style)


def said(word: str, style: str, rest: str) -> Text:
    """A word in a colour, and after it a text as it is."""
    return Text.assemble(literal(word, style), literal(rest))


def read_result(path: Path) -> Any:
    """The result that :func:`harness.files.expect_result` finds."""
    return read_json(expect_result(path))


def show(source: Path, target: Path, report: Any, console: Console) -> int:
    """:func:`present` the result in ``source``."""
    code = present(read_result(source), target, report, console)
    console.print(f"from  {source}", **PLAIN)
    return code


def present(result: Any, target: Path, report: Any, console: Console) -> int:
    """Print tables and checked statements, draw figures next to ``target``; the exit code, 1 if a statement fails."""
    report.print_report(result, console)
    checks = _checks(report, result)
    print_checks(checks, console)
    for figure in report.figures(result, target.with_suffix("")):
        console.print(f"wrote {figure}", **PLAIN)
    return int(not all(holds for _, holds in checks))


def show_json(source: Path, report: Any) -> int:
    """Print a result as JSON, and nothing else; the exit code is that of :func:`show`."""
    result = read_result(source)
    print(json.dumps(result))
    return int(not all(holds for _, holds in _checks(report, result)))


def _checks(report: Any, result: Any) -> list[tuple[str, bool]]:
    return list(report.checks(result)) if hasattr(report, "checks") else []


def print_checks(checks: Iterable[tuple[str, bool]], console: Console) -> None:
    """One line a statement: whether it holds."""
    for statement, holds in checks:
        console.print(said(*(("holds", "green") if holds else ("FAILS", "bold red")), f" {statement}"), **PLAIN)


def table(title: str, caption: str, text: Sequence[str], numbers: Sequence[str], **options: Any) -> Table:
    """An empty table of the house's look: columns of text, then columns of numbers; all is shown as it is."""
    titles: dict[str, Any] = {"title": literal(title, "bold"), "caption": literal(caption, "table.caption")}
    made = _Table(**titles, box=box.SIMPLE_HEAD, caption_justify="left", **options)
    for number, heading in enumerate([*text, *numbers]):
        made.add_column(literal(heading), justify="left" if number < len(text) else "right", no_wrap=True)
    return made


class _Table(Table):
    """A table whose cells are texts as they are, or what rich renders."""

    def add_row(self, *cells: Any, **options: Any) -> None:
        """Add a row."""
        super().add_row(*(literal(cell) if isinstance(cell, str) else cell for cell in cells), **options)


def markdown_table(headings: Sequence[str], rows: Iterable[Sequence[str]], text: int = 1) -> str:
    """A table for a page: so many columns of text, then columns of numbers."""
    lines = [headings, ["---"] * text + ["---:"] * (len(headings) - text), *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def mean_std(values: Sequence[float], digits: int = 1, factor: float = 1.0, sign: str = " ± ") -> str:
    """Mean and standard deviation over seeds, "60.0 ± 14.1"; the mean alone where there is one seed."""
    scaled = [factor * value for value in values]
    mean = f"{statistics.fmean(scaled):.{digits}f}"
    return f"{mean}{sign}{statistics.stdev(scaled):.{digits}f}" if len(scaled) > 1 else mean


def median_and_range(values: Sequence[float], none: str = "none") -> str:
    """Median, and range where there is one, of whole numbers: "20 (10-60)"."""
    if not values:
        return none
    middle = f"{statistics.median(values):.0f}"
    return middle if min(values) == max(values) else f"{middle} ({min(values)}-{max(values)})"
