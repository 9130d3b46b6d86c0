"""Curves of the character language models, from the JSON alone: against steps, as the report has it, and minutes."""

import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, LogLocator, NullFormatter, NullLocator
from scipy.optimize import isotonic_regression

from gnnseq.plots import COLORS, save_figure, style
from harness.figure_layout import legend, panels
from studies.char_lm.results import LOGGED, SMALL, LanguageGroup, comparable, corpus, goals, groups, held_out, published
from studies.char_lm.sample_pages import write_samples

__all__ = ["figures"]

HUES = ("blue", "vermillion", "green", "purple", "orange", "sky")
Look = dict[str, Any]  # of a line
TRAINING: Look = {"lw": 1.3, "alpha": 0.6}
HELD_OUT: Look = {"lw": 2.4, "alpha": 1.0}
RING: Look = {"marker": "o", "ms": 11, "mfc": "none", "mec": COLORS["ink"], "mew": 2, "ls": ""}
CROSS: Look = {"marker": "x", "ms": 10, "mec": COLORS["ink"], "mew": 2.4, "ls": ""}
MARGIN = 2.5  # inches to the right of a panel, for the names of its lines
LETTERS = 11  # points
MINUTES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 15, 30, 60, 120, 240, 480)
NATS = (1.0, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5)
DASHED = "Dashed: models of the training part that read the last characters, or none."


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    """Draw ``stem``_training and ``stem``_minutes, and write the samples next to them, as text and as a web page."""
    paths: list[Path] = []
    for name, draw in (("training", _training), ("minutes", _minutes)):
        with style():
            figure = draw(result)
        paths += save_figure(figure, stem.with_name(f"{stem.name}_{name}"))
    return [*paths, *write_samples(result, stem)]


def _training(result: dict[str, Any]) -> Figure:
    """The report's Figure 2, with held-out text: accuracy, loss and learning rate by step."""
    found = groups(result)
    figure, axes = panels(
        3, 1, f"Character language model in training: {corpus(result)}",
        f"{_seeds(found, 'Mean and range over {} seeds. ')}Training: means over the steps since the point before, with "
        f"dropout. Held-out: the validation part, without dropout.\n{DASHED}",
        right=MARGIN,
    )  # fmt: skip
    accuracy, loss, rate = axes[:, 0]
    for group, color in _colored(found):
        for part, look in (("curves", TRAINING), ("validation", HELD_OUT)):
            for panel, name, scale in ((accuracy, "accuracy", 100), (loss, "loss", 1)):
                curve = scale * group.curve(part, name)
                panel.plot(curve.index, curve.mean(axis=1), color=color, **look)
                panel.fill_between(curve.index, curve.min(axis=1), curve.max(axis=1), color=color, alpha=0.15, lw=0)
        rate.plot(1e3 * group.curve("curves", "learning_rate").mean(axis=1), color=color)
    steps = [step for run in result["runs"] for step in run["curves"]["step"] if step > 0]
    accuracy.set(ylabel="accuracy, %", ylim=(0, None))
    loss.set(ylabel="loss, nats/character")
    rate.set(ylabel="learning rate, 1e-3", ylim=(0, None))
    rate.set(xlabel="training step", xscale="log", xlim=(min(steps), max(*steps, 2 * min(steps))))
    rate.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    rate.xaxis.set_minor_formatter(NullFormatter())
    rate.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))

    several = len(found) > 1
    handles = [Line2D([], [], color=color, label=group.label) for group, color in _colored(found) if several]
    ink = COLORS["ink" if several else HUES[0]]
    handles.append(Line2D([], [], color=ink, label="training", **TRAINING))
    handles.append(Line2D([], [], color=ink, label="held-out", **HELD_OUT))
    if any(comparable(result, group) for group in found):
        for step, (nats, share) in LOGGED.items():
            accuracy.plot(step, 100 * share, **RING)
            loss.plot(step, nats, **RING)
        handles.append(Line2D([], [], label="training, in the report's log", **RING))
    _name_lines(loss, _baselines(result))
    legend(figure, handles=handles, ncols=len(handles))
    return figure


def _minutes(result: dict[str, Any]) -> Figure:
    """Held-out loss by minutes of training: each run, and the mean of those that differ in the seed alone."""
    found, lines = groups(result), _baselines(result)
    footnote = f"{_seeds(found, 'Thin: {} seeds; thick: their mean. ')}{result['provenance'].get('cpu')}. {DASHED}"
    if published(result):
        levels = " and ".join(f"{goal:.2f}" for goal in goals(result))
        footnote += f"\nDots: minutes until validation is first below {levels}. Dotted: published for validation and "
        footnote += "test together."
        name, both = min(result["baselines"].items(), key=lambda item: item[1]["validation"])
        footnote += f" There the {name.split(',')[0]} has {held_out(result, **both):.3f}."
    figure, axes = panels(
        1, 1, f"Held-out loss by minutes of training: {corpus(result)}", footnote, tall=5.5, right=MARGIN
    )
    panel = axes[0, 0]
    handles: list[Line2D] = []
    times: list[float] = []
    losses: list[float] = []
    for group, color in _colored(found):
        for run in group.runs:
            curve = np.array([run["validation"][name] for name in ("seconds", "loss")], dtype=float)
            minutes, nats = curve[0, curve[0] > 0] / 60, curve[1, curve[0] > 0]
            panel.plot(minutes, nats, color=color, lw=1, alpha=0.5)
            times.extend(minutes)
            losses.extend(nats)
        seconds, mean = (group.curve("validation", name).mean(axis=1) for name in ("seconds", "loss"))
        panel.plot(seconds / 60, mean, color=color)
        handles.append(Line2D([], [], color=color, label=group.label))
        for goal in goals(result):
            reached = group.minutes_below(goal)
            if len(reached) == len(group.runs):
                middle = statistics.fmean(reached)
                panel.plot(middle, goal, "o", ms=8, color=color, mec="white", zorder=3)
                panel.annotate(
                    f"{middle:.1f} min", (middle, goal), xytext=(5, 5), textcoords="offset points", va="bottom",
                    color=color, fontsize=LETTERS,
                )  # fmt: skip
    if published(result):
        lines += [(name, nats, ":") for name, nats in published(result).items()]
        panel.plot(*SMALL, **CROSS)
        handles.append(Line2D([], [], label="small nanoGPT after 3 minutes", **CROSS))
    losses += [nats for name, nats, _ in lines if name != "uniform"]  # where training begins: nothing to see there
    panel.set(xlabel="minutes", xscale="log", xlim=(min(times), max(*times, 2 * min(times))))
    panel.set(ylabel="nats/character", yscale="log", ylim=(0.97 * min(losses), 1.04 * max(losses)))
    for axis, ticks in ((panel.xaxis, MINUTES), (panel.yaxis, NATS)):
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_minor_locator(NullLocator())
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    _name_lines(panel, lines)
    legend(figure, handles=handles, ncols=len(handles))
    return figure


def _colored(found: Sequence[LanguageGroup]) -> list[tuple[LanguageGroup, str]]:
    return [(group, COLORS[HUES[place % len(HUES)]]) for place, group in enumerate(found)]


def _seeds(found: Sequence[LanguageGroup], words: str) -> str:
    """The words with the number of seeds, if there are several."""
    seeds = max(len(group.runs) for group in found)
    return words.format(seeds) if seeds > 1 else ""


def _baselines(result: dict[str, Any]) -> list[tuple[str, float, str]]:
    return [(name, nats["validation"], "--") for name, nats in result["baselines"].items()]


def _name_lines(panel: Axes, lines: Sequence[tuple[str, float, str]]) -> None:
    """Draw levels across the panel, each with its name and number to its right, as near as there is room for all.

    The panel's limits and place must be final. Levels outside its limits are left out.
    """
    low, high = panel.get_ylim()
    shown = sorted((level, name, dashes) for name, level, dashes in lines if low <= level <= high)
    if not shown:
        return
    to_axes = panel.transData + panel.transAxes.inverted()
    heights = np.array([to_axes.transform((panel.get_xlim()[0], level))[1] for level, _, _ in shown])
    tall = panel.get_window_extent().height / panel.figure.dpi  # inches
    apart = np.arange(len(shown)) * 1.25 * LETTERS / 72 / tall
    places = isotonic_regression(heights - apart).x + apart
    ink = COLORS["ink"]
    for (level, name, dashes), height, place in zip(shown, heights, places, strict=True):
        panel.axhline(level, color=ink, lw=1.1, ls=dashes, zorder=1)
        panel.plot([1, 1.012], [height, place], transform=panel.transAxes, clip_on=False, color=ink, lw=0.8, zorder=1)
        panel.text(1.017, place, f"{level:.3f}  {name}", transform=panel.transAxes, va="center", fontsize=LETTERS)
