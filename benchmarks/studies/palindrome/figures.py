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

HUES = {
    "RNN": "vermillion", "LSTM": "blue", "GRU": "green", "MinGRU": "sky", "MinLSTM": "orange", "GCN": "purple"
}  # fmt: skip
SHADES = {"RNN": "Oranges", "LSTM": "Blues", "GRU": "Greens", "MinGRU": "BuGn", "MinLSTM": "YlOrBr", "GCN": "Purples"}
FEW = 4  # panels side by side
ENCODINGS = {"scalar": "digits as scalars", "one-hot": "one-hot digits"}


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    """Draw one figure for each encoding."""
    by_encoding: dict[str, list[Group]] = {}
    for group in groups(result):
        by_encoding.setdefault(group.settings["encoding"], []).append(group)
    paths: list[Path] = []
    for encoding, found in by_encoding.items():
        with style():
            figure = draw(result, found)
        paths += save_figure(figure, stem if len(by_encoding) == 1 else f"{stem}_{encoding}")
    return paths


def draw(result: dict[str, Any], found: list[Group]) -> Figure:
    """A column a length and a colour a model; or, of many lengths, a column a model, the darker the longer."""
    lengths = sorted({group.settings["length"] for group in found})
    by_model = len(lengths) > 4 or result["study"] == "long"
    columns = list(dict.fromkeys(group.label if by_model else group.settings["length"] for group in found))
    bands = not by_model or len(lengths) <= 4  # more would hide one another
    common, every = found[0].settings, found[0].settings["record_every"]
    longest = max(group.settings["steps"] for group in found)
    many = len(columns) > FEW  # then accuracy alone, in lines of a few panels
    figure, axes = panels(
        -(-len(columns) // FEW) if many else 2,
        FEW if many else len(columns),
        f"Palindromes, {ENCODINGS[common['encoding']]}: {result['title']}",
        f"Training batches of {common['batch']}: mean {'and range ' if bands else ''}over "
        f"{max(len(group.runs) for group in found)} seeds, smoothed over {every} steps.\nTraining ends when a run is "
        "solved; its curve goes on at the last value.",
    )
    handles: dict[Any, list[Line2D]] = {}
    for group in found:
        model, length = group.settings["model"], group.settings["length"]
        longer = lengths.index(length) / max(len(lengths) - 1, 1)
        look = {"color": matplotlib.colormaps[SHADES[model]](0.3 + 0.7 * longer)} if by_model else _look(group)
        place = columns.index(group.label if by_model else length)
        column = axes.ravel()[place : place + 1] if many else axes[:, place]
        for panel, name, factor in zip(column, ("accuracy", "loss"), (100, 1), strict=False):
            values = factor * group.curves(name)
            curve(panel, every * (np.arange(values.shape[1]) + 0.5), values, band=bands, **look)
        reaches = "" if by_model or model != "GCN" else " (one hop short)" if "ls" in look else " (reaches)"
        handle = Line2D([], [], label=group.label + reaches, **look)
        handle.set_linewidth(4 if by_model else handle.get_linewidth())
        handles.setdefault(length if by_model else group.label, []).append(handle)
    used = np.arange(axes.size).reshape(axes.shape) < len(columns)
    for empty in axes[~used] if many else []:
        empty.remove()
    for line, there in zip(axes, used, strict=True) if many else [(axes[0], used[0])]:
        level(line[there], 100 * CHANCE, "chance")
        line[0].set(ylabel="accuracy, %", ylim=(0, 103))
    if not many:
        level(axes[1], math.log(10), "ln 10")
        axes[1, 0].set(ylabel="loss, nats", ylim=(0, 2.75))
    for (top, bottom), title in zip([(a, a) for a in axes.ravel()] if many else axes.T, columns, strict=False):
        top.set_title(title if by_model else f"L = {title} digits")
        if bottom in axes[-1]:
            bottom.set_xlabel("training step")
        if result["study"] == "long":
            bottom.set(xscale="log", xlim=(every, longest))
            bottom.xaxis.set_minor_formatter(NullFormatter())
        else:
            bottom.set_xlim(0, longest)
            bottom.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    if by_model:
        names = [f"L = {length}" if length == lengths[0] else str(length) for length in lengths]
        side_by_side = {tuple: HandlerTuple(ndivide=None, pad=0)}
        wide = 0.9 * (FEW if many else len(columns))
        legend(figure, list(map(tuple, handles.values())), names, handler_map=side_by_side, handlelength=wide)
    else:
        legend(figure, handles=[of_label[0] for of_label in handles.values()])
    return figure


def _look(group: Group) -> dict[str, Any]:
    """A model's line. Whatever is at chance lies on one line; the recurrent networks are drawn last."""
    if group.settings["hops_short"] > 0:
        return {"color": COLORS["ink"], "ls": ":", "zorder": 2.1}
    model = group.settings["model"]
    return {"color": COLORS[HUES[model]], "zorder": 2.1 if model == "GCN" else 2.2}
