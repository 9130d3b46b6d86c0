"""Table and checked statements of the palindrome study, from its JSON alone."""

import statistics
from collections.abc import Callable, Sequence
from typing import Any

from rich.console import Console

from harness.report import markdown_table, mean_std, median_and_range, table
from studies.palindrome.figures import ENCODINGS, figures
from studies.palindrome.results import CHANCE, Group, groups

__all__ = ["TABLES", "checks", "figures", "print_report"]


def checks(result: dict[str, Any]) -> list[tuple[str, bool]]:
    """Statements that must hold, each with whether it does."""
    found = groups(result)
    statements = []
    short = [group for group in found if group.settings["model"] == "GCN" and group.settings["hops_short"] > 0]
    if short:
        scores = [score for group in short for score in group.scores]
        text = f"GCNs of fewer than L-1 layers are at chance: {len(scores)} runs, {_range(scores)}"
        allowed = f"(10 +- {100 * short[0].margin:.1f} allowed)"
        statements.append((f"{text} {allowed}", all(group.blind for group in short)))
    for group in found if result["study"] == "long" else ():
        if (group.settings["model"], group.settings["init"]) == ("LSTM", "chrono"):
            solved, seeds = group.solved, len(group.runs)
            text = f"LSTM at L = {group.settings['length']}: {solved} of {seeds} seeds at 99 % or better"
            statements.append((f"{text}, {_range(group.scores)}", solved == seeds))
    return statements


def _range(scores: Sequence[float]) -> str:
    return f"{100 * min(scores):.1f} to {100 * max(scores):.1f} %"


def print_report(result: dict[str, Any], console: Console) -> None:
    """A table for each encoding."""
    found = groups(result)
    for encoding in dict.fromkeys(group.settings["encoding"] for group in found):
        made = table(
            f"Palindromes, {ENCODINGS[encoding]}: {result['title']}",
            f"Accuracy on {found[0].settings['test_on']:,} fresh palindromes, mean and standard deviation over seeds; "
            "chance is 10 %.\nSolved: 99 % or better. Steps: median and range over the runs whose training batches got "
            "to 99 %.",
            ["L", "model"],
            ["accuracy %", "worst", "solved", "steps to 99 %", "ms/step"],
        )
        last = None
        for group in (group for group in found if group.settings["encoding"] == encoding):
            length = group.settings["length"]
            if last not in (None, length):
                made.add_section()
            made.add_row(
                "" if length == last else str(length),
                group.label,
                mean_std(group.scores, factor=100),
                f"{100 * min(group.scores):.1f}",
                f"{group.solved}/{len(group.runs)}",
                "chance" if group.blind else median_and_range(group.steps_to_solve(), none="-"),
                f"{statistics.median(run['milliseconds'] for run in group.runs):.1f}",
                style="green" if group.solved == len(group.runs) else "dim" if group.blind else "",
            )
            last = length
        console.print()
        console.print(made)


def accuracies(result: dict[str, Any]) -> str:
    """Test accuracy by network and length, mean and standard deviation over seeds."""
    return _by_length(result, "test accuracy, %", _accuracy, guessing=f"{100 * CHANCE:.0f}")


def solved(result: dict[str, Any]) -> str:
    """Seeds that reach 99 %, and the steps they take."""

    def cell(group: Group) -> str:
        steps = group.steps_to_solve()
        how = f"in {statistics.median(steps):.0f}" if steps and group.solved else f"at {_accuracy(group)} %"
        return f"{group.solved}/{len(group.runs)} {how}"

    return _by_length(result, "seeds at 99 %, median steps", cell)


TABLES = {"accuracies": accuracies, "solved": solved}


def _accuracy(group: Group) -> str:
    return mean_std(group.scores, digits=0, factor=100).removesuffix(" ± 0")


def _by_length(result: dict[str, Any], title: str, cell: Callable[[Group], str], guessing: str = "") -> str:
    """A row for each kind of network, a column for each length."""
    found = groups(result)
    lengths = sorted({group.settings["length"] for group in found})
    rows: dict[str, dict[int, str]] = {}
    for group in found:
        name = f"{group.label}, {group.settings['encoding']}"
        rows.setdefault(name, {})[group.settings["length"]] = cell(group)
    if guessing:
        rows["guessing"] = dict.fromkeys(lengths, guessing)
    body = [[name, *(cells.get(length, "") for length in lengths)] for name, cells in rows.items()]
    return markdown_table([title, *(f"L = {length}" for length in lengths)], body)
