"""Tables and checked statements of the study of optimizers, from its JSON alone."""

import math
import statistics
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

from studies.optimizers.surfaces import SURFACES
from studies.palindrome.report import CHANCE, Group, groups

NAMES = {"sgd": "SGD", "momentum": "momentum 0.9", "rmsprop": "RMSProp", "adam": "Adam"}
EXACT = 1e-9  # gradient descent's rate: rounding, and the other eigenvalue's last trace
SWINGING = 0.005  # heavy ball's: its errors swing, and at the best settings shrink as t rate^t


def best_rates(validation: dict[str, Any]) -> dict[str, float]:
    """Each optimizer's learning rate of least validation loss."""
    best: dict[str, tuple[float, float]] = {}
    for group in groups(validation):
        candidate = loss(group), group.settings["learning_rate"]
        name = group.settings["optimizer"]
        best[name] = min(best.get(name, candidate), candidate)
    return {name: best[name][1] for name in NAMES if name in best}


def loss(group: Group) -> float:
    """Mean over all steps of training, whose batches are all fresh, and over seeds; infinite where one run diverged."""
    if any(run["diverged"] for run in group.runs):
        return math.inf
    blocks = group.settings["steps"] // group.settings["record_every"]
    return float(group.curves("loss", blocks).mean())


def on_surface(result: dict[str, Any], surface: str) -> dict[str, dict[str, Any]]:
    """The descents on a surface by optimizer, settings and result in one."""
    found = {}
    for record in result["descents"]:
        if record["settings"]["surface"] == surface:
            found[record["settings"]["optimizer"]] = {**record["settings"], **record["result"]}
    return found


class Best:
    """An optimizer's best learning rate on a surface, told by the starts that did not choose it.

    Attributes:
        rate: The learning rate.
        steps: Until each path has arrived, None where it has not.
        ends: Greatest height at the end of each.
        good: Learning rates with which every path arrives within twice as many steps as with the best.
    """

    def __init__(self, descents: dict[str, Any]) -> None:
        reported = slice(1 + descents["starts"] // 2, None)
        self.rate = descents["best"]
        row = descents["rates"].index(self.rate)
        self.steps = descents["steps"][row][reported]
        self.ends = [math.inf if end is None else end for end in descents["end"][row][reported]]
        limit = 0 if None in self.steps else 2 * max(self.steps)
        slowest = [max(math.inf if s is None else s for s in steps[reported]) for steps in descents["steps"]]
        self.good = sum(steps <= limit for steps in slowest)

    def __str__(self) -> str:
        arrived = [steps for steps in self.steps if steps is not None]
        if 0 < len(arrived) < len(self.steps):
            return f"{len(arrived)} of {len(self.steps)}"
        return _range(arrived)


def by_optimizer(palindromes: dict[str, Any]) -> dict[str, Group]:
    found = {group.settings["optimizer"]: group for group in groups(palindromes)}
    return {name: found[name] for name in NAMES if name in found}


def checks(result: dict[str, Any]) -> list[tuple[str, bool]]:
    """Statements that must hold, each with whether it does."""
    return [_inside(result), *_theory(result["quadratics"]), *_slips(result["slips"])]


def _inside(result: dict[str, Any]) -> tuple[str, bool]:
    chosen = [(record["result"]["best"], record["settings"]["rates"]) for record in result["descents"]]
    grid = [group.settings["learning_rate"] for group in groups(result["validation"])]
    chosen += [(rate, grid) for rate in best_rates(result["validation"]).values()]
    inside = sum(min(rates) < best < max(rates) for best, rates in chosen)
    return f"no best learning rate is at an end of its grid: {inside} of {len(chosen)}", inside == len(chosen)


def _theory(records: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    statements = []
    for name, allowed in (("gradient descent", EXACT), ("heavy ball", SWINGING)):
        chosen = [r["result"] for r in records if (r["settings"]["momentum"] == 0) == (name == "gradient descent")]
        pairs = [pair for found in chosen for pair in zip(found["theory"], found["measured"], strict=True)]
        worst = max(abs(measured / theory - 1) for theory, measured in pairs)
        text = (
            f"the rate of {name} is as in theory: {len(pairs)} descents, at most {worst:.1e} off ({allowed:g} allowed)"
        )
        statements.append((text, worst <= allowed))
    return statements


def _slips(slips: list[dict[str, Any]]) -> list[tuple[str, bool]]:
    risen = sum(found["slipped"][-1] > found["slipped"][0] for found in slips)
    number = sum(found["as_printed_is_a_number"] for found in slips)
    return [
        (f"with the minus of equation 21 Adam goes up: {risen} of {len(slips)} surfaces", risen == len(slips)),
        (f"with that of 22 too its first step is no number: {len(slips) - number} of {len(slips)}", number == 0),
    ]


def print_report(result: dict[str, Any], console: Console) -> None:
    console.print(_surfaces_table(result))
    console.print(_palindromes_table(result))
    for statement, holds in checks(result):
        console.print(f"[green]holds[/] {statement}" if holds else f"[bold red]FAILS[/] {statement}", highlight=False)


def _table(title: str, caption: str, *headings: str) -> Table:
    table = Table(title=title, caption=caption, box=box.SIMPLE_HEAD, title_style="bold", caption_justify="left")
    table.add_column("optimizer", no_wrap=True)
    for heading in headings:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _surfaces_table(result: dict[str, Any]) -> Table:
    first = result["descents"][0]["settings"]
    rates, half = first["rates"], first["starts"] // 2
    table = _table(
        "Down four surfaces",
        f"Arrived: steps until the height stays below {result['arrived']:g}, median and range\nover {half} starts, or "
        f"how many get there. End: greatest height in the last\ntenth of {first['steps']:,} steps, median. Best rate: "
        f"of {len(rates)} from {rates[0]:g} to {rates[-1]:g}\nthat of the fewest steps from the slowest of {half + 1} "
        "other starts, or of the\nlowest end where not all arrive. Good rates: how many bring all down\nwithin "
        "twice as many steps.",
        "best rate",
        "arrived",
        "end",
        "good rates",
    )
    for key, surface in SURFACES.items():
        table.add_row(f"[bold]{surface.name}[/]")
        for name, found in on_surface(result, key).items():
            best = Best(found)
            end = f"{statistics.median(best.ends):.0e}"
            table.add_row(f"  {NAMES[name]}", f"{best.rate:g}", str(best), end, f"{best.good}" if best.good else "-")
        table.add_section()
    return table


def _palindromes_table(result: dict[str, Any]) -> Table:
    found = by_optimizer(result["palindromes"])
    shared = next(iter(found.values())).settings
    validation = groups(result["validation"])
    rates = sorted({group.settings["learning_rate"] for group in validation})
    seeds = len(next(iter(found.values())).runs)
    table = _table(
        f"Palindromes of length {shared['length']}, {shared['model']} of {shared['hidden']}",
        f"Accuracy on {shared['test_on']:,} fresh palindromes, mean and standard deviation over {seeds} seeds; solved: "
        f"99 % or better.\nSteps: median and range over the runs whose training batches got to 99 %.\nBest rate: of "
        f"{len(rates)} from {rates[0]:g} to {rates[-1]:g} that of least mean training loss over "
        f"{len(validation[0].runs)} other seeds.",
        "best rate",
        "accuracy %",
        "worst",
        "solved",
        "steps to 99 %",
    )
    for name, group in found.items():
        table.add_row(
            NAMES[name],
            f"{group.settings['learning_rate']:g}",
            f"{100 * group.mean:.1f} ± {100 * group.spread:.1f}",
            f"{100 * min(group.scores):.1f}",
            f"{group.solved}/{len(group.runs)}",
            _range(group.steps_to_solve()),
        )
    table.add_row("guessing", "", f"{100 * CHANCE:.1f}", f"{100 * CHANCE:.1f}", f"0/{seeds}", "-", style="dim")
    return table


def _range(steps: list[int]) -> str:
    return f"{statistics.median(steps):.0f} ({min(steps)}-{max(steps)})" if steps else "none"


def markdown(result: dict[str, Any]) -> str:
    """The README's table: steps to arrive with the best learning rate, and palindromes."""
    length = groups(result["palindromes"])[0].settings["length"]
    headings = [
        "steps, at learning rate",
        *(surface.name for surface in SURFACES.values()),
        f"palindromes, L = {length}: steps to 99 %",
        "test accuracy, %",
    ]
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)]]
    for name, group in by_optimizer(result["palindromes"]).items():
        cells = []
        for surface in SURFACES:
            best = Best(on_surface(result, surface)[name])
            cells.append(f"{best}, at {best.rate:g}")
        cells.append(f"{_range(group.steps_to_solve())}, at {group.settings['learning_rate']:g}")
        cells.append(f"{100 * group.mean:.1f} ± {100 * group.spread:.1f}")
        lines.append([NAMES[name], *cells])
    lines.append(["guessing", *[""] * (len(SURFACES) + 1), f"{100 * CHANCE:.0f}"])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
