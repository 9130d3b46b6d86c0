"""The tables of README.md and docs/, from the committed JSON and the registry of studies alone.

    python benchmarks/tables.py            writes them into the pages, between their markers
    python benchmarks/tables.py --check    writes nothing; exit code 1 if a page says something else

Exit code 2: a result is missing, and stderr says what makes it. `<!-- table: STUDY/STEM NAME -->` starts what NAME of
the TABLES in studies/STUDY/report.py makes of results/STUDY/STEM.json, or of several results, STEM+STEM; `<!-- end -->`
ends it. `<!-- table: studies -->` is the registry.
"""

import re
import sys
from dataclasses import dataclass
from importlib import import_module
from typing import Any

from harness.cli import EVIDENCE, run
from harness.files import read_json, write_text
from harness.report import markdown_table
from studies.registry import STUDIES

ROOT = EVIDENCE.parents[1]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
MARKED = re.compile(r"(<!-- table: ([^>]+) -->\n)(.*?)(<!-- end -->)", flags=re.DOTALL)


@dataclass(frozen=True)
class Settings:
    """The tables of README.md and docs/, from the committed JSON."""

    check: bool = False  # Write nothing; exit code 1 if a page is not what the results say


def stored(study: str, stem: str) -> Any:
    """The committed result STUDY/STEM; a FileNotFoundError names the command that makes it."""
    path = EVIDENCE / study / f"{stem}.json"
    if not path.exists():
        arguments = next((row.results.get(stem) for row in STUDIES if row.name == study), None)
        remedy = f"python benchmarks/{study}.py --record {arguments}".rstrip() + " makes it"
        if arguments is None:
            remedy = f"git restore {path} brings a committed one back"
        raise FileNotFoundError(f"{path} does not exist; {remedy}")
    return read_json(path)


def table(marker: str) -> str:
    """What stands between a marker and its end."""
    if marker == "studies":
        rows = [[f"`{row.name}.py`", row.question, row.finding, row.time] for row in STUDIES]
        return markdown_table(["`python benchmarks/...`", "asks", "and finds", "on two cores"], rows, text=4)
    place, _, name = marker.partition(" ")
    study, _, stems = place.partition("/")
    if study not in {row.name for row in STUDIES}:
        raise ValueError(f"a table {marker!r}; expected 'studies', or 'STUDY/STEM NAME' with a study of the registry")
    tables = import_module(f"studies.{study}.report").TABLES
    if name not in tables:
        raise ValueError(f"a table {marker!r}; expected one of {', '.join(tables)} after the result of {study}")
    made: str = tables[name](*(stored(study, stem) for stem in stems.split("+")))
    return made


def rewritten(text: str) -> str:
    """The text with every table made anew."""
    return MARKED.sub(lambda found: f"{found[1]}{table(found[2])}{found[4]}", text)


def main(settings: Settings) -> int:
    """Write or check all pages; the exit code."""
    pages = {page: page.read_text(encoding="utf-8") for page in PAGES}
    stale = {page: new for page, old in pages.items() if (new := rewritten(old)) != old}
    for page, text in stale.items():
        if settings.check:
            print(f"{page.name} is not what the results say", file=sys.stderr)
        else:
            write_text(page, text)
    return int(settings.check and bool(stale))


if __name__ == "__main__":
    run(main, Settings)
