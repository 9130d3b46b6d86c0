"""Figures of the receptive-field study, from its JSON alone."""

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

from gnnseq.plots import COLORS, save_figure, style
from harness.figure_layout import written

HUES = {"RNN": "vermillion", "LSTM": "sky", "LSTM, chrono": "blue", "MinGRU": "green", "MinGRU, chrono": "orange"}
READS = {
    "time_then_space": "a hop now, whatever the past",
    "space_then_time": "a hop then, in every past step",
    "space_time": "a hop more with every step back",
}
SMALLEST, LARGEST = 1e-26, 1e2  # of the influence that is drawn
FLOAT32 = 2.0**-24  # smaller terms are lost in a float32 sum with 1
PALE = "#e8e8e8"  # nodes that the output does not depend on
EDGE: dict[str, Any] = {"edgecolors": COLORS["ink"], "linewidths": 0.8}
DOT: dict[str, Any] = {"marker": "o", "ls": "", "ms": 11, "mec": COLORS["ink"], "mew": 0.8}

Row = dict[str, Any]


def geometric_mean(curves: Sequence[Sequence[float]]) -> np.ndarray:
    """Over networks; zero where any is zero."""
    with np.errstate(divide="ignore"):
        return np.asarray(np.exp(np.log(np.asarray(curves)).mean(axis=0)))


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    """Draw influence, reach where there are places to draw it at, and the orders of time and space."""
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
    colors = dict(zip(convolutions, shades, strict=True)) | {name: COLORS[hue] for name, hue in HUES.items()}
    farthest = max(len(row["influence"][0]) for row in rows) - 1
    means = {row["network"]: geometric_mean(row["influence"]) for row in rows}
    roomy = farthest >= 20  # curves are far enough apart to bear their names
    lowest = SMALLEST if roomy else max(SMALLEST, 0.1 * min(mean[mean > 0].min(initial=1.0) for mean in means.values()))
    for row in rows:
        curves = np.asarray(row["influence"])
        name, hops = row["network"], np.arange(curves.shape[1])
        mean, color, is_convolution = means[name], colors[name], name in convolutions
        axes.plot(hops, mean, color=color, lw=2.6 if is_convolution else 3.4, label=name)
        if not is_convolution:
            axes.fill_between(hops, curves.min(axis=0), curves.max(axis=0), color=color, alpha=0.25, lw=0)
        elif hops[-1] < farthest:
            axes.plot(hops[-1], mean[-1], "o", color=color, ms=8)
            axes.vlines(hops[-1], lowest, mean[-1], color=color, ls=":", lw=1.6)
        look = {"textcoords": "offset points", "color": color}
        if roomy and is_convolution:  # up the line where its reach ends
            end = (hops[-1], SMALLEST)
            axes.annotate(name, end, (4, 5), rotation=90, va="bottom", fontsize="small", **look)
        elif roomy:
            below = np.flatnonzero(mean < 1e-19)  # where the curves are far apart
            above = (0, -24) if name == "LSTM, chrono" else (0, 14)
            at, place = (below[0], (8, 4)) if len(below) else (len(mean) * 3 // 4, above)
            axes.annotate(name, (at, mean[at]), place, weight="bold", **look)
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
        shade = np.tile(matplotlib.colors.to_rgba(PALE), (len(places), 1))
        for row in sorted((row for row in rows if row["graph"] == name), key=lambda row: -row["layers"]):
            shade[row["seen"]] = colors[row["layers"] - 1]
        _nodes(panel, places, shade, places[graph["focus"]])
        panel.set_title(written(name), loc="center")
        panel.set(aspect="equal", xmargin=0.15, ymargin=0.15)
    names = [f"{k} layer{'s' * (k > 1)}" for k in range(1, layers + 1)]
    entries = _entries([*names, "more, or none"], [*colors, PALE])
    title = "layers until this output\ndepends on that input"
    panels[len(graphs)].legend(handles=entries, loc="center", title=title, alignment="left", title_fontsize="medium")
    figure.suptitle("k graph convolutions see k hops, measured", x=0.01, ha="left")
    return figure


def _nodes(panel: Axes, places: np.ndarray, shade: np.ndarray, focus: Sequence[float]) -> None:
    """Nodes as dots, the one in focus as a star."""
    panel.scatter(places[:, 0], places[:, 1], c=shade, s=110, zorder=2, **EDGE)
    panel.scatter(focus[0], focus[1], marker="*", c=COLORS["vermillion"], s=420, zorder=3, **EDGE)


def _entries(names: Sequence[str], colors: Sequence[Any]) -> list[Line2D]:
    """Of a legend."""
    star = Line2D([], [], marker="*", ls="", ms=18, color=COLORS["vermillion"], mec=COLORS["ink"], label="the output")
    return [star, *(Line2D([], [], color=c, label=name, **DOT) for name, c in zip(names, colors, strict=True))]


def temporal_figure(rows: list[Row]) -> Figure:
    """A path's nodes over time, those marked that the output at the end depends on: one panel an order."""
    figure = Figure(figsize=(12.0, 4.9))
    panels = figure.subplots(1, len(rows), sharey=True)
    for panel, row in zip(panels, rows, strict=True):
        nodes, steps = row["nodes"], row["steps"]
        seen = np.isin(np.arange(steps * nodes), row["seen"])
        places = np.stack(np.divmod(np.arange(steps * nodes), nodes), axis=1)
        blue, pale = matplotlib.colors.to_rgba_array([COLORS["blue"], PALE])
        _nodes(panel, places, np.where(seen[:, None], blue, pale), (steps - 1, row["focus"]))
        panel.set_title(f"{row['schedule']}\n{READS[row['schedule']]}", loc="left", fontsize="medium")
        panel.set(xlabel="step", xticks=range(steps), yticks=range(nodes), xmargin=0.12, ymargin=0.12)
        panel.grid(False)
    panels[0].set_ylabel("node of the path")
    entries = _entries(["it depends on this input", "it does not"], [COLORS["blue"], PALE])
    figure.legend(handles=entries, loc="outside lower center", ncols=3)
    figure.suptitle("What one output sees of a path's history, measured", x=0.01, ha="left")
    return figure
