"""Tables of the forecasts, from the JSON alone: errors by horizon, and what is better than the autoregression."""

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console

from harness.report import PLAIN, markdown_table, mean_std, table
from harness.significance import diebold_mariano
from studies.forecasting.figures import figures
from studies.forecasting.results import MODEL_NAMES, label, preferred, reference, short

__all__ = ["TABLES", "figures", "print_report"]

PUBLISHED = "1.11-1.13"  # mean squared errors of spatio-temporal networks in the literature


def print_report(result: dict[str, Any], console: Console) -> None:
    """A table for each protocol, and what it says one step ahead."""
    horizons = result["horizons"]
    for protocol in result["protocols"]:
        step, (_, first, stop) = protocol["step"], protocol["starts"]
        caption = (
            f"Mean squared error 1 to {horizons[-1]} {step}s ahead, {step}s {first} to {stop - 1}; mean (± standard "
            f"deviation) over {len(protocol['networks'][0]['runs'])} seeds. %, p: change against {reference(protocol)} "
            f"1 {step} ahead, paired over {stop - first} {step}s (Diebold and Mariano), not corrected for the number "
            "of rows. below: seeds that are below it. AR + network: a network added to a linear path fitted by least "
            "squares; n: that reads neighbours too."
        )
        if protocol["name"] == "published":
            caption += f" Published networks: {PUBLISHED} 1 week ahead."
        numbers = [f"1 {step}", *map(str, horizons[1:]), "%", "p", "below"]
        made = table(protocol["title"], caption, [""], numbers, padding=(0, 1, 0, 0), pad_edge=False)
        for place, row in enumerate(_rows(protocol, horizons)):
            if place >= len(protocol["baselines"]) and (place - len(protocol["baselines"])) % len(MODEL_NAMES) == 0:
                made.add_section()
            made.add_row(*row)
        console.print()
        console.print(made)
        console.print(_verdict(protocol, horizons), **PLAIN)


def _rows(protocol: dict[str, Any], horizons: list[int]) -> list[list[str]]:
    """Name, errors by horizon, change and p-value one step ahead, seeds below the reference."""
    base = protocol["baselines"][reference(protocol)]
    rows = []
    for name, errors in [*protocol["baselines"].items(), *((label(each), each) for each in protocol["networks"])]:
        first, *others = zip(*errors["by_horizon"], strict=True)
        compared = ["", ""] if errors is base else _against(errors, base, horizons)
        below = f"{sum(error < base['by_horizon'][0][0] for error in first)}/{len(first)}" if "runs" in errors else ""
        rows.append([name, _spread(first), *(f"{statistics.fmean(each):.3f}" for each in others), *compared, below])
    return rows


def _against(errors: dict[str, Any], other: dict[str, Any], horizons: list[int]) -> list[str]:
    """Change of the mean squared error one step ahead in percent of another's, and the p-value."""
    losses = [np.array(each["by_step"])[:, 0] for each in (errors, other)]
    difference, p = diebold_mariano(losses[0], losses[1], horizon=horizons[0])
    return [f"{100 * difference / losses[1].mean():+.1f}", "<.001" if p < 1e-3 else f"{p:.3f}".removeprefix("0")]


def _spread(errors: Sequence[float]) -> str:
    """Mean and standard deviation over seeds, as 0.707 ± .003."""
    return mean_std(errors, 3).replace("± 0.", "± .")


def _one_ahead(errors: dict[str, Any]) -> list[float]:
    """Errors one step ahead, by seed."""
    return [row[0] for row in errors["by_horizon"]]


def _verdict(protocol: dict[str, Any], horizons: list[int]) -> str:
    """One step ahead: networks against autoregressions, relations against none, and what validation prefers."""

    def below(name: str) -> str:
        """The networks whose mean over the seeds is below a baseline's error."""
        found = [n for n in protocol["networks"] if statistics.fmean(_one_ahead(n)) < errors[name]]
        return ", ".join(map(label, found)) or "no network"

    errors = {name: _one_ahead(baseline)[0] for name, baseline in protocol["baselines"].items()}
    first, best = reference(protocol), min(errors, key=errors.__getitem__)
    chosen = preferred(protocol["networks"])
    return "\n".join([
        f"Below {first} on average: {below(first)}.",
        f"The best baseline is {best} with {errors[best]:.3f}; below it: {below(best)}.",
        f"Validation prefers {label(chosen)}: {_spread(_one_ahead(chosen))}, and "
        f"{_one_ahead(chosen['together'])[0]:.3f} for the mean of its seeds' forecasts.",
        *(f"Relations, {line}." for line in relations(protocol, horizons)),
    ])  # fmt: skip


def relations(protocol: dict[str, Any], horizons: list[int]) -> list[str]:
    """For each linear path: the network with relations that validation prefers, against the one without."""
    found = []
    for path in protocol["paths"]:
        networks = [network for network in protocol["networks"] if network["settings"]["path"] == path]
        alone = next(network for network in networks if network["settings"]["model"] == "LSTM")
        best = preferred([network for network in networks if network is not alone])
        change, p = _against(best, alone, horizons)
        found.append(f"{label(best)} against {label(alone)}: {change} %, p {p}")
    return found


def one_ahead(result: dict[str, Any]) -> str:
    """Every protocol's errors one step ahead, and the paired test."""
    protocols = result["protocols"]
    cells: dict[str, dict[str, str]] = {}
    for protocol in protocols:
        for name, baseline in protocol["baselines"].items():
            cells.setdefault(name, {})[protocol["name"]] = _spread(_one_ahead(baseline))
    for protocol in protocols:
        base = protocol["baselines"][reference(protocol)]
        for network in protocol["networks"]:
            change, p = _against(network, base, result["horizons"])
            text = f"{_spread(_one_ahead(network))} ({change} %, p {p})"
            cells.setdefault(label(network, "AR"), {})[protocol["name"]] = text
    rows = [[name, *(own.get(protocol["name"], "") for protocol in protocols)] for name, own in cells.items()]
    return markdown_table(["mean squared error, one step ahead", *map(short, protocols)], rows)


TABLES = {"errors": one_ahead}
