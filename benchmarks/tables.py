"""The tables of README.md and docs/, from the committed JSON alone.

    python benchmarks/tables.py            writes them into the pages, between their markers
    python benchmarks/tables.py --check    writes nothing; exit code 1 if a page says something else

Exit code 2: a result is missing or not complete, and stderr says what makes it.

A table stands between `<!-- table: NAME -->` and `<!-- end -->`. NAME is one of those below, or `FOLDER/STEM`: what
FOLDER_report.py makes of results/FOLDER/STEM.json.
"""

import re
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

from harness import cli as command
from harness.sweep import read_json, write_text
from studies.palindrome.report import CHANCE, Group, groups

ROOT = Path(__file__).resolve().parent
PAGES = (ROOT.parent / "README.md", *sorted((ROOT.parent / "docs").glob("*.md")))
# What makes the results, FOLDER/STEM, but for those of one place and time.
COMMANDS = {
    "palindrome/story": "palindrome.py",
    "palindrome/full": "palindrome.py --full",
    "palindrome/long": "palindrome.py --long",
    "receptive_field/receptive_field": "receptive_field.py",
    "optimizers/optimizers": "optimizers.py",
    "char_lm/tinyshakespeare-fast": "char_lm.py --corpus tinyshakespeare",
    "char_lm/tinyshakespeare-best": "char_lm.py --corpus tinyshakespeare --preset best",
    "char_lm/southpark-report": "char_lm.py --corpus southpark --preset report",
    "stocks/synthetic": "stocks.py",
    "forecasting/forecasting": "forecasting.py",
    "speed/speed": "speed.py",
}
MARKED = re.compile(r"(<!-- table: ([\w/-]+) -->\n)(.*?)(<!-- end -->)", flags=re.DOTALL)


@dataclass(frozen=True)
class Settings:
    """The tables of README.md and docs/, from the committed JSON."""

    check: bool = False
    """Write nothing; exit code 1 if a page is not what the results say."""


def stored(name: str) -> Any:
    """The result FOLDER/STEM.

    Raises:
        FileNotFoundError: There is none; the message names the command that makes it.
    """
    path = ROOT / "results" / f"{name}.json"
    if not path.exists():
        remedy = f"git restore {path} brings a committed one back"
        if name in COMMANDS:
            remedy = f"python benchmarks/{COMMANDS[name]} makes it"
        raise FileNotFoundError(f"{path} does not exist; {remedy}")
    return read_json(path)


def markdown(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table whose first column is text and whose others are numbers."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


def accuracy(group: Group) -> str:
    mean, spread = 100 * group.mean, 100 * group.spread
    return f"{mean:.0f} ± {spread:.0f}" if spread >= 0.5 else f"{mean:.0f}"


def by_length(found: list[Group], title: str, cells: Callable[[Group], str]) -> str:
    """A row for each kind of network, a column for each length."""
    lengths = sorted({group.settings["length"] for group in found})
    rows: dict[str, dict[int, str]] = {}
    for group in found:
        name = f"{group.label}, {group.settings['encoding']}"
        rows.setdefault(name, {})[group.settings["length"]] = cells(group)
    body = [[name, *(cell.get(length, "") for length in lengths)] for name, cell in rows.items()]
    if cells is accuracy:
        body.append(["guessing", *(f"{100 * CHANCE:.0f}" for _ in lengths)])
    return markdown([title, *(f"L = {length}" for length in lengths)], body)


def accuracies(study: str) -> str:
    """Test accuracy by network and length, mean and standard deviation over seeds."""
    result = stored(f"palindrome/{study}")
    return by_length(groups(result), "test accuracy, %", accuracy)


def long() -> str:
    """Seeds that reach 99 %, and the steps they take."""

    def cell(group: Group) -> str:
        steps = group.steps_to_solve()
        how = f"in {statistics.median(steps):.0f}" if steps and group.solved else f"at {accuracy(group)} %"
        return f"{group.solved}/{len(group.runs)} {how}"

    result = stored("palindrome/long")
    return by_length(groups(result), "seeds at 99 %, median steps", cell)


def claims() -> str:
    """What torch_geometric says of layers' reach, and what it is."""
    rows = stored("receptive_field/receptive_field")["claims"]
    return markdown(
        ["layer", "measured hops", "`get_num_hops`"],
        [[row["layer"], str(row["farthest"]), str(row["claimed"])] for row in rows],
    )


def reported(name: str) -> str:
    """What a script's report module says of its result, named FOLDER/STEM."""
    folder, _, _ = name.partition("/")
    return import_module(f"studies.{folder}.report").markdown(stored(name))


def shakespeare() -> str:
    """The language models of two presets in one table."""
    report = import_module("studies.char_lm.report")
    return report.markdown(
        report.together([stored(f"char_lm/tinyshakespeare-{preset}") for preset in ("fast", "best")])
    )


TABLES = {
    "figure-1": partial(accuracies, "full"),
    "story": partial(accuracies, "story"),
    "long": long,
    "claims": claims,
    "speed": partial(reported, "speed/speed"),
    "speed-summary": lambda: import_module("studies.speed.report").summary(stored("speed/speed")),
    "forecasts": partial(reported, "forecasting/forecasting"),
    "shakespeare": shakespeare,
    "southpark": partial(reported, "char_lm/southpark-report"),
    "optimizers": partial(reported, "optimizers/optimizers"),
}


def table(name: str) -> str:
    """A table by its name."""
    if name in TABLES:
        return TABLES[name]()
    if "/" in name:
        return reported(name)
    raise ValueError(f"a table {name!r}; expected one of {', '.join(TABLES)}, or FOLDER/STEM of a result")


def rewritten(text: str) -> str:
    """The text with every table made anew."""
    return MARKED.sub(lambda found: f"{found[1]}{table(found[2])}{found[4]}", text)


def main(settings: Settings) -> int:
    stale = {}
    for page in PAGES:
        old = page.read_text(encoding="utf-8")
        new = rewritten(old)
        if new != old:
            stale[page] = new
    if settings.check:
        for page in stale:
            print(f"{page.name} is not what the results say", file=sys.stderr)
        return int(bool(stale))
    for page, text in stale.items():
        write_text(page, text)
    return 0


if __name__ == "__main__":
    command.run(main, Settings)
