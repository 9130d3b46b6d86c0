"""Figures: the look stays inside its block, files are whole and reproducible."""

from io import BytesIO
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import pytest
from matplotlib.figure import Figure
from numpy.typing import NDArray
from PIL import Image

from gnnseq.plots import COLORS, save_figure, style


def draw() -> Figure:
    with style():
        figure = Figure(figsize=(4, 2.5))
        axes = figure.add_subplot(xlabel="hops", ylabel="influence", yscale="log")
        axes.plot([1, 2, 3], [1.0, 0.1, 0.01], label="RNN")
        axes.legend()
    return figure


def test_style_ends_with_its_block() -> None:
    before = dict(matplotlib.rcParams)
    with style():
        assert matplotlib.rcParams["axes.prop_cycle"].by_key()["color"] == list(COLORS.values())
    assert dict(matplotlib.rcParams) == before


def test_both_files_are_written_and_nothing_else(tmp_path: Path) -> None:
    png, svg = save_figure(draw(), tmp_path / "new" / "chrono_T1.5")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert svg.read_text().startswith("<?xml")
    assert sorted(path.name for path in png.parent.iterdir()) == ["chrono_T1.5.png", "chrono_T1.5.svg"]


def test_the_same_figure_gives_the_same_bytes(tmp_path: Path) -> None:
    first = [path.read_bytes() for path in save_figure(draw(), tmp_path / "a")]
    second = [path.read_bytes() for path in save_figure(draw(), tmp_path / "b")]
    assert first == second


def test_a_recorded_result_may_have_one_format(tmp_path: Path) -> None:
    assert save_figure(draw(), tmp_path / "figure", formats=("png",)) == (tmp_path / "figure.png",)
    assert [path.name for path in tmp_path.iterdir()] == ["figure.png"]
    assert [path.suffix for path in save_figure(draw(), tmp_path / "other", formats=("svg", "png"))] == [".svg", ".png"]
    with pytest.raises(ValueError, match=r"formats=\('pdf',\); expected some of png, svg"):
        save_figure(draw(), tmp_path / "figure", formats=("pdf",))


def pixels(figure: Figure, **options: Any) -> NDArray[np.int16]:
    """What matplotlib draws, in the style's resolution."""
    file = BytesIO()
    with style():
        figure.savefig(file, format="png", **options)
    return np.asarray(Image.open(file).convert("RGB"), np.int16)


def test_a_palette_does_not_show(tmp_path: Path) -> None:
    (path,) = save_figure(draw(), tmp_path / "lines", formats=("png",))
    with Image.open(path) as picture:
        assert (picture.mode, picture.info["dpi"]) == ("P", pytest.approx((160, 160), abs=0.1))
        changed = np.abs(np.asarray(picture.convert("RGB"), np.int16) - pixels(draw()))
    assert changed.mean() < 0.1
    assert (changed.max(axis=2) > 32).mean() < 1e-4


@pytest.mark.parametrize("transparent", [False, True])
def test_colours_that_a_palette_would_change_are_kept(tmp_path: Path, transparent: bool) -> None:
    def draw_map() -> Figure:
        figure = Figure(figsize=(3, 2), facecolor="none" if transparent else "white")
        figure.add_subplot().imshow(np.random.default_rng(0).random((40, 40, 3)))
        return figure

    (path,) = save_figure(draw_map(), tmp_path / "map", formats=("png",))
    with Image.open(path) as picture:
        assert picture.mode == ("RGBA" if transparent else "RGB")
        assert (np.asarray(picture.convert("RGB"), np.int16) == pixels(draw_map())).all()


def test_a_failed_drawing_leaves_the_old_file(tmp_path: Path) -> None:
    stem = tmp_path / "figure"
    png, _ = save_figure(draw(), stem)
    before = png.read_bytes()
    broken = draw()
    broken.savefig = lambda path, **_: Path(path).write_text("half a picture") and 1 / 0  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        save_figure(broken, stem)
    assert png.read_bytes() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figure.png", "figure.svg"]


def test_saving_moves_no_panel_of_a_figure_without_layout(tmp_path: Path) -> None:
    with style():
        figure = Figure(layout="none")
        panel = figure.add_axes((0.2, 0.3, 0.5, 0.4))
    save_figure(figure, tmp_path / "figure")
    assert figure.get_layout_engine() is None
    assert panel.get_position().bounds == pytest.approx((0.2, 0.3, 0.5, 0.4), abs=1e-15)
