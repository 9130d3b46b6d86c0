"""Tables and checked statements of the study of large graphs, from its JSON alone."""

from statistics import fmean, median
from typing import Any

from rich.console import Console

from harness.report import PLAIN, markdown_table, mean_std, table
from studies.large_graph.figures import figures
from studies.large_graph.results import of_method, present

__all__ = ["TABLES", "checks", "figures", "print_report"]

HEADINGS = ["test accuracy, %", "epochs a minute", "training, s", "peak of training, GB", "of all, GB"]
CLOSE = 0.005  # half a point


def rows(result: dict[str, Any]) -> list[list[str]]:
    """A row a method, then what was left out, and the best scores where they are known."""
    made = []
    for method in present(result):
        minute = of_method(result, method, "epochs_a_minute")
        peaks = [of_method(result, method, name) for name in ("training_peak_gb", "peak_gb")]
        notes = {run["note"] for run in result["runs"] if run["method"] == method} - {""}
        made.append([
            f"{method} ({', '.join(sorted(notes))})" if notes else method,
            mean_std(of_method(result, method, "test"), 2, 100),
            f"{median(minute):.2f}" if minute else "",
            f"{median(of_method(result, method, 'training_seconds')):.0f}",
            *(f"{max(peak):.2f}" if peak else "" for peak in peaks),
        ])  # fmt: skip
    made += [[f"{method}: {why}", *[""] * 5] for method, why in result["left_out"].items()]
    if result["best"]:
        made += [[f"best possible from {name}", f"{100 * score:.2f}", *[""] * 4] for name, score in
                 result["best"].items()]  # fmt: skip
    return made


def sampling_rows(result: dict[str, Any]) -> list[list[str]]:
    """A row a way to draw neighbours."""
    speed = result["sampling"]
    return [[name, f"{milliseconds:.2f}", f"{speed['ratios'][name]:.1f}"]
            for name, milliseconds in speed["milliseconds"].items()]  # fmt: skip


def degrees_rows(result: dict[str, Any]) -> list[list[str]]:
    """A row a way to weigh a sample's edges."""
    return [[name, f"{100 * lost['off']:.2g} %", f"{100 * lost['other_class']:.1f} %"]
            for name, lost in result["degrees"].items()]  # fmt: skip


def print_report(result: dict[str, Any], console: Console) -> None:
    """The graph, the scores, and how fast neighbours are drawn."""
    graph = result["graph"]
    console.print(
        f"\n{graph['name']}: {graph['nodes']:,} nodes, {graph['edges']:,} edges, {graph['width']} features, "
        f"{graph['classes']} classes; {graph['training']:,} nodes to train on, {graph['test']:,} to test", **PLAIN
    )  # fmt: skip
    made = table("Trained on the whole, and on parts", "± over seeds; peaks are the largest.", [""], HEADINGS)
    for row in rows(result):
        made.add_row(*row)
    console.print(made)
    if result["sampling"]:
        speed = result["sampling"]
        caption = (
            f"{speed['seeds']} seeds, {speed['neighbors']} neighbours, {speed['nodes']:,} nodes and\n"
            f"{speed['edges']:,} edges of R-MAT; CPU time, medians of {speed['rounds']} rounds in turns."
        )
        drawn = table("Neighbours drawn on one thread", caption, [""], ["ms a batch", "times ours"])
        for row in sampling_rows(result):
            drawn.add_row(*row)
        console.print(drawn)
    if result["degrees"]:
        caption = "Two layers before training, against the whole graph; medians over seeds."
        lost = table("All neighbours of two hops", caption, ["normalised by"], ["off by", "another class first"])
        for row in degrees_rows(result):
            lost.add_row(*row)
        console.print(lost)


def scores_table(result: dict[str, Any]) -> str:
    """A row a method."""
    return markdown_table(["", *HEADINGS], rows(result))


def sampling_table(result: dict[str, Any]) -> str:
    """A row a way to draw neighbours."""
    return markdown_table(["", "ms a batch", "times ours"], sampling_rows(result))


def degrees_table(result: dict[str, Any]) -> str:
    """A row a way to weigh a sample's edges."""
    headings = ["all neighbours of two hops, normalised by", "scores off by", "another class first"]
    return markdown_table(headings, degrees_rows(result))


TABLES = {"scores": scores_table, "sampling": sampling_table, "degrees": degrees_table}


def checks(result: dict[str, Any]) -> list[tuple[str, bool]]:
    """Statements that must hold of a planted graph of some size."""
    if result["graph"]["nodes"] < 100_000 or not result["best"]:
        return []
    found = []
    scores = {method: fmean(of_method(result, method, "test")) for method in present(result)}
    if {"full batch", "samples"} <= scores.keys():
        gap = scores["samples"] - scores["full batch"]
        found.append((f"samples score {100 * gap:+.2f} points against the full batch, at least -0.5", gap >= -CLOSE))
    best = result["best"]["features and neighbours' labels"]
    found.append((f"nothing is above the best possible, {100 * best:.2f} %", max(scores.values()) <= best + 0.002))
    if result["degrees"]:
        off = result["degrees"]["degrees of the graph"]["off"]
        found.append((f"with the graph's degrees a sample's scores are the whole graph's, to {off:.1g}", off < 1e-6))
    speed = result["sampling"]
    for name, least in (("DGL", 2.0), ("masks of torch", 20.0)):
        if speed and name in speed["ratios"]:
            ratio = speed["ratios"][name]
            found.append((f"neighbours are drawn {ratio:.1f} times as fast as by {name}, at least {least:g}",
                          ratio >= least))  # fmt: skip
    return found
