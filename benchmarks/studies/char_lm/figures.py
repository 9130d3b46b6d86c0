"""Curves and samples of the character language models, from the JSON alone."""

import itertools
import math
import statistics
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, LogLocator, NullFormatter
from scipy.optimize import isotonic_regression

from gnnseq.plots import COLORS, save_figure, style
from harness.figure_layout import curve, legend, panels
from harness.files import write_text
from studies.char_lm import results
from studies.char_lm.results import LanguageGroup, blocks, corpus, groups, visible

HUES = ("blue", "vermillion", "green", "purple", "orange", "sky")
WIDTH = 60  # characters of a line in the table of samples: 50 fit one, 120 fill two
ABOUT = (
    "Characters drawn one after another, each fed back to the model; the first is drawn uniformly. Logits are divided "
    "by the temperature T; at 0 the likeliest character is taken. ↵ is the end of a line."
)
Look = dict[str, Any]  # of a line
TRAINING: Look = {"lw": 1.3, "alpha": 0.6}
HELD_OUT: Look = {"lw": 2.4, "alpha": 1.0}
RING: Look = {"marker": "o", "ms": 11, "mfc": "none", "mec": COLORS["ink"], "mew": 2, "ls": ""}
CROSS: Look = {"marker": "x", "ms": 10, "mec": COLORS["ink"], "mew": 2.4, "ls": ""}
MARGIN = 2.5  # inches to the right of a panel, for the names of its lines
LETTERS = 11  # points
BESIDE = 1.25  # times as many minutes, less than which labels on one level would meet
MINUTES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 3, 5, 10, 15, 30, 60, 120, 240, 480)
NATS = (1.0, 1.2, 1.4, 1.6, 1.8, 2, 2.5, 3, 3.5, 4, 5)
DASHED = "Dashed: models of the training part that read the last characters, or none."


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    """Draw ``stem``_training and ``stem``_minutes, and write ``stem``_samples.txt next to them if there are any."""
    paths: list[Path] = []
    for name, draw in (("training", _training), ("minutes", _minutes)):
        with style():
            figure = draw(result)
        paths += save_figure(figure, stem.with_name(f"{stem.name}_{name}"))
    if any(run["samples"] for run in result["runs"]):
        paths.append(stem.with_name(f"{stem.name}_samples.txt"))
        write_text(paths[-1], text_table(result))
    return paths


def _training(result: dict[str, Any]) -> Figure:
    """The report's Figure 2, with held-out text: accuracy, loss and learning rate by step."""
    found = _colored(result)
    seeds = max(len(group.runs) for group, _ in found)
    footnote = (
        f"{f'Mean and range over {seeds} seeds. ' if seeds > 1 else ''}Training: means over the steps since the point "
        f"before, with dropout. Held-out: the validation part, without dropout.\n{DASHED}"
    )
    figure, axes = panels(3, 1, f"Character language model in training: {corpus(result)}", footnote, right=MARGIN)
    accuracy, loss, rate = axes[:, 0]
    for group, color in found:
        for part, look in (("curves", TRAINING), ("validation", HELD_OUT)):
            for panel, name, scale in ((accuracy, "accuracy", 100), (loss, "loss", 1)):
                values = scale * group.curve(part, name)
                curve(panel, values.index, values.to_numpy().T, color=color, **look)
        rate.plot(1e3 * group.curve("curves", "learning_rate").mean(axis=1), color=color)
    steps = [step for run in result["runs"] for step in run["curves"]["step"] if step > 0]
    accuracy.set(ylabel="accuracy, %", ylim=(0, None))
    loss.set(ylabel="loss, nats/character")
    rate.set(ylabel="learning rate, 1e-3", ylim=(0, None))
    rate.set(xlabel="training step", xscale="log", xlim=(min(steps), max(*steps, 2 * min(steps))))
    rate.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    rate.xaxis.set_minor_formatter(NullFormatter())
    rate.xaxis.set_major_formatter("{x:,.0f}")
    several = len(found) > 1
    handles = [Line2D([], [], color=color, label=group.label) for group, color in found if several]
    ink = COLORS["ink" if several else HUES[0]]
    looks = {"training": TRAINING, "held-out": HELD_OUT}
    handles += [Line2D([], [], color=ink, label=label, **look) for label, look in looks.items()]
    if any(results.comparable(result, group) for group, _ in found):
        for step, (nats, share) in results.LOGGED.items():
            accuracy.plot(step, 100 * share, **RING)
            loss.plot(step, nats, **RING)
        handles.append(Line2D([], [], label="training, in the report's log", **RING))
    _name_lines(loss, _baselines(result))
    legend(figure, handles=handles)
    return figure


def _minutes(result: dict[str, Any]) -> Figure:
    """Held-out loss by minutes of training: each run, and the mean of those that differ in the seed alone."""
    found, lines = _colored(result), _baselines(result)
    seeds = max(len(group.runs) for group, _ in found)
    footnote = f"Thin: {seeds} seeds; thick: their mean. " if seeds > 1 else ""
    footnote += f"{result['provenance'].get('cpu')}. {DASHED}"
    if results.published(result):
        levels = " and ".join(f"{goal:.2f}" for goal in results.goals(result))
        name, both = min(result["baselines"].items(), key=lambda item: item[1]["validation"])
        footnote += f"\nDots: minutes until validation is first below {levels}. Dotted: published for validation and "
        footnote += f"test together. There the {name.split(',')[0]} has {results.held_out(result, **both):.3f}."
    title = f"Held-out loss by minutes of training: {corpus(result)}"
    figure, ((panel,),) = panels(1, 1, title, footnote, tall=5.5, right=MARGIN)
    handles, drawn = [], []
    for group, color in found:
        for run in group.runs:
            drawn.append(pd.DataFrame(run["validation"]).query("seconds > 0"))
            panel.plot(drawn[-1]["seconds"] / 60, drawn[-1]["loss"], color=color, lw=1, alpha=0.5)
        seconds, mean = (group.curve("validation", name).mean(axis=1) for name in ("seconds", "loss"))
        panel.plot(seconds / 60, mean, color=color)
        handles.append(Line2D([], [], color=color, label=group.label))
    for goal in results.goals(result):
        all_reached = [(group, color, group.minutes_below(goal)) for group, color in found]
        dots = [(statistics.fmean(reached), color) for group, color, reached in all_reached
                if len(reached) == len(group.runs)]  # fmt: skip
        before, row = -math.inf, 0
        for middle, color in sorted(dots):
            row = row + 1 if middle < BESIDE * before else 0  # labels that would meet stand one above another
            before = middle
            panel.plot(middle, goal, "o", ms=8, color=color, mec="white", zorder=3)
            above: Look = {"xytext": (5, 5 + (LETTERS + 3) * row), "textcoords": "offset points", "va": "bottom"}
            panel.annotate(f"{middle:.1f} min", (middle, goal), color=color, fontsize=LETTERS, **above)
    if results.published(result):
        lines += [(name, nats, ":") for name, nats in results.published(result).items()]
        panel.plot(*results.SMALL, **CROSS)
        handles.append(Line2D([], [], label="small nanoGPT after 3 minutes", **CROSS))
    times, losses = pd.concat(drawn)["seconds"] / 60, list(pd.concat(drawn)["loss"])
    losses += [nats for name, nats, _ in lines if name != "uniform"]  # where training begins: nothing to see there
    panel.set(xlabel="minutes", xscale="log", xlim=(min(times), max(*times, 2 * min(times))))
    panel.set(ylabel="nats/character", yscale="log", ylim=(0.97 * min(losses), 1.04 * max(losses)))
    for axis, ticks in ((panel.xaxis, MINUTES), (panel.yaxis, NATS)):
        axis.set_major_locator(FixedLocator(ticks))
        axis.set_major_formatter("{x:g}")
    panel.minorticks_off()
    _name_lines(panel, lines)
    legend(figure, handles=handles)
    return figure


def _colored(result: dict[str, Any]) -> list[tuple[LanguageGroup, str]]:
    return [(group, COLORS[hue]) for group, hue in zip(groups(result), itertools.cycle(HUES), strict=False)]


def _baselines(result: dict[str, Any]) -> list[tuple[str, float, str]]:
    return [(name, nats["validation"], "--") for name, nats in result["baselines"].items()]


def _name_lines(panel: Axes, lines: Sequence[tuple[str, float, str]]) -> None:
    """Draw levels within the panel's final limits, names to their right, as near as there is room for all."""
    low, high = panel.get_ylim()
    shown = sorted((level, name, dashes) for name, level, dashes in lines if low <= level <= high)
    if not shown:
        return
    to_axes = panel.transData + panel.transAxes.inverted()
    heights = to_axes.transform([(panel.get_xlim()[0], level) for level, _, _ in shown])[:, 1]
    tall = panel.get_window_extent().height / panel.figure.dpi  # inches
    apart = np.arange(len(shown)) * 1.25 * LETTERS / 72 / tall
    places = isotonic_regression(heights - apart).x + apart
    ink = COLORS["ink"]
    for (level, name, dashes), height, place in zip(shown, heights, places, strict=True):
        panel.axhline(level, color=ink, lw=1.1, ls=dashes, zorder=1)
        panel.plot([1, 1.012], [height, place], transform=panel.transAxes, clip_on=False, color=ink, lw=0.8, zorder=1)
        panel.text(1.017, place, f"{level:.3f}  {name}", transform=panel.transAxes, va="center", fontsize=LETTERS)


def text_table(result: dict[str, Any]) -> str:
    """The report's table of samples, at most 78 columns wide: a row for each step, temperature and length.

    Each character takes one place, so that rows can be counted: what cannot be seen is shown by a mark.
    """
    rule = "-" * 78
    lines = [f"Samples of a character language model: {corpus(result)}", "", *textwrap.wrap(ABOUT, 78)]
    titled = [(f"{group.label} settings, seed {run['seed']}", run) for group in groups(result) for run in group.runs]
    for title, step, rows in [(title, *block) for title, run in titled for block in blocks(run["samples"])]:
        lines += ["", f"Step {step:,} ({title})", rule, "   T  length  sample", rule]
        for temperature, samples in rows:
            for place, (length, text) in enumerate(samples):
                pieces = [visible(text[at : at + WIDTH]) for at in range(0, len(text), WIDTH)] or [""]
                # A space at the end of a line would not be seen.
                first, *more = [f"{piece[:-1]}␣" if piece.endswith(" ") else piece for piece in pieces]
                name = f"{temperature:>4.1f}" if place == 0 else " " * 4
                lines.append(f"{name}  {length:>6}  {first}".rstrip())
                lines += [f"{'':14}{piece}" for piece in more]
        lines.append(rule)
    return "\n".join(lines) + "\n"
