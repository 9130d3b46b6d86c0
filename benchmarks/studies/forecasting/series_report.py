"""Tables and a figure of a series' forecasts, from the JSON alone."""

from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from rich.console import Console

from gnnseq.plots import save_figure, style
from harness.report import PLAIN, markdown_table, mean_std, table

__all__ = ["print_series", "series_figures", "series_table"]

LABELS = {"no edges": "GRU, no edges", "time_then_space": "GRU → GCN", "space_then_time": "GCN → GRU",
          "space_time": "GRU on both"}  # fmt: skip


def print_series(result: dict[str, Any], console: Console) -> None:
    """A table of every error by horizon, and whether edges help."""
    horizons = result["horizons"]
    validation, start, stop = result["starts"]
    caption = (
        f"{result['nodes']} nodes, {result['edges']} edges; trained on steps 0 to {validation - 1}, epochs chosen on "
        f"those to {start - 1}, then anew on both; errors of {result['windows']} windows of steps {start} to "
        f"{stop - 1}, missing values left out, and zeros of MAPE. Networks are added to the AR on the deviation."
    )
    for score in ("rmse", "mae", "mape", "mse"):
        made = table(score.upper(), caption if score == "mse" else "", ["forecast"], [f"{h} ahead" for h in horizons])
        for each in result["forecasts"]:
            made.add_row(LABELS.get(each["name"], each["name"]), *_cells(each, score))
        console.print("", made, sep="\n")
    console.print(*verdict(result), sep="\n", **PLAIN)


def verdict(result: dict[str, Any]) -> list[str]:
    """For each order of the graph, the change of RMSE against no edges, over all horizons."""
    found = {each["name"]: np.mean(each["scores"]["rmse"]) for each in result["forecasts"] if "runs" in each}
    alone = found.pop("no edges")
    return [f"{LABELS[name]} against no edges: RMSE {100 * (rmse / alone - 1):+.1f} %." for name, rmse in found.items()]


def series_table(result: dict[str, Any]) -> str:
    """RMSE by horizon, as a page has it."""
    rows = [[LABELS.get(each["name"], each["name"]), *_cells(each, "rmse")] for each in result["forecasts"]]
    return markdown_table(["RMSE", *(f"{horizon} steps ahead" for horizon in result["horizons"])], rows)


def series_figures(result: dict[str, Any], stem: Path) -> list[Path]:
    """Draw RMSE by horizon."""
    with style():
        figure = Figure(figsize=(9.5, 4.4), layout="constrained")
        axes = figure.subplots()
        for each in result["forecasts"]:
            network = "runs" in each
            axes.plot(result["horizons"], np.mean(each["scores"]["rmse"], 0), "o-" if network else "--",
                      label=LABELS.get(each["name"], each["name"]))  # fmt: skip
        axes.set(xlabel="steps ahead", ylabel="root mean squared error", xticks=result["horizons"])
        figure.legend(loc="outside right center", fontsize="small")
    return list(save_figure(figure, stem.with_name(f"{stem.name}_horizons")))


def _cells(each: dict[str, Any], score: str) -> list[str]:
    columns = zip(*each["scores"][score], strict=True)
    return [mean_std(list(column), 2) if len(column) > 1 else f"{column[0]:.2f}" for column in columns]
