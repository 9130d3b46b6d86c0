"""Tables and figures of the receptive-field study, from its JSON alone."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator
from rich import box
from rich.console import Console
from rich.table import Table

from gnnseq.plots import COLORS, save_figure, style

HUES = {"RNN": "vermillion", "LSTM": "sky", "LSTM, chrono": "blue"}
PARTS = ("gcn", "schedules", "claims", "temporal")  # whose pairs networkx knows
READS = {
    "time_then_space": "a hop now, whatever the past",
    "space_then_time": "a hop then, in every past step",
    "space_time": "a hop more with every step back",
}
SMALLEST, LARGEST = 1e-26, 1e2  # of the influence that is drawn
FLOAT32 = 2.0**-24  # half the distance from 1 to the next float32: smaller terms are lost in a sum with 1

Row = dict[str, Any]


def holds(result: dict[str, Any]) -> bool:
    """Whether every pair of parts 1 to 3 and 5 is as networkx has it, and proven."""
    return all(row["counterexample"] is None for part in PARTS for row in result.get(part, []))


def print_report(result: dict[str, Any], console: Console) -> None:
    """One table a part, and what all show in a sentence."""
    _print_gcn(result["gcn"], console)
    _print_schedules(result["schedules"], console)
    _print_claims(result["claims"], console)
    _print_influence(result["influence"], console)
    if result.get("temporal"):
        _print_temporal(result["temporal"], console)
    rows = [row for part in PARTS for row in result.get(part, [])]
    if holds(result):
        pairs = sum(row["pairs"] for row in rows)
        console.print(f"[bold green]exact[/]: all {pairs:,} pairs are as networkx has them, and proven\n")
        return
    console.print("[bold red]not exact[/]:")
    for row in rows:
        if row["counterexample"] is not None:
            depth = row.get("schedule") or (f"{row['layers']} layers" if "layers" in row else "")
            where = ", ".join(str(part) for part in (row.get("layer", "GCN"), depth, row.get("graph")) if part)
            console.print(f"  [red]{where}[/]: {row['counterexample']}", highlight=False)
    console.print()


def _table(title: str, *headings: str, note: str = "") -> Table:
    return Table(
        *headings, title=title, caption=note, box=box.SIMPLE_HEAD, title_style="bold", title_justify="left",
        caption_justify="left",
    )  # fmt: skip


def _verdict(row: Row, text: str) -> str:
    return f"[green]{text}[/] ✓" if row["counterexample"] is None else f"[bold red]{text} ✗[/]"


def _print_gcn(rows: list[Row], console: Console) -> None:
    layers = sorted({row["layers"] for row in rows})
    table = _table(
        "1. k graph convolutions reach k hops",
        "graph",
        note="Pairs (output, input) that depend on each other, measured; ✓: networkx finds the same ones.",
    )
    for heading in ("nodes", "edges", *(f"k = {k}" for k in layers)):
        table.add_column(heading, justify="right", no_wrap=True)
    for name in dict.fromkeys(row["graph"] for row in rows):
        own = [row for row in rows if row["graph"] == name]
        cells = [_verdict(row, f"{row['reached']:,}") for row in own]
        table.add_row(name, f"{own[0]['nodes']:,}", f"{own[0]['edges']:,}", *cells)
    console.print(table)


def _print_schedules(rows: list[Row], console: Console) -> None:
    graphs = list(dict.fromkeys(row["graph"] for row in rows))
    table = _table("2. Sweeps reach all ancestors, k rounds k - 1 hops", "layer", "schedule", "should reach")
    for name in graphs:
        table.add_column(name, justify="right", no_wrap=True)
    before = ""
    for key in dict.fromkeys((row["layer"], row["schedule"], row["expected"]) for row in sorted(rows, key=_by_layer)):
        own = {row["graph"]: row for row in rows if (row["layer"], row["schedule"], row["expected"]) == key}
        if before and key[0] != before:
            table.add_section()
        name, before = "" if key[0] == before else key[0], key[0]
        table.add_row(name, *key[1:], *(_verdict(own[g], f"{own[g]['reached']:,}") if g in own else "" for g in graphs))
    console.print(table)


def _by_layer(row: Row) -> int:
    return ("RNN", "LSTM", "GRU", "GatedGraph").index(row["layer"])


def _print_claims(rows: list[Row], console: Console) -> None:
    table = _table(
        "3. What torch_geometric's get_num_hops says",
        "layer",
        note="get_num_hops counts modules, not what they do. A small graph may end before a layer's reach does.",
    )
    for heading in ("equation", "measured", "get_num_hops"):
        table.add_column(heading, justify="right", no_wrap=True)
    for row in rows:
        right = row["claimed"] == row["equation"]
        claimed = f"{row['claimed']} " if right else f"[red]{row['claimed']}, not {row['equation']}[/] "
        table.add_row(row["layer"], str(row["equation"]), _verdict(row, str(row["farthest"])), claimed)
    console.print(table)


def _print_influence(rows: list[Row], console: Console) -> None:
    farthest = max(len(row["influence"][0]) for row in rows) - 1
    hops = [hop for hop in (0, 1, 5, 10, 25, 50) if hop < farthest] + [farthest]
    table = _table(
        "4. Influence by hops, untrained",
        "network",
        note=f"Geometric mean of {len(rows[0]['influence'])} networks; -: out of reach.",
    )
    for hop in hops:
        table.add_column(str(hop), justify="right", no_wrap=True)
    for row in rows:
        mean = _geometric_mean(row["influence"])
        table.add_row(row["network"], *(f"{mean[hop]:.0e}" if hop < len(mean) else "-" for hop in hops))
    console.print(table)


def _print_temporal(rows: list[Row], console: Console) -> None:
    table = _table(
        "5. Time and space in three orders", "order", "sees",
        note=f"Pairs of (node, step) on a path of {rows[0]['nodes']} nodes in {rows[0]['steps']} steps, measured; "
        "✓: networkx finds the same ones.",
    )  # fmt: skip
    table.add_column("pairs", justify="right", no_wrap=True)
    for row in rows:
        table.add_row(row["schedule"], READS[row["schedule"]], _verdict(row, f"{row['reached']:,}"))
    console.print(table)


def _geometric_mean(curves: Sequence[Sequence[float]]) -> np.ndarray:
    """Over networks; zero where any is zero."""
    with np.errstate(divide="ignore"):
        return np.exp(np.log(np.asarray(curves)).mean(axis=0))


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    """Draws influence, and reach where there are places to draw it at; gives the files."""
    with style():
        drawn = {"influence": influence_figure(result["influence"], result["influence_on"])}
        if result["graphs"]:
            drawn["reach"] = reach_figure(result["graphs"], result["gcn"])
        if result.get("temporal"):
            drawn["temporal"] = temporal_figure(result["temporal"])
    return [path for name, figure in drawn.items() for path in save_figure(figure, f"{stem}_{name}")]


def influence_figure(rows: list[Row], subject: str) -> Figure:
    """Influence by hops: vanishing gradients and depth in one picture."""
    figure = Figure(figsize=(10.0, 5.6))
    axes = figure.add_subplot()
    convolutions = [row["network"] for row in rows if row["network"].startswith("GCN")]
    shades = matplotlib.colormaps["Purples"](np.linspace(0.55, 0.95, len(convolutions)))
    farthest = max(len(row["influence"][0]) for row in rows) - 1
    means = {row["network"]: _geometric_mean(row["influence"]) for row in rows}
    roomy = farthest >= 20  # curves are far enough apart to bear their names
    lowest = SMALLEST if roomy else max(SMALLEST, 0.1 * min(mean[mean > 0].min(initial=1.0) for mean in means.values()))
    for row in rows:
        curves = np.asarray(row["influence"])
        name, hops, mean = row["network"], np.arange(curves.shape[1]), means[row["network"]]
        is_convolution = name in convolutions
        color = shades[convolutions.index(name)] if is_convolution else COLORS[HUES[name]]
        axes.plot(hops, mean, color=color, lw=2.6 if is_convolution else 3.4, label=name)
        if not is_convolution:
            axes.fill_between(hops, curves.min(axis=0), curves.max(axis=0), color=color, alpha=0.25, lw=0)
        elif hops[-1] < farthest:
            axes.plot(hops[-1], mean[-1], "o", color=color, ms=8)
            axes.vlines(hops[-1], lowest, mean[-1], color=color, ls=":", lw=1.6)
        if roomy:
            _name(axes, name, mean, color, upright=is_convolution)
    if not roomy:
        axes.legend()
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.axhline(FLOAT32, color=COLORS["ink"], lw=1.1, ls=(0, (6, 4)))
    axes.set_title("How much of a far input is left, before any training", pad=30)
    many = f"Geometric mean and range of {len(rows[0]['influence'])} networks, on {subject}."
    dotted = " Dotted: a GCN's reach ends." if roomy else ""
    axes.text(0, 1.03, many + dotted, transform=axes.transAxes, fontsize="small")
    if lowest < FLOAT32:
        note = "below this line, float32 loses it in a sum with 1"
        axes.annotate(note, (farthest, FLOAT32), (-2, 5), textcoords="offset points", ha="right", fontsize="small")
    axes.set(
        yscale="log", xlim=(0, max(farthest, 1)), ylim=(lowest, LARGEST), xlabel="hops from input to output",
        ylabel=r"influence  $\|\,\partial h_v\,/\,\partial x_u\|$",
    )  # fmt: skip
    axes.yaxis.set_major_locator(LogLocator(numticks=8))
    return figure


def _name(axes: Axes, name: str, mean: np.ndarray, color: Any, upright: bool) -> None:
    """Writes a curve's name beside it, or up the line where its reach ends."""
    look: dict[str, Any] = {"textcoords": "offset points", "color": color}
    if upright:
        end = (len(mean) - 1, SMALLEST)
        axes.annotate(name, end, (4, 5), rotation=90, va="bottom", fontsize="small", **look)
        return
    below = np.flatnonzero(mean < 1e-13)  # where the curves are far apart
    at, place = (below[0], (8, 4)) if len(below) else (len(mean) * 3 // 4, (0, 14))
    axes.annotate(name, (at, mean[at]), place, weight="bold", **look)


def reach_figure(graphs: dict[str, Any], rows: list[Row]) -> Figure:
    """Each graph, its nodes coloured by how many layers it takes until the node in focus depends on them."""
    layers = max(row["layers"] for row in rows)
    colors = matplotlib.colormaps["viridis"](np.linspace(0.95, 0.1, layers))
    columns = 1 + len(graphs) if len(graphs) < 3 else 3
    lines = -(-(1 + len(graphs)) // columns)
    figure = Figure(figsize=(3.7 * columns, 0.5 + 3.3 * lines))
    panels = figure.subplots(lines, columns, squeeze=False).ravel()
    for panel in panels:
        panel.set_axis_off()
    for panel, (name, graph) in zip(panels, graphs.items(), strict=False):
        places = np.asarray(graph["places"])
        panel.add_collection(LineCollection(places[np.asarray(graph["edges"], dtype=int)], color="#b8b8b8", lw=1.4))
        shade = np.tile(matplotlib.colors.to_rgba("#e8e8e8"), (len(places), 1))
        for row in sorted((row for row in rows if row["graph"] == name), key=lambda row: -row["layers"]):
            shade[row["seen"]] = colors[row["layers"] - 1]
        panel.scatter(*places.T, c=shade, s=110, edgecolors=COLORS["ink"], linewidths=0.8, zorder=2)
        focus = places[graph["focus"]]
        panel.scatter(
            *focus, marker="*", c=COLORS["vermillion"], s=420, edgecolors=COLORS["ink"], linewidths=0.8, zorder=3
        )
        panel.set_title(name, loc="center")
        panel.set_aspect("equal")
        panel.margins(0.15)
    dot = {"marker": "o", "ls": "", "ms": 11, "mec": COLORS["ink"], "mew": 0.8}
    entries = [
        Line2D([], [], marker="*", ls="", ms=18, color=COLORS["vermillion"], mec=COLORS["ink"], label="the output")
    ]
    entries += [
        Line2D([], [], color=c, label=f"{k} layer{'s' * (k > 1)}", **dot) for k, c in enumerate(colors, start=1)
    ]
    entries += [Line2D([], [], color="#e8e8e8", label="more, or none", **dot)]
    panels[len(graphs)].legend(
        handles=entries,
        loc="center",
        title="layers until this output\ndepends on that input",
        alignment="left",
        title_fontsize="medium",
    )
    figure.suptitle("k graph convolutions see k hops, measured", x=0.01, ha="left")
    return figure


def temporal_figure(rows: list[Row]) -> Figure:
    """A path's nodes over time, those marked that the output at the end depends on: one panel an order."""
    figure = Figure(figsize=(12.0, 4.9))
    panels = figure.subplots(1, len(rows), sharey=True)
    for panel, row in zip(panels, rows, strict=True):
        nodes, steps = row["nodes"], row["steps"]
        seen = np.zeros(steps * nodes, dtype=bool)
        seen[row["seen"]] = True
        step, node = np.divmod(np.arange(steps * nodes), nodes)
        shade = np.where(seen[:, None], matplotlib.colors.to_rgba(COLORS["blue"]), matplotlib.colors.to_rgba("#e8e8e8"))
        panel.scatter(step, node, c=shade, s=110, edgecolors=COLORS["ink"], linewidths=0.8, zorder=2)
        panel.scatter(
            steps - 1, row["focus"], marker="*", c=COLORS["vermillion"], s=420, edgecolors=COLORS["ink"],
            linewidths=0.8, zorder=3,
        )  # fmt: skip
        panel.set_title(f"{row['schedule']}\n{READS[row['schedule']]}", loc="left", fontsize="medium")
        panel.set(xlabel="step", xticks=range(steps), yticks=range(nodes))
        panel.grid(False)
        panel.margins(0.12)
    panels[0].set_ylabel("node of the path")
    dot = {"marker": "o", "ls": "", "ms": 11, "mec": COLORS["ink"], "mew": 0.8}
    entries = [
        Line2D([], [], marker="*", ls="", ms=18, color=COLORS["vermillion"], mec=COLORS["ink"], label="the output"),
        Line2D([], [], color=COLORS["blue"], label="it depends on this input", **dot),
        Line2D([], [], color="#e8e8e8", label="it does not", **dot),
    ]
    figure.legend(handles=entries, loc="outside lower center", ncols=3)
    figure.suptitle("What one output sees of a path's history, measured", x=0.01, ha="left")
    return figure
