"""Tables and figures of the receptive-field study, from its JSON alone."""

from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from rich import box
from rich.console import Console
from rich.table import Table

from gnnseq.plots import COLORS, save_figure, style

LOOKS = {"RNN": "vermillion", "LSTM": "sky", "LSTM, chrono": "blue"}
# Below this an influence is drawn at the figure's edge: float64 carries a gradient of 1 no further.
SMALLEST = 1e-18


def holds(result: dict[str, Any]) -> bool:
    """Whether every pair of parts 1 and 2 is as networkx has it."""
    return all(row["counterexample"] is None for part in ("gcn", "schedules") for row in result.get(part, []))


def print_report(result: dict[str, Any], console: Console) -> None:
    """One table a part, and what each shows in a sentence."""
    _print_gcn(result["gcn"], console)
    if "schedules" in result:
        _print_schedules(result["schedules"], console)
        _print_claims(result["claims"], console)
        _print_influence(result["influence"], console)
    verdict = "[bold green]exact[/]: every pair is as networkx has it"
    if not holds(result):
        verdict = "[bold red]not exact[/]: see the pairs named above"
    console.print(verdict, highlight=False)


def figures(result: dict[str, Any], folder: Path, name: str) -> list[Path]:
    """Draws what there is to draw; gives the files."""
    if "influence" not in result:
        return []
    return list(save_figure(influence_figure(result["influence"]), folder / f"{name}_influence"))


def influence_figure(rows: list[dict[str, Any]]) -> Figure:
    """Influence on the last node of a path by hops: vanishing gradients and depth in one picture."""
    with style():
        figure = Figure(figsize=(9.6, 5.4))
        axes = figure.add_subplot()
        convolutions = [row for row in rows if row["network"].startswith("GCN")]
        shades = matplotlib.colormaps["Greys"](np.linspace(0.45, 0.9, len(convolutions)))
        length = len(rows[0]["influence"][0])
        for row in rows:
            curve = _geometric_mean(row["influence"])
            reached = int(np.flatnonzero(curve)[-1])
            hops = np.arange(reached + 1)
            seen = curve[: reached + 1] >= SMALLEST
            if row in convolutions:
                color, width = shades[convolutions.index(row)], 1.8
                label, place, offset = row["network"].split()[1], reached, (6, -3)
                if seen[reached]:
                    axes.plot(reached, curve[reached], "o", color=color, ms=5)
            else:
                color, width = COLORS[LOOKS[row["network"]]], 3
                label, place, offset = row["network"], int(0.6 * np.flatnonzero(seen)[-1]), (8, 6)
            axes.plot(hops[seen], curve[: reached + 1][seen], color=color, lw=width)
            place = min(place, int(0.85 * np.flatnonzero(seen)[-1])) if not seen[reached] else place
            axes.annotate(
                label,
                (place, curve[place]),
                offset,
                textcoords="offset points",
                color=color,
                fontsize=11 if row in convolutions else 14,
                weight="normal" if row in convolutions else "bold",
            )
        axes.set(
            yscale="log",
            xlim=(0, length),
            ylim=(SMALLEST, 10),
            xlabel="distance of the input, in hops",
            ylabel=r"influence  $\|\partial h_{\mathrm{last}} / \partial x_u\|_F$",
            title="How much of a far input is left, before any training",
        )
        axes.text(
            0.985,
            0.74,
            "grey: GCN, number of layers; a dot is where its reach ends",
            transform=axes.transAxes,
            ha="right",
            va="top",
            fontsize=11,
        )
    return figure


def _geometric_mean(curves: list[list[float]]) -> np.ndarray:
    """Over seeds; zero where any is zero."""
    values = np.asarray(curves)
    with np.errstate(divide="ignore"):
        return np.exp(np.log(values).mean(axis=0))


def _print_gcn(rows: list[dict[str, Any]], console: Console) -> None:
    layers = sorted({row["layers"] for row in rows})
    table = Table(title="1. k graph convolutions reach k hops", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("graph")
    for heading in ("nodes", "edges"):
        table.add_column(heading, justify="right")
    for k in layers:
        table.add_column(f"k = {k}", justify="right")
    for name in dict.fromkeys(row["graph"] for row in rows):
        own = [row for row in rows if row["graph"] == name]
        cells = ["[green]exact[/]" if row["counterexample"] is None else "[red]differs[/]" for row in own]
        table.add_row(name, str(own[0]["nodes"]), str(own[0]["edges"]), *cells)
    console.print(table)
    pairs = sum(row["pairs"] for row in rows)
    console.print(f"{pairs:,} pairs compared with networkx.", highlight=False)
    _print_counterexamples([(f"{row['graph']}, k = {row['layers']}", row) for row in rows], console)


def _print_schedules(rows: list[dict[str, Any]], console: Console) -> None:
    table = Table(title="2. Sweeps reach all ancestors, k rounds k - 1 hops", box=box.SIMPLE_HEAD, title_justify="left")
    graphs = list(dict.fromkeys(row["graph"] for row in rows))
    for heading in ("layer", "schedule", "should reach", *graphs):
        table.add_column(heading)
    for key in dict.fromkeys((row["layer"], row["schedule"], row["expected"]) for row in rows):
        own = {row["graph"]: row for row in rows if (row["layer"], row["schedule"], row["expected"]) == key}
        cells = ["[green]exact[/]" if own[g]["counterexample"] is None else "[red]differs[/]" for g in graphs]
        table.add_row(*key, *cells)
    console.print(table)
    _print_counterexamples([(f"{row['layer']}, {row['schedule']}, {row['graph']}", row) for row in rows], console)


def _print_counterexamples(rows: list[tuple[str, dict[str, Any]]], console: Console) -> None:
    for name, row in rows:
        if row["counterexample"] is not None:
            console.print(f"[red]{name}[/]: {row['counterexample']}", highlight=False)


def _print_claims(rows: list[dict[str, Any]], console: Console) -> None:
    table = Table(title="3. Hops that get_num_hops claims", box=box.SIMPLE_HEAD, title_justify="left")
    table.add_column("layer")
    for heading in ("claimed", "measured"):
        table.add_column(heading, justify="right")
    for row in rows:
        color = "" if row["claimed"] == row["measured"] else "[red]"
        table.add_row(row["layer"], f"{color}{row['claimed']}", str(row["measured"]))
    console.print(table)
    console.print("get_num_hops counts modules; it does not look at what a module does.", highlight=False)


def _print_influence(rows: list[dict[str, Any]], console: Console) -> None:
    length, seeds = len(rows[0]["influence"][0]), len(rows[0]["influence"])
    hops = [hop for hop in (0, 1, 5, 10, 25, 50) if hop < length - 1] + [length - 1]
    table = Table(
        title=f"4. Influence on the last of {length} nodes by hops, untrained\n   (geometric mean of {seeds} seeds)",
        box=box.SIMPLE_HEAD,
        title_justify="left",
    )
    table.add_column("network", no_wrap=True)
    for hop in hops:
        table.add_column(str(hop), justify="right", no_wrap=True)
    for row in rows:
        curve = _geometric_mean(row["influence"])
        table.add_row(row["network"], *("[dim]none[/]" if curve[hop] == 0 else f"{curve[hop]:.0e}" for hop in hops))
    console.print(table)
