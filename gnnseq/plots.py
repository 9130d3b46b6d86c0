"""The look of every figure, and how figures reach the disk.

Figures are `matplotlib.figure.Figure` objects, never pyplot's: nothing is registered globally, no window opens, and
a script that draws a thousand figures keeps none of them alive.
"""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray
from PIL import Image

from gnnseq.files import whole_file

__all__ = ["COLORS", "plot_influence", "save_figure", "style"]

INK = "#2b2b2b"

# Okabe & Ito, "Color universal design" (2008): eight colours told apart with every common colour blindness. Their
# yellow is left out (too pale for a thin line on white) and their black is the ink of the text.
COLORS: dict[str, str] = {
    "blue": "#0072b2",
    "orange": "#e69f00",
    "green": "#009e73",
    "vermillion": "#d55e00",
    "purple": "#cc79a7",
    "sky": "#56b4e9",
    "ink": INK,
}

_RC: dict[Any, Any] = {  # Any: matplotlib lists its keys as literals only from 3.11 on
    "figure.figsize": (8.0, 4.5),  # inches, the 16:9 of a slide
    "figure.constrained_layout.use": True,
    "figure.facecolor": "white",
    "figure.titlesize": 17,
    "font.family": "DejaVu Sans",  # comes with matplotlib, so a figure looks the same on every machine
    "font.size": 13,
    "text.color": INK,
    "axes.titlesize": 15,
    "axes.titlelocation": "left",
    "axes.titlepad": 10,
    "axes.labelsize": 14,
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 1.0,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "axes.grid": True,
    "axes.prop_cycle": cycler(color=COLORS.values()),
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.8,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 12,
    "ytick.labelsize": 12,
    "lines.linewidth": 2.2,
    "lines.markersize": 6,
    "lines.solid_capstyle": "round",
    "legend.fontsize": 12,
    "legend.frameon": False,
    "image.cmap": "viridis",
    "savefig.dpi": 160,
    "svg.fonttype": "path",  # letters as outlines: the reader needs no font
    "svg.hashsalt": "gnnseq",  # matplotlib's random element ids, made the same on every run
}

_METADATA: dict[str, dict[str, None]] = {"png": {"Software": None}, "svg": {"Date": None}}

# Mean change of a colour, of 255, below which a palette does not show: curves and bands change by a tenth at most, a
# continuous colour map by more.
PALETTE_TOLERANCE = 0.2


@contextmanager
def style() -> Iterator[None]:
    """The house look for every figure made inside the `with` block.

    Legible from the back row, safe for colour-blind readers, no ornament. Settings outside stay as they were.

    Example:
        >>> from matplotlib.figure import Figure
        >>> with style():
        ...     figure = Figure()
        ...     axes = figure.add_subplot(xlabel="hops", ylabel="influence")
        >>> axes.spines["top"].get_visible()
        False
    """
    with matplotlib.rc_context(_RC):
        yield


def save_figure(
    figure: Figure, stem: str | os.PathLike[str], formats: Sequence[str] = ("png", "svg")
) -> tuple[Path, ...]:
    """Writes `stem`.png (160 dots an inch) and `stem`.svg, each whole or not at all, and makes the folder if needed.

    No date and no random ids are written, so a figure drawn anew from the same numbers shows no difference under
    version control. Where constrained layout places the panels, a figure that is saved twice may differ in last digits:
    every drawing moves them once more.

    A PNG has a palette of 256 colours, which takes a third of the bytes, unless that would show.

    Args:
        figure: what to draw.
        stem: path without the ending; a dot inside the name is kept.
        formats: which files, ``"png"``, ``"svg"`` or both.

    Returns:
        The paths, in the order of the formats.

    Raises:
        ValueError: A format is neither.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     [path.name for path in save_figure(Figure(), Path(folder) / "influence")]
        ['influence.png', 'influence.svg']
    """
    if not set(formats) <= set(_METADATA):
        raise ValueError(f"formats={tuple(formats)}; expected some of {', '.join(_METADATA)}")
    stem = Path(stem)
    paths = tuple(stem.with_name(f"{stem.name}.{kind}") for kind in formats)
    for kind, path in zip(formats, paths, strict=True):
        with whole_file(path, "figure") as unfinished:
            # Saving switches layout off and on again, and a figure that has none would be given the style's.
            with style(), matplotlib.rc_context({"figure.constrained_layout.use": False}):
                figure.savefig(unfinished, format=kind, metadata=_METADATA[kind])
            if kind == "png":
                _shrink(unfinished)
    return paths


def _shrink(path: Path) -> None:
    """Writes an opaque PNG anew in fewer bytes, with a palette where that does not show."""
    with Image.open(path) as drawn:
        opaque = drawn.getextrema()[-1] == (255, 255)
        picture = drawn.convert("RGB")
    if not opaque:
        return
    palette = picture.quantize(256, Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE)
    change = np.abs(np.asarray(palette.convert("RGB"), np.int16) - np.asarray(picture, np.int16)).mean()
    chosen = palette if change < PALETTE_TOLERANCE else picture
    chosen.save(path, format="PNG", optimize=True, dpi=picture.info["dpi"])


def plot_influence(influence: NDArray[np.float64], ax: Axes | None = None, **line: Any) -> Axes:
    """Influence against hops on a logarithmic axis.

    Args:
        influence: Mean Jacobian norm at distance 0, 1, ...; what is zero or NaN leaves a gap.
        ax: Where to draw; a new figure's axes if None.
        line: Passed on to :meth:`matplotlib.axes.Axes.plot`.

    Returns:
        The axes.

    Example:
        >>> axes = plot_influence(np.array([1.0, 0.5, 0.1]), label="RNN")
        >>> axes.get_xlabel(), axes.get_yscale()
        ('hops', 'log')
    """
    with style():
        if ax is None:
            ax = Figure().add_subplot()
        ax.plot(np.where(influence > 0, influence, np.nan), **{"marker": "o" if len(influence) < 20 else "", **line})
        ax.set(xlabel="hops", ylabel=r"influence  $\|\partial h_v / \partial x_u\|$", yscale="log")
        ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    return ax
