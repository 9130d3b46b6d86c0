"""Figures of the study: every model's score with its interval, and one scene as a graph."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Rectangle

from gnnseq.plots import COLORS, save_figure, style
from harness.figure_layout import legend, panels, written
from studies.social_relations.results import BEST, ORDER, title_of
from studies.social_relations.runs import BLENDS, MODE, NETWORKS, PRIOR, TREES

HUES = {
    **dict.fromkeys((PRIOR, MODE), "ink"), **dict.fromkeys(TREES, "orange"), BEST: "purple",
    **{name: "blue" if edges else "green" for name, (_, edges) in NETWORKS.items()},
    **{name: "blue" if "graph" in name else "green" for name in BLENDS},
}  # fmt: skip
SAID = {"ink": "no box is read", "orange": "boosted trees", "green": "no messages", "blue": "messages",
        "purple": "best possible"}  # fmt: skip


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    """Scores, and a scene where the result has one."""
    with style():
        made = {"scores": _scores(result)}
        if result.get("example"):
            made["graph"] = _graph(result)
        return [
            path for key, drawn in made.items() for path in save_figure(drawn, stem.with_name(f"{stem.name}_{key}"))
        ]


def _scores(result: dict[str, Any]) -> Figure:
    """A panel a task, a line a model: mAP with the bootstrap's interval."""
    parts = [part for part in result["parts"] if part["split"] == "grouped"]
    names = [name for name in ORDER if any(name in part["scores"] for part in parts)]
    title = f"Do messages help to tell relations? {result['data']}"
    note = "Average precision, mean over relations, all test pairs of all folds. Bars: 95 % of a bootstrap over groups."
    figure, axes = panels(1, len(parts), title, note, tall=0.36 * len(names), sharex=False)
    width, height = figure.get_size_inches()
    figure.set_size_inches(width + 2.9, height)  # for names on the left
    for panel in axes[0]:
        place = panel.get_position()
        left, wide = (place.x0 * width + 2.9) / (width + 2.9), place.width * width / (width + 2.9)
        panel.set_position((left, place.y0, wide, place.height))
    for panel, part in zip(axes[0], parts, strict=True):
        for row, name in enumerate(names):
            if name in part["scores"]:
                color = COLORS[HUES[name]]
                panel.plot(part["intervals"][name]["mAP"], [row, row], color=color, lw=2)
                panel.plot(part["scores"][name]["mAP"], row, "o", color=color, ms=6)
        panel.set(title=title_of(part), xlabel="mAP", ylim=(len(names) - 0.5, -0.5))
        panel.set_yticks(range(len(names)), names)
    present = [hue for hue in SAID if hue in {HUES[name] for name in names}]
    legend(figure, handles=[Line2D([], [], color=COLORS[hue], marker="o", label=SAID[hue]) for hue in present])
    return figure


def _graph(result: dict[str, Any]) -> Figure:
    """Boxes of one image, and the edges between what they hold."""
    scene = result["example"]
    note = ("Every object is joined to every person, the darker the nearer, and persons to one another.\n"
            "The image itself and the pairs are nodes too, not drawn. No pixel is read.")  # fmt: skip
    width, height = scene["size"]
    tall = min(max(11 * height / width, 3.0), 7.0)
    title = f"A scene as a graph: {result['data']}, {scene['image']}"
    figure, [[panel]] = panels(1, 1, title, note, tall=tall, sharey=False)
    persons, objects = np.array(scene["persons"]), np.array(scene["objects"]).reshape(-1, 4)
    _boxes(panel, persons, COLORS["blue"], 2)
    _boxes(panel, objects, COLORS["orange"], 1.2)
    middle, other = ((boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (persons, objects))
    scale = np.sqrt((persons[:, 2:] - persons[:, :2]).prod(1))
    for i, (at, name) in enumerate(zip(other, scene["names"], strict=True)):
        for j, place in enumerate(middle):
            gap = np.maximum(objects[i, :2] - persons[j, 2:], persons[j, :2] - objects[i, 2:]).clip(0)
            near = float(np.exp(-np.hypot(*gap) / scale[j]))
            panel.plot(*np.stack([at, place]).T, color=COLORS["orange"], alpha=0.08 + 0.6 * near**2, lw=1)
        panel.plot(*at, "s", color=COLORS["orange"], ms=6)
        panel.annotate(written(name), at, xytext=(5, 4), textcoords="offset points", color=COLORS["ink"], fontsize=10)
    for number, ((i, j), relation) in enumerate(zip(scene["pairs"], scene["relations"], strict=True)):
        ends, along = middle[[i, j]], (0.5, 0.3, 0.7)[number % 3]  # so that fewer names meet
        over = (ends[:, 0].mean(), persons[[i, j], 1].min())
        if len(scene["pairs"]) > len(persons) / 2:
            over = tuple(along * ends[0] + (1 - along) * ends[1])
        panel.plot(*ends.T, color=COLORS["blue"], lw=2)
        panel.annotate(written(relation), over, ha="center", va="center", fontsize=11, color=COLORS["ink"],
                       bbox={"boxstyle": "round", "fc": "white", "ec": COLORS["blue"], "alpha": 0.9})  # fmt: skip
    panel.plot(*middle.T, "o", color=COLORS["blue"], ms=9)
    panel.set(xlim=(0, width), ylim=(height, 0), aspect="equal", xlabel="pixels", ylabel="pixels")
    panel.grid(visible=False)
    names = {"blue": "person, and asked pairs", "orange": "object, and its edges to persons"}
    legend(figure, handles=[Line2D([], [], color=COLORS[hue], marker="o", label=name) for hue, name in names.items()])
    return figure


def _boxes(panel: Axes, boxes: np.ndarray, color: str, width: float) -> None:
    for x1, y1, x2, y2 in boxes:
        panel.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, fill=False, ec=color, lw=width, alpha=0.7))
