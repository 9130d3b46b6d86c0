"""Figures of the study of optimizers, from its JSON alone."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter, NullLocator

from gnnseq.plots import COLORS, save_figure, style
from harness.figure_layout import curve, legend, level, panels
from studies.optimizers.results import NAMES, by_optimizer, on_surface
from studies.optimizers.surfaces import SURFACES
from studies.palindrome.results import CHANCE, groups

HUES = {"sgd": COLORS["blue"], "momentum": COLORS["orange"], "rmsprop": COLORS["green"], "adam": COLORS["vermillion"]}
FLOOR, CEILING = 1e-12, 1e4  # heights outside are drawn at the edge


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    """Draw paths, rates on quadratics, and palindromes."""
    written: list[Path] = []
    for draw in (paths, rates, palindromes):
        with style():
            written += save_figure(draw(result), stem.with_name(f"{stem.name}_{draw.__name__}"))
    return written


def _legend(figure: Figure, names: Iterable[str], colors: Iterable[str], **look: Any) -> None:
    named = zip(names, colors, strict=True)
    legend(figure, handles=[Line2D([], [], color=color, label=name, **look) for name, color in named])


def paths(result: dict[str, Any]) -> Figure:
    """Trajectories on contours, and heights along them."""
    steps = result["descents"][0]["settings"]["steps"]
    footnote = (
        "Contours: equal steps of the logarithm of the height; ○ the start, ★ the minimum, where the height is 0. "
        f"{steps:,} steps of torch's optimizers in float64.\nBest: of one grid for all, that of the fewest steps to "
        f"below {result['arrived']:g} (dashed) from the slowest of this and other starts, or of the lowest end."
    )
    title = "Four ways down, each at its best learning rate"
    figure, axes = panels(2, len(SURFACES), title, footnote, sharex=False, sharey=False, gap=(0.6, 0.75))
    for (key, surface), (top, below) in zip(SURFACES.items(), axes.T, strict=True):
        left, right, bottom, up = surface.window
        x, y = np.meshgrid(np.linspace(left, right, 161), np.linspace(bottom, up, 121))
        z = surface.f(torch.from_numpy(np.stack([x, y], axis=-1))).numpy()
        levels = np.linspace(np.log10(0.03), np.log10(z.max()), 10)
        top.contourf(x, y, np.log10(np.maximum(z, 1e-9)), levels, cmap="Greys", vmin=-1, vmax=6, extend="min")
        top.grid(visible=False)
        top.set(xlim=(left, right), ylim=(bottom, up), xlabel="x", title=surface.name)
        for point, mark, size in ((surface.start, "o", 7), (surface.minimum, "*", 13)):
            top.plot(*point, mark, ms=size, mfc="white", mec=COLORS["ink"], zorder=5)
        for name, found in on_surface(result, key).items():
            look = {"color": HUES[name], "zorder": 3 if name == "sgd" else 4, "lw": 1.6}
            top.plot(*np.array(found["path"]).T, path_effects=[withStroke(linewidth=2.6, foreground="white")], **look)
            below.plot(np.clip(found["heights"], FLOOR, CEILING), **look)
        below.set(yscale="log", ylim=(FLOOR, CEILING), xlim=(0, steps), xlabel="step")
        below.xaxis.set_major_locator(MaxNLocator(4))
        below.yaxis.set_major_locator(LogLocator(base=1e4))
        below.yaxis.set_minor_locator(NullLocator())
        below.tick_params(labelleft=below is axes[1, 0])
    level(axes[1], result["arrived"])
    axes[0, 0].set_ylabel("y")
    axes[1, 0].set_ylabel("height")
    _legend(figure, NAMES.values(), HUES.values())
    return figure


def rates(result: dict[str, Any]) -> Figure:
    """Theory, lines, and torch's SGD, dots, on a quadratic."""
    records = [{**record["settings"], **record["result"]} for record in result["quadratics"]]
    single = [record for record in records if len(record["learning_rates"]) == 1]
    many = [record for record in records if len(record["learning_rates"]) > 1]
    middle, colors = many[0]["kappa"], [COLORS[name] for name in ("blue", "orange", "purple")]
    footnote = (
        "Lines, on the left the dashed ones: theory, max |1 - αλ| and the largest modulus of heavy ball's two-step "
        "matrix. Dots, on the left the paler lines: measured.\nκ: the largest eigenvalue, which is 1, over the "
        "smallest. At its best heavy ball's error shrinks as t rate^t, not rate^t."
    )
    title = "Gradient descent and heavy ball on a quadratic: theory and torch's SGD"
    figure, axes = panels(1, 3, title, footnote, sharex=False, sharey=False, gap=(1.0, 0.5))
    error, by_rate, by_kappa = axes[0]
    for heavy, color in enumerate(colors[:2]):
        chosen = [record for record in single if bool(record["momentum"]) == heavy]
        of_middle = next(record for record in chosen if record["kappa"] == middle)
        errors = np.array(of_middle["errors"])
        error.plot(errors, color=color, lw=4, alpha=0.35)
        error.plot(errors[0] * of_middle["theory"][0] ** np.arange(len(errors)), color=color, lw=1.4, ls="--")
        kappas = np.array([record["kappa"] for record in chosen])
        fine = np.geomspace(kappas.min(), kappas.max(), 100)
        by_kappa.plot(fine, 2 / ((np.sqrt(fine) if heavy else fine) + 1), color=color, lw=1.4)
        by_kappa.plot(kappas, [1 - record["measured"][0] for record in chosen], "o", color=color)
    for record, color in zip(many, colors, strict=True):
        by_rate.plot(record["learning_rates"], record["theory"], color=color, lw=1.4)
        by_rate.plot(record["learning_rates"], record["measured"], "o", ms=4, color=color)
    error.set(yscale="log", ylim=(1e-14, 10), xlabel="step", xlim=(0, len(errors) - 1))
    error.set_title(f"Error at the best settings, κ = {middle:g}")
    error.yaxis.set_major_locator(LogLocator(base=1e3))
    level([by_rate], 1)
    by_rate.set(xscale="log", xlabel="learning rate α", ylim=(None, 1.02))
    by_rate.set_title(f"Rate by learning rate, κ = {middle:g}")
    by_kappa.set(xscale="log", yscale="log", xlabel="κ", title="1 - the best rate, by κ")
    for axis in (by_kappa.xaxis, by_kappa.yaxis):
        axis.set_minor_formatter(NullFormatter())
    best = f"heavy ball, best momentum ({many[1]['momentum']:.2f} at κ = {middle:g})"
    names = ("gradient descent", best, f"heavy ball, momentum {many[2]['momentum']:g}")
    _legend(figure, names, colors, marker="o")
    return figure


def palindromes(result: dict[str, Any]) -> Figure:
    """Learning curves at the best learning rate, and what other rates give."""
    found, validation = by_optimizer(result["palindromes"]), groups(result["validation"])
    shared, seeds = found["sgd"].settings, len(found["sgd"].runs)
    every, steps = shared["record_every"], shared["steps"]
    footnote = (
        f"Left: training batches, all fresh, at the best learning rate; mean and range over {seeds} seeds. "
        "Training ends when a run is solved; its curve goes on at the last value.\nRight: "
        f"{len(validation[0].runs)} other seeds, mean and range; loss is the mean over training, by which the rate "
        "(the larger dot) is chosen. Dashed: guessing."
    )
    title = f"Palindromes of length {shared['length']}: an LSTM under four optimizers"
    figure, axes = panels(2, 2, title, footnote, sharex="col", gap=(0.35, 0.35))
    x = every * (np.arange(steps // every) + 0.5)
    for name, group in found.items():
        color, best = HUES[name], group.settings["learning_rate"]
        tried = {g.settings["learning_rate"]: g for g in validation if g.settings["optimizer"] == name}
        grid = sorted(tried)
        scores = [100 * np.array(tried[rate].scores) for rate in grid]
        losses = [tried[rate].curves("loss").mean(1) for rate in grid]
        curves = (100 * group.curves("accuracy"), group.curves("loss"))
        for (left, right), trained, seen in zip(axes, curves, (scores, losses), strict=True):
            curve(left, x, trained, color=color)
            curve(right, grid, np.transpose(seen), color=color, marker=".")
            right.plot(best, seen[grid.index(best)].mean(), "o", ms=10, color=color, mec="white", zorder=4)
    level(axes[0], 100 * CHANCE)
    level(axes[1], np.log(10))
    axes[0, 0].set(ylabel="accuracy, %", ylim=(0, 103), title="At the best learning rate")
    axes[0, 1].set(title="At every learning rate")
    axes[1, 0].set(ylabel="loss, nats", ylim=(0, 2.75), xlabel="training step", xlim=(0, steps))
    axes[1, 1].set(xlabel="learning rate", xscale="log")
    axes[1, 1].xaxis.set_minor_formatter(NullFormatter())
    _legend(figure, [NAMES[name] for name in found], [HUES[name] for name in found])
    return figure
