"""Figures of the stock study: cumulative return, IC over time, and relations with their learned strengths."""

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

from gnnseq.plots import COLORS
from harness.figure_layout import legend, panels
from studies.stocks.models import ALIKE, ALONE, HOLD, LEAK, LEARNED, LINEAR, ORACLE, RANDOM, WEIGHED, YESTERDAY
from studies.stocks.results import daily, drawn_types, models, ordered_types, strengths_of

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
    ALONE: (COLORS["sky"], "-"),
    ALIKE: (COLORS["blue"], "-"),
    WEIGHED: (COLORS["green"], "-"),
    ORACLE: (COLORS["ink"], ":"),
}


def draw_returns(result: dict[str, Any]) -> Figure:
    """What one unit of money becomes, before and after costs."""
    cost = result["runs"][0]["settings"]["cost"]
    figure, axes = panels(
        1,
        2,
        f"What 1 becomes in the top 5 picks of every day: {_name(result)}",
        "Bought at each close, sold at the next; mean and range over seeds. Right: less "
        f"{1e4 * cost:g} basis points of what is traded."
        + (" This protocol looks ahead." if result["data"]["leaks"] else ""),
    )
    days = _dates(result)
    for panel, series, title in zip(axes[0], ("gross", "net"), ("before costs", "after costs"), strict=True):
        for model in models(result):
            if model not in LOOKS:
                continue
            wealth = np.cumprod(1 + daily(result, model, series), axis=1)
            _line(panel, days, wealth, model)
        panel.axhline(1, color=COLORS["ink"], lw=0.8)
        panel.set_yscale("log")
        panel.set_title(title, loc="right", pad=4)
        _time_axis(panel)
    axes[0, 0].set_ylabel("wealth")
    axes[0, 0].yaxis.set_major_locator(_round_factors(axes[0, 0]))
    axes[0, 0].yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes[0, 0].yaxis.set_minor_locator(NullLocator())
    _legend(figure, axes[0, 0])
    return figure


def draw_ic(result: dict[str, Any]) -> Figure:
    """The IC's moving mean over the test part."""
    window = min(SMOOTH, len(result["data"]["test_dates"]) // 3)
    figure, axes = panels(
        1,
        1,
        f"How well forecasts order tomorrow's returns: {_name(result)}",
        f"Information coefficient, mean of the last {window} days; mean and range over seeds. 0 is chance.",
    )
    panel = axes[0, 0]
    days = _dates(result)[window - 1 :]
    for model in models(result):
        if model not in LOOKS or model in (HOLD, RANDOM):
            continue
        ic = daily(result, model, "ic")
        smooth = np.lib.stride_tricks.sliding_window_view(ic, window, axis=1).mean(-1)
        _line(panel, days, smooth, model, f"{model} ({ic.mean():+.3f})")
    panel.axhline(0, color=COLORS["ink"], lw=0.8)
    panel.set_ylabel("IC")
    _time_axis(panel)
    _legend(figure, panel)
    return figure


def draw_relations(result: dict[str, Any]) -> Figure | None:
    """How strong relations are in a network that learns it: some types as graphs, and many as numbers."""
    found = strengths_of(result)
    if found is None:
        return None
    model, strengths = found
    kinds = drawn_types(result)
    columns = min(GRAPHS, len(kinds))
    rows = -(-len(kinds) // columns)
    mean, loudness = strengths.mean(0), strengths_of(result, "loudness")[1].mean(0)
    listed, what = _listed(result)
    height = max(4.6, 0.24 * len(listed) + 2.6, 2.1 * rows + 2.2)
    figure = Figure(figsize=(13, height), layout="none")
    figure.text(
        0.015, 1 - 0.2 / height, f"How strong relations are in {model}: {_name(result)}", va="top", fontsize="x-large"
    )
    figure.text(
        0.015, 0.15 / height,
        "How loud an edge is beside the mean of all that its stock hears, which is 1; mean of the test part's first "
        "days. Lines: mean over edges of the type.\nDots: mean over edges out of the stock. Right: "
        f"{what}; mean and range over {len(strengths)} seeds.",
        va="bottom", fontsize="small",
    )  # fmt: skip
    drawn = sorted({node for kind in kinds for edge in result["data"]["drawn"][str(kind)] for node in edge})
    shown = np.concatenate([mean, loudness[drawn][loudness[drawn] > 0]])  # 0 is who is heard by nobody
    low, high = np.quantile(shown, (0.02, 0.98))
    norm = Normalize(min(low, 0.98), max(high, 1.02), clip=True)
    bottom, top = 0.85 / height, 1 - 0.75 / height
    for place, kind in enumerate(kinds):
        row, column = divmod(place, columns)
        size, width = (top - bottom) / rows, 0.64 / columns
        panel = figure.add_axes((0.01 + width * column, top - (row + 1) * size, width - 0.01, size - 0.3 / height))
        name = result["data"]["types"][kind][0]
        panel.set_title(f"{_short(name, 20)}  {mean[kind]:.2f}", fontsize=9, pad=2)
        colors = CMAP(norm(mean[kind])), CMAP(norm(loudness))
        _draw_graph(panel, result["data"]["tickers"], result["data"]["drawn"][str(kind)], *colors)
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
    strengths = strengths_of(result)[1]
    kinds, types = ordered_types(result, LISTED), result["data"]["types"]
    if np.ptp(strengths) < 1e-3:
        loudness, tickers = strengths_of(result, "loudness")[1], result["data"]["tickers"]
        order = [int(stock) for stock in np.argsort(-loudness.mean(0), kind="stable") if loudness[:, stock].any()]
        half = min(ENDS, len(order) // 2)
        named = [(tickers[stock], loudness[:, stock]) for stock in order[:half] + order[-half:]]
        return named, f"the {half} loudest and the {half} quietest of {len(order)} stocks"
    named = [(f"{_short(types[kind][0], 24)} ({types[kind][1]})", strengths[:, kind]) for kind in kinds]
    more = f", the strongest and the weakest of {len(types)}" if len(kinds) < len(types) else ""
    return named, f"{len(kinds)} types{more}, with their numbers of directed edges"


def _draw_graph(panel: Axes, tickers: list[str], edges: list[list[int]], color: Any, colors: np.ndarray) -> None:
    """One type's stocks in their colours: on a circle where all are related to all, else as far as the graph says."""
    graph = nx.Graph(edges)
    complete = graph.number_of_edges() == len(graph) * (len(graph) - 1) // 2
    place = nx.circular_layout(graph) if complete else nx.kamada_kawai_layout(graph)
    ends = [(place[one], place[other]) for one, other in graph.edges]
    # A clique of a hundred has five thousand lines: thin ones leave a pattern to see, and as pixels they stay small.
    width = min(1.2, max(0.05, 60 / len(ends)))
    dense = len(ends) > DENSE
    panel.add_collection(LineCollection(ends, colors=[color], linewidths=width, alpha=0.8, rasterized=dense))
    points = np.array([place[node] for node in graph])
    panel.scatter(points[:, 0], points[:, 1], s=max(6, 300 / len(graph)), color=colors[list(graph)], zorder=3)
    labelled = complete and len(graph) <= LABELLED
    if labelled:
        for node in graph:
            x, y = 1.12 * place[node]
            side = "left" if x > 0.05 else "right" if x < -0.05 else "center"
            panel.text(x, y, tickers[node], fontsize=6, ha=side, va="center")
    panel.set_axis_off()
    panel.set_aspect("equal", "datalim")
    panel.margins(0.3 if labelled else 0.05)


def _short(name: str, length: int) -> str:
    return name if len(name) <= length else f"{name[: length - 1]}…"


def _line(panel: Axes, days: np.ndarray, curves: np.ndarray, model: str, label: str | None = None) -> None:
    """The mean over seeds and the range."""
    color, dashes = LOOKS[model]
    panel.plot(days, curves.mean(0), color=color, ls=dashes, label=label or model, lw=2.4 if model in LEARNED else 1.8)
    if len(curves) > 1 and (model in LEARNED or model == RANDOM):
        panel.fill_between(days, curves.min(0), curves.max(0), color=color, alpha=0.12, lw=0)


def _round_factors(panel: Axes) -> FixedLocator:
    """Ticks of a logarithmic axis that stand for round factors, about six of them."""
    low, high = panel.get_ylim()
    for step in (0.05, 0.1, 0.2, 0.5):  # a narrow range has even steps
        ticks = np.arange(0, high + step, step)
        if high / low < 8 and ((ticks > low) & (ticks < high)).sum() <= 8:
            return FixedLocator(ticks[ticks > low])
    decades = 10.0 ** np.arange(np.floor(np.log10(low)), np.ceil(np.log10(high)) + 1)
    return FixedLocator(np.outer(decades, (1, 2, 5)).ravel())


def _dates(result: dict[str, Any]) -> np.ndarray:
    return np.array(result["data"]["test_dates"], dtype="datetime64[D]")


def _time_axis(panel: Axes) -> None:
    locator = AutoDateLocator(maxticks=7)
    panel.xaxis.set_major_locator(locator)
    panel.xaxis.set_major_formatter(ConciseDateFormatter(locator))


def _legend(figure: Figure, panel: Axes) -> None:
    handles, labels = panel.get_legend_handles_labels()
    legend(figure, handles, labels, ncols=(len(handles) + 1) // 2, labelspacing=0.3)


def _name(result: dict[str, Any]) -> str:
    data = result["data"]
    if data["prices"] == "synthetic":
        return "synthetic market"
    return f"{data['prices'].split('.')[0].replace('_', ' ')}, {result['protocol']}"
