"""Tables and figure of the study of trees, from its JSON alone."""

import statistics
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from rich.console import Console

from gnnseq.plots import COLORS, save_figure, style
from harness.figure_layout import legend, panels
from harness.report import PLAIN, markdown_table, mean_std, table

PUBLISHED = {  # test accuracy; https://nlp.stanford.edu/sentiment/ and https://arxiv.org/abs/1503.00075
    "SST-5": {"RNTN, no vectors from outside": 0.457, "constituency Tree-LSTM, GloVe": 0.510},
    "SST-2": {"RNTN, no vectors from outside": 0.854, "constituency Tree-LSTM, GloVe": 0.880},
}
HUES = {"tree LSTM": "blue", "path LSTM": "green", "no edges": "vermillion", "bag of words": "ink"}


def groups(result: dict[str, Any]) -> dict[str, dict[str, list[dict[str, Any]]]]:
    """What was measured of each seed, by task and by network."""
    found: dict[str, Any] = {}
    for run in result["runs"]:
        of_task = found.setdefault(run["settings"]["task"], {})
        of_task.setdefault(run["settings"]["model"], []).append(run["result"])
    return found


def speed(runs: list[dict[str, Any]]) -> float:
    """Trees of training a second of one core's time: the median epoch over all seeds."""
    return float(statistics.median(run["trees"] / max(s, 1e-3) for run in runs for s in run["cpu_seconds"]))


def published(result: dict[str, Any], task: str) -> dict[str, float]:
    """What others have, on the published split alone."""
    split = {"SST-5": [8544, 1101, 2210], "SST-2": [6920, 872, 1821]}.get(task)
    return PUBLISHED[task] if result["baselines"][task]["trees"] == split else {}


def rows(result: dict[str, Any], task: str) -> list[list[str]]:
    """Name, test and validation accuracy in per cent, best epoch, trees a second."""
    made = []
    for model, runs in groups(result)[task].items():
        scores = [mean_std([max(run["validation"]) if part else run["test"] for run in runs], factor=100)
                  for part in (False, True)]  # fmt: skip
        made.append([model, *scores, "-".join(map(str, _range([run["epoch"] for run in runs]))), f"{speed(runs):,.0f}"])
    made += [[name, f"{100 * score:.1f}", "", "", ""] for name, score in result["baselines"][task]["test"].items()]
    return made + [
        [f"{name} (published)", f"{100 * score:.1f}", "", "", ""] for name, score in published(result, task).items()
    ]


def _range(numbers: list[int]) -> list[int]:
    return sorted({min(numbers), max(numbers)})


def peer(result: dict[str, Any]) -> str:
    """One sentence on DGL's cell."""
    found = result["peer"]
    if found is None:
        return "DGL is not installed; its cell was not measured."
    ours, theirs = (found["trees"] / seconds for seconds in found["cpu_seconds"].values())
    return (
        f"Training steps without the optimizer, one core: {ours:,.0f} trees a second, {theirs:,.0f} with DGL's cell, "
        f"whose losses are the same to {found['largest_difference']:.0e}."
    )


def print_report(result: dict[str, Any], console: Console) -> None:
    """A table a task."""
    for task in groups(result):
        about, seeds = result["baselines"][task], 1 + max(run["settings"]["seed"] for run in result["runs"])
        sizes = " / ".join(f"{size:,}" for size in about["trees"])
        caption = (
            f"Accuracy in %, seeds 0 to {seeds - 1}, on {sizes} trees and {len(about['classes'])} classes;\n"
            "epochs chosen on validation, the test scored once.\n"
            "Trees a second: training, optimizer included, of one core's time."
        )
        made = table(f"Trees: {task}", caption, [""], ["test", "validation", "epoch", "trees/s"])
        for row in rows(result, task):
            made.add_row(*row, style="" if row[2] else "dim")
        console.print("", made, sep="\n")
    if "tags" not in groups(result):
        console.print(peer(result), **PLAIN)


TABLES = {
    "accuracies": lambda result: "\n".join(
        markdown_table([f"{task}, accuracy in %", "test", "validation", "epoch", "trees a second"], rows(result, task))
        for task in groups(result)
    ),
    "peer": lambda result: peer(result) + "\n",
}


def figures(result: dict[str, Any], stem: Path) -> tuple[Path, ...]:
    """A column a task: accuracy on validation by epoch, a line a seed."""
    with style():
        return save_figure(_draw(result), stem)


def _draw(result: dict[str, Any]) -> Figure:
    found = groups(result)
    figure, axes = panels(
        1, len(found), "Does structure help to read a sentence?", "A line is a seed.", sharey=False, gap=(0.7, 0)
    )
    for panel, (task, models) in zip(axes.flat, found.items(), strict=True):
        panel.set(title=task, xlabel="epoch")
        panel.xaxis.set_major_locator(MaxNLocator(integer=True))
        for model, runs in models.items():
            for number, run in enumerate(runs):
                score = [100 * share for share in run["validation"]]
                label = None if number else model
                panel.plot(range(1, len(score) + 1), score, color=COLORS[HUES[model]], lw=1.2, marker=".", label=label)
    axes.flat[0].set(ylabel="accuracy on validation, %")
    legend(figure, handles=axes.flat[0].get_legend_handles_labels()[0])
    return figure
