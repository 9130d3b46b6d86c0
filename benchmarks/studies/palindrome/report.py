"""Table and checked statements of the palindrome study, from its JSON alone."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.report import markdown_table, mean_std, table
from studies.palindrome.figures import ENCODINGS, figures
from studies.palindrome.results import CHANCE, Group, groups

__all__ = ["TABLES", "checks", "figures", "print_report"]


def checks(result: dict[str, Any]) -> list[tuple[str, bool]]:
    """Statements that must hold, each with whether it does."""
    found = groups(result)
    statements = []
    blind = [group for group in found if group.settings["model"] == "GCN" and group.settings["hops_short"] > 0]
    if blind:
        scores = [score for group in blind for score in group.scores]
        holds = all(abs(score - CHANCE) < group.margin for group in blind for score in group.scores)
        text = f"GCNs of fewer than L-1 layers are at chance: {len(scores)} runs, {_range(scores)}"
        statements.append((f"{text} (10 +- {100 * blind[0].margin:.1f} allowed)", holds))
    if result["study"] == "long":
        able = [group for group in found if (group.settings["model"], group.settings["init"]) == ("LSTM", "chrono")]
        for group in able:
            text = (
                f"LSTM at L = {group.settings['length']}: {group.solved} of {len(group.runs)} seeds at 99 % or better"
            )
            statements.append((f"{text}, {_range(group.scores)}", group.solved == len(group.runs)))
    return statements


def _range(scores: Sequence[float]) -> str:
    return f"{100 * min(scores):.1f} to {100 * max(scores):.1f} %"


def print_report(result: dict[str, Any], console: Console) -> None:
    """A table for each encoding."""
    found = groups(result)
    for encoding in dict.fromkeys(group.settings["encoding"] for group in found):
        console.print()
        console.print(_table(result, [group for group in found if group.settings["encoding"] == encoding], encoding))


def _table(result: dict[str, Any], found: list[Group], encoding: str) -> Table:
    made = table(
        f"Palindromes, {ENCODINGS[encoding]}: {result['title']}",
        f"Accuracy on {found[0].settings['test_on']:,} fresh palindromes, mean and standard deviation over seeds; "
        "chance is 10 %.\nSolved: 99 % or better. Steps: median and range over the runs whose training batches got to "
        "99 %.",
        ["L", "model"],
        ["accuracy %", "worst", "solved", "steps to 99 %", "ms/step"],
    )
    last = None
    for group in found:
        length = group.settings["length"]
        if last not in (None, length):
            made.add_section()
        everywhere = group.solved == len(group.runs)
        blind = all(abs(score - CHANCE) < group.margin for score in group.scores)
        made.add_row(
            "" if length == last else str(length),
            group.label,
            mean_std(group.scores, factor=100),
            f"{100 * min(group.scores):.1f}",
            f"{group.solved}/{len(group.runs)}",
            "chance" if blind else steps_and_range(group.steps_to_solve()),
            f"{statistics.median(run['milliseconds'] for run in group.runs):.1f}",
            style="green" if everywhere else "dim" if blind else "",
        )
        last = length
    return made


def steps_and_range(steps: list[int]) -> str:
    """Median, and range where there is one, of steps."""
    if not steps:
        return "-"
    middle = f"{statistics.median(steps):.0f}"
    return middle if min(steps) == max(steps) else f"{middle} ({min(steps)}-{max(steps)})"


def accuracies(result: dict[str, Any]) -> str:
    """Test accuracy by network and length, mean and standard deviation over seeds."""
    found = groups(result)
    chance = ["guessing", *[f"{100 * CHANCE:.0f}"] * len({group.settings["length"] for group in found})]
    return _by_length(found, "test accuracy, %", _accuracy, chance)


def solved(result: dict[str, Any]) -> str:
    """Seeds that reach 99 %, and the steps they take."""

    def cell(group: Group) -> str:
        steps = group.steps_to_solve()
        how = f"in {statistics.median(steps):.0f}" if steps and group.solved else f"at {_accuracy(group)} %"
        return f"{group.solved}/{len(group.runs)} {how}"

    return _by_length(groups(result), "seeds at 99 %, median steps", cell)


TABLES = {"accuracies": accuracies, "solved": solved}


def _accuracy(group: Group) -> str:
    return mean_std(group.scores if 100 * group.spread >= 0.5 else [group.mean], digits=0, factor=100)


def _by_length(found: list[Group], title: str, cells: Callable[[Group], str], *last: list[str]) -> str:
    """A row for each kind of network, a column for each length."""
    lengths = sorted({group.settings["length"] for group in found})
    rows: dict[str, dict[int, str]] = {}
    for group in found:
        name = f"{group.label}, {group.settings['encoding']}"
        rows.setdefault(name, {})[group.settings["length"]] = cells(group)
    body = [[name, *(cell.get(length, "") for length in lengths)] for name, cell in rows.items()]
    return markdown_table([title, *(f"L = {length}" for length in lengths)], [*body, *last])
