"""Accuracy and loss by training step, from the study's JSON alone."""

import math
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter

from gnnseq.plots import COLORS, save_figure, style
from harness.figure_layout import curve, legend, level, panels
from studies.palindrome.results import CHANCE, Group, groups

__all__ = ["figures"]

HUES = {"RNN": "vermillion", "LSTM": "blue", "GRU": "green", "GCN": "purple"}
SHADES = {"RNN": "Oranges", "LSTM": "Blues", "GRU": "Greens", "GCN": "Purples"}
ENCODINGS = {"scalar": "digits as scalars", "one-hot": "one-hot digits"}


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    """Draw one figure for each encoding."""
    found = groups(result)
    encodings = list(dict.fromkeys(group.settings["encoding"] for group in found))
    paths: list[Path] = []
    for encoding in encodings:
        with style():
            figure = draw(result, [group for group in found if group.settings["encoding"] == encoding])
        name = stem if len(encodings) == 1 else stem.with_name(f"{stem.name}_{encoding}")
        paths += save_figure(figure, name)
    return paths


def draw(result: dict[str, Any], found: list[Group]) -> Figure:
    """A column a length and a colour a model; or, of many lengths, a column a model, the darker the longer."""
    lengths = sorted({group.settings["length"] for group in found})
    by_model = len(lengths) > 4 or result["study"] == "long"
    columns = list(dict.fromkeys(group.label if by_model else group.settings["length"] for group in found))
    bands = not by_model or len(lengths) <= 4  # more would hide one another
    common, every = found[0].settings, found[0].settings["record_every"]
    longest = max(group.settings["steps"] for group in found)
    figure, axes = panels(
        2,
        len(columns),
        f"Palindromes, {ENCODINGS[common['encoding']]}: {result['title']}",
        f"Training batches of {common['batch']}: mean {'and range ' if bands else ''}over "
        f"{max(len(group.runs) for group in found)} seeds, smoothed over {every} steps.\nTraining ends when a run is "
        "solved; its curve goes on at the last value.",
    )
    for panel, column in zip(axes[0], columns, strict=True):
        panel.set_title(column if by_model else f"L = {column} digits")
    handles: dict[Any, list[Line2D]] = {}
    for group in found:
        length = group.settings["length"]
        column = columns.index(group.label if by_model else length)
        look, reach = _shade(group, lengths.index(length) / max(len(lengths) - 1, 1)) if by_model else _hue(group)
        for row, name in enumerate(("accuracy", "loss")):
            values = group.curves(name) * (100 if name == "accuracy" else 1)
            steps = every * (np.arange(values.shape[1]) + 0.5)
            curve(axes[row, column], steps, values, band=bands, **look)
        handle = Line2D([], [], label=group.label + reach, **look)
        handles.setdefault(length if by_model else group.label, []).append(handle)
    level(axes[0], 100 * CHANCE, "chance")
    level(axes[1], math.log(10), "ln 10")
    axes[0, 0].set(ylabel="accuracy, %", ylim=(0, 103))
    axes[1, 0].set(ylabel="loss, nats", ylim=(0, 2.75))
    for panel in axes[1]:
        panel.set_xlabel("training step")
        if result["study"] == "long":
            panel.set(xscale="log", xlim=(every, longest))
            panel.xaxis.set_minor_formatter(NullFormatter())
        else:
            panel.set_xlim(0, longest)
            panel.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    if by_model:
        for handle in (handle for of_length in handles.values() for handle in of_length):
            handle.set_linewidth(4)
        names = [f"L = {length}" if length == lengths[0] else str(length) for length in lengths]
        side_by_side = {tuple: HandlerTuple(ndivide=None, pad=0)}
        wide = 0.9 * len(columns)
        legend(figure, list(map(tuple, handles.values())), names, handler_map=side_by_side, handlelength=wide)
    else:
        legend(figure, handles=[of_label[0] for of_label in handles.values()])
    return figure


def _hue(group: Group) -> tuple[dict[str, Any], str]:
    """A model's line. Whatever is at chance lies on one line; the recurrent networks are drawn last."""
    model, short = group.settings["model"], group.settings["hops_short"] > 0
    if model != "GCN":
        return {"color": COLORS[HUES[model]], "zorder": 2.2}, ""
    look = {"color": COLORS["ink" if short else HUES[model]], "ls": ":" if short else "-", "zorder": 2.1}
    return look, " (one hop short)" if short else " (reaches)"


def _shade(group: Group, longer: float) -> tuple[dict[str, Any], str]:
    """A length's line, of the model's colour."""
    return {"color": matplotlib.colormaps[SHADES[group.settings["model"]]](0.3 + 0.7 * longer)}, ""
