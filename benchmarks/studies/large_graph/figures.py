"""The picture of the study of large graphs: accuracy against time and memory."""

from pathlib import Path
from statistics import fmean, median
from typing import Any

from gnnseq.plots import COLORS, save_figure, style
from harness.figure_layout import panels
from studies.large_graph.results import of_method, present
from studies.large_graph.runs import METHODS

__all__ = ["figures"]

HUES = ("ink", "blue", "sky", "green", "vermillion", "orange", "purple")
LOOKS: dict[str, tuple[str, str]] = dict(zip(METHODS, zip(HUES, "DoosP^v", strict=True), strict=True))


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    """One picture, two panels."""
    with style():
        graph, best = result["graph"], result["best"] or {}
        note = (
            f"{graph['nodes']:,} nodes, {graph['edges']:,} edges, {graph['name']}. Means over seeds, bars from least "
            "to most; time is that of training on one thread."
        )
        if best:
            note += "\nDashed: the best possible from features alone, and from features and all neighbours' labels."
        figure, [[left, right]] = panels(
            1, 2, "Accuracy of what is trained on a whole graph, and on parts of it", note, sharex=False
        )
        for method in present(result):
            hue, marker = LOOKS[method]
            score = [100 * value for value in of_method(result, method, "test")]
            mean = fmean(score)
            bars = [[mean - min(score)], [max(score) - mean]]
            for panel, name in ((left, "training_seconds"), (right, "training_peak_gb")):
                cost = of_method(result, method, name)
                if cost:
                    panel.errorbar([median(cost)], [mean], bars, fmt=marker, color=COLORS[hue], ms=9, label=method)
        for panel, words in ((left, "seconds of training"), (right, "peak memory of training, GB")):
            for score in best.values():
                panel.axhline(100 * score, color=COLORS["ink"], lw=1, ls="--", zorder=1)
            panel.set(xlabel=words, xscale="log")
        left.set_ylabel("test accuracy, %")
        width, height = figure.get_size_inches()
        handles, labels = left.get_legend_handles_labels()
        figure.legend(
            handles, labels, loc="upper left", bbox_to_anchor=(0.2 / width, 1 - 0.62 / height), ncols=4, fontsize=11,
            borderpad=0, borderaxespad=0, columnspacing=1.4,
        )  # fmt: skip
        return list(save_figure(figure, stem))
