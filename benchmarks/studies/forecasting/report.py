"""Tables of the forecasts, from the JSON alone: errors by horizon, and what is better than the autoregression."""

import statistics
from collections.abc import Sequence
from typing import Any

import numpy as np
from rich import box
from rich.console import Console
from rich.table import Table

from harness.significance import diebold_mariano

LABELS = {
    "LSTM": "LSTM alone",
    "GCN": "GCN alone",
    "time_then_space": "LSTM → GCN",
    "space_then_time": "GCN → LSTM",
    "space_time": "LSTM on both",
}
PUBLISHED = "1.11-1.13"  # mean squared errors of spatio-temporal networks in the literature


def label(network: dict[str, Any]) -> str:
    settings = network["settings"]
    return _beside(settings, f"AR({settings['path']}){'n' if settings['neighbours'] else ''}")


def _beside(settings: dict[str, Any], path: str) -> str:
    """A network's name, with that of its linear path where it has one."""
    name = LABELS[settings["model"]]
    return f"{path} + {name.removesuffix(' alone')}" if settings["path"] else name


def reference(protocol: dict[str, Any]) -> str:
    """The baseline that everything is tested against: the pooled autoregression on the same history."""
    return next(iter(protocol["baselines"]))


def against(errors: dict[str, Any], protocol: dict[str, Any], horizons: list[int], k: int = 0) -> tuple[float, float]:
    """Difference in mean squared error from the reference's, as a fraction of it, and the p-value."""
    other = protocol["baselines"][reference(protocol)]
    losses = [np.array(each["by_step"])[:, k] for each in (errors, other)]
    difference, p = diebold_mariano(*losses, horizon=horizons[k])
    return difference / losses[1].mean(), p


def mean_and_spread(values: Sequence[float]) -> str:
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.fmean(values):.3f}{spread.replace(' 0.', ' .')}"


def comparison(errors: dict[str, Any], protocol: dict[str, Any], horizons: list[int]) -> list[str]:
    """Change in percent and p-value, one step ahead."""
    change, p = against(errors, protocol, horizons)
    return [f"{100 * change:+.1f}", p_value(p)]


def p_value(p: float) -> str:
    return "<.001" if p < 1e-3 else f"{p:.3f}".removeprefix("0")


def rows(protocol: dict[str, Any], horizons: list[int]) -> list[list[str]]:
    """Name, errors by horizon, change and p-value one step ahead, seeds below the reference."""
    best = protocol["baselines"][reference(protocol)]["by_horizon"][0][0]
    found = []
    for name, errors in protocol["baselines"].items():
        compared = ["", ""] if name == reference(protocol) else comparison(errors, protocol, horizons)
        found.append([name, *(f"{error:.3f}" for error in errors["by_horizon"][0]), *compared, ""])
    for network in protocol["networks"]:
        first, *others = zip(*network["by_horizon"], strict=True)
        found.append([
            label(network),
            mean_and_spread(first),
            *(f"{statistics.fmean(errors):.3f}" for errors in others),
            *comparison(network, protocol, horizons),
            f"{sum(error < best for error in first)}/{len(first)}",
        ])  # fmt: skip
    return found


def preferred(networks: list[dict[str, Any]]) -> dict[str, Any]:
    """The network that validation prefers: a choice that the test part has no say in."""
    return min(networks, key=lambda network: statistics.fmean(run["validation"] for run in network["runs"]))


def below(protocol: dict[str, Any], error: float) -> str:
    """The networks whose mean over the seeds is below an error, one step ahead."""
    names = [
        label(network)
        for network in protocol["networks"]
        if statistics.fmean(row[0] for row in network["by_horizon"]) < error
    ]
    return ", ".join(names) or "no network"


def relations(protocol: dict[str, Any], horizons: list[int]) -> list[str]:
    """For each linear path: the network with relations that validation prefers, against the one without."""
    found = []
    for path in protocol["paths"]:
        networks = [network for network in protocol["networks"] if network["settings"]["path"] == path]
        alone = next(network for network in networks if network["settings"]["model"] == "LSTM")
        best = preferred([network for network in networks if network is not alone])
        losses = [np.array(network["by_step"])[:, 0] for network in (best, alone)]
        difference, p = diebold_mariano(*losses, horizon=horizons[0])
        found.append(
            f"{label(best)} against {label(alone)}: {100 * difference / losses[1].mean():+.1f} %, p {p_value(p)}"
        )
    return found


def verdict(protocol: dict[str, Any], horizons: list[int]) -> str:
    """One step ahead: networks against autoregressions, relations against none, and what validation prefers."""
    errors = {name: baseline["by_horizon"][0][0] for name, baseline in protocol["baselines"].items()}
    first, best = reference(protocol), min(errors, key=errors.__getitem__)
    chosen = preferred(protocol["networks"])
    lines = [
        f"Below {first} on average: {below(protocol, errors[first])}.",
        f"The best baseline is {best} with {errors[best]:.3f}; below it: {below(protocol, errors[best])}.",
        f"Validation prefers {label(chosen)}: {mean_and_spread([row[0] for row in chosen['by_horizon']])}, and "
        f"{chosen['together']['by_horizon'][0][0]:.3f} for the mean of its seeds' forecasts.",
        *(f"Relations, {line}." for line in relations(protocol, horizons)),
    ]
    return "\n".join(lines)


def print_report(result: dict[str, Any], console: Console) -> None:
    horizons = result["horizons"]
    for protocol in result["protocols"]:
        step, (_, first, stop) = protocol["step"], protocol["starts"]
        seeds = len(protocol["networks"][0]["runs"])
        caption = (
            f"Mean squared error 1 to {horizons[-1]} {step}s ahead, {step}s {first} to {stop - 1}; mean (± standard "
            f"deviation) over {seeds} seeds. %, p: change against {reference(protocol)} 1 {step} ahead, paired over "
            f"{stop - first} {step}s (Diebold and Mariano), not corrected for the number of rows. below: seeds that "
            "are below it. AR + network: a network beside a linear path fitted by least squares; n: that reads "
            "neighbours too."
        )
        if protocol["name"] == "published":
            caption += f" Published networks: {PUBLISHED} 1 week ahead."
        table = Table(
            title=protocol["title"], caption=caption, box=box.SIMPLE_HEAD, title_style="bold", caption_justify="left",
            padding=(0, 1, 0, 0), pad_edge=False,
        )  # fmt: skip
        table.add_column("", no_wrap=True)
        for heading in (f"1 {step}", *map(str, horizons[1:]), "%", "p", "below"):
            table.add_column(heading, justify="right", no_wrap=True)
        for place, row in enumerate(rows(protocol, horizons)):
            if place >= len(protocol["baselines"]) and (place - len(protocol["baselines"])) % len(LABELS) == 0:
                table.add_section()
            table.add_row(*row)
        console.print()
        console.print(table)
        console.print(verdict(protocol, horizons), highlight=False)


def short(protocol: dict[str, Any]) -> str:
    """The heading of a protocol's column."""
    scale = "as published" if protocol["statistics"] == "all" else "training scale"
    return f"{protocol['title'].split(',')[0]}, {scale}"


def markdown(result: dict[str, Any]) -> str:
    """One table: every protocol's errors one step ahead, and the paired test."""
    protocols = result["protocols"]
    lines = [
        ["mean squared error, one step ahead", *map(short, protocols)],
        ["---", *["---:"] * len(protocols)],
    ]
    cells: dict[str, dict[str, str]] = {}
    for protocol in protocols:
        for name, errors in protocol["baselines"].items():
            cells.setdefault(name, {})[protocol["name"]] = f"{errors['by_horizon'][0][0]:.3f}"
    for protocol in protocols:
        for network in protocol["networks"]:
            change, p = comparison(network, protocol, result["horizons"])
            kind = _beside(network["settings"], "AR")
            errors = mean_and_spread([row[0] for row in network["by_horizon"]])
            cells.setdefault(kind, {})[protocol["name"]] = f"{errors} ({change} %, p {p})"
    for name, by_protocol in cells.items():
        lines.append([name, *(by_protocol.get(protocol["name"], "") for protocol in protocols)])
    return "".join(f"| {' | '.join(line)} |\n" for line in lines)
