"""Table and figure of the study of gradients, from its JSON alone."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, NullLocator
from rich.console import Console

from gnnseq.plots import COLORS, save_figure, style
from harness.figure_layout import legend, panels
from harness.report import mean_std, table

LOWEST = 1e-30  # of the gradients that are drawn
HUES = {"torch": "ink", "he": "vermillion", "orthogonal": "green", "chrono": "blue"}


def networks(result: dict[str, Any]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """What was measured of each seed, by cell and by initialisation."""
    found: dict[str, Any] = {}
    for run in result["runs"]:
        found.setdefault(run["settings"]["model"], {}).setdefault(run["settings"]["init"], []).append(run["result"])
    return found


def norms(found: list[dict[str, Any]], when: str, state: str) -> np.ndarray:
    """[seeds, T] of one state, "h" or "c", "untrained" or "trained"."""
    return np.array([network[when][state] for network in found])


def print_report(result: dict[str, Any], console: Console) -> None:
    """A row a cell and initialisation: how much of the last state's gradient is left at the first."""
    settings = result["runs"][0]["settings"]
    caption = (
        "Geometric mean over seeds of |dL/dh_1| / |dL/dh_T|, and of |dL/dc_1| / |dL/dh_T| for an LSTM.\n"
        f"Trained: {settings['steps']} steps on palindromes; accuracy is of that network, chance is 10 %."
    )
    title = f"Gradient at the first of {settings['length']} digits, relative to the last"
    made = table(title, caption, ["cell", "init"], ["untrained h", "c", "trained h", "c", "accuracy %"])
    for cell, of_cell in networks(result).items():
        for row, (init, found) in enumerate(of_cell.items()):
            ratios = [_ratio(found, when, state) for when in ("untrained", "trained") for state in ("h", "c")]
            accuracy = mean_std([network["test_accuracy"] for network in found], factor=100)
            made.add_row("" if row else cell, init, *ratios, accuracy)
        made.add_section()
    console.print("", made, sep="\n")


def _ratio(found: list[dict[str, Any]], when: str, state: str) -> str:
    if state not in found[0][when]:
        return ""
    with np.errstate(divide="ignore"):
        return f"{np.exp(np.log(norms(found, when, state)[:, 0] / norms(found, when, 'h')[:, -1]).mean()):.0e}"


def figures(result: dict[str, Any], stem: Path) -> tuple[Path, ...]:
    """A column a cell; untrained above, trained below; a colour an initialisation."""
    with style():
        return save_figure(_draw(result), stem)


def _draw(result: dict[str, Any]) -> Figure:
    settings, by_cell = result["runs"][0]["settings"], networks(result)
    seeds, steps = 1 + max(run["settings"]["seed"] for run in result["runs"]), np.arange(1, settings["length"])
    footnote = (
        f"Geometric mean and range over {seeds} seeds. Palindromes of "
        f"{settings['length']} digits, one-hot; {settings['hidden']} hidden channels.\nTrained: {settings['steps']} "
        f"steps of Adam at {settings['learning_rate']:g}. Nothing below {LOWEST:g} is drawn."
    )
    figure, axes = panels(2, len(by_cell), "How far back does the gradient reach?", footnote)
    for (row, column), panel in np.ndenumerate(axes):
        when, cell = ("untrained", "trained")[row], list(by_cell)[column]
        panel.set(title=f"{cell}, {when}", xlabel="digit t" if row else "")
        for init, found in by_cell[cell].items():
            color, h = COLORS[HUES[init]], np.maximum(norms(found, when, "h"), 1e-300)
            panel.semilogy(steps, np.exp(np.log(h).mean(0)), color=color)
            panel.fill_between(steps, h.min(0), h.max(0), color=color, alpha=0.15, lw=0)
            if cell == "LSTM":
                c = np.maximum(norms(found, when, "c")[:, :-1], 1e-300)  # nothing but h reads the last cell state
                panel.semilogy(steps[:-1], np.exp(np.log(c).mean(0)), color=color, ls="--")
    highest = max(panel.get_ylim()[1] for panel in axes.flat)
    for panel in axes[:, 0]:
        panel.set(ylabel=r"$\|\partial L/\partial h_t\|$", ylim=(LOWEST, highest))
        panel.yaxis.set_major_locator(LogLocator(base=1e5))
        panel.yaxis.set_minor_locator(NullLocator())
    axes[0, 0].set(xlim=(1, settings["length"] - 1))
    handles = [Line2D([], [], color=COLORS[color], label=init) for init, color in HUES.items()]
    handles += [Line2D([], [], color=COLORS["ink"], ls="--", lw=1.6, label="LSTM cell state, dL/dc")]
    legend(figure, handles=handles)
    return figure
