"""Figures of the study of optimizers, from its JSON alone."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

from gnnseq.plots import COLORS, save_figure, style
from harness.figure_layout import legend, panels
from studies.optimizers.report import NAMES, by_optimizer, on_surface
from studies.optimizers.surfaces import SURFACES, Surface
from studies.palindrome.report import CHANCE, groups

HUES = {"sgd": "blue", "momentum": "orange", "rmsprop": "green", "adam": "vermillion"}
FLOOR, CEILING = 1e-12, 1e4  # heights outside are drawn at the edge
GREY = "#9a9a9a"


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    drawings = {"paths": paths, "sensitivity": sensitivity, "rates": rates, "slip": slip, "palindromes": palindromes}
    written: list[Path] = []
    for name, draw in drawings.items():
        with style():
            figure = draw(result)
        written += save_figure(figure, stem.with_name(f"{stem.name}_{name}"))
    return written


def _handles(names: Any = tuple(NAMES)) -> list[Line2D]:
    return [Line2D([], [], color=COLORS[HUES[name]], label=NAMES[name]) for name in names]


def paths(result: dict[str, Any]) -> Figure:
    """Trajectories on contours, and heights along them."""
    steps = result["descents"][0]["settings"]["steps"]
    figure, axes = panels(
        2,
        len(SURFACES),
        "Four ways down, each at its best learning rate",
        "Contours: equal steps of the logarithm of the height; ○ the start, ★ the minimum, where the height is 0. "
        f"{steps:,} steps of torch's optimizers in float64.\nBest: of one grid for all, that of the fewest steps to "
        f"below {result['arrived']:g} (dashed) from the slowest of this and other starts, or of the lowest end.",
        sharex=False,
        sharey=False,
        gap=(0.6, 0.75),
    )
    for column, (key, surface) in enumerate(SURFACES.items()):
        top, below = axes[:, column]
        top.set_title(surface.name)
        _contours(top, surface)
        for name, found in on_surface(result, key).items():
            points = np.array(found["path"])
            look = {"color": COLORS[HUES[name]], "zorder": 3 if name == "sgd" else 4}
            top.plot(*points.T, lw=1.6, path_effects=[withStroke(linewidth=2.6, foreground="white")], **look)
            below.plot(np.clip(found["heights"], FLOOR, CEILING), lw=1.6, **look)
        _logarithmic(below)
        below.axhline(result["arrived"], color=COLORS["ink"], lw=1, ls="--", zorder=1)
        below.set(xlim=(0, steps), xlabel="step")
        below.xaxis.set_major_locator(MaxNLocator(4))
        below.tick_params(labelleft=column == 0)
    axes[0, 0].set_ylabel("y")
    axes[1, 0].set_ylabel("height")
    legend(figure, handles=_handles(), ncols=4)
    return figure


def _contours(axes: Axes, surface: Surface) -> None:
    left, right, bottom, top = surface.window
    x, y = np.meshgrid(np.linspace(left, right, 161), np.linspace(bottom, top, 121))
    z = surface.f(torch.from_numpy(np.stack([x, y], axis=-1))).numpy()
    levels = np.linspace(np.log10(0.03), np.log10(z.max()), 10)
    axes.contourf(x, y, np.log10(np.maximum(z, 1e-9)), levels, cmap="Greys", vmin=-1, vmax=6, extend="min")
    axes.grid(visible=False)
    axes.set(xlim=(left, right), ylim=(bottom, top), xlabel="x")
    axes.plot(*surface.start, "o", ms=7, mfc="white", mec=COLORS["ink"], zorder=5)
    axes.plot(*surface.minimum, "*", ms=13, mfc="white", mec=COLORS["ink"], zorder=5)


def _logarithmic(axes: Axes) -> None:
    axes.set(yscale="log", ylim=(FLOOR, CEILING))
    axes.yaxis.set_major_locator(LogLocator(base=1e4))
    axes.yaxis.set_minor_locator(NullLocator())


def sensitivity(result: dict[str, Any]) -> Figure:
    """Where a descent ends, by learning rate."""
    shared = result["descents"][0]["settings"]
    half = shared["starts"] // 2
    figure, axes = panels(
        1,
        len(SURFACES),
        "How much the learning rate decides",
        f"Greatest height in the last tenth of {shared['steps']:,} steps, by learning rate, median and range over "
        f"{half} starts; at the upper edge: lost, risen to ten times the start.\nThe dot is the rate that "
        f"{half + 1} other starts choose, of the fewest steps to below the dashed line, or else of the lowest end.",
    )
    for axis, (key, surface) in zip(axes[0], SURFACES.items(), strict=True):
        axis.set_title(surface.name)
        axis.axhline(result["arrived"], color=COLORS["ink"], lw=1, ls="--", zorder=1)
        for name, found in on_surface(result, key).items():
            reported = 1 + found["starts"] // 2
            ends = np.array([[CEILING if end is None else end for end in row[reported:]] for row in found["end"]])
            ends = np.clip(ends, FLOOR, CEILING)
            middle, chosen, color = np.median(ends, 1), found["rates"].index(found["best"]), COLORS[HUES[name]]
            axis.plot(found["rates"], middle, lw=1.6, color=color)
            axis.fill_between(found["rates"], ends.min(1), ends.max(1), color=color, alpha=0.15, lw=0)
            axis.plot(found["best"], middle[chosen], "o", ms=10, color=color, mec="white", zorder=4)
        axis.set(xscale="log", xlabel="learning rate")
        axis.xaxis.set_minor_locator(NullLocator())
    _logarithmic(axes[0, 0])
    axes[0, 0].set_ylabel("height at the end")
    legend(figure, handles=_handles(), ncols=4)
    return figure


def rates(result: dict[str, Any]) -> Figure:
    """Theory, lines, and torch's SGD, dots, on a quadratic."""
    records = result["quadratics"]
    single = [record for record in records if len(record["settings"]["learning_rates"]) == 1]
    middle = next(r["settings"]["kappa"] for r in records if len(r["settings"]["learning_rates"]) > 1)
    figure, axes = panels(
        1,
        3,
        "Gradient descent and heavy ball on a quadratic: theory and torch's SGD",
        "Lines, on the left the dashed ones: theory, max |1 - αλ| and the largest modulus of heavy ball's two-step "
        "matrix. Dots, on the left the paler lines: measured.\nκ: the largest eigenvalue, which is 1, over the "
        "smallest. At its best heavy ball's error shrinks as t rate^t, not rate^t.",
        sharex=False,
        sharey=False,
        gap=(1.0, 0.5),
    )
    error, by_rate, by_kappa = axes[0]
    for heavy, color in ((False, "blue"), (True, "orange")):
        chosen = [record for record in single if bool(record["settings"]["momentum"]) == heavy]
        of_middle = next(record for record in chosen if record["settings"]["kappa"] == middle)
        errors, rate = np.array(of_middle["result"]["errors"]), of_middle["result"]["theory"][0]
        steps = np.arange(len(errors))
        error.plot(errors, color=COLORS[color], lw=4, alpha=0.35)
        error.plot(errors[0] * rate**steps, color=COLORS[color], lw=1.4, ls="--")
        kappas = np.array([record["settings"]["kappa"] for record in chosen])
        fine = np.geomspace(kappas.min(), kappas.max(), 100)
        root = np.sqrt(fine) if heavy else fine
        by_kappa.plot(fine, 2 / (root + 1), color=COLORS[color], lw=1.4)
        by_kappa.plot(kappas, [1 - r["result"]["measured"][0] for r in chosen], "o", color=COLORS[color])
    error.set(yscale="log", ylim=(1e-14, 10), xlabel="step", xlim=(0, len(errors) - 1))
    error.set_title(f"Error at the best settings, κ = {middle:g}")
    error.yaxis.set_major_locator(LogLocator(base=1e3))
    by_kappa.set(xscale="log", yscale="log", xlabel="κ")
    by_kappa.yaxis.set_minor_formatter(NullFormatter())
    by_kappa.xaxis.set_minor_formatter(NullFormatter())
    by_kappa.set_title("1 - the best rate, by κ")
    for record, color in zip((r for r in records if r not in single), ("blue", "orange", "purple"), strict=True):
        settings, found = record["settings"], record["result"]
        momentum = settings["momentum"]
        by_rate.plot(settings["learning_rates"], found["theory"], color=COLORS[color], lw=1.4)
        by_rate.plot(settings["learning_rates"], found["measured"], "o", ms=4, color=COLORS[color])
    by_rate.axhline(1, color=COLORS["ink"], lw=1, ls="--", zorder=1)
    by_rate.set(xscale="log", xlabel="learning rate α", ylim=(None, 1.02))
    by_rate.set_title(f"Rate by learning rate, κ = {middle:g}")
    best = next(
        r["settings"]["momentum"]
        for r in records
        if len(r["settings"]["learning_rates"]) > 1 and r["settings"]["momentum"]
    )
    names = (
        "gradient descent",
        f"heavy ball, best momentum ({best:.2f} at κ = {middle:g})",
        f"heavy ball, momentum {momentum:g}",
    )
    looks = zip(names, ("blue", "orange", "purple"), strict=True)
    legend(
        figure, handles=[Line2D([], [], color=COLORS[color], label=name, marker="o") for name, color in looks], ncols=3
    )
    return figure


def slip(result: dict[str, Any]) -> Figure:
    """Adam with equation 21's plus and with its minus."""
    figure, axes = panels(
        1,
        len(SURFACES),
        "A minus where a plus belongs: Adam goes up",
        "Equation 21 of the report has v = β₁v - (1-β₁)g; equation 22's minus is mended here: with both, the first "
        "step divides by the root of a negative number.\nThe learning rate in each title is torch's Adam's best.",
    )
    for axis, found in zip(axes[0], result["slips"], strict=True):
        axis.set_title(f"{SURFACES[found['surface']].name}, {found['learning_rate']:g}")
        axis.plot(np.maximum(found["adam"], FLOOR), color=COLORS["vermillion"])
        axis.plot(found["slipped"], color=COLORS["ink"], ls="--")
        axis.set(xlabel="step", xlim=(0, len(found["adam"]) - 1))
        axis.xaxis.set_major_locator(MaxNLocator(4))
    highest = max(max(found["slipped"]) for found in result["slips"])
    axes[0, 0].set(yscale="log", ylabel="height", ylim=(FLOOR, 10 * highest))
    axes[0, 0].yaxis.set_minor_locator(NullLocator())
    handles = [
        Line2D([], [], color=COLORS["vermillion"], label="torch's Adam"),
        Line2D([], [], color=COLORS["ink"], ls="--", label="with the minus"),
    ]
    legend(figure, handles=handles, ncols=2)
    return figure


def palindromes(result: dict[str, Any]) -> Figure:
    """Learning curves at the best learning rate, and what other rates give."""
    found = by_optimizer(result["palindromes"])
    shared = next(iter(found.values()))
    validation = groups(result["validation"])
    seeds, others = len(shared.runs), len(validation[0].runs)
    every, steps = shared.settings["record_every"], shared.settings["steps"]
    figure, axes = panels(
        2,
        2,
        f"Palindromes of length {shared.settings['length']}: an LSTM under four optimizers",
        f"Left: training batches, all fresh, at the best learning rate; mean and range over {seeds} seeds. Training "
        f"ends when a run is solved; its curve goes on at the last value.\nRight: {others} other seeds, mean and "
        "range; loss is the mean over training, by which the rate (the larger dot) is chosen. Dashed: guessing.",
        sharex="col",
        gap=(0.35, 0.35),
    )
    x = every * (np.arange(steps // every) + 0.5)
    for name, group in found.items():
        color = COLORS[HUES[name]]
        tried = sorted(
            (g for g in validation if g.settings["optimizer"] == name), key=lambda g: g.settings["learning_rate"]
        )
        grid = [g.settings["learning_rate"] for g in tried]
        for row, kind in enumerate(("accuracy", "loss")):
            scale = 100 if kind == "accuracy" else 1
            curves = scale * group.curves(kind, len(x))
            axes[row, 0].plot(x, curves.mean(0), color=color)
            axes[row, 0].fill_between(x, curves.min(0), curves.max(0), color=color, alpha=0.15, lw=0)
            seen = np.array([100 * np.array(g.scores) if row == 0 else g.curves(kind, len(x)).mean(1) for g in tried])
            axes[row, 1].plot(grid, seen.mean(1), color=color, marker=".")
            axes[row, 1].fill_between(grid, seen.min(1), seen.max(1), color=color, alpha=0.15, lw=0)
            chosen = grid.index(group.settings["learning_rate"])
            axes[row, 1].plot(grid[chosen], seen[chosen].mean(), "o", ms=10, color=color, mec="white", zorder=4)
    for row, level in enumerate((100 * CHANCE, np.log(10))):
        for axis in axes[row]:
            axis.axhline(level, color=COLORS["ink"], lw=1, ls="--", zorder=1)
    axes[0, 0].set_title("At the best learning rate")
    axes[0, 1].set_title("At every learning rate")
    axes[0, 0].set(ylabel="accuracy, %", ylim=(0, 103))
    axes[1, 0].set(ylabel="loss, nats", ylim=(0, 2.75), xlabel="training step", xlim=(0, steps))
    axes[1, 1].set(xlabel="learning rate", xscale="log")
    axes[1, 1].xaxis.set_minor_formatter(NullFormatter())
    legend(figure, handles=_handles(found), ncols=4)
    return figure
