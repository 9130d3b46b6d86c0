"""Error by horizon, and where on the graph it is, from the JSON alone."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from matplotlib.lines import Line2D

from gnnseq.plots import COLORS, save_figure, style
from harness.figure_layout import GAP, curve, legend, panels, written
from studies.forecasting.results import MODEL_LOOKS, label, preferred, reference, short

MOST = 0.97  # of the nodes are inside a map's colours


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    """Draw errors by horizon, and each epidemic's graph."""
    with style():
        drawn = {"horizons": _horizons(result)}
        for protocol in result["protocols"]:
            if protocol["statistics"] == "training":
                drawn[protocol["epidemic"]] = _map(protocol)
    paths = [save_figure(figure, stem.with_name(f"{stem.name}_{name}")) for name, figure in drawn.items()]
    return [path for pair in paths for path in pair]


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
    looks: dict[str, Any] = {"AR": {"ls": "-"}, "mean": {"ls": ":"}, "persistence": {"ls": "--"}}
    looks = {name: {"color": COLORS["ink"], "lw": 1.6, **look} for name, look in looks.items()}
    models: dict[str, Any] = {model: {"color": COLORS[c], "marker": m} for model, (_, c, m) in MODEL_LOOKS.items()}
    for protocol, (above, below) in zip(protocols, axes.T, strict=True):
        baselines = {**protocol["baselines"], "AR": reference(protocol)[1]}
        base = np.array(baselines["AR"]["by_horizon"][0])
        for name, look in looks.items():
            (line,) = baselines[name]["by_horizon"]
            if max(line) < 1.6 * base.max():
                above.plot(x, line, **look)
        below.axhline(0, color=COLORS["ink"], lw=1.6)
        for network in protocol["networks"]:
            settings, runs = network["settings"], np.array(network["by_horizon"])
            panel, runs = (below, 100 * (runs / base - 1)) if settings["path"] else (above, runs)
            curve(panel, x, runs, **models[settings["model"]])
        above.set(title=short(protocol), ylim=(0, None))
        below.set(xlabel=f"{protocol['step']}s ahead", xticks=x, xticklabels=horizons)
    axes[0, 0].set_ylabel("mean squared error")
    axes[1, 0].set_ylabel("beside an AR: change, %")
    named = {MODEL_LOOKS[model][0]: look for model, look in models.items()} | looks
    legend(figure, handles=[Line2D([], [], label=name, **look) for name, look in named.items()], handlelength=1.6)
    return figure


def _map(protocol: dict[str, Any]) -> Figure:
    """The graph twice: each node's error of the autoregression, and what the network preferred by validation adds."""
    against, errors = reference(protocol)
    network = preferred([n for n in protocol["networks"] if n["settings"]["neighbours"]])
    base, own = (np.array(each["by_node"])[:, 0] for each in (errors, network))
    change, xy = 100 * (own / base - 1), np.array(protocol["places"])
    # A few nodes beyond the ends would leave all others one colour.
    most = max(float(np.quantile(np.abs(change), MOST)), 1.0)
    scale = Normalize(base.min(), float(np.quantile(base, MOST)))
    named = len(base) <= 30
    # Places are fixed; layout="none" would fall back to the style's layout when the figure is saved again.
    figure = Figure(figsize=(15, 8.4), layout=PlaceHolderLayoutEngine(True, True))
    for side, values, colors, norm, extend, title in (
        (0.01, base, "viridis", scale, "max", f"mean squared error of {against}"),
        (0.51, change, "RdBu_r", TwoSlopeNorm(0, -most, most), "both", f"change by {label(network)}, %"),
    ):
        panel = figure.add_axes((side, 0.17, 0.48, 0.7))
        for link in protocol["links"]:
            panel.plot(*xy[link].T, color="#b9b9b9", lw=1.2, zorder=1)
        look: dict[str, Any] = {"s": 420 if named else 130, "edgecolors": COLORS["ink"], "lw": 0.8, "zorder": 2}
        dots = panel.scatter(xy[:, 0], xy[:, 1], c=values, cmap=colors, norm=norm, **look)
        look = {"textcoords": "offset points", "ha": "center", "va": "top", "fontsize": 11, "zorder": 3}
        for name, place in zip(protocol["nodes"], xy, strict=True) if named else ():
            panel.annotate(written(name), place, xytext=(0, -14), **look)
        panel.set_axis_off()
        panel.margins(0.1)
        place = figure.add_axes((side + 0.1, 0.14, 0.28, 0.022))
        bar = figure.colorbar(dots, cax=place, orientation="horizontal", extend=extend, label=title)
        bar.outline.set_visible(False)
    subtitle = (
        f"{protocol['title']}. {label(network)} is better at {(change < 0).sum()} of {len(change)} nodes; "
        f"blue is better, mean over {len(network['runs'])} seeds."
    )
    links = "Lines join neighbours" if named else "Lines are the strongest movements of people"
    figure.text(0.015, 0.975, f"Where the error is, one {protocol['step']} ahead", va="top", fontsize="x-large")
    figure.text(0.015, 0.925, subtitle, va="top")
    figure.text(0.015, 0.015, f"{links}; places come from the graph, not from a map.", va="bottom", fontsize="small")
    return figure
