"""Tables and checked statements of the character language models, from their JSON alone."""

import math
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
from studies.char_lm import results
from studies.char_lm.figures import figures
from studies.char_lm.results import LanguageGroup, blocks, groups, mean_and_range, scores, visible

__all__ = ["TABLES", "checks", "figures", "losses", "print_report", "show_together"]

SHOWN = 50  # characters of the samples that the terminal gets, if there are some of that length


def checks(result: dict[str, Any]) -> list[tuple[str, bool]]:
    """Statements that must hold, each with whether it does: training is nowhere behind the report's log."""
    statements = []
    for group in groups(result):
        for step, rows in group.logged().items() if results.comparable(result, group) else ():
            (nats, shares), log = zip(*rows, strict=True), results.LOGGED[step]
            text = (
                f"training at step {step:,}: loss {mean_and_range(nats, 3)}, accuracy {mean_and_range(shares, 2)}; "
                f"in the report's log {log[0]:.3f} and {log[1]:.2f}"
            )
            statements.append((text, max(nats) <= log[0]))
    return statements


def print_report(result: dict[str, Any], console: Console) -> None:
    """Losses, times, and samples if there are any."""
    samples = [_samples(run) for run in result["runs"] if run["samples"]]
    for table in (_losses(result), _times(result), *samples[:1]):
        console.print()
        console.print(table)


def show_together(sources: Sequence[Path], target: Path) -> int:
    """Report the results that there are on one text as one; the exit code."""
    found = [read_json(source) for source in sources if source.exists()]
    if not found:
        raise FileNotFoundError(f"none of {', '.join(map(str, sources))} exists; run without --report-only first")
    return harness_report.present(results.together(found), target, sys.modules[__name__], harness_report.console())


def _table(title: str, caption: str, text: Sequence[str], numbers: Sequence[str]) -> Table:
    """Narrow enough for 80 columns."""
    tight: dict[str, Any] = {"padding": (0, 1, 0, 0), "pad_edge": False, "show_edge": False}
    return harness_report.table(title, f"\n{caption}", text, numbers, **tight)


def _losses(result: dict[str, Any]) -> Table:
    text, found = result["corpus"], [(group, scores(result, group)) for group in groups(result)]
    caption = (
        "Nats a character, mean ± standard deviation over seeds: of the last training steps, with dropout; the lowest "
        "on validation; on the test part. Bits, perplexity and accuracy are the test's, a character. "
        f"{text['characters']:,} characters of {text['vocabulary']} kinds: "
    ) + "{:,} to train on, then {:,} for validation, then {:,} for the test.".format(*text["split"])
    if results.published(result):
        ours = ", ".join(f"{group.label} {of_run['both'].mean():.3f}" for group, of_run in found)
        caption += f" Last rows: as published, on validation and test together, where ours are {ours}."
    headings = ["train", "validation", "test", "bits", "ppl", "acc %", "min"]
    table = _table(f"Character language models: {results.corpus(result)}", caption, [""], headings)
    for group, of_run in found:
        digits = {"train": 3, "bits": 3, "ppl": 2, "acc %": 1, "min": 0 if of_run["min"].min() >= 10 else 2}
        means = {name: f"{of_run[name].mean():.{places}f}" for name, places in digits.items()}
        table.add_row(_named(group), *(means.get(name) or _mean_std(of_run[name].tolist()) for name in headings))
    table.add_section()
    for name, both in result["baselines"].items():
        test = both["test"]
        table.add_row(
            name, "", *_three(both["validation"], test, test / math.log(2)), f"{math.exp(test):.2f}", style="dim"
        )
    for name, level in results.published(result).items():
        table.add_row(name, "", *_three(level), style="dim")
    return table


def _times(result: dict[str, Any]) -> Table:
    """Minutes until validation is below what it is to reach in time, and below the best baseline."""
    levels = [(f"{nats:.2f} in {limit} min", nats, float(limit)) for nats, limit in results.goals(result).items()]
    if result["baselines"]:
        nats, name = min((baseline["validation"], name) for name, baseline in result["baselines"].items())
        levels.append((f"{nats:.3f} ({name})", nats, math.inf))
    caption = "Of validation; mean (range) over seeds, late by an interval at most. Green: every seed, in time."
    table = _table("", caption, ["minutes until below"], [name for name, _, _ in levels])
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


def losses(*parts: dict[str, Any]) -> str:
    """Losses and times of results on one text, against the baselines and what others publish, for a page."""
    result = results.together(parts)
    goals = results.goals(result)
    headings = [f"{results.corpus(result)}, nats/character", "validation", "test", "both", "test, bits", "minutes"]
    headings += [f"below {nats:.2f} in {minutes} min" for nats, minutes in goals.items()]
    rows = []
    for group in groups(result):
        of_run = scores(result, group)
        cells = [_mean_std(of_run[name].tolist()) for name in ("validation", "test", "both", "bits")]
        times = [reached(group, group.minutes_below(goal)) for goal in goals]
        rows.append([_named(group), *cells, mean_and_range(of_run["min"].tolist()), *times])
    for name, nats in result["baselines"].items():
        both, bits = results.held_out(result, **nats), nats["test"] / math.log(2)
        rows.append([name, *_three(nats["validation"], nats["test"], both, bits)])
    rows += [[f"{name} (published)", "", "", *_three(nats)] for name, nats in results.published(result).items()]
    return markdown_table(headings, [[*row, *[""] * (len(headings) - len(row))] for row in rows])


TABLES = {"losses": losses}


def reached(group: LanguageGroup, minutes: Sequence[float]) -> str:
    """Minutes, and how many of the seeds they are about unless it is all."""
    few = "" if len(minutes) == len(group.runs) else f", {len(minutes)} of {len(group.runs)}"
    return mean_and_range(minutes) + few if minutes else "not reached"


def _named(group: LanguageGroup) -> str:
    return group.label if len(group.runs) == 1 else f"{group.label}, {len(group.runs)} seeds"


def _mean_std(values: Sequence[float]) -> str:
    return mean_std(values, 3).replace(" 0.", " .")


def _three(*values: float) -> list[str]:
    return [f"{value:.3f}" for value in values]
