"""Error by horizon, and where on the graph it is, from the JSON alone."""

from pathlib import Path
from typing import Any

import matplotlib
import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize, TwoSlopeNorm
from matplotlib.figure import Figure
from matplotlib.layout_engine import PlaceHolderLayoutEngine
from matplotlib.lines import Line2D

from gnnseq.data.epidemics import Epidemic
from gnnseq.plots import COLORS, save_figure, style
from harness.figure_layout import GAP, legend, panels
from studies.forecasting.report import LABELS, label, preferred, reference, short

LOOKS = {
    "LSTM": ("blue", "o"),
    "GCN": ("purple", "s"),
    "time_then_space": ("green", "^"),
    "space_then_time": ("orange", "v"),
    "space_time": ("vermillion", "D"),
}
MOST = 0.97  # of the nodes are inside a map's colours
LINKS = 2  # strongest of every node that are drawn where the graph changes
# A layout knows no compass. These lie in the west, the east, the north and the south of Hungary.
COMPASS = ("Vas", "Szabolcs", "Borsod", "Baranya")


def layout(epidemic: Epidemic) -> dict[str, Any]:
    """Names, places and undirected links of the nodes: JSON values, so that a figure needs no data.

    Where edges have weights, those of all steps are added up, and a node is drawn with its strongest links and those
    of a spanning tree. Nodes apart from the largest connected part stand in a row below it.
    """
    totals: dict[tuple[int, int], float] = {}
    for edge_index, edge_weight in epidemic.graphs:
        weights = [1.0] * edge_index.size(1) if edge_weight is None else edge_weight.tolist()
        for (source, target), weight in zip(edge_index.T.tolist(), weights, strict=True):
            if source != target:
                pair = (min(source, target), max(source, target))
                totals[pair] = totals.get(pair, 0.0) + weight
    graph = nx.Graph()
    graph.add_nodes_from(range(len(epidemic.nodes)))
    graph.add_weighted_edges_from((*pair, weight) for pair, weight in sorted(totals.items()))
    if any(weight is not None for _, weight in epidemic.graphs):
        strong = list(nx.maximum_spanning_edges(graph, data=False))
        for node in graph:
            strong += sorted(graph.edges(node), key=lambda edge: -graph.edges[edge]["weight"])[:LINKS]
        graph = nx.create_empty_copy(graph)
        graph.add_edges_from(strong)
    whole = graph.subgraph(sorted(max(nx.connected_components(graph), key=len)))
    places = nx.kamada_kawai_layout(whole, weight=None, pos=nx.circular_layout(sorted(whole)))
    apart = [node for node in graph if node not in whole]
    places |= {node: np.array([-0.6 + 0.1 * place, -0.95]) for place, node in enumerate(apart)}
    xy = np.array([places[node] for node in range(len(epidemic.nodes))])
    if set(COMPASS) <= set(epidemic.nodes):
        west, east, north, south = (xy[epidemic.nodes.index(name)] for name in COMPASS)
        across = (east - west) / np.linalg.norm(east - west)
        up = np.array([-across[1], across[0]])
        xy = xy @ np.column_stack([across, up * np.sign((north - south) @ up)])
    return {
        "nodes": list(epidemic.nodes),
        "places": [[round(float(value), 3) for value in place] for place in xy],
        "links": [[int(min(edge)), int(max(edge))] for edge in sorted(graph.edges)],
    }


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    paths = list(save_figure(_horizons(result), stem.with_name(f"{stem.name}_horizons")))
    drawn: set[str] = set()
    for protocol in result["protocols"]:
        if protocol["epidemic"] not in drawn and protocol["statistics"] == "training":
            drawn.add(protocol["epidemic"])
            paths += save_figure(_map(protocol, result), stem.with_name(f"{stem.name}_{protocol['epidemic']}"))
    return paths


def _horizons(result: dict[str, Any]) -> Figure:
    """A column a protocol: networks alone above, and below what a network adds to an autoregression."""
    horizons, protocols = result["horizons"], result["protocols"]
    with style():
        seeds = len(protocols[0]["networks"][0]["runs"])
        figure, axes = panels(
            2, len(protocols), "Forecasts of epidemics by horizon",
            f"Mean squared error on the last fifth of the steps, standardised; mean and range over {seeds} seeds. "
            "Above networks alone, where the protocol has them; below networks\nbeside a linear path fitted by least "
            "squares, against the autoregression on the same history. Persistence is left out where it is off the "
            "scale.",
            gap=(0.75, GAP[1]), sharey=False,
        )  # fmt: skip
        x = np.arange(len(horizons))
        for column, protocol in enumerate(protocols):
            above, below = axes[:, column]
            base = np.array(protocol["baselines"][reference(protocol)]["by_horizon"][0])
            for name, dashes in ((reference(protocol), "-"), ("mean", ":"), ("persistence", "--")):
                line = np.array(protocol["baselines"][name]["by_horizon"][0])
                if line.max() < 1.6 * base.max():
                    above.plot(x, line, color=COLORS["ink"], lw=1.6, ls=dashes)
            below.axhline(0, color=COLORS["ink"], lw=1.6)
            for network in protocol["networks"]:
                color, marker = LOOKS[network["settings"]["model"]]
                runs = np.array(network["by_horizon"])
                panel = above
                if network["settings"]["path"]:
                    panel, runs = below, 100 * (runs / base - 1)
                panel.plot(x, runs.mean(0), color=COLORS[color], marker=marker)
                panel.fill_between(x, runs.min(0), runs.max(0), color=COLORS[color], alpha=0.15, lw=0)
            above.set(title=short(protocol), ylim=(0, None))
            below.set(xlabel=f"{protocol['step']}s ahead", xticks=x, xticklabels=horizons)
        axes[0, 0].set_ylabel("mean squared error")
        axes[1, 0].set_ylabel("beside an AR: change, %")
        handles = [
            Line2D([], [], color=COLORS[color], marker=marker, label=LABELS[model].removesuffix(" alone"))
            for model, (color, marker) in LOOKS.items()
        ]
        for name, dashes in (("AR", "-"), ("mean", ":"), ("persistence", "--")):
            handles.append(Line2D([], [], color=COLORS["ink"], lw=1.6, ls=dashes, label=name))
        legend(figure, handles=handles, ncols=len(handles), handlelength=1.6)
    return figure


def _map(protocol: dict[str, Any], result: dict[str, Any]) -> Figure:
    """The graph twice: each node's error of the autoregression, and what the network preferred by validation adds."""
    base = np.array(protocol["baselines"][reference(protocol)]["by_node"])[:, 0]
    with_graph = [n for n in protocol["networks"] if n["settings"]["model"] != "LSTM" and n["settings"]["path"]]
    network = preferred(with_graph)
    change = 100 * (np.array(network["by_node"])[:, 0] / base - 1)
    named = len(base) <= 30
    with style():
        # Places are fixed; layout="none" would fall back to the style's layout when the figure is saved again.
        figure = Figure(figsize=(15, 8.4), layout=PlaceHolderLayoutEngine(True, True))
        # A few nodes beyond the ends would leave all others one colour.
        most = max(float(np.quantile(np.abs(change), MOST)), 1.0)
        drawings = (
            (0.01, base, "viridis", Normalize(base.min(), np.quantile(base, MOST)),
             "max", f"mean squared error of {reference(protocol)}"),
            (0.51, change, "RdBu_r", TwoSlopeNorm(0, -most, most), "both",
             f"change by {label(network)}, %"),
        )  # fmt: skip
        for side, values, colors, norm, extend, title in drawings:
            panel = figure.add_axes((side, 0.17, 0.48, 0.7))
            _draw(panel, protocol, values, matplotlib.colormaps[colors], norm, named)
            scale = figure.add_axes((side + 0.1, 0.14, 0.28, 0.022))
            bar = figure.colorbar(
                matplotlib.cm.ScalarMappable(norm, colors), cax=scale, orientation="horizontal", extend=extend
            )
            bar.set_label(title)
            bar.outline.set_visible(False)
        better = int((change < 0).sum())
        figure.text(0.015, 0.975, f"Where the error is, one {protocol['step']} ahead", va="top", fontsize="x-large")
        figure.text(
            0.015, 0.925,
            f"{protocol['title']}. {label(network)} is better at {better} of {len(change)} nodes; "
            f"blue is better, mean over {len(network['runs'])} seeds.",
            va="top",
        )  # fmt: skip
        links = "Lines join neighbours" if named else "Lines are the strongest movements of people"
        note = f"{links}; places come from the graph, not from a map."
        figure.text(0.015, 0.015, note, va="bottom", fontsize="small")
    return figure


def _draw(panel: Axes, protocol: dict[str, Any], values: np.ndarray, colors: Any, norm: Normalize, named: bool) -> None:
    xy = np.array(protocol["places"])
    for source, target in protocol["links"]:
        panel.plot(*xy[[source, target]].T, color="#b9b9b9", lw=1.2, zorder=1)
    panel.scatter(
        *xy.T, c=values, cmap=colors, norm=norm, s=420 if named else 130, edgecolors=COLORS["ink"], lw=0.8, zorder=2
    )
    if named:
        for name, place in zip(protocol["nodes"], xy, strict=True):
            panel.annotate(
                name, place, xytext=(0, -14), textcoords="offset points", ha="center", va="top", fontsize=11, zorder=3
            )
    panel.set_axis_off()
    panel.margins(0.1)
