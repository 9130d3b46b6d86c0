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
LABELS = {"building": "schedule or adjacency", "memory": "memory alone"}


def figures(result: Row, stem: Path) -> list[Path]:
    """Draw the growth curves, if there are any: time per node and per edge, and constant time under each."""
    if "scaling" not in result:
        return []
    curves = growth(result["scaling"])
    on_paths = {layer: rows for layer, rows in curves.items() if layer != "GCN"}
    on_graphs = {layer: rows for layer, rows in curves.items() if layer == "GCN"}
    with style():
        figure = Figure(figsize=(11.5, 5.6))
        paths, graphs = figure.subplots(1, 2)
        _panel(paths, on_paths, "Sweep of a path", "nodes of one path", "time per node, ns")
        _panel(graphs, on_graphs, "Graph convolution", "directed edges", "time per edge, ns")
        handles = [Line2D([], [], color=COLORS[HUES[layer]], label=layer, **LOOKS["steps"]) for layer in curves]
        constant = {"ls": ":", "lw": 1.4, "label": f"constant, band to {GROWTH:g} times"}
        looks = [{**LOOKS[part], "label": label} for part, label in LABELS.items()]
        handles += [Line2D([], [], color=COLORS["ink"], **look) for look in (*looks, constant)]
        figure.legend(handles=handles, loc="outside lower center", ncols=4)
        title = f"Time of a training step per node and per edge, {result['width']} channels"
        figure.suptitle(title, x=0.01, ha="left")
        return list(save_figure(figure, stem))


def _panel(axes: Axes, curves: dict[str, list[Row]], title: str, x: str, y: str) -> None:
    axes.set_title(title)
    for layer, rows in curves.items():
        color, size = COLORS[HUES[layer]], [row["size"] for row in rows]
        least = 1e9 * min(row["steps"] for row in rows)
        axes.fill_between(size, least, GROWTH * least, color=color, alpha=0.12, lw=0)
        axes.axhline(least, color=color, ls=":", lw=1.4)
        for part, look in LOOKS.items():
            axes.plot(size, [1e9 * row[part] for row in rows], color=color, **look)
    drawn = [1e9 * row[part] for rows in curves.values() for row in rows for part in LOOKS]
    if drawn:
        decades = (10 ** np.floor(np.log10(min(drawn))), 10 ** np.ceil(np.log10(GROWTH * max(drawn))))
        axes.set(xscale="log", yscale="log", ylim=decades, xlabel=x, ylabel=y)
        axes.yaxis.set_minor_formatter(NullFormatter())
