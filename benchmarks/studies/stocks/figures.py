"""Figures of the stock study: cumulative return, IC over time, and relations with their learned strengths."""

from pathlib import Path
from typing import Any

import matplotlib
import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import ListedColormap, Normalize
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, MaxNLocator, NullLocator

from gnnseq.plots import COLORS, save_figure, style
from harness.figure_layout import legend, panels
from studies.stocks.results import daily, models, ordered_types, strengths
from studies.stocks.runs import HOLD, LEAK, LINEAR, LSTM, LSTM_GCN, LSTM_RSR, NETWORKS, ORACLE, RANDOM, YESTERDAY

__all__ = ["figures"]

SMOOTH = 63  # days of the moving mean, a quarter of a year
LABELLED = 16  # stocks of a clique that can be named
DENSE = 300  # lines
LISTED = 24  # types on the right of the figure of relations
ENDS = 8  # stocks at either end of the list that takes their place
GRAPHS = 4  # graphs in a row on its left
CMAP = ListedColormap(matplotlib.colormaps["viridis_r"](np.linspace(0.12, 0.95, 256)))  # no yellow on white
LOOKS = {
    HOLD: (COLORS["ink"], "--"),
    RANDOM: ("#9a9a9a", "--"),
    YESTERDAY: (COLORS["purple"], ":"),
    LINEAR: (COLORS["orange"], "-"),
    LEAK: (COLORS["vermillion"], ":"),
    LSTM: (COLORS["sky"], "-"),
    LSTM_GCN: (COLORS["blue"], "-"),
    LSTM_RSR: (COLORS["green"], "-"),
    ORACLE: (COLORS["ink"], ":"),
}


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    """Cumulative return, IC over time, and the relations with what the network made of them, if one did."""
    paths: list[Path] = []
    data = result["data"]
    prices = data["prices"].split(".")[0].replace("_", " ")
    name = "synthetic market" if prices == "synthetic" else f"{prices}, {result['protocol']}"
    drawings = {"returns": _returns, "ic": _ic} | ({"relations": _relations} if len(strengths(result)) else {})
    for ending, draw in drawings.items():
        with style():
            paths += save_figure(draw(result, name), stem.with_name(f"{stem.name}_{ending}"))
    return paths


def _returns(result: dict[str, Any], name: str) -> Figure:
    """What one unit of money becomes, before and after costs."""
    figure, axes = panels(
        1,
        2,
        f"What 1 becomes in the top 5 picks of every day: {name}",
        "Bought at each close, sold at the next; mean and range over seeds. Right: less "
        f"{1e4 * result['runs'][0]['settings']['cost']:g} basis points of what is traded."
        + (" This protocol looks ahead." if result["data"]["leaks"] else ""),
    )
    for panel, series, title in zip(axes[0], ("gross", "net"), ("before costs", "after costs"), strict=True):
        for model in (model for model in models(result) if model in LOOKS):
            _line(panel, result, np.cumprod(1 + daily(result, model, series), axis=1), model)
        panel.axhline(1, color=COLORS["ink"], lw=0.8)
        panel.set_yscale("log")
        panel.set_title(title, loc="right", pad=4)
    first = axes[0, 0]
    first.set_ylabel("wealth")
    first.yaxis.set_major_locator(_round_factors(*first.get_ylim()))
    first.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    first.yaxis.set_minor_locator(NullLocator())
    return _finished(figure)


def _ic(result: dict[str, Any], name: str) -> Figure:
    """The IC's moving mean over the test part."""
    window = min(SMOOTH, len(result["data"]["test_dates"]) // 3)
    figure, axes = panels(
        1,
        1,
        f"How well forecasts order tomorrow's returns: {name}",
        f"Information coefficient, mean of the last {window} days; mean and range over seeds. 0 is chance.",
    )
    panel = axes[0, 0]
    for model in (model for model in models(result) if model in LOOKS and model not in (HOLD, RANDOM)):
        ic = daily(result, model, "ic")
        smooth = np.lib.stride_tricks.sliding_window_view(ic, window, axis=1).mean(-1)
        _line(panel, result, smooth, model, f" ({ic.mean():+.3f})")
    panel.axhline(0, color=COLORS["ink"], lw=0.8)
    panel.set_ylabel("IC")
    return _finished(figure)


def _relations(result: dict[str, Any], name: str) -> Figure:
    """How strong relations are in the network that learns it: some types as graphs, and many as numbers."""
    data, kinds = result["data"], ordered_types(result)
    columns = min(GRAPHS, len(kinds))
    rows = -(-len(kinds) // columns)
    of_seeds = strengths(result)
    mean, loudness = of_seeds.mean(0), strengths(result, "loudness").mean(0)
    listed, what = _listed(result)
    height = max(4.6, 0.24 * len(listed) + 2.6, 2.1 * rows + 2.2)
    figure = Figure(figsize=(13, height), layout="none")  # type: ignore[arg-type]  # a value that the stubs lack
    title = f"How strong relations are in {LSTM_RSR}: {name}"
    note = (
        "How loud an edge is beside the mean of all that its stock hears, which is 1; mean of the test part's first "
        "days. Lines: mean over edges of the type.\nDots: mean over edges out of the stock. Right: "
        f"{what}; mean and range over {len(of_seeds)} seeds."
    )
    figure.text(0.015, 1 - 0.2 / height, title, va="top", fontsize="x-large")
    figure.text(0.015, 0.15 / height, note, va="bottom", fontsize="small")
    drawn = sorted({node for kind in kinds for edge in data["drawn"][str(kind)] for node in edge})
    shown = np.concatenate([mean, loudness[drawn][loudness[drawn] > 0]])  # 0 is who is heard by nobody
    low, high = np.quantile(shown, (0.02, 0.98))
    norm = Normalize(min(low, 0.98), max(high, 1.02), clip=True)
    bottom, top = 0.85 / height, 1 - 0.75 / height
    size, width = (top - bottom) / rows, 0.64 / columns
    for place, kind in enumerate(kinds):
        row, column = divmod(place, columns)
        panel = figure.add_axes((0.01 + width * column, top - (row + 1) * size, width - 0.01, size - 0.3 / height))
        panel.set_title(f"{_short(data['types'][kind][0], 20)}  {mean[kind]:.2f}", fontsize=9, pad=2)
        _graph(panel, data["tickers"], data["drawn"][str(kind)], CMAP(norm(mean[kind])), CMAP(norm(loudness)))
    right = figure.add_axes((0.81, bottom + 0.35 / height, 0.175, top - bottom - 0.35 / height))
    for row, (_, own) in enumerate(reversed(listed)):
        color = CMAP(norm(own.mean()))
        right.plot([own.min(), own.max()], [row, row], color=color, lw=4, alpha=0.5)
        right.plot([own.mean()], [row], "o", color=color)
    right.set_yticks(range(len(listed)), [label for label, _ in reversed(listed)], fontsize=9)
    right.axvline(1, color=COLORS["ink"], lw=0.8)
    right.set_ylim(-0.7, len(listed) - 0.3)
    right.grid(axis="y", visible=False)
    right.tick_params(axis="y", length=0)
    right.tick_params(axis="x", labelsize=10)
    right.xaxis.set_major_locator(MaxNLocator(4))
    right.set_xlabel("strength", fontsize=11)
    return figure


def _listed(result: dict[str, Any]) -> tuple[list[tuple[str, np.ndarray]], str]:
    """Names with strengths [seeds], and what they are.

    Types; stocks where no stock hears more than one type, because then none can be louder than another.
    """
    of_types, types = strengths(result), result["data"]["types"]
    if np.ptp(of_types) < 1e-3:
        loudness, tickers = strengths(result, "loudness"), result["data"]["tickers"]
        order = [int(stock) for stock in np.argsort(-loudness.mean(0), kind="stable") if loudness[:, stock].any()]
        half = min(ENDS, len(order) // 2)
        named = [(tickers[stock], loudness[:, stock]) for stock in order[:half] + order[-half:]]
        return named, f"the {half} loudest and the {half} quietest of {len(order)} stocks"
    kinds = ordered_types(result, LISTED)
    named = [(f"{_short(types[kind][0], 24)} ({types[kind][1]})", of_types[:, kind]) for kind in kinds]
    more = f", the strongest and the weakest of {len(types)}" if len(kinds) < len(types) else ""
    return named, f"{len(kinds)} types{more}, with their numbers of directed edges"


def _graph(panel: Axes, tickers: list[str], edges: list[list[int]], color: Any, colors: np.ndarray) -> None:
    """One type's stocks in their colours: on a circle where all are related to all, else as far as the graph says."""
    graph = nx.Graph(edges)
    complete = graph.number_of_edges() == len(graph) * (len(graph) - 1) // 2
    place = nx.circular_layout(graph) if complete else nx.kamada_kawai_layout(graph)
    ends = [(place[one], place[other]) for one, other in graph.edges]
    # A clique of a hundred has five thousand lines: thin ones leave a pattern to see, and as pixels they stay small.
    width, dense = min(1.2, max(0.05, 60 / len(ends))), len(ends) > DENSE
    panel.add_collection(LineCollection(ends, colors=[color], linewidths=width, alpha=0.8, rasterized=dense))
    points = np.array([place[node] for node in graph])
    panel.scatter(points[:, 0], points[:, 1], s=max(6, 300 / len(graph)), color=colors[list(graph)], zorder=3)
    labelled = complete and len(graph) <= LABELLED
    for node in graph if labelled else ():
        x, y = 1.12 * place[node]
        side = "left" if x > 0.05 else "right" if x < -0.05 else "center"
        panel.text(x, y, tickers[node], fontsize=6, ha=side, va="center")
    panel.set_axis_off()
    panel.set_aspect("equal", "datalim")
    panel.margins(0.3 if labelled else 0.05)


def _short(name: str, length: int) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"


def _line(panel: Axes, result: dict[str, Any], curves: np.ndarray, model: str, label: str = "") -> None:
    """The mean over seeds and the range, on the last days of the test part."""
    color, dashes = LOOKS[model]
    days = np.array(result["data"]["test_dates"], dtype="datetime64[D]")[-curves.shape[1] :]
    panel.plot(days, curves.mean(0), color=color, ls=dashes, label=model + label, lw=2.4 if model in NETWORKS else 1.8)
    if len(curves) > 1 and model in (*NETWORKS, RANDOM):
        panel.fill_between(days, curves.min(0), curves.max(0), color=color, alpha=0.12, lw=0)


def _round_factors(low: float, high: float) -> FixedLocator:
    """Ticks of a logarithmic axis that stand for round factors, about six of them."""
    for step in (0.05, 0.1, 0.2, 0.5):  # a narrow range has even steps
        ticks = np.arange(0, high + step, step)
        if high / low < 8 and ((ticks > low) & (ticks < high)).sum() <= 8:
            return FixedLocator(ticks[ticks > low].tolist())
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    return FixedLocator(np.outer(decades, (1, 2, 5)).ravel().tolist())


def _finished(figure: Figure) -> Figure:
    """With dates below and a legend above."""
    for panel in figure.axes:
        locator = AutoDateLocator(maxticks=7)
        panel.xaxis.set_major_locator(locator)
        panel.xaxis.set_major_formatter(ConciseDateFormatter(locator))
    handles, labels = figure.axes[0].get_legend_handles_labels()
    legend(figure, handles, labels, ncols=(len(handles) + 1) // 2, labelspacing=0.3)
    return figure
