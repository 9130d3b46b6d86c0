"""The page's drawings as Bokeh knows them, empty: its script fills in nodes and the colours of its theme."""

import json
import re
from collections.abc import Sequence
from typing import Any

__all__ = ["curve_looks", "drawings"]

# One of each for a network: told apart by dash and marker where colours are not.
DASHES: tuple[list[int], ...] = ([], [8, 3], [2, 2], [8, 3, 2, 3])
MARKERS = ("circle", "square", "triangle", "diamond", "inverted_triangle", "hex", "plus")

REMEDY = "a page needs Bokeh, which does not import: pip install 'gnnseq[pages]', or pip install 'bokeh>=3.4'"


def curve_looks(count: int) -> list[dict[str, Any]]:
    """Colour, dash and marker of so many networks' curves."""
    from gnnseq.plots import COLORS  # with matplotlib, which importing gnnseq should not load

    colors = list(COLORS.values())
    return [
        {
            "color": colors[i % len(colors)],
            "dash": DASHES[(i + i // len(colors)) % len(DASHES)],
            "marker": MARKERS[i % len(MARKERS)],
        }
        for i in range(count)
    ]


def drawings(looks: Sequence[dict[str, Any]]) -> tuple[Any, Any, str]:
    """The graph, the chart of influence against hops, and Bokeh's own script.

    Returns:
        What BokehJS embeds: the graph once, as the page draws a copy for each network, and the chart; and the script.

    Raises:
        ImportError: If Bokeh is not there.
    """
    try:
        from bokeh.embed import json_item
        from bokeh.resources import Resources
    except ImportError as error:
        raise ImportError(REMEDY) from error
    script = Resources(mode="inline", components=["bokeh"], log_level="warn").render_js()
    return _renumbered(json_item(_graph())), _renumbered(json_item(_chart(looks))), script


def _renumbered(item: Any) -> Any:
    """With models' numbers from 1 on, whatever Bokeh has drawn before: a page written again is the same."""
    ids: dict[str, str] = {}
    text = re.sub(r'"p\d+"', lambda found: ids.setdefault(found[0], f'"p{len(ids) + 1}"'), json.dumps(item))
    return json.loads(text)


def _graph() -> Any:
    """Without axes and borders: its frame is all of the box that the page gives it."""
    from bokeh.models import ColumnDataSource, CustomJS, LinearColorMapper, Range1d
    from bokeh.plotting import figure

    graph = figure(
        x_range=Range1d(start=0, end=1), y_range=Range1d(start=0, end=1),
        tools="pan", toolbar_location=None, min_border=0,
        outline_line_color=None, background_fill_color=None, border_fill_color=None, sizing_mode="stretch_both",
    )  # fmt: skip
    graph.axis.visible = False
    graph.grid.visible = False

    def source(*columns: str) -> ColumnDataSource:
        return ColumnDataSource({column: [] for column in columns})

    ends = ("x0", "y0", "x1", "y1")
    graph.segment(*ends, source=source(*ends), line_width=1, name="edges")
    graph.segment(*ends, source=source(*ends), line_width=2, name="edgesWithin")
    graph.scatter("x", "y", source=source("x", "y", "angle"), marker="triangle", angle="angle", size=7, line_color=None,
                  name="arrows")  # fmt: skip
    graph.scatter("x", "y", source=source("x", "y"), marker="circle", name="outside")
    palette = LinearColorMapper(palette=["#000000", "#ffffff"], low=0, high=255, name="palette")
    graph.scatter("x", "y", source=source("x", "y", "level"), marker="circle", name="inside", line_width=1,
                  fill_color={"field": "level", "transform": palette})  # fmt: skip
    graph.scatter("x", "y", source=source("x", "y"), marker="diamond_cross", fill_color=None, name="doubt")
    graph.scatter("x", "y", source=source("x", "y"), marker="circle", fill_color=None, line_width=1, name="measured")
    graph.scatter("x", "y", source=source("x", "y"), marker="star", line_width=2, name="chosen")
    graph.text("x", "y", text="text", source=source("x", "y", "text"), text_font_size="11px", text_align="center",
               text_baseline="bottom", name="labels", y_offset=-7)  # fmt: skip
    for event in ("tap", "mousemove", "mouseleave", "rangesupdate"):
        graph.js_on_event(event, CustomJS(code=f"window.gnnseqPage.on('{event}', cb_obj)"))
    return graph


def _chart(looks: Sequence[dict[str, Any]]) -> Any:
    from bokeh.models import BasicTicker, ColumnDataSource, Range1d
    from bokeh.plotting import figure

    chart = figure(
        x_range=Range1d(start=0, end=1), y_range=Range1d(start=0.1, end=1),
        y_axis_type="log", tools="", toolbar_location=None,
        background_fill_color=None, border_fill_color=None, outline_line_color=None, sizing_mode="stretch_both",
        x_axis_label="hops from input to output", y_axis_label="mean influence",
    )  # fmt: skip
    chart.axis.axis_label_text_font_style = "normal"
    chart.xaxis.ticker = BasicTicker(min_interval=1)  # there is no half a hop
    for i, look in enumerate(looks):
        data = ColumnDataSource({"x": [], "y": []})
        chart.line("x", "y", source=data, line_width=2, line_dash=look["dash"], name=f"line{i}")
        chart.scatter("x", "y", source=data, size=6, marker=look["marker"], name=f"marks{i}")
    return chart
