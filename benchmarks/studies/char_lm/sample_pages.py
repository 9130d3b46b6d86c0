"""The report's table of samples as text and as a web page: a block a step, a row for each temperature and length.

Each character of a sample takes one place, so that rows can be counted: what cannot be seen is shown by a mark.
"""

import textwrap
from collections.abc import Iterator, Sequence
from html import escape
from pathlib import Path
from string import Template
from typing import Any

from gnnseq.plots import COLORS
from harness.sweep import write_text
from studies.char_lm.results import corpus, groups

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
    for sample in samples:
        of_step = tree.setdefault(sample["step"], {})
        of_step.setdefault(float(sample["temperature"]), []).append((sample["length"], sample["text"]))
    return [
        (step, [(temperature, sorted(rows, key=lambda row: row[0])) for temperature, rows in sorted(of_step.items())])
        for step, of_step in sorted(tree.items())
    ]


def titled(result: dict[str, Any]) -> Iterator[tuple[str, list[tuple[int, Rows]]]]:
    """Every run that has samples: what it is called, and its blocks."""
    for group in groups(result):
        for run in group.runs:
            if run["samples"]:
                yield f"{group.label} settings, seed {run['seed']}", blocks(run["samples"])


def text_table(result: dict[str, Any]) -> str:
    """The table as text, at most 78 columns wide."""
    lines = [f"Samples of a character language model: {corpus(result)}", "", *textwrap.wrap(ABOUT, 78)]
    for title, found in titled(result):
        for step, rows in found:
            lines += ["", f"Step {step:,} ({title})", "-" * 78, "   T  length  sample", "-" * 78]
            for temperature, samples in rows:
                for place, (length, text) in enumerate(samples):
                    pieces = [text[at : at + WIDTH] for at in range(0, len(text), WIDTH)] or [""]
                    name = f"{temperature:>4.1f}" if place == 0 else " " * 4
                    lines.append(f"{name}  {length:>6}  {_ended(pieces[0])}".rstrip())
                    lines += [f"{'':14}{_ended(piece)}" for piece in pieces[1:]]
            lines.append("-" * 78)
    return "\n".join(lines) + "\n"


def _ended(piece: str) -> str:
    """A piece of a sample on its line: a space at its end would not be seen."""
    shown = visible(piece)
    return f"{shown[:-1]}␣" if shown.endswith(" ") else shown


def html_table(result: dict[str, Any]) -> str:
    """The table as a page that needs no other file and runs nothing."""
    made = result["provenance"]
    name = corpus(result)
    found = list(titled(result))
    parts = []
    for title, of_run in found:
        parts.append(f"<h2>{escape(title)}</h2>\n<div class='blocks'>")
        parts += [_section(step, rows) for step, rows in of_run]
        parts.append("</div>")
    origin = f"{made.get('command')}, commit {made.get('commit')}, {made.get('date')}"
    heat = "\n".join(f".t{place} {{ --heat: {color}; }}" for place, color in enumerate(HEAT))
    return PAGE.substitute(
        name=escape(name), about=escape(ABOUT), heat=heat, body="\n".join(parts), origin=escape(origin)
    )


def _section(step: int, rows: Rows) -> str:
    lines = [f"<table><caption>step {step:,}</caption>",
             "<thead><tr><th>T</th><th>length</th><th>sample</th></tr></thead>"]  # fmt: skip
    for place, (temperature, samples) in enumerate(rows):
        heat = f"t{min(place, len(HEAT) - 1)}"
        lines.append(f"<tbody class='{heat}'>")
        for first, (length, text) in zip([True] + [False] * len(samples), samples, strict=False):
            head = f"<th scope='rowgroup' rowspan='{len(samples)}'>{temperature:g}</th>" if first else ""
            lines.append(f"<tr>{head}<td class='length'>{length}</td><td class='sample'>{_marked(text)}</td></tr>")
        lines.append("</tbody>")
    return "\n".join([*lines, "</table>"])


def _marked(text: str) -> str:
    """Escaped, with every mark in a colour of its own."""
    return "".join(
        f"<i>{visible(character)}</i>" if visible(character) != character else escape(character) for character in text
    )


PAGE = Template("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Samples: $name</title>
<style>
:root { --ink: #2b2b2b; --paper: #ffffff; --card: #ffffff; --line: #e4e4e4; --faint: #6b6b6b; --mark: #a0522d; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #16181b; --card: #1e2125; --line: #34383e; --faint: #9aa0a6; --mark: #e6a77c; }
}
$heat
body { margin: 2rem auto; max-width: 100rem; padding: 0 1.5rem; background: var(--paper); color: var(--ink);
  font: 1rem/1.5 system-ui, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; font-weight: 600; margin: 0 0 .4rem; }
h2 { font-size: 1.15rem; font-weight: 600; margin: 2rem 0 .8rem; }
p { max-width: 48rem; text-wrap: pretty; margin: 0; color: var(--faint); }
.blocks { display: grid; gap: 1.25rem; grid-template-columns: repeat(auto-fill, minmax(min(100%, 29rem), 1fr)); }
table { border-collapse: collapse; width: 100%; height: max-content; background: var(--card);
  border: 1px solid var(--line); }
caption { text-align: left; font-weight: 600; padding: 0 0 .35rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .45rem; vertical-align: top; text-align: left; }
thead th { font-size: .8rem; font-weight: 400; color: var(--faint); border-bottom: 1px solid var(--line); }
thead th:nth-child(2), .length { text-align: right; width: 2.6rem; }
tbody { border-top: 1px solid var(--line); }
tbody th { width: 1.6rem; border-left: .3rem solid var(--heat); font-variant-numeric: tabular-nums; }
.length { color: var(--faint); font-size: .85rem; line-height: 1.6rem; font-variant-numeric: tabular-nums; }
.sample { font: .85rem/1.6 "DejaVu Sans Mono", ui-monospace, Menlo, Consolas, monospace; white-space: break-spaces;
  line-break: anywhere; }
.sample i { font-style: normal; color: var(--mark); }
footer { margin: 2rem 0; font-size: .8rem; color: var(--faint); overflow-wrap: anywhere; }
@media print { body { margin: 0; max-width: none; } table { break-inside: avoid; } }
</style>
</head>
<body>
<h1>Samples of a character language model: $name</h1>
<p>$about</p>
$body
<footer>$origin</footer>
</body>
</html>
""")


def write_samples(result: dict[str, Any], stem: Path) -> list[Path]:
    """Both tables, as ``stem``_samples.txt and .html; nothing where no run has samples."""
    if not any(run["samples"] for run in result["runs"]):
        return []
    paths = [stem.with_name(f"{stem.name}_samples.{kind}") for kind in ("txt", "html")]
    for path, table in zip(paths, (text_table, html_table), strict=True):
        write_text(path, table(result))
    return paths
