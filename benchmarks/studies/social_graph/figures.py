"""Figure of the study: every model's mean, and week by week what is gained on the best heuristic."""

import statistics
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from gnnseq.plots import COLORS, save_figure, style
from studies.social_graph.results import best_heuristic, by_week, interval, models, of, spread
from studies.social_graph.runs import HEURISTICS, LEARNT, NETWORKS

__all__ = ["figures"]

SCORE = "edge MRR"


def figures(result: dict[str, Any], stem: Path) -> tuple[Path, ...]:
    """One figure, where live update was run."""
    if not models(result, "live"):
        return ()
    with style():
        return save_figure(_draw(result), stem)


def _draw(result: dict[str, Any]) -> Figure:
    there = models(result, "live")
    figure = Figure(figsize=(8.8, 1.6 + 0.175 * max(len(there), 12)), layout=ConstrainedLayoutEngine(w_pad=0.15))
    left, right = figure.subplots(1, 2, width_ratios=(1, 1.25))
    _bars(left, result, there)
    _weeks(right, result, there)
    figure.suptitle("Who writes to whom next week?", x=0.01, ha="left")
    return figure


def _color(model: str) -> str:
    if model in HEURISTICS:
        return COLORS["ink"]
    if model in LEARNT:
        return COLORS["orange"]
    return COLORS["sky"] if model.startswith("no edges") else COLORS["blue"]


def _bars(axes: Axes, result: dict[str, Any], there: list[str]) -> None:
    order = sorted(there, key=lambda model: statistics.fmean(spread(result, "live", model, SCORE)))
    means = [statistics.fmean(spread(result, "live", model, SCORE)) for model in order]
    axes.barh(range(len(order)), means, color=[_color(model) for model in order], height=0.7)
    for place, (model, mean) in enumerate(zip(order, means, strict=True)):
        values = spread(result, "live", model, SCORE)
        axes.plot(values, [place] * len(values), "|", color=COLORS["vermillion"], ms=8)
        look = {"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none"}
        axes.text(1.02 * max(values), place, f"{mean:.3f}", va="center", fontsize=9, bbox=look, zorder=3)
    axes.set_yticks(range(len(order)), order, fontsize=9)
    axes.set(xlabel="edge MRR; a stroke is a seed", xlim=(0, 1.15 * max(means)))
    axes.grid(axis="y", visible=False)
    if of(result, "live", "oracle"):
        best = statistics.fmean(spread(result, "live", "oracle", SCORE))
        axes.axvline(best, color=COLORS["vermillion"], ls="--", lw=1.4)
        axes.set_xlim(0, 1.15 * max(best, *means))
        axes.text(best, 0.2, "best possible ", color=COLORS["vermillion"], ha="right", va="bottom", fontsize=9)


def _weeks(axes: Axes, result: dict[str, Any], there: list[str]) -> None:
    reference = best_heuristic(result)
    networks = [model for model in there if model in NETWORKS and "alone" not in model]
    if reference is None or not networks:
        axes.set_axis_off()
        return
    weeks = np.array(result["weeks"])
    base = by_week(result, reference, SCORE).mean(0)
    best = max(networks, key=lambda model: statistics.fmean(spread(result, "live", model, SCORE)))
    plain = "".join(("no edges", *best.partition(" + ")[1:]))
    shown = {best: COLORS["blue"], **({plain: COLORS["sky"]} if plain in there and plain != best else {})}
    learnt = [model for model in there if model in LEARNT]
    if learnt:  # the better one
        shown[max(learnt, key=lambda model: statistics.fmean(spread(result, "live", model, SCORE)))] = COLORS["orange"]
    axes.axhline(0, color=COLORS["ink"], lw=1.4)
    for model, color in shown.items():
        lines = by_week(result, model, SCORE) - base
        mean, half, _ = interval(result, model, reference, SCORE)
        axes.plot(weeks, lines.mean(0), color=color, marker=".", label=f"{model}: {mean:+.3f} ± {half:.3f}")
        if len(lines) > 1:
            axes.fill_between(weeks, lines.min(0), lines.max(0), color=color, alpha=0.15, lw=0)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel="week", ylabel=f"edge MRR minus {reference}")
    title = "mean over weeks, ± half of a 95 % interval"
    axes.legend(loc="lower right", bbox_to_anchor=(1, 1), title=title, fontsize=9, title_fontsize=9)
