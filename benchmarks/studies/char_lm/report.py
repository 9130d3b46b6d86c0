"""Tables and checked statements of the character language models, from their JSON alone."""

import math
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness import report as harness_report
from harness.files import read_json
from harness.report import markdown_table, mean_std
from studies.char_lm.figures import figures
from studies.char_lm.results import (
    LOGGED,
    LanguageGroup,
    bits,
    comparable,
    corpus,
    goals,
    groups,
    held_out,
    mean_and_range,
    published,
    together,
)
from studies.char_lm.sample_pages import blocks, visible

__all__ = ["TABLES", "checks", "figures", "losses", "print_report", "show_together"]

SHOWN = 50  # characters of the samples that the terminal gets, if there are some of that length


def checks(result: dict[str, Any]) -> list[tuple[str, bool]]:
    """Statements that must hold, each with whether it does: training is nowhere behind the report's log."""
    statements = []
    for group in groups(result):
        for step, rows in group.logged().items() if comparable(result, group) else ():
            nats, shares = zip(*rows, strict=True)
            text = (
                f"training at step {step:,}: loss {mean_and_range(nats, 3)}, accuracy {mean_and_range(shares, 2)}; "
                "in the report's log {:.3f} and {:.2f}".format(*LOGGED[step])
            )
            statements.append((text, max(nats) <= LOGGED[step][0]))
    return statements


def print_report(result: dict[str, Any], console: Console) -> None:
    """Losses, times, and samples if there are any."""
    samples = [_samples(run) for run in result["runs"] if run["samples"]]
    for table in (_losses(result), _times(result), *samples[:1]):
        console.print()
        console.print(table)


def show_together(sources: Sequence[Path], target: Path) -> int:
    """Report the results that there are on one text as one; the exit code.

    Raises:
        FileNotFoundError: There are none.
    """
    results = [read_json(source) for source in sources if source.exists()]
    if not results:
        raise FileNotFoundError(f"none of {', '.join(map(str, sources))} exists; run without --report-only first")
    return harness_report.present(together(results), target, sys.modules[__name__], harness_report.console())


def _table(title: str, caption: str, text: Sequence[str], numbers: Sequence[str]) -> Table:
    """Narrow enough for 80 columns."""
    tight: dict[str, Any] = {"padding": (0, 1, 0, 0), "pad_edge": False, "show_edge": False}
    return harness_report.table(title, f"\n{caption}", text, numbers, **tight)


def _losses(result: dict[str, Any]) -> Table:
    text = result["corpus"]
    parts = "{:,} to train on, then {:,} for validation, then {:,} for the test.".format(*text["split"])
    ours = [f"{group.label} {_mean(_held_out(result, group), 3)}" for group in groups(result)]
    there = f" Last rows: as published, on validation and test together, where ours are {', '.join(ours)}."
    table = _table(
        f"Character language models: {corpus(result)}",
        "Nats a character, mean ± standard deviation over seeds: of the last training steps, with dropout; the lowest "
        "on validation; on the test part. Bits, perplexity and accuracy are the test's, a character. "
        f"{text['characters']:,} characters of {text['vocabulary']} kinds: {parts}{there if published(result) else ''}",
        [""],
        ["train", "validation", "test", "bits", "ppl", "acc %", "min"],
    )
    for group in groups(result):
        nats = group.test("loss")
        table.add_row(
            _named(group),
            _mean([run["curves"]["loss"][-1] for run in group.runs], 3),
            _mean_std(group.lowest()),
            _mean_std(nats),
            _mean([bits(value) for value in nats], 3),
            _mean([math.exp(value) for value in nats], 2),
            _mean([100 * value for value in group.test("accuracy")], 1),
            _mean(group.minutes(), 0 if min(group.minutes()) >= 10 else 2),
        )
    table.add_section()
    for name, both in result["baselines"].items():
        test = both["test"]
        table.add_row(name, "", *_three(both["validation"], test, bits(test)), f"{math.exp(test):.2f}", style="dim")
    for name, level in published(result).items():
        table.add_row(name, "", *_three(level), style="dim")
    return table


def _times(result: dict[str, Any]) -> Table:
    """Minutes until validation is below what it is to reach in time, and below the best baseline."""
    levels = [(f"{nats:.2f} in {minutes} min", nats, float(minutes)) for nats, minutes in goals(result).items()]
    if result["baselines"]:
        nats, name = min((baseline["validation"], name) for name, baseline in result["baselines"].items())
        levels.append((f"{nats:.3f} ({name})", nats, math.inf))
    table = _table(
        "",
        "Of validation; mean (range) over seeds, late by an interval at most. Green: every seed, in time.",
        ["minutes until below"],
        [name for name, _, _ in levels],
    )
    for group in groups(result):
        cells = []
        for _, nats, limit in levels:
            minutes = group.minutes_below(nats)
            in_time = len(minutes) == len(group.runs) and max(minutes) <= limit
            cells.append(Text(reached(group, minutes), "green" if in_time else ""))
        table.add_row(group.label, *cells)
    return table


def _samples(run: dict[str, Any]) -> Table:
    """Of a run's last step, one for each temperature."""
    step, rows = blocks(run["samples"])[-1]
    table = _table(f"Samples at step {step:,}, seed {run['seed']}", "↵ is the end of a line.", [], ["T"])
    table.add_column("")
    for temperature, samples in rows:
        _, text = min(samples, key=lambda sample: abs(sample[0] - SHOWN))
        table.add_row(f"{temperature:g}", Text(visible(text)))
    return table


def losses(*results: dict[str, Any]) -> str:
    """Losses and times of results on one text, against the baselines and what others publish, for a page."""
    result = together(results)
    headings = [f"{corpus(result)}, nats/character", "validation", "test", "both", "test, bits", "minutes"]
    headings += [f"below {nats:.2f} in {minutes} min" for nats, minutes in goals(result).items()]
    rows = []
    for group in groups(result):
        nats = group.test("loss")
        columns = [group.lowest(), nats, _held_out(result, group), [bits(value) for value in nats]]
        times = [reached(group, group.minutes_below(goal)) for goal in goals(result)]
        rows.append([_named(group), *map(_mean_std, columns), mean_and_range(group.minutes()), *times])
    for name, both in result["baselines"].items():
        rows.append([name, *_three(both["validation"], both["test"], held_out(result, **both), bits(both["test"]))])
    rows += [[f"{name} (published)", "", "", *_three(nats)] for name, nats in published(result).items()]
    return markdown_table(headings, [[*row, *[""] * (len(headings) - len(row))] for row in rows])


TABLES = {"losses": losses}


def reached(group: LanguageGroup, minutes: list[float]) -> str:
    """Minutes, and how many of the seeds they are about unless it is all."""
    if not minutes:
        return "not reached"
    few = "" if len(minutes) == len(group.runs) else f", {len(minutes)} of {len(group.runs)}"
    return mean_and_range(minutes) + few


def _held_out(result: dict[str, Any], group: LanguageGroup) -> list[float]:
    return [held_out(result, *both) for both in zip(group.lowest(), group.test("loss"), strict=True)]


def _named(group: LanguageGroup) -> str:
    return group.label if len(group.runs) == 1 else f"{group.label}, {len(group.runs)} seeds"


def _mean(values: list[float], digits: int) -> str:
    return f"{statistics.fmean(values):.{digits}f}"


def _mean_std(values: list[float]) -> str:
    return mean_std(values, 3).replace(" 0.", " .")


def _three(*values: float) -> list[str]:
    """With three digits."""
    return [f"{value:.3f}" for value in values]
