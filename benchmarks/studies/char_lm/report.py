"""Tables and checked statements of the character language models, from their JSON alone.

The figures are drawn in ``char_lm_figures.py``, the table of samples is made in ``char_lm_samples.py``. Several presets
on one text are put together by

    python benchmarks/char_lm_report.py benchmarks/results/char_lm/tinyshakespeare-{fast,best}.json
"""

import math
import statistics
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tyro
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness import cli as command
from harness.sweep import read_json
from studies.char_lm import figures as char_lm_figures
from studies.char_lm.results import (
    LOGGED,
    Group,
    bits,
    comparable,
    corpus,
    goals,
    groups,
    held_out,
    mean_and_range,
    mean_and_spread,
    published,
    together,
)
from studies.char_lm.sample_pages import blocks, visible, write_samples

SHOWN = 50  # characters of the samples that the terminal gets, where there are some of that length


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    """Draw both figures, and write the table of samples beside them, as text and as a web page."""
    return [*char_lm_figures.figures(result, stem), *write_samples(result, stem)]


def checks(result: dict[str, Any]) -> list[tuple[str, bool]]:
    """Statements that must hold, each with whether it does: training is nowhere behind the report's log."""
    statements = []
    for group in groups(result):
        for step, rows in group.logged().items() if comparable(result, group) else ():
            losses, shares = zip(*rows, strict=True)
            nats, share = LOGGED[step]
            text = (
                f"training at step {step:,}: loss {mean_and_range(losses, 3)}, accuracy {mean_and_range(shares, 2)}; "
                f"in the report's log {nats:.3f} and {share:.2f}"
            )
            statements.append((text, max(losses) <= nats))
    return statements


def print_report(result: dict[str, Any], console: Console) -> None:
    for table in (_losses(result), _times(result)):
        console.print()
        console.print(table)
    for statement, holds in checks(result):
        console.print(
            f"[green]holds[/] {statement}" if holds else f"[bold red]FAILS[/] {statement}",
            highlight=False,
            soft_wrap=True,
        )
    if any(run["samples"] for run in result["runs"]):
        console.print()
        console.print(_samples(result))


def _table(title: str | None, caption: str) -> Table:
    return Table(
        title=title, caption=f"\n{caption}", box=box.SIMPLE_HEAD, title_style="bold", caption_justify="left",
        padding=(0, 1, 0, 0), pad_edge=False, show_edge=False,
    )  # fmt: skip


def _losses(result: dict[str, Any]) -> Table:
    text = result["corpus"]
    train, validation, test = (f"{length:,}" for length in text["split"])
    table = _table(
        f"Character language models: {corpus(result)}",
        "Nats a character, mean ± standard deviation over seeds: of the last training steps, with dropout; the lowest "
        "on validation; on the test part. Bits, perplexity and accuracy are the test's, a character. "
        f"{text['characters']:,} characters of {text['vocabulary']} kinds: {train} to train on, then {validation} for "
        f"validation, then {test} for the test." + _published(result),
    )
    table.add_column("")
    for heading in ("train", "validation", "test", "bits", "ppl", "acc %", "min"):
        table.add_column(heading, justify="right", no_wrap=True)
    for group in groups(result):
        nats = group.test("loss")
        table.add_row(
            _named(group),
            _mean(group.last("loss"), 3),
            mean_and_spread(group.lowest()),
            mean_and_spread(nats),
            _mean([bits(value) for value in nats], 3),
            _mean([math.exp(value) for value in nats], 2),
            _mean([100 * value for value in group.test("accuracy")], 1),
            _mean(group.minutes(), 0 if min(group.minutes()) >= 10 else 2),
        )
    table.add_section()
    for name, nats in result["baselines"].items():
        test = nats["test"]
        cells = (f"{nats['validation']:.3f}", f"{test:.3f}", f"{bits(test):.3f}", f"{math.exp(test):.2f}")
        table.add_row(name, "", *cells, style="dim")
    for name, nats in published(result).items():
        table.add_row(name, "", f"{nats:.3f}", style="dim")
    return table


def _published(result: dict[str, Any]) -> str:
    """What the published numbers are to be compared with."""
    if not published(result):
        return ""
    ours = [f"{group.label} {_mean(_held_out(result, group), 3)}" for group in groups(result)]
    return f" Last rows: as published, on validation and test together, where ours are {', '.join(ours)}."


def _held_out(result: dict[str, Any], group: Group) -> list[float]:
    return [held_out(result, *both) for both in zip(group.lowest(), group.test("loss"), strict=True)]


def _named(group: Group) -> str:
    return group.label if len(group.runs) == 1 else f"{group.label}, {len(group.runs)} seeds"


def _mean(values: list[float], digits: int) -> str:
    return f"{statistics.fmean(values):.{digits}f}"


def _levels(result: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """What validation is to get below, by name: nats, and the minutes that it may take."""
    levels = {f"{nats:.2f} in {minutes} min": (nats, minutes) for nats, minutes in goals(result).items()}
    baselines = {name: nats["validation"] for name, nats in result["baselines"].items()}
    if baselines:
        best = min(baselines, key=baselines.__getitem__)
        levels[f"{baselines[best]:.3f} ({best})"] = (baselines[best], math.inf)
    return levels


def _times(result: dict[str, Any]) -> Table:
    levels = _levels(result)
    table = _table(
        None, "Of validation; mean (range) over seeds, late by an interval at most. Green: every seed, in time."
    )
    table.add_column("minutes until below", no_wrap=True)
    for name in levels:
        table.add_column(name, justify="right", no_wrap=True)
    for group in groups(result):
        cells = []
        for nats, limit in levels.values():
            minutes = group.minutes_below(nats)
            in_time = len(minutes) == len(group.runs) and max(minutes) <= limit
            cells.append(Text(reached(group, minutes), "green" if in_time else ""))
        table.add_row(group.label, *cells)
    return table


def reached(group: Group, minutes: list[float]) -> str:
    """Minutes, and how many of the seeds they are about unless it is all."""
    if not minutes:
        return "not reached"
    few = "" if len(minutes) == len(group.runs) else f", {len(minutes)} of {len(group.runs)}"
    return mean_and_range(minutes) + few


def _samples(result: dict[str, Any]) -> Table:
    """Of the first run that has samples: those of its last step, one for each temperature."""
    run = next(run for run in result["runs"] if run["samples"])
    step, rows = blocks(run["samples"])[-1]
    table = _table(f"Samples at step {step:,}, seed {run['seed']}", "↵ is the end of a line.")
    table.add_column("T", justify="right")
    table.add_column("")
    for temperature, samples in rows:
        _, text = min(samples, key=lambda sample: abs(sample[0] - SHOWN))
        table.add_row(f"{temperature:g}", Text(visible(text)))
    return table


def markdown(result: dict[str, Any]) -> str:
    """Losses and times, beside the baselines and what others publish."""
    levels = {name: level for name, level in _levels(result).items() if level[0] in goals(result)}
    headings = [f"{corpus(result)}, nats/character", "validation", "test", "both", "test, bits", "minutes"]
    headings += [f"below {name}" for name in levels]
    rows = []
    for group in groups(result):
        nats = group.test("loss")
        times = [reached(group, group.minutes_below(level)) for level, _ in levels.values()]
        losses = [group.lowest(), nats, _held_out(result, group), [bits(value) for value in nats]]
        rows.append([_named(group), *map(mean_and_spread, losses), mean_and_range(group.minutes()), *times])
    for name, nats in result["baselines"].items():
        three = (nats["validation"], nats["test"], held_out(result, **nats))
        rows.append([name, *(f"{each:.3f}" for each in three), f"{bits(nats['test']):.3f}"])
    rows += [[f"{name} (published)", "", "", f"{nats:.3f}"] for name, nats in published(result).items()]
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)]]
    lines += [[*row, *[""] * (len(headings) - len(row))] for row in rows]
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)


@dataclass(frozen=True)
class Settings:
    """Tables and figures of several results on one text, together; the figures are called by the text."""

    results: tyro.conf.Positional[tuple[Path, ...]]
    """JSON files that char_lm.py has written."""


def main(settings: Settings) -> int:
    console = Console()
    result = together([read_json(path) for path in settings.results])
    print_report(result, console)
    for path in figures(result, settings.results[0].with_name(result["corpus"]["name"])):
        console.print(f"wrote {path}", highlight=False, soft_wrap=True)
    return 0


if __name__ == "__main__":
    command.run(main, Settings)
