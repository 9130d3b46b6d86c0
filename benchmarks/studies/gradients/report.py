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

__all__ = ["figures", "print_report"]

LOWEST = 1e-30  # of the gradients that are drawn
HUES = {"torch": "ink", "he": "vermillion", "orthogonal": "green", "chrono": "blue"}

Networks = list[dict[str, Any]]  # what was measured of each seed


def networks(result: dict[str, Any]) -> dict[tuple[str, str], Networks]:
    """What was measured, by cell and initialisation."""
    found: dict[tuple[str, str], Networks] = {}
    for run in result["runs"]:
        found.setdefault((run["settings"]["model"], run["settings"]["init"]), []).append(run["result"])
    return found


def norms(found: Networks, when: str, state: str) -> np.ndarray:
    """[seeds, T] of one state, "h" or "c", "untrained" or "trained"."""
    return np.array([network[when][state] for network in found])


def print_report(result: dict[str, Any], console: Console) -> None:
    """A row a cell and initialisation: how much of the last state's gradient is left at the first."""
    settings = result["runs"][0]["settings"]
    made = table(
        f"Gradient at the first of {settings['length']} digits, relative to the last",
        "Geometric mean over seeds of |dL/dh_1| / |dL/dh_T|, and of |dL/dc_1| / |dL/dh_T| for an LSTM.\n"
        f"Trained: {settings['steps']} steps on palindromes; accuracy is of that network, chance is 10 %.",
        ["cell", "init"],
        ["untrained h", "c", "trained h", "c", "accuracy %"],
    )
    last = None
    for (cell, init), found in networks(result).items():
        if last not in (None, cell):
            made.add_section()
        ratios = [_ratio(found, when, state) for when in ("untrained", "trained") for state in ("h", "c")]
        accuracy = mean_std([network["test_accuracy"] for network in found], factor=100)
        made.add_row("" if cell == last else cell, init, *ratios, accuracy)
        last = cell
    console.print()
    console.print(made)


def _ratio(found: Networks, when: str, state: str) -> str:
    if state not in found[0][when]:
        return ""
    with np.errstate(divide="ignore"):
        return f"{np.exp(np.log(norms(found, when, state)[:, 0] / norms(found, when, 'h')[:, -1]).mean()):.0e}"


def figures(result: dict[str, Any], stem: Path) -> tuple[Path, ...]:
    """Draw the one figure."""
    with style():
        return save_figure(draw(result), stem)


def draw(result: dict[str, Any]) -> Figure:
    """A column a cell; untrained above, trained below; a colour an initialisation."""
    settings, by_kind = result["runs"][0]["settings"], networks(result)
    cells = list(dict.fromkeys(cell for cell, _ in by_kind))
    steps = np.arange(1, settings["length"])
    figure, axes = panels(
        2,
        len(cells),
        "How far back does the gradient reach?",
        f"Geometric mean and range over {len(result['runs']) // len(by_kind)} seeds. Palindromes of "
        f"{settings['length']} digits, one-hot; {settings['hidden']} hidden channels.\nTrained: {settings['steps']} "
        f"steps of Adam at {settings['learning_rate']:g}. Nothing below {LOWEST:g} is drawn.",
    )
    for row, when in enumerate(("untrained", "trained")):
        for panel, cell in zip(axes[row], cells, strict=True):
            panel.set_title(f"{cell}, {when}")
        for (cell, init), found in by_kind.items():
            panel, color = axes[row, cells.index(cell)], COLORS[HUES[init]]
            for state in found[0][when]:
                values = np.maximum(norms(found, when, state), 1e-300)
                shown = slice(None) if state == "h" else slice(-1)  # nothing but h reads the last cell state
                mean = np.exp(np.log(values).mean(0))
                panel.semilogy(steps[shown], mean[shown], color=color, ls="-" if state == "h" else "--")
                if state == "h":
                    panel.fill_between(steps, values.min(0), values.max(0), color=color, alpha=0.15, lw=0)
    for panel in axes[1]:
        panel.set_xlabel("digit t")
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
