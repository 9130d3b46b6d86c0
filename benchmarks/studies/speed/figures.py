"""The growth figure of the speed benchmark, from its JSON alone."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from gnnseq.plots import COLORS, save_figure, style
from studies.speed.results import growth
from studies.speed.targets import GROWTH, Row

HUES = {"RNN": "vermillion", "LSTM": "blue", "GRU": "green", "GCN": "purple"}
LOOKS: dict[str, dict[str, Any]] = {
    "steps": {"ls": "-", "marker": "o"},
    "building": {"ls": "--", "marker": "s", "ms": 5, "lw": 1.4},
    "memory": {"ls": "-.", "marker": "^", "ms": 5, "lw": 1.4},
}


def figures(result: Row, stem: Path) -> list[Path]:
    """Draws the growth curves, where there are any; gives the files."""
    if "scaling" not in result:
        return []
    with style():
        return list(save_figure(growth_figure(result), stem))


def growth_figure(result: Row) -> Figure:
    """Time per node and per edge on logarithmic axes, and constant time as a line under each curve."""
    curves = growth(result["scaling"])
    figure = Figure(figsize=(11.5, 5.6))
    left, right = figure.subplots(1, 2, sharey=False)
    paths = [layer for layer in curves if layer != "GCN"]
    _panel(left, {layer: curves[layer] for layer in paths}, "nodes of one path", "time per node, ns")
    if "GCN" in curves:
        _panel(right, {"GCN": curves["GCN"]}, "directed edges", "time per edge, ns")
    left.set_title("Sweep of a path")
    right.set_title("Graph convolution")
    handles = [Line2D([], [], color=COLORS[HUES[layer]], label=layer, **LOOKS["steps"]) for layer in curves]
    names = {"building": "schedule or adjacency", "memory": "memory alone"}
    handles += [
        *(Line2D([], [], color=COLORS["ink"], label=label, **LOOKS[part]) for part, label in names.items()),
        Line2D([], [], color=COLORS["ink"], ls=":", lw=1.4, label=f"constant, band to {GROWTH:g} times"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    figure.suptitle(f"Time of a training step per node and per edge, {result['width']} channels", x=0.01, ha="left")
    return figure


def _panel(axes: Axes, curves: dict[str, list[Row]], x: str, y: str) -> None:
    for layer, rows in curves.items():
        color = COLORS[HUES[layer]]
        size = [row["size"] for row in rows]
        steps = [1e9 * row["steps"] for row in rows]
        axes.fill_between(size, min(steps), GROWTH * min(steps), color=color, alpha=0.12, lw=0)
        axes.axhline(min(steps), color=color, ls=":", lw=1.4)
        for part, look in LOOKS.items():
            axes.plot(size, [1e9 * row[part] for row in rows], color=color, **look)
    drawn = [1e9 * row[part] for rows in curves.values() for row in rows for part in LOOKS]
    decades = (10 ** np.floor(np.log10(min(drawn))), 10 ** np.ceil(np.log10(GROWTH * max(drawn))))
    axes.set(xscale="log", yscale="log", ylim=decades, xlabel=x, ylabel=y)
    axes.yaxis.set_minor_formatter(NullFormatter())
