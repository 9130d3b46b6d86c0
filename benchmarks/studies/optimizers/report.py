"""Tables and checked statements of the study of optimizers, from its JSON alone."""

import math
import statistics
from typing import Any

from rich.console import Console

from harness.report import literal, markdown_table, mean_std, median_and_range, table
from studies.optimizers.figures import figures
from studies.optimizers.results import NAMES, best_rates, by_optimizer, on_surface
from studies.optimizers.surfaces import SURFACES
from studies.palindrome.results import CHANCE, groups

__all__ = ["TABLES", "checks", "figures", "print_report"]

EXACT = 1e-9  # gradient descent's rate: rounding, and the other eigenvalue's last trace
SWINGING = 0.005  # heavy ball's: its errors swing, and at the best settings shrink as t rate^t


class Best:
    """An optimizer's best learning rate on a surface, told by the starts that did not choose it."""

    def __init__(self, descents: dict[str, Any]) -> None:
        reported = slice(1 + descents["starts"] // 2, None)
        row = descents["rates"].index(descents["best"])
        self.rate = descents["best"]
        self.steps = descents["steps"][row][reported]  # until each path has arrived, None where it has not
        self.ends = [math.inf if end is None else end for end in descents["end"][row][reported]]
        limit = 0 if None in self.steps else 2 * max(self.steps)
        slowest = [max(math.inf if s is None else s for s in steps[reported]) for steps in descents["steps"]]
        self.good = sum(steps <= limit for steps in slowest)  # rates that bring all down in twice as many steps

    def __str__(self) -> str:
        arrived = [steps for steps in self.steps if steps is not None]
        some = 0 < len(arrived) < len(self.steps)
        return f"{len(arrived)} of {len(self.steps)}" if some else median_and_range(arrived)


def checks(result: dict[str, Any]) -> list[tuple[str, bool]]:
    """Statements that must hold, each with whether it does."""
    chosen = [(record["result"]["best"], record["settings"]["rates"]) for record in result["descents"]]
    grid = [group.settings["learning_rate"] for group in groups(result["validation"])]
    chosen += [(rate, grid) for rate in best_rates(result["validation"]).values()]
    inside = sum(min(rates) < best < max(rates) for best, rates in chosen)
    found = [(f"no best learning rate is at an end of its grid: {inside} of {len(chosen)}", inside == len(chosen))]
    for method, plain, allowed in (("gradient descent", True, EXACT), ("heavy ball", False, SWINGING)):
        rates = [r["result"] for r in result["quadratics"] if (r["settings"]["momentum"] == 0) == plain]
        off = [abs(m / t - 1) for r in rates for t, m in zip(r["theory"], r["measured"], strict=True)]
        text = f"{len(off)} descents, at most {max(off):.1e} off ({allowed:g} allowed)"
        found.append((f"the rate of {method} is as in theory: {text}", max(off) <= allowed))
    surfaces = len(result["slips"])
    risen = sum(heights["slipped"][-1] > heights["slipped"][0] for heights in result["slips"])
    nan = sum(not heights["as_printed_is_a_number"] for heights in result["slips"])
    found.append((f"with the minus of equation 21 Adam goes up: {risen} of {surfaces} surfaces", risen == surfaces))
    found.append((f"with that of 22 too its first step is no number: {nan} of {surfaces}", nan == surfaces))
    return found


def print_report(result: dict[str, Any], console: Console) -> None:
    """Steps down the surfaces, and accuracy on palindromes."""
    first = result["descents"][0]["settings"]
    rates, half = first["rates"], first["starts"] // 2
    caption = (
        f"Arrived: steps until the height stays below {result['arrived']:g}, median and range\nover {half} starts, or "
        f"how many get there. End: greatest height in the last\ntenth of {first['steps']:,} steps, median. Best rate: "
        f"of {len(rates)} from {rates[0]:g} to {rates[-1]:g}\nchosen on {half + 1} other starts. Good rates: how many "
        "bring all down within\ntwice as many steps."
    )
    made = table("Down four surfaces", caption, ["optimizer"], ["best rate", "arrived", "end", "good rates"])
    for key, surface in SURFACES.items():
        made.add_row(literal(surface.name, "bold"))
        for name, best in ((name, Best(descents)) for name, descents in on_surface(result, key).items()):
            end, good = f"{statistics.median(best.ends):.0e}", f"{best.good or '-'}"
            made.add_row(f"  {NAMES[name]}", f"{best.rate:g}", f"{best}", end, good)
        made.add_section()
    console.print(made)

    found, validation = by_optimizer(result["palindromes"]), groups(result["validation"])
    shared, seeds = found["sgd"].settings, len(found["sgd"].runs)
    rates = sorted({group.settings["learning_rate"] for group in validation})
    title = f"Palindromes of length {shared['length']}, {shared['model']} of {shared['hidden']}"
    caption = (
        f"Accuracy on {shared['test_on']:,} fresh palindromes, mean and standard deviation over {seeds} seeds; solved: "
        f"99 % or better.\nSteps: median and range over the runs whose training batches got to 99 %.\nBest rate: of "
        f"{len(rates)} from {rates[0]:g} to {rates[-1]:g} that of least mean training loss over "
        f"{len(validation[0].runs)} other seeds."
    )
    made = table(title, caption, ["optimizer"], ["best rate", "accuracy %", "worst", "solved", "steps to 99 %"])
    for name, group in found.items():
        accuracy = [mean_std(group.scores, factor=100), f"{100 * min(group.scores):.1f}"]
        solved = [f"{group.solved}/{len(group.runs)}", median_and_range(group.steps_to_solve())]
        made.add_row(NAMES[name], f"{group.settings['learning_rate']:g}", *accuracy, *solved)
    made.add_row("guessing", "", f"{100 * CHANCE:.1f}", f"{100 * CHANCE:.1f}", f"0/{seeds}", "-", style="dim")
    console.print(made)


def steps(result: dict[str, Any]) -> str:
    """Steps to arrive with the best learning rate on every surface, and palindromes."""
    rows, found = [], by_optimizer(result["palindromes"])
    for name, group in found.items():
        down = [Best(on_surface(result, surface)[name]) for surface in SURFACES]
        to_solve = f"{median_and_range(group.steps_to_solve())}, at {group.settings['learning_rate']:g}"
        accuracy = mean_std(group.scores, factor=100)
        rows.append([NAMES[name], *(f"{best}, at {best.rate:g}" for best in down), to_solve, accuracy])
    rows.append(["guessing", *[""] * (len(SURFACES) + 1), f"{100 * CHANCE:.0f}"])
    names = [surface.name for surface in SURFACES.values()]
    solving = f"palindromes, L = {found['sgd'].settings['length']}: steps to 99 %"
    return markdown_table(["steps, at learning rate", *names, solving, "test accuracy, %"], rows)


TABLES = {"steps": steps}
