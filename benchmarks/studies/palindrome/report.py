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
        runs = f"{len(scores)} runs, {_range(scores)} (10 +- {100 * short[0].margin:.1f} allowed)"
        holds = all(group.blind for group in short)
        statements.append((f"GCNs of fewer than L-1 layers are at chance: {runs}", holds))
    for group in found if result["study"] == "long" else ():
        if (group.settings["model"], group.settings["init"]) == ("LSTM", "chrono"):
            seeds = f"{group.solved} of {len(group.runs)} seeds at 99 % or better, {_range(group.scores)}"
            statements.append((f"LSTM at L = {group.settings['length']}: {seeds}", group.solved == len(group.runs)))
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
        own = [group for group in found if group.settings["encoding"] == encoding]
        lengths = [group.settings["length"] for group in own]
        for group, length, before, after in zip(own, lengths, [None, *lengths], [*lengths[1:], None], strict=False):
            made.add_row(
                "" if length == before else str(length),
                group.label,
                mean_std(group.scores, factor=100),
                f"{100 * min(group.scores):.1f}",
                f"{group.solved}/{len(group.runs)}",
                "chance" if group.blind else median_and_range(group.steps_to_solve(), none="-"),
                f"{statistics.median(run['milliseconds'] for run in group.runs):.1f}",
                style="green" if group.solved == len(group.runs) else "dim" if group.blind else "",
                end_section=length != after,
            )
        console.print()
        console.print(made)


def _accuracy(group: Group) -> str:
    return mean_std(group.scores, digits=0, factor=100).removesuffix(" ± 0")


def _solved(group: Group) -> str:
    steps = group.steps_to_solve()
    how = f"in {statistics.median(steps):.0f}" if steps and group.solved else f"at {_accuracy(group)} %"
    return f"{group.solved}/{len(group.runs)} {how}"


def _by_length(result: dict[str, Any], title: str, cell: Callable[[Group], str], guessing: bool = False) -> str:
    """A row for each kind of network, a column for each length."""
    found = groups(result)
    lengths = sorted({group.settings["length"] for group in found})
    rows: dict[str, dict[int, str]] = {}
    for group in found:
        name = f"{group.label}, {group.settings['encoding']}"
        rows.setdefault(name, {})[group.settings["length"]] = cell(group)
    if guessing:
        rows["guessing"] = dict.fromkeys(lengths, f"{100 * CHANCE:.0f}")
    body = [[name, *(cells.get(length, "") for length in lengths)] for name, cells in rows.items()]
    return markdown_table([title, *(f"L = {length}" for length in lengths)], body)


TABLES = {
    "accuracies": lambda result: _by_length(result, "test accuracy, %", _accuracy, guessing=True),
    "solved": lambda result: _by_length(result, "seeds at 99 %, median steps", _solved),
}
