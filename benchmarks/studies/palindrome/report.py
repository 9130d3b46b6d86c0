"""Table, checked statements and figures of the palindrome study, from its JSON alone."""

import math
import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.legend_handler import HandlerTuple
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator, NullFormatter
from rich import box
from rich.console import Console
from rich.table import Table

from gnnseq.plots import COLORS, save_figure, style
from harness.figure_layout import legend, panels

CHANCE = 0.1
SOLVED = 0.99

HUES = {"RNN": "vermillion", "LSTM": "blue", "GRU": "green", "GCN": "purple"}
SHADES = {"RNN": "Oranges", "LSTM": "Blues", "GRU": "Greens", "GCN": "Purples"}
ENCODINGS = {"scalar": "digits as scalars", "one-hot": "one-hot digits"}


def compact(study: str, title: str, records: Sequence[dict[str, Any]], provenance: dict[str, Any]) -> dict[str, Any]:
    """The whole sweep as one JSON value: settings that all runs share once, every run with its curves.

    Curves keep four digits: 1e-4 is a third of the resolution of ten batches of 128.
    """
    first = records[0]["settings"]
    common = {name: value for name, value in first.items() if all(r["settings"][name] == value for r in records)}
    runs = []
    for record in records:
        own = {name: value for name, value in record["settings"].items() if name not in common}
        result = {**record["result"]}
        for curve in ("loss", "accuracy"):
            result[curve] = [round(value, 4) for value in result[curve]]
        runs.append({"settings": own, "seconds": record["seconds"], **result})
    commits = Counter(record["commit"] or "unknown" for record in records)
    return {
        "experiment": "palindrome",
        "study": study,
        "title": title,
        "provenance": {**provenance, "runs_by_commit": dict(commits)},
        "common": common,
        "runs": runs,
    }


class Group:
    """Runs that differ in nothing but the seed."""

    def __init__(self, settings: dict[str, Any], runs: list[dict[str, Any]], label: str) -> None:
        self.settings, self.runs, self.label = settings, runs, label
        self.scores = [run["test_accuracy"] for run in runs]
        self.mean = statistics.fmean(self.scores)
        self.spread = statistics.stdev(self.scores) if len(runs) > 1 else 0.0
        self.solved = sum(score >= SOLVED for score in self.scores)

    @property
    def margin(self) -> float:
        """Five standard deviations of the accuracy that a blind guesser measures."""
        return 5 * math.sqrt(CHANCE * (1 - CHANCE) / self.settings["test_on"])

    def steps_to_solve(self) -> list[int]:
        """First step after which a run's training batches, all of them fresh, are at 99 %, for those that get there."""
        every = self.settings["record_every"]
        firsts = (next((i for i, a in enumerate(run["accuracy"]) if a >= SOLVED), None) for run in self.runs)
        return [every * (first + 1) for first in firsts if first is not None]

    def curves(self, name: str, blocks: int) -> np.ndarray:
        """[runs, blocks]; a run that ended continues at its last value."""
        ends = [run[name] or [math.nan] for run in self.runs]
        return np.array([(curve + [curve[-1]] * (blocks - len(curve)))[:blocks] for curve in ends])


def groups(result: dict[str, Any]) -> list[Group]:
    """All groups, by encoding and length, in the order of the study's arms."""
    found: dict[str, tuple[dict[str, Any], list[dict[str, Any]]]] = {}
    for run in result["runs"]:
        settings = {**result["common"], **run["settings"]}
        key = str({name: value for name, value in settings.items() if name != "seed"})
        found.setdefault(key, (settings, []))[1].append(run)
    inits = {}
    for settings, _ in found.values():
        inits.setdefault(settings["model"], set()).add(settings["init"])
    named = [
        Group(settings, runs, _label(settings, len(inits[settings["model"]]) > 1)) for settings, runs in found.values()
    ]
    arms = list(dict.fromkeys(group.label for group in named))
    return sorted(named, key=lambda g: (g.settings["encoding"], g.settings["length"], arms.index(g.label)))


def _label(settings: dict[str, Any], with_init: bool) -> str:
    if settings["model"] == "GCN":
        return f"GCN, k = L-{1 + settings['hops_short']}"
    return f"{settings['model']}, {settings['init']}" if with_init else str(settings["model"])


def checks(result: dict[str, Any]) -> list[tuple[str, bool]]:
    """Statements that must hold, each with whether it does."""
    found = groups(result)
    statements = []
    blind = [group for group in found if group.settings["model"] == "GCN" and group.settings["hops_short"] > 0]
    if blind:
        scores = [score for group in blind for score in group.scores]
        holds = all(abs(score - CHANCE) < group.margin for group in blind for score in group.scores)
        text = f"GCNs of fewer than L-1 layers are at chance: {len(scores)} runs, {_range(scores)}"
        statements.append((f"{text} (10 +- {100 * blind[0].margin:.1f} allowed)", holds))
    if result["study"] == "long":
        able = [group for group in found if (group.settings["model"], group.settings["init"]) == ("LSTM", "chrono")]
        for group in able:
            text = (
                f"LSTM at L = {group.settings['length']}: {group.solved} of {len(group.runs)} seeds at 99 % or better"
            )
            statements.append((f"{text}, {_range(group.scores)}", group.solved == len(group.runs)))
    return statements


def _range(scores: Sequence[float]) -> str:
    return f"{100 * min(scores):.1f} to {100 * max(scores):.1f} %"


def print_report(result: dict[str, Any], console: Console) -> None:
    found = groups(result)
    for encoding in dict.fromkeys(group.settings["encoding"] for group in found):
        console.print()
        console.print(_table(result, [group for group in found if group.settings["encoding"] == encoding], encoding))
    for statement, holds in checks(result):
        console.print(f"[green]holds[/] {statement}" if holds else f"[bold red]FAILS[/] {statement}", highlight=False)


def _table(result: dict[str, Any], found: list[Group], encoding: str) -> Table:
    fresh = found[0].settings["test_on"]
    table = Table(
        title=f"Palindromes, {ENCODINGS[encoding]}: {result['title']}",
        caption=f"Accuracy on {fresh:,} fresh palindromes, mean and standard deviation over seeds; chance is 10 %.\n"
        "Solved: 99 % or better. Steps: median and range over the runs whose training batches got to 99 %.",
        box=box.SIMPLE_HEAD,
        title_style="bold",
        caption_justify="left",
    )
    table.add_column("L", justify="right", no_wrap=True)
    table.add_column("model", no_wrap=True)
    for heading in ("accuracy %", "worst", "solved", "steps to 99 %", "ms/step"):
        table.add_column(heading, justify="right", no_wrap=True)
    last = None
    for group in found:
        length = group.settings["length"]
        if last not in (None, length):
            table.add_section()
        everywhere = group.solved == len(group.runs)
        blind = all(abs(score - CHANCE) < group.margin for score in group.scores)
        table.add_row(
            "" if length == last else str(length),
            group.label,
            f"{100 * group.mean:.1f} ± {100 * group.spread:.1f}",
            f"{100 * min(group.scores):.1f}",
            f"{group.solved}/{len(group.runs)}",
            "chance" if blind else _steps(group.steps_to_solve()),
            f"{statistics.median(run['milliseconds'] for run in group.runs):.1f}",
            style="green" if everywhere else "dim" if blind else "",
        )
        last = length
    return table


def _steps(steps: list[int]) -> str:
    if not steps:
        return "-"
    middle = f"{statistics.median(steps):.0f}"
    return middle if min(steps) == max(steps) else f"{middle} ({min(steps)}-{max(steps)})"


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
