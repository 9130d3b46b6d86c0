"""Figures of the stock study: cumulative return, IC over time, and relations with their learned strengths."""

from typing import Any

import networkx as nx
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.colors import LogNorm
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullFormatter, NullLocator
from panels import legend, panels
from stocks_models import HOLD, LEAK, LEARNED, LINEAR, ORACLE, RANDOM, YESTERDAY
from stocks_results import daily, models, runs_of

from gnnseq.plots import COLORS

SMOOTH = 63  # days of the moving mean, a quarter of a year
LABELLED = 40  # nodes that a drawing can name
LOOKS = {
    HOLD: (COLORS["ink"], "--"),
    RANDOM: ("#9a9a9a", "--"),
    YESTERDAY: (COLORS["purple"], ":"),
    LINEAR: (COLORS["orange"], "-"),
    LEAK: (COLORS["vermillion"], ":"),
    "LSTM": (COLORS["sky"], "-"),
    "LSTM+GCN": (COLORS["blue"], "-"),
    "LSTM+explicit": (COLORS["vermillion"], "-"),
    "LSTM+implicit": (COLORS["green"], "-"),
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
    """The relations, coloured by what a network with learned strengths made of them, and their types."""
    found = [
        (model, run["about"]["strengths"])
        for model in models(result)
        for run in runs_of(result, model)[:1]
        if model in LEARNED and run["about"].get("strengths")
    ]
    if not found:
        return None
    model, strengths = found[-1]
    figure, axes = panels(
        1,
        2,
        f"Strengths that {model} learned of relations: {_name(result)}",
        "Weight of an edge over the mean weight of the edges into the same stock; mean over the test part, seed 0. "
        f"1 is what a mean gives.\nLeft: {len(strengths['edges'])} of {result['data']['edges']} edges"
        + (", the strongest" if len(strengths["edges"]) < result["data"]["edges"] else "")
        + ". Right: mean and middle 80 % of the edges of a type; in brackets how many.",
    )
    for panel in axes[0]:  # two unlike panels, which share no axis
        panel.remove()
    left = figure.add_axes(axes[0, 0].get_position())
    right = figure.add_axes(axes[0, 1].get_position())
    box = right.get_position()
    right.set_position((box.x0 + 0.12 * box.width, box.y0, 0.88 * box.width, box.height))
    _draw_graph(figure, left, result["data"]["tickers"], strengths["edges"])
    _draw_types(right, strengths["types"])
    return figure


def _draw_graph(figure: Figure, panel: Axes, tickers: list[str], edges: list[list[float]]) -> None:
    graph = nx.DiGraph()
    graph.add_weighted_edges_from((int(source), int(target), strength) for source, target, strength in edges)
    place = nx.spring_layout(nx.Graph(graph), seed=0, weight=None, k=1.6 / np.sqrt(len(graph)), iterations=150)
    ordered = sorted(edges, key=lambda edge: edge[2])  # the strong ones on top
    strengths = np.array([edge[2] for edge in ordered])
    lines = LineCollection(
        [(place[int(source)], place[int(target)]) for source, target, _ in ordered],
        array=strengths,
        cmap="viridis_r",
        norm=LogNorm(max(strengths.min(), 0.05), max(strengths.max(), 1.01)),
        linewidths=0.4 + 2.0 * strengths / strengths.max(),
        alpha=0.85,
    )
    panel.add_collection(lines)
    points = np.array([place[node] for node in graph])
    panel.scatter(points[:, 0], points[:, 1], s=14, color=COLORS["ink"], zorder=3)
    if len(graph) <= LABELLED:
        for node in graph:
            panel.annotate(tickers[node], place[node], xytext=(3, 3), textcoords="offset points", fontsize=7)
    panel.set_axis_off()
    panel.autoscale_view()
    bar = figure.colorbar(lines, ax=panel, fraction=0.04, pad=0.02)
    bar.outline.set_visible(False)
    bar.ax.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    bar.ax.yaxis.set_minor_formatter(NullFormatter())


def _draw_types(panel: Axes, types: list[list[Any]]) -> None:
    """Mean strength of each type, the strongest on top."""
    for row, (name, mean, low, high, count) in enumerate(reversed(types)):
        panel.plot([low, high], [row, row], color=COLORS["sky"], lw=5, solid_capstyle="butt")
        panel.plot([mean], [row], "o", color=COLORS["blue"])
        del name, count
    labels = [f"{name if len(name) <= 26 else name[:25] + '…'} ({count})" for name, _, _, _, count in reversed(types)]
    panel.set_yticks(range(len(types)), labels, fontsize=9)
    panel.axvline(1, color=COLORS["ink"], lw=0.8)
    panel.set_ylim(-0.7, len(types) - 0.3)
    panel.grid(axis="y", visible=False)


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
        if high / low < 4 and ((ticks > low) & (ticks < high)).sum() <= 8:
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
