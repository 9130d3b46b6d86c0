"""Figures of the stock study: cumulative return, and IC over time."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from gnnseq.plots import COLORS, save_figure, style
from harness.figure_layout import legend, panels
from studies.stocks.results import daily, models
from studies.stocks.runs import HOLD, LEAK, LINEAR, LSTM, LSTM_GCN, LSTM_RSR, NETWORKS, ORACLE, RANDOM, YESTERDAY

SMOOTH = 63  # days of the moving mean, a quarter of a year
LOOKS = {
    HOLD: (COLORS["ink"], "--"), RANDOM: ("#9a9a9a", "--"), YESTERDAY: (COLORS["purple"], ":"),
    LINEAR: (COLORS["orange"], "-"), LEAK: (COLORS["vermillion"], ":"), ORACLE: (COLORS["ink"], ":"),
    LSTM: (COLORS["sky"], "-"), LSTM_GCN: (COLORS["blue"], "-"), LSTM_RSR: (COLORS["green"], "-"),
}  # fmt: skip


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    """Cumulative return, and IC over time."""
    prices = Path(result["data"]["prices"]).stem
    name = "synthetic market" if prices == "synthetic" else f"{prices}, {result['protocol']}"
    with style():
        drawn = {"returns": _returns(result, name), "ic": _ic(result, name)}
        return [path for key in drawn for path in save_figure(drawn[key], stem.with_name(f"{stem.name}_{key}"))]


def _returns(result: dict[str, Any], name: str) -> Figure:
    """What one unit of money becomes, before and after costs."""
    title = f"What 1 becomes in the top 5 picks of every day: {name}"
    note = (
        "Bought at each close, sold at the next; mean and range over seeds. Right: less "
        f"{1e4 * result['runs'][0]['settings']['cost']:g} basis points of what is traded."
    )
    figure, axes = panels(1, 2, title, note + (" This protocol looks ahead." if result["data"]["leaks"] else ""))
    for panel, series, when in zip(axes[0], ("gross", "net"), ("before costs", "after costs"), strict=True):
        for model in (model for model in models(result) if model in LOOKS):
            _line(panel, result, np.cumprod(1 + daily(result, model, series), axis=1), model)
        panel.axhline(1, color=COLORS["ink"], lw=0.8)
        panel.set_yscale("log")
        panel.set_title(when, loc="right", pad=4)
    first = axes[0, 0]
    first.set_ylabel("wealth")
    first.yaxis.set_major_locator(_round_factors(*first.get_ylim()))
    first.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    first.yaxis.set_minor_locator(NullLocator())
    return _finished(figure)


def _ic(result: dict[str, Any], name: str) -> Figure:
    """The IC's moving mean over the test part."""
    window = min(SMOOTH, len(result["data"]["test_dates"]) // 3)
    note = f"Information coefficient, mean of the last {window} days; mean and range over seeds. 0 is chance."
    figure, [[panel]] = panels(1, 1, f"How well forecasts order tomorrow's returns: {name}", note)
    for model in (model for model in models(result) if model in LOOKS and model not in (HOLD, RANDOM)):
        ic = daily(result, model, "ic")
        smooth = np.lib.stride_tricks.sliding_window_view(ic, window, axis=1).mean(-1)
        _line(panel, result, smooth, model, f" ({ic.mean():+.3f})")
    panel.axhline(0, color=COLORS["ink"], lw=0.8)
    panel.set_ylabel("IC")
    return _finished(figure)


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
