"""Figures: the look stays inside its block, files are whole and reproducible."""

from pathlib import Path

import matplotlib
import pytest
from matplotlib.figure import Figure

from gnnseq.plots import COLORS, save_figure, style


def draw() -> Figure:
    with style():
        figure = Figure()
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
