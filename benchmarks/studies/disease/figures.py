"""Figures of the study of diagnoses: scores, and what filters do to frequencies and how far they reach."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gnnseq.plots import COLORS, save_figure, style
from harness.figure_layout import panels
from studies.disease import runs as of
from studies.disease.results import PROTOCOLS, means, models, scores

__all__ = ["figures"]

LOOKS = {
    "A: mean of the site": ("sky", "o"), "1 - A: site mean removed": ("orange", "s"), "no edges": ("ink", "D"),
    "GCN, 2 layers": ("blue", "o"), "Chebyshev K = 3, 2 layers": ("vermillion", "s"),
}  # fmt: skip


def figures(result: dict[str, Any], stem: Path) -> list[Path]:
    """Two pictures: filters, and scores."""
    with style():
        drawn = {"filters": _filters(result), "scores": _scores(result)}
        return [
            path for key, figure in drawn.items() for path in save_figure(figure, stem.with_name(f"{stem.name}_{key}"))
        ]


def _filters(result: dict[str, Any]) -> Figure:
    """Left, gains by frequency, learnt and exact; right, influence by hops."""
    data = result["data"]
    note = (
        "Left: gain of a filter at each eigenvalue of the Laplacian, over its largest; learnt: first layers, "
        "mean and range over folds of the first repeat.\nPurple: quantiles of the full graph's eigenvalues. Right: "
        "mean influence on a made-up population's scores, networks as they begin; no marker: not reached."
    )
    figure, [[left, right]] = panels(
        1, 2, f"What graphs of people let through, and how far: {data['name']}", note, sharex=False, sharey=False,
        gap=(0.95, 0.55),
    )  # fmt: skip
    frequencies = np.array(data["frequencies"])
    for gain, name, dashes in (
        (frequencies, "1 - A: removes site means", "-"),
        (1 - frequencies, "A: graph convolution", "--"),
    ):
        inside = frequencies <= 1
        left.plot(frequencies[inside], gain[inside], color=COLORS["ink"], ls=dashes, lw=1.6, label=name)
    for model, hue in ((of.CHEBYSHEV, "vermillion"), (of.NEAREST, "green")):
        gains = np.array([run["response"][model] for run in result["runs"] if "response" in run])
        if len(gains):
            left.plot(frequencies, gains.mean(0), color=COLORS[hue], lw=2.2, label=f"{model}, learnt")
            left.fill_between(frequencies, gains.min(0), gains.max(0), color=COLORS[hue], alpha=0.15, lw=0)
    terms = np.polynomial.chebyshev.chebvander(frequencies - 1, result["settings"]["terms"] - 1)
    begins = np.sqrt((terms**2).sum(1))
    left.plot(
        frequencies, begins / begins.max(), color=COLORS["ink"], ls=":", lw=1.6, label="Chebyshev before training"
    )
    left.plot(data["spectrum"], np.full(len(data["spectrum"]), -0.04), "|", color=COLORS["purple"], ms=8)
    left.set(xlabel="eigenvalue of the Laplacian", ylabel="gain", ylim=(-0.08, 1.08))
    for name, influence in result["influence"].items():
        hue, marker = LOOKS[name]
        hops = np.arange(len(influence))
        right.plot(hops, influence, color=COLORS[hue], marker=marker, lw=1.4, label=name)
    right.set(yscale="log", xlabel="hops between people", ylabel="influence", xticks=range(5))
    for panel in (left, right):
        panel.legend(loc="lower left", bbox_to_anchor=(0, 1.01), ncols=2, fontsize=10, borderpad=0, columnspacing=1.2)
    return figure


def _scores(result: dict[str, Any]) -> Figure:
    """AUC of every model, a panel a protocol; a dot a repeat, or a site."""
    protocols = [protocol for protocol in PROTOCOLS if models(result, protocol)]
    note = "Dashed: the ridge. A dot: a repeat's mean, or a site; the bar is the mean. Green: transductive; red: leaks."
    names = [name for name in of.MODELS if any(name in models(result, protocol) for protocol in protocols)]
    figure, [axes] = panels(
        1, len(protocols), f"AUC: {result['data']['name']}", note, tall=0.27 * len(names), sharex=False
    )
    width = figure.get_size_inches()[0]
    left, gap = 3.7 / width, 0.35 / width  # names are long
    span = (1 - 0.25 / width - left + gap) / len(protocols)
    for number, (panel, protocol) in enumerate(zip(axes, protocols, strict=True)):
        box = panel.get_position()
        panel.set_position((left + number * span, box.y0, span - gap, box.height))
        _dots(panel, result, protocol, names)
    axes[0].set_yticks(range(len(names)), names, fontsize=11)
    axes[0].set_ylim(len(names) - 0.5, -0.5)
    return figure


def _dots(panel: Axes, result: dict[str, Any], protocol: str, names: list[str]) -> None:
    panel.axvline(means(result, protocol, of.RIDGE)[0], color=COLORS["ink"], lw=1, ls="--")
    for place, name in enumerate(names):
        if name not in models(result, protocol):
            continue
        values = scores(result, protocol, name)[:, 0]
        if protocol == "folds":
            values = values.reshape(-1, result["data"]["folds"]).mean(1)
        hue = COLORS["vermillion" if name in of.LEAKS else "green" if name in of.TRANSDUCTIVE else "blue"]
        panel.plot(values, np.full(len(values), place), ".", color=hue, alpha=0.5, ms=6)
        panel.plot(means(result, protocol, name)[0], place, "|", color=hue, ms=16, mew=2.5)
    panel.set_title(PROTOCOLS[protocol], loc="right", pad=4)
    panel.set_xlabel("AUC")
