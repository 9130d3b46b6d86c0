"""Tables of the forecasts, from the JSON alone: errors by horizon, and what is better than the autoregression."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console

from harness.report import PLAIN, markdown_table, mean_std, table
from harness.significance import diebold_mariano
from studies.forecasting.figures import figures as epidemic_figures
from studies.forecasting.results import MODEL_LOOKS, entries, label, preferred, reference, short
from studies.forecasting.series_report import print_series, series_figures, series_table

__all__ = ["TABLES", "figures", "print_report"]

PUBLISHED = "1.11-1.13"  # mean squared errors of spatio-temporal networks in the literature


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    """Draw an epidemic's or a series' figures."""
    return (series_figures if result.get("kind") == "series" else epidemic_figures)(result, stem)


def print_report(result: dict[str, Any], console: Console) -> None:
    """A table for each protocol, and what it says one step ahead."""
    if result.get("kind") == "series":
        print_series(result, console)
        return
    horizons = result["horizons"]
    for protocol in result["protocols"]:
        step, (_, first, stop) = protocol["step"], protocol["starts"]
        against, base = reference(protocol)
        caption = (
            f"Mean squared error 1 to {horizons[-1]} {step}s ahead, {step}s {first} to {stop - 1}; mean (± standard "
            f"deviation) over {len(protocol['networks'][0]['runs'])} seeds. %, p: change against {against} "
            f"1 {step} ahead, paired over {stop - first} {step}s (Diebold and Mariano), not corrected for the number "
            "of rows. below: seeds that are below it. AR + network: a network added to a linear path fitted by least "
            "squares; n: that reads neighbours too."
        )
        if protocol["name"] == "published":
            caption += f" Published networks: {PUBLISHED} 1 week ahead."
        numbers = [f"1 {step}", *map(str, horizons[1:]), "%", "p", "below"]
        made = table(protocol["title"], caption, [""], numbers, padding=(0, 1, 0, 0), pad_edge=False)
        for place, (name, errors) in enumerate(entries(protocol), 1 - len(protocol["baselines"])):
            others = [f"{error:.3f}" for error in np.mean(errors["by_horizon"], 0)[1:]]
            compared = ("", "") if errors is base else _against(errors, base)
            seeds = _one_ahead(errors)
            below = f"{(seeds < _one_ahead(base)).sum()}/{len(seeds)}" if "runs" in errors else ""
            ends = place >= 0 and place % len(MODEL_LOOKS) == 0
            made.add_row(name, _spread(errors), *others, *compared, below, end_section=ends)
        console.print("", made, sep="\n")
        console.print(*_verdict(protocol), sep="\n", **PLAIN)


def _one_ahead(errors: dict[str, Any]) -> np.ndarray:
    """Errors one step ahead, by seed."""
    return np.array(errors["by_horizon"])[:, 0]


def _spread(errors: dict[str, Any]) -> str:
    """Mean and standard deviation one step ahead over seeds, as 0.707 ± .003."""
    return mean_std(_one_ahead(errors).tolist(), 3).replace("± 0.", "± .")


def _against(errors: dict[str, Any], other: dict[str, Any]) -> tuple[str, str]:
    """Change of the mean squared error one step ahead in percent of another's, and the p-value."""
    losses, others = (np.array(each["by_step"])[:, 0] for each in (errors, other))
    difference, p = diebold_mariano(losses, others)
    return f"{100 * difference / others.mean():+.1f}", "<.001" if p < 1e-3 else f"{p:.3f}".removeprefix("0")


def _verdict(protocol: dict[str, Any]) -> list[str]:
    """One step ahead: networks against autoregressions, relations against none, and what validation prefers."""
    errors = {name: _one_ahead(baseline)[0] for name, baseline in protocol["baselines"].items()}
    (first, _), best = reference(protocol), min(errors, key=errors.__getitem__)
    below = {
        name: ", ".join(label(n) for n in protocol["networks"] if _one_ahead(n).mean() < errors[name]) or "no network"
        for name in (first, best)
    }
    chosen = preferred(protocol["networks"])
    return [
        f"Below {first} on average: {below[first]}.",
        f"The best baseline is {best} with {errors[best]:.3f}; below it: {below[best]}.",
        f"Validation prefers {label(chosen)}: {_spread(chosen)}, and {_spread(chosen['together'])} for the mean of "
        "its seeds' forecasts.",
        *(f"Relations, {line}." for line in relations(protocol)),
    ]


def relations(protocol: dict[str, Any]) -> list[str]:
    """For each linear path: the network with relations that validation prefers, against the one without."""
    kinds = [[each for each in protocol["networks"] if each["settings"]["path"] == path] for path in protocol["paths"]]
    pairs = [(preferred(others), alone) for alone, *others in kinds]
    return ["{} against {}: {} %, p {}".format(*map(label, pair), *_against(*pair)) for pair in pairs]


def one_ahead(result: dict[str, Any]) -> str:
    """Every protocol's errors one step ahead, and the paired test."""
    protocols = result["protocols"]
    cells: dict[str, dict[str, str]] = {}
    found = [(protocol, *entry) for protocol in protocols for entry in entries(protocol, "AR")]
    for protocol, name, errors in sorted(found, key=lambda each: "runs" in each[2]):  # baselines first
        text = _spread(errors)
        if "runs" in errors:
            text += " ({} %, p {})".format(*_against(errors, reference(protocol)[1]))
        cells.setdefault(name, {})[protocol["name"]] = text
    rows = [[name, *(own.get(protocol["name"], "") for protocol in protocols)] for name, own in cells.items()]
    return markdown_table(["mean squared error, one step ahead", *map(short, protocols)], rows)


TABLES = {"errors": one_ahead, "series": series_table}
