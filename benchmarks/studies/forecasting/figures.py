"""Error by horizon, and where on the graph it is, from the JSON alone."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from matplotlib.lines import Line2D

from gnnseq.plots import COLORS, save_figure, style
from harness.figure_layout import GAP, legend, panels
from studies.forecasting.results import MODEL_NAMES, label, preferred, reference, short

__all__ = ["figures"]

LOOKS = {
    "LSTM": ("blue", "o"),
    "GCN": ("purple", "s"),
    "time_then_space": ("green", "^"),
    "space_then_time": ("orange", "v"),
    "space_time": ("vermillion", "D"),
}
MOST = 0.97  # of the nodes are inside a map's colours


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    """Draw errors by horizon, and each epidemic's graph."""
    maps = {each["epidemic"]: each for each in reversed(result["protocols"]) if each["statistics"] == "training"}
    with style():
        drawn = {"horizons": _horizons(result), **{name: _map(maps[name]) for name in reversed(maps)}}
    return [
        path for name, figure in drawn.items() for path in save_figure(figure, stem.with_name(f"{stem.name}_{name}"))
    ]


def _horizons(result: dict[str, Any]) -> Figure:
    """A column a protocol: networks alone above, and below what a network adds to an autoregression."""
    horizons, protocols = result["horizons"], result["protocols"]
    seeds = len(protocols[0]["networks"][0]["runs"])
    figure, axes = panels(
        2, len(protocols), "Forecasts of epidemics by horizon",
        f"Mean squared error on the last fifth of the steps, standardised; mean and range over {seeds} seeds. "
        "Above networks alone, where the protocol has them; below networks\nbeside a linear path fitted by least "
        "squares, against the autoregression on the same history. Persistence is left out where it is off the scale.",
        gap=(0.75, GAP[1]), sharey=False,
    )  # fmt: skip
    x = np.arange(len(horizons))
    lines = {"AR": "-", "mean": ":", "persistence": "--"}
    for protocol, (above, below) in zip(protocols, axes.T, strict=True):
        base = np.array(protocol["baselines"][reference(protocol)]["by_horizon"][0])
        for name, dashes in lines.items():
            line = np.array(protocol["baselines"][reference(protocol) if name == "AR" else name]["by_horizon"][0])
            if line.max() < 1.6 * base.max():
                above.plot(x, line, color=COLORS["ink"], lw=1.6, ls=dashes)
        below.axhline(0, color=COLORS["ink"], lw=1.6)
        for network in protocol["networks"]:
            color, marker = LOOKS[network["settings"]["model"]]
            panel, runs = above, np.array(network["by_horizon"])
            if network["settings"]["path"]:
                panel, runs = below, 100 * (runs / base - 1)
            panel.plot(x, runs.mean(0), color=COLORS[color], marker=marker)
            panel.fill_between(x, runs.min(0), runs.max(0), color=COLORS[color], alpha=0.15, lw=0)
        above.set(title=short(protocol), ylim=(0, None))
        below.set(xlabel=f"{protocol['step']}s ahead", xticks=x, xticklabels=horizons)
    axes[0, 0].set_ylabel("mean squared error")
    axes[1, 0].set_ylabel("beside an AR: change, %")
    handles = [
        *(
            Line2D([], [], color=COLORS[c], marker=marker, label=MODEL_NAMES[name])
            for name, (c, marker) in LOOKS.items()
        ),
        *(Line2D([], [], color=COLORS["ink"], lw=1.6, ls=dashes, label=name) for name, dashes in lines.items()),
    ]
    legend(figure, handles=handles, ncols=len(handles), handlelength=1.6)
    return figure


def _map(protocol: dict[str, Any]) -> Figure:
    """The graph twice: each node's error of the autoregression, and what the network preferred by validation adds."""
    base = np.array(protocol["baselines"][reference(protocol)]["by_node"])[:, 0]
    with_graph = [n for n in protocol["networks"] if n["settings"]["model"] != "LSTM" and n["settings"]["path"]]
    network = preferred(with_graph)
    change = 100 * (np.array(network["by_node"])[:, 0] / base - 1)
    named = len(base) <= 30
    # Places are fixed; layout="none" would fall back to the style's layout when the figure is saved again.
    figure = Figure(figsize=(15, 8.4), layout=PlaceHolderLayoutEngine(True, True))
    # A few nodes beyond the ends would leave all others one colour.
    most = max(float(np.quantile(np.abs(change), MOST)), 1.0)
    _panel(figure, 0.01, protocol, base, "viridis", Normalize(base.min(), float(np.quantile(base, MOST))), named,
           extend="max", label=f"mean squared error of {reference(protocol)}")  # fmt: skip
    _panel(figure, 0.51, protocol, change, "RdBu_r", TwoSlopeNorm(0, -most, most), named,
           extend="both", label=f"change by {label(network)}, %")  # fmt: skip
    better = int((change < 0).sum())
    links = "Lines join neighbours" if named else "Lines are the strongest movements of people"
    figure.text(0.015, 0.975, f"Where the error is, one {protocol['step']} ahead", va="top", fontsize="x-large")
    figure.text(
        0.015, 0.925,
        f"{protocol['title']}. {label(network)} is better at {better} of {len(change)} nodes; "
        f"blue is better, mean over {len(network['runs'])} seeds.",
        va="top",
    )  # fmt: skip
    figure.text(0.015, 0.015, f"{links}; places come from the graph, not from a map.", va="bottom", fontsize="small")
    return figure


def _panel(
    figure: Figure, side: float, protocol: dict[str, Any], values: np.ndarray, colors: str, norm: Normalize,
    named: bool, **bar_options: Any,
) -> None:  # fmt: skip
    """The graph in the colours of these values, and the colour bar."""
    panel, xy = figure.add_axes((side, 0.17, 0.48, 0.7)), np.array(protocol["places"])
    for source, target in protocol["links"]:
        panel.plot(*xy[[source, target]].T, color="#b9b9b9", lw=1.2, zorder=1)
    dots = panel.scatter(
        xy[:, 0],
        xy[:, 1],
        c=values,
        cmap=colors,
        norm=norm,
        s=420 if named else 130,
        edgecolors=COLORS["ink"],
        lw=0.8,
        zorder=2,
    )
    for name, place in zip(protocol["nodes"], xy, strict=True) if named else ():
        panel.annotate(
            name, place, xytext=(0, -14), textcoords="offset points", ha="center", va="top", fontsize=11, zorder=3
        )
    panel.set_axis_off()
    panel.margins(0.1)
    scale = figure.add_axes((side + 0.1, 0.14, 0.28, 0.022))
    bar = figure.colorbar(dots, cax=scale, orientation="horizontal", **bar_options)
    bar.outline.set_visible(False)
