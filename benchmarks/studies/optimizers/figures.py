"""Figures of the study of optimizers, from its JSON alone."""

from collections.abc import Iterable
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
from harness.figure_layout import curve, legend, level, panels
from studies.optimizers.results import NAMES, by_optimizer, on_surface
from studies.optimizers.surfaces import SURFACES, Surface
from studies.palindrome.results import CHANCE, groups

__all__ = ["figures"]

HUES = {"sgd": "blue", "momentum": "orange", "rmsprop": "green", "adam": "vermillion"}
FLOOR, CEILING = 1e-12, 1e4  # heights outside are drawn at the edge


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    """Draw paths, sensitivity to the rate, rates on quadratics, the sign error, and palindromes."""
    drawings = {"paths": paths, "sensitivity": sensitivity, "rates": rates, "slip": sign_error,
                "palindromes": palindromes}  # fmt: skip
    written: list[Path] = []
    for name, draw in drawings.items():
        with style():
            figure = draw(result)
        written += save_figure(figure, stem.with_name(f"{stem.name}_{name}"))
    return written


def _handles(names: Iterable[str] = tuple(NAMES)) -> list[Line2D]:
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
            look = {"color": COLORS[HUES[name]], "zorder": 3 if name == "sgd" else 4, "lw": 1.6}
            top.plot(*np.array(found["path"]).T, path_effects=[withStroke(linewidth=2.6, foreground="white")], **look)
            below.plot(np.clip(found["heights"], FLOOR, CEILING), **look)
        _logarithmic(below)
        below.set(xlim=(0, steps), xlabel="step")
        below.xaxis.set_major_locator(MaxNLocator(4))
        below.tick_params(labelleft=column == 0)
    level(axes[1], result["arrived"])
    axes[0, 0].set_ylabel("y")
    axes[1, 0].set_ylabel("height")
    legend(figure, handles=_handles())
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
    level(axes[0], result["arrived"])
    for axis, (key, surface) in zip(axes[0], SURFACES.items(), strict=True):
        axis.set_title(surface.name)
        for name, found in on_surface(result, key).items():
            reported, grid, color = 1 + found["starts"] // 2, found["rates"], COLORS[HUES[name]]
            ends = np.array([[CEILING if end is None else end for end in row[reported:]] for row in found["end"]])
            ends = np.clip(ends, FLOOR, CEILING)
            middle = np.median(ends, 1)
            axis.plot(grid, middle, lw=1.6, color=color)
            axis.fill_between(grid, ends.min(1), ends.max(1), color=color, alpha=0.15, lw=0)
            axis.plot(found["best"], middle[grid.index(found["best"])], "o", ms=10, color=color, mec="white", zorder=4)
        axis.set(xscale="log", xlabel="learning rate")
        axis.xaxis.set_minor_locator(NullLocator())
    _logarithmic(axes[0, 0])
    axes[0, 0].set_ylabel("height at the end")
    legend(figure, handles=_handles())
    return figure


def rates(result: dict[str, Any]) -> Figure:
    """Theory, lines, and torch's SGD, dots, on a quadratic."""
    records = [{**record["settings"], **record["result"]} for record in result["quadratics"]]
    single = [record for record in records if len(record["learning_rates"]) == 1]
    many = [record for record in records if len(record["learning_rates"]) > 1]
    middle, colors = many[0]["kappa"], [COLORS[name] for name in ("blue", "orange", "purple")]
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
    for heavy, color in zip((False, True), colors, strict=False):
        chosen = [record for record in single if bool(record["momentum"]) == heavy]
        of_middle = next(record for record in chosen if record["kappa"] == middle)
        errors = np.array(of_middle["errors"])
        error.plot(errors, color=color, lw=4, alpha=0.35)
        error.plot(errors[0] * of_middle["theory"][0] ** np.arange(len(errors)), color=color, lw=1.4, ls="--")
        kappas = np.array([record["kappa"] for record in chosen])
        fine = np.geomspace(kappas.min(), kappas.max(), 100)
        by_kappa.plot(fine, 2 / ((np.sqrt(fine) if heavy else fine) + 1), color=color, lw=1.4)
        by_kappa.plot(kappas, [1 - record["measured"][0] for record in chosen], "o", color=color)
    error.set(yscale="log", ylim=(1e-14, 10), xlabel="step", xlim=(0, len(errors) - 1))
    error.set_title(f"Error at the best settings, κ = {middle:g}")
    error.yaxis.set_major_locator(LogLocator(base=1e3))
    by_kappa.set(xscale="log", yscale="log", xlabel="κ")
    by_kappa.yaxis.set_minor_formatter(NullFormatter())
    by_kappa.xaxis.set_minor_formatter(NullFormatter())
    by_kappa.set_title("1 - the best rate, by κ")
    for record, color in zip(many, colors, strict=True):
        by_rate.plot(record["learning_rates"], record["theory"], color=color, lw=1.4)
        by_rate.plot(record["learning_rates"], record["measured"], "o", ms=4, color=color)
    level([by_rate], 1)
    by_rate.set(xscale="log", xlabel="learning rate α", ylim=(None, 1.02))
    by_rate.set_title(f"Rate by learning rate, κ = {middle:g}")
    names = (
        "gradient descent",
        f"heavy ball, best momentum ({many[1]['momentum']:.2f} at κ = {middle:g})",
        f"heavy ball, momentum {many[2]['momentum']:g}",
    )
    looks = zip(names, colors, strict=True)
    legend(figure, handles=[Line2D([], [], color=color, label=name, marker="o") for name, color in looks])
    return figure


def sign_error(result: dict[str, Any]) -> Figure:
    """Adam with equation 21's plus and with its minus."""
    figure, axes = panels(
        1,
        len(SURFACES),
        "A minus where a plus belongs: Adam goes up",
        "Equation 21 of the report has v = β₁v - (1-β₁)g; equation 22's minus is mended here: with both, the first "
        "step divides by the root of a negative number.\nThe learning rate in each title is torch's Adam's best.",
    )
    looks: dict[str, dict[str, Any]] = {
        "adam": {"color": COLORS["vermillion"]},
        "slipped": {"color": COLORS["ink"], "ls": "--"},
    }
    for axis, found in zip(axes[0], result["slips"], strict=True):
        axis.set_title(f"{SURFACES[found['surface']].name}, {found['learning_rate']:g}")
        for name, look in looks.items():
            axis.plot(np.maximum(found[name], FLOOR), **look)
        axis.set(xlabel="step", xlim=(0, len(found["adam"]) - 1))
        axis.xaxis.set_major_locator(MaxNLocator(4))
    highest = max(max(found["slipped"]) for found in result["slips"])
    axes[0, 0].set(yscale="log", ylabel="height", ylim=(FLOOR, 10 * highest))
    axes[0, 0].yaxis.set_minor_locator(NullLocator())
    labels = zip(("torch's Adam", "with the minus"), looks.values(), strict=True)
    legend(figure, handles=[Line2D([], [], label=label, **look) for label, look in labels])
    return figure


def palindromes(result: dict[str, Any]) -> Figure:
    """Learning curves at the best learning rate, and what other rates give."""
    found, validation = by_optimizer(result["palindromes"]), groups(result["validation"])
    shared = next(iter(found.values()))
    every, steps = shared.settings["record_every"], shared.settings["steps"]
    figure, axes = panels(
        2,
        2,
        f"Palindromes of length {shared.settings['length']}: an LSTM under four optimizers",
        f"Left: training batches, all fresh, at the best learning rate; mean and range over {len(shared.runs)} seeds. "
        "Training ends when a run is solved; its curve goes on at the last value.\nRight: "
        f"{len(validation[0].runs)} other seeds, mean and range; loss is the mean over training, by which the rate "
        "(the larger dot) is chosen. Dashed: guessing.",
        sharex="col",
        gap=(0.35, 0.35),
    )
    x = every * (np.arange(steps // every) + 0.5)
    for name, group in found.items():
        color = COLORS[HUES[name]]
        tried = {g.settings["learning_rate"]: g for g in validation if g.settings["optimizer"] == name}
        grid = sorted(tried)
        for row, kind in enumerate(("accuracy", "loss")):
            curve(axes[row, 0], x, group.curves(kind) * (100 if kind == "accuracy" else 1), color=color)
            scores = [100 * np.array(tried[rate].scores) for rate in grid]
            seen = np.array(scores if row == 0 else [tried[rate].curves(kind).mean(1) for rate in grid])
            curve(axes[row, 1], grid, seen.T, color=color, marker=".")
            best = group.settings["learning_rate"]
            axes[row, 1].plot(best, seen[grid.index(best)].mean(), "o", ms=10, color=color, mec="white", zorder=4)
    level(axes[0], 100 * CHANCE)
    level(axes[1], np.log(10))
    axes[0, 0].set_title("At the best learning rate")
    axes[0, 1].set_title("At every learning rate")
    axes[0, 0].set(ylabel="accuracy, %", ylim=(0, 103))
    axes[1, 0].set(ylabel="loss, nats", ylim=(0, 2.75), xlabel="training step", xlim=(0, steps))
    axes[1, 1].set(xlabel="learning rate", xscale="log")
    axes[1, 1].xaxis.set_minor_formatter(NullFormatter())
    legend(figure, handles=_handles(found))
    return figure
