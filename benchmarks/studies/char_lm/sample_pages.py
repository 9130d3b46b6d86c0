"""The report's table of samples as text and as a web page: a block a step, a row for each temperature and length.

Each character of a sample takes one place, so that rows can be counted: what cannot be seen is shown by a mark. The
page's style is in ``sample_page.html``.
"""

import textwrap
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from gnnseq.plots import COLORS
from harness.files import write_text
from studies.char_lm.results import corpus, groups

__all__ = ["blocks", "html_table", "text_table", "visible", "write_samples"]

MARKS = {"\n": "↵", "\t": "⇥"}
WIDTH = 60  # characters of a line in the text table: 50 fit one, 120 fill two
HEAT = (COLORS["blue"], COLORS["green"], COLORS["orange"], COLORS["vermillion"])
ABOUT = (
    "Characters drawn one after another, each fed back to the model; the first is drawn uniformly. Logits are divided "
    "by the temperature T; at 0 the likeliest character is taken. ↵ is the end of a line."
)

Rows = list[tuple[float, list[tuple[int, str]]]]  # of one step: temperature, then length and text


def visible(text: str) -> str:
    """The text with a mark for whatever has no glyph of its own; spaces stay spaces."""
    return "".join(MARKS.get(character) or (character if character.isprintable() else "□") for character in text)


def blocks(samples: Sequence[dict[str, Any]]) -> list[tuple[int, Rows]]:
    """Step, temperature and length in rising order; of samples alike in all three each is kept."""
    tree: dict[int, dict[float, list[tuple[int, str]]]] = {}
    for sample in sorted(samples, key=lambda sample: (sample["step"], sample["temperature"], sample["length"])):
        of_step = tree.setdefault(sample["step"], {})
        of_step.setdefault(float(sample["temperature"]), []).append((sample["length"], sample["text"]))
    return [(step, list(of_step.items())) for step, of_step in tree.items()]


def titled(result: dict[str, Any]) -> Iterator[tuple[str, list[tuple[int, Rows]]]]:
    """Every run that has samples: what it is called, and its blocks."""
    for group in groups(result):
        for run in group.runs:
            if run["samples"]:
                yield f"{group.label} settings, seed {run['seed']}", blocks(run["samples"])


def text_table(result: dict[str, Any]) -> str:
    """The table as text, at most 78 columns wide."""
    rule = "-" * 78
    lines = [f"Samples of a character language model: {corpus(result)}", "", *textwrap.wrap(ABOUT, 78)]
    for title, found in titled(result):
        for step, rows in found:
            lines += ["", f"Step {step:,} ({title})", rule, "   T  length  sample", rule]
            for temperature, samples in rows:
                for place, (length, text) in enumerate(samples):
                    first, *more = [_ended(text[at : at + WIDTH]) for at in range(0, len(text), WIDTH)] or [""]
                    name = f"{temperature:>4.1f}" if place == 0 else " " * 4
                    lines.append(f"{name}  {length:>6}  {first}".rstrip())
                    lines += [f"{'':14}{piece}" for piece in more]
            lines.append(rule)
    return "\n".join(lines) + "\n"


def _ended(piece: str) -> str:
    """A piece of a sample on its line: a space at its end would not be seen."""
    shown = visible(piece)
    return f"{shown[:-1]}␣" if shown.endswith(" ") else shown


def html_table(result: dict[str, Any]) -> str:
    """The table as a page that needs no other file and runs nothing."""
    made = result["provenance"]
    parts = []
    for title, of_run in titled(result):
        parts.append(f"<h2>{escape(title)}</h2>\n<div class='blocks'>")
        parts += [_section(step, rows) for step, rows in of_run]
        parts.append("</div>")
    page = Template(Path(__file__).with_name("sample_page.html").read_text(encoding="utf-8"))
    return page.substitute(
        name=escape(corpus(result)),
        about=escape(ABOUT),
        heat="\n".join(f".t{place} {{ --heat: {color}; }}" for place, color in enumerate(HEAT)),
        body="\n".join(parts),
        origin=escape(f"{made.get('command')}, commit {made.get('commit')}, {made.get('date')}"),
    )


def _section(step: int, rows: Rows) -> str:
    lines = [f"<table><caption>step {step:,}</caption>",
             "<thead><tr><th>T</th><th>length</th><th>sample</th></tr></thead>"]  # fmt: skip
    for place, (temperature, samples) in enumerate(rows):
        lines.append(f"<tbody class='t{min(place, len(HEAT) - 1)}'>")
        head = f"<th scope='rowgroup' rowspan='{len(samples)}'>{temperature:g}</th>"
        for length, text in samples:
            lines.append(f"<tr>{head}<td class='length'>{length}</td><td class='sample'>{_marked(text)}</td></tr>")
            head = ""
        lines.append("</tbody>")
    return "\n".join([*lines, "</table>"])


def _marked(text: str) -> str:
    """Escaped, with every mark in a colour of its own."""
    return "".join(
        escape(character) if character == shown else f"<i>{shown}</i>"
        for character, shown in zip(text, visible(text), strict=True)
    )


def write_samples(result: dict[str, Any], stem: Path) -> list[Path]:
    """Both tables, as ``stem``_samples.txt and .html; nothing if no run has samples."""
    if not any(run["samples"] for run in result["runs"]):
        return []
    paths = [stem.with_name(f"{stem.name}_samples.{kind}") for kind in ("txt", "html")]
    for path, table in zip(paths, (text_table, html_table), strict=True):
        write_text(path, table(result))
    return paths
