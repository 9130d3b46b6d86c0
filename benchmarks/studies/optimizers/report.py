"""Tables and checked statements of the study of optimizers, from its JSON alone."""

import statistics
from typing import Any

from rich.console import Console

from harness.report import markdown_table, mean_std, median_and_range, table
from studies.optimizers.figures import figures
from studies.optimizers.results import NAMES, Best, best_rates, by_optimizer, on_surface
from studies.optimizers.surfaces import SURFACES
from studies.palindrome.results import CHANCE, groups

__all__ = ["TABLES", "checks", "figures", "print_report"]

EXACT = 1e-9  # gradient descent's rate: rounding, and the other eigenvalue's last trace
SWINGING = 0.005  # heavy ball's: its errors swing, and at the best settings shrink as t rate^t


def checks(result: dict[str, Any]) -> list[tuple[str, bool]]:
    """Statements that must hold, each with whether it does."""
    chosen = [(record["result"]["best"], record["settings"]["rates"]) for record in result["descents"]]
    grid = [group.settings["learning_rate"] for group in groups(result["validation"])]
    chosen += [(rate, grid) for rate in best_rates(result["validation"]).values()]
    inside = sum(min(rates) < best < max(rates) for best, rates in chosen)
    found, surfaces = result["slips"], len(result["slips"])
    risen = sum(heights["slipped"][-1] > heights["slipped"][0] for heights in found)
    nan = sum(not heights["as_printed_is_a_number"] for heights in found)
    return [
        (f"no best learning rate is at an end of its grid: {inside} of {len(chosen)}", inside == len(chosen)),
        _theory(result, "gradient descent", EXACT),
        _theory(result, "heavy ball", SWINGING),
        (f"with the minus of equation 21 Adam goes up: {risen} of {surfaces} surfaces", risen == surfaces),
        (f"with that of 22 too its first step is no number: {nan} of {surfaces}", nan == surfaces),
    ]


def _theory(result: dict[str, Any], method: str, allowed: float) -> tuple[str, bool]:
    plain = method == "gradient descent"
    chosen = [r["result"] for r in result["quadratics"] if (r["settings"]["momentum"] == 0) == plain]
    pairs = [pair for rates in chosen for pair in zip(rates["theory"], rates["measured"], strict=True)]
    worst = max(abs(measured / theory - 1) for theory, measured in pairs)
    text = f"the rate of {method} is as in theory: {len(pairs)} descents, at most {worst:.1e} off ({allowed:g} allowed)"
    return text, worst <= allowed


def print_report(result: dict[str, Any], console: Console) -> None:
    """Steps down the surfaces, and accuracy on palindromes."""
    first = result["descents"][0]["settings"]
    rates, half = first["rates"], first["starts"] // 2
    made = table(
        "Down four surfaces",
        f"Arrived: steps until the height stays below {result['arrived']:g}, median and range\nover {half} starts, or "
        f"how many get there. End: greatest height in the last\ntenth of {first['steps']:,} steps, median. Best rate: "
        f"of {len(rates)} from {rates[0]:g} to {rates[-1]:g}\nthat of the fewest steps from the slowest of {half + 1} "
        "other starts, or of the\nlowest end where not all arrive. Good rates: how many bring all down\nwithin "
        "twice as many steps.",
        ["optimizer"],
        ["best rate", "arrived", "end", "good rates"],
    )
    for key, surface in SURFACES.items():
        made.add_row(f"[bold]{surface.name}[/]")
        for name, descents in on_surface(result, key).items():
            best = Best(descents)
            end = f"{statistics.median(best.ends):.0e}"
            made.add_row(f"  {NAMES[name]}", f"{best.rate:g}", str(best), end, f"{best.good}" if best.good else "-")
        made.add_section()
    console.print(made)

    found, validation = by_optimizer(result["palindromes"]), groups(result["validation"])
    shared, seeds = next(iter(found.values())).settings, len(next(iter(found.values())).runs)
    rates = sorted({group.settings["learning_rate"] for group in validation})
    made = table(
        f"Palindromes of length {shared['length']}, {shared['model']} of {shared['hidden']}",
        f"Accuracy on {shared['test_on']:,} fresh palindromes, mean and standard deviation over {seeds} seeds; solved: "
        f"99 % or better.\nSteps: median and range over the runs whose training batches got to 99 %.\nBest rate: of "
        f"{len(rates)} from {rates[0]:g} to {rates[-1]:g} that of least mean training loss over "
        f"{len(validation[0].runs)} other seeds.",
        ["optimizer"],
        ["best rate", "accuracy %", "worst", "solved", "steps to 99 %"],
    )
    for name, group in found.items():
        made.add_row(
            NAMES[name],
            f"{group.settings['learning_rate']:g}",
            mean_std(group.scores, factor=100),
            f"{100 * min(group.scores):.1f}",
            f"{group.solved}/{len(group.runs)}",
            median_and_range(group.steps_to_solve()),
        )
    made.add_row("guessing", "", f"{100 * CHANCE:.1f}", f"{100 * CHANCE:.1f}", f"0/{seeds}", "-", style="dim")
    console.print(made)


def steps(result: dict[str, Any]) -> str:
    """Steps to arrive with the best learning rate on every surface, and palindromes."""
    rows = []
    for name, group in by_optimizer(result["palindromes"]).items():
        down = [Best(on_surface(result, surface)[name]) for surface in SURFACES]
        to_solve = f"{median_and_range(group.steps_to_solve())}, at {group.settings['learning_rate']:g}"
        accuracy = mean_std(group.scores, factor=100)
        rows.append([NAMES[name], *(f"{best}, at {best.rate:g}" for best in down), to_solve, accuracy])
    rows.append(["guessing", *[""] * (len(SURFACES) + 1), f"{100 * CHANCE:.0f}"])
    length = groups(result["palindromes"])[0].settings["length"]
    names = [surface.name for surface in SURFACES.values()]
    of_palindromes = [f"palindromes, L = {length}: steps to 99 %", "test accuracy, %"]
    return markdown_table(["steps, at learning rate", *names, *of_palindromes], rows)


TABLES = {"steps": steps}
