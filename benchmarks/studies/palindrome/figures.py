"""Accuracy and loss by training step, from the study's JSON alone."""

import math
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter

from gnnseq.plots import COLORS, save_figure, style
from harness.figure_layout import legend, panels
from studies.palindrome.results import CHANCE, Group, groups

__all__ = ["figures"]

HUES = {"RNN": "vermillion", "LSTM": "blue", "GRU": "green", "GCN": "purple"}
SHADES = {"RNN": "Oranges", "LSTM": "Blues", "GRU": "Greens", "GCN": "Purples"}
ENCODINGS = {"scalar": "digits as scalars", "one-hot": "one-hot digits"}


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    """Draw one figure for each encoding, with the models side by side where lengths are many, else the lengths."""
    found = groups(result)
    encodings = list(dict.fromkeys(group.settings["encoding"] for group in found))
    paths: list[Path] = []
    for encoding in encodings:
        chosen = [group for group in found if group.settings["encoding"] == encoding]
        many = len({group.settings["length"] for group in chosen}) > 4 or result["study"] == "long"
        with style():
            figure = _by_model(result, chosen) if many else _by_length(result, chosen)
        name = stem if len(encodings) == 1 else stem.with_name(f"{stem.name}_{encoding}")
        paths += save_figure(figure, name)
    return paths


def _by_length(result: dict[str, Any], found: list[Group]) -> Figure:
    """A column a length, a colour a model."""
    lengths = sorted({group.settings["length"] for group in found})
    figure, axes = _panels(result, found, columns=len(lengths), bands=True)
    handles: dict[str, Line2D] = {}
    for column, length in enumerate(lengths):
        axes[0, column].set_title(f"L = {length} digits")
        for group in (group for group in found if group.settings["length"] == length):
            blind = group.settings["model"] == "GCN" and group.settings["hops_short"] > 0
            # Whatever is at chance lies on one line; the recurrent networks are drawn last.
            look = {
                "color": COLORS["ink" if blind else HUES[group.settings["model"]]],
                "ls": ":" if blind else "-",
                "zorder": 2.1 if group.settings["model"] == "GCN" else 2.2,
            }
            for row, name in enumerate(("accuracy", "loss")):
                _curve(axes[row, column], group, name, band=True, **look)
            reach = {True: " (one hop short)", False: " (reaches)"}[blind] if group.settings["model"] == "GCN" else ""
            handles.setdefault(group.label, Line2D([], [], label=group.label + reach, **look))
    _frame(axes, found)
    legend(figure, handles=list(handles.values()), ncols=len(handles))
    return figure


def _by_model(result: dict[str, Any], found: list[Group]) -> Figure:
    """A column a model, as in the report's Figure 1: the darker the colour, the longer the palindrome."""
    labels = list(dict.fromkeys(group.label for group in found))
    lengths = sorted({group.settings["length"] for group in found})
    few = len(lengths) <= 4  # more bands than that hide one another
    figure, axes = _panels(result, found, columns=len(labels), bands=few)
    handles: dict[int, list[Line2D]] = {length: [] for length in lengths}
    for column, label in enumerate(labels):
        axes[0, column].set_title(label)
        for group in (group for group in found if group.label == label):
            length = group.settings["length"]
            lightness = 0.3 + 0.7 * lengths.index(length) / max(len(lengths) - 1, 1)
            look = {"color": matplotlib.colormaps[SHADES[group.settings["model"]]](lightness)}
            for row, name in enumerate(("accuracy", "loss")):
                _curve(axes[row, column], group, name, band=few, **look)
            handles[length].append(Line2D([], [], lw=4, **look))
    _frame(axes, found, logarithmic=result["study"] == "long")
    legend(
        figure,
        [tuple(handles[length]) for length in lengths],
        [f"L = {length}" if length == lengths[0] else str(length) for length in lengths],
        handler_map={tuple: HandlerTuple(ndivide=None, pad=0)},
        handlelength=0.9 * len(labels),
        ncols=len(lengths),
    )
    return figure


def _panels(result: dict[str, Any], found: list[Group], columns: int, bands: bool) -> tuple[Figure, np.ndarray]:
    common = found[0].settings
    seeds = max(len(group.runs) for group in found)
    return panels(
        2,
        columns,
        f"Palindromes, {ENCODINGS[common['encoding']]}: {result['title']}",
        f"Training batches of {common['batch']}: mean {'and range ' if bands else ''}over {seeds} seeds, smoothed over "
        f"{common['record_every']} steps.\nTraining ends when a run is solved; its curve goes on at the last value.",
    )


def _curve(axes: Axes, group: Group, name: str, band: bool, **look: Any) -> None:
    blocks = group.settings["steps"] // group.settings["record_every"]
    every = group.settings["record_every"]
    curves = group.curves(name, blocks) * (100 if name == "accuracy" else 1)
    steps = every * (np.arange(blocks) + 0.5)
    axes.plot(steps, curves.mean(0), **look)
    if band:
        axes.fill_between(steps, curves.min(0), curves.max(0), color=look["color"], alpha=0.15, lw=0)


def _frame(axes: np.ndarray, found: list[Group], logarithmic: bool = False) -> None:
    """Chance lines and axes."""
    common = found[0].settings
    for row, level, word in ((axes[0], 100 * CHANCE, "chance"), (axes[1], math.log(10), "ln 10")):
        for panel in row:
            panel.axhline(level, color=COLORS["ink"], lw=1, ls="--", zorder=1)
        row[-1].text(
            1, level, f"\n{word}", transform=row[-1].get_yaxis_transform(), ha="right", va="center", fontsize=11
        )
    axes[0, 0].set(ylabel="accuracy, %", ylim=(0, 103))
    axes[1, 0].set(ylabel="loss, nats", ylim=(0, 2.75))
    longest = max(group.settings["steps"] for group in found)
    for panel in axes[1]:
        panel.set_xlabel("training step")
        if logarithmic:
            panel.set(xscale="log", xlim=(common["record_every"], longest))
            panel.xaxis.set_minor_formatter(NullFormatter())
        else:
            panel.set_xlim(0, longest)
            panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
