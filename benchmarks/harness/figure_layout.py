"""A title, a row for the legend, a grid of panels and a footnote, each at a fixed place in inches.

Fixed, because matplotlib's constrained layout moves panels by a millionth from one run to the next, and a figure that
is rebuilt from the same numbers should be the same file.

Titles, footnotes and legends show texts as they are; others that hold names from users' files go through
:func:`written`.
"""

from collections.abc import Iterable
from typing import Any, Literal

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gnnseq.plots import COLORS

__all__ = ["curve", "legend", "level", "panels", "written"]

HEIGHT = 3.0  # inches, of a panel
LEFT, RIGHT, TOP, BOTTOM = 0.95, 0.25, 1.4, 1.25
GAP = (0.35, 0.55)  # between columns, between rows


def panels(
    rows: int,
    columns: int,
    title: str,
    footnote: str,
    tall: float = HEIGHT,
    right: float = RIGHT,
    gap: tuple[float, float] = GAP,
    sharex: bool | Literal["row", "col"] = True,
    sharey: bool | Literal["row", "col"] = "row",
) -> tuple[Figure, np.ndarray]:
    """Make the figure and its axes [rows, columns], which share x, and y within a row, unless told otherwise."""
    panel = max(4.0, 11.0 / columns)
    width = LEFT + columns * panel + (columns - 1) * gap[0] + right
    height = TOP + rows * tall + (rows - 1) * gap[1] + BOTTOM
    figure = Figure(figsize=(width, height), layout="none")  # type: ignore[arg-type] # matplotlib's stubs do not know it
    edges = {"left": LEFT / width, "right": 1 - right / width, "top": 1 - TOP / height, "bottom": BOTTOM / height}
    place = {**edges, "wspace": gap[0] / panel, "hspace": gap[1] / tall}
    axes = figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False, gridspec_kw=place)
    figure.text(0.2 / width, 1 - 0.2 / height, written(title), ha="left", va="top", fontsize="x-large")
    figure.text(0.2 / width, 0.15 / height, written(footnote), ha="left", va="bottom", fontsize="small")
    return figure, axes


def written(text: str) -> str:
    r"""A text for matplotlib that it shows as it is: between two dollars it would set mathematics.

    Example:
        >>> print(written("$AAPL, $MSFT"))
        \$AAPL, \$MSFT
    """
    return text.replace("$", r"\$")


def legend(figure: Figure, *arguments: Any, **options: Any) -> None:
    """Put a legend of one row under the title; arguments are matplotlib's."""
    width, height = figure.get_size_inches()
    options = {"ncols": len(arguments[0] if arguments else options["handles"]), **options}
    corner = (0.2 / width, 1 - 0.62 / height)
    drawn = figure.legend(
        *arguments, loc="upper left", bbox_to_anchor=corner, borderpad=0, borderaxespad=0, columnspacing=1.4, **options
    )
    for text in drawn.get_texts():
        text.set_text(written(text.get_text()))


def curve(axes: Axes, x: Any, values: np.ndarray, band: bool = True, **look: Any) -> None:
    """Draw the mean of runs [runs, len(x)], and a band over their range."""
    axes.plot(x, values.mean(0), **look)
    if band:
        axes.fill_between(x, values.min(0), values.max(0), color=look["color"], alpha=0.15, lw=0)


def level(axes: Iterable[Axes], height: float, word: str = "") -> None:
    """Draw a dashed line across a row of panels, its name at the end of the last."""
    for panel in axes:
        panel.axhline(height, color=COLORS["ink"], lw=1, ls="--", zorder=1)
    if word:
        panel.text(1, height, f"\n{word}", transform=panel.get_yaxis_transform(), ha="right", va="center", fontsize=11)
