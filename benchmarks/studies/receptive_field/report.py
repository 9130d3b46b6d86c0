"""Tables and verdict of the receptive-field study, from its JSON alone."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table
from rich.text import Text

from harness.report import markdown_table, said, table
from studies.receptive_field.figures import READS, figures, geometric_mean

__all__ = ["TABLES", "checks", "figures", "print_report"]

PARTS = ("gcn", "schedules", "claims", "temporal")  # whose pairs networkx knows
LAYERS = ("RNN", "LSTM", "GRU", "MinGRU", "MinLSTM", "GatedGraph")

Row = dict[str, Any]


def checks(result: dict[str, Any]) -> list[tuple[str, bool]]:
    """Whether every pair is as networkx has it, and proven; else where one is not."""
    rows = [row for part in PARTS for row in result.get(part, [])]
    wrong = []
    for row in (row for row in rows if row["counterexample"] is not None):
        depth = row.get("schedule") or (f"{row['layers']} layers" if "layers" in row else "")
        where = ", ".join(part for part in (row.get("layer", "GCN"), depth, row.get("graph")) if part)
        wrong.append((f"not exact: {where}: {row['counterexample']}", False))
    return wrong or [(f"all {sum(row['pairs'] for row in rows):,} pairs are as networkx has them, and proven", True)]


def print_report(result: dict[str, Any], console: Console) -> None:
    """One table a part."""
    found = sorted({row["layers"] for row in result["gcn"]})
    made = table(
        "1. k graph convolutions reach k hops",
        "Pairs (output, input) that depend on each other, measured; ✓: networkx finds the same ones.",
        ["graph"],
        ["nodes", "edges", *(f"k = {k}" for k in found)],
    )
    _add_rows(made, result["gcn"], ("graph", "nodes", "edges"), "layers", found)
    console.print(made)
    graphs = list(dict.fromkeys(row["graph"] for row in result["schedules"]))
    made = table(
        "2. Sweeps reach all ancestors, k rounds k - 1 hops, k rounds of doubling 2^k - 1",
        "",
        ["layer", "schedule", "should reach"],
        graphs,
    )
    by_layer = sorted(result["schedules"], key=lambda row: LAYERS.index(row["layer"]))
    _add_rows(made, by_layer, ("layer", "schedule", "expected"), "graph", graphs)
    console.print(made)
    made = table(
        "3. What torch_geometric's get_num_hops says",
        "get_num_hops counts modules, not what they do. A small graph may end before a layer's reach does.",
        ["layer"],
        ["equation", "measured", "get_num_hops"],
    )
    for row in result["claims"]:
        right = row["claimed"] == row["equation"]
        claimed = f"{row['claimed']} " if right else said(f"{row['claimed']}, not {row['equation']}", "red", " ")
        made.add_row(row["layer"], str(row["equation"]), _verdict(row, "farthest"), claimed)
    console.print(made)
    means = {row["network"]: geometric_mean(row["influence"]) for row in result["influence"]}
    farthest = max(map(len, means.values())) - 1
    hops = [hop for hop in (0, 1, 5, 10, 25, 50) if hop < farthest] + [farthest]
    many = f"Geometric mean of {len(result['influence'][0]['influence'])} networks; -: out of reach."
    many += " Range: the mean distance, weighted by influence."
    made = table("4. Influence by hops, untrained", many, ["network"], [*(str(hop) for hop in hops), "range"])
    for row in result["influence"]:
        mean, name = means[row["network"]], row["network"]
        cells = (f"{mean[hop]:.0e}" if hop < len(mean) else "-" for hop in hops)
        made.add_row(name, *cells, f"{np.mean(row['range']):.2f}" if "range" in row else "")
    console.print(made)
    if result.get("temporal"):
        first = result["temporal"][0]
        made = table(
            "5. Time and space in three orders",
            f"Pairs of (node, step) on a path of {first['nodes']} nodes in {first['steps']} steps, measured; ✓: "
            "networkx finds the same ones.",
            ["order", "sees"],
            ["pairs"],
        )
        for row in result["temporal"]:
            made.add_row(row["schedule"], READS[row["schedule"]], _verdict(row))
        console.print(made)

    if result.get("ranges"):
        made = table(
            "6. Range: how far away what a node depends on is, on the average",
            "In hops, over all nodes of the random graph. total_influence cuts out each node's neighbourhood first, "
            "which changes the degrees at its rim.",
            ["layer"],
            ["exact", "torch_geometric's total_influence"],
        )
        for row in result["ranges"]:
            made.add_row(row["layer"], f"{row['exact']:.3f}", f"{row['estimate']:.3f}")
        console.print(made)


def _add_rows(made: Table, rows: list[Row], about: Sequence[str], column: str, columns: Sequence[Any]) -> None:
    """What is reached: a row for each combination of what ``about`` names, a column for each of ``columns``."""
    found: dict[tuple[str, ...], dict[Any, Text]] = {}
    for row in rows:
        found.setdefault(tuple(str(row[name]) for name in about), {})[row[column]] = _verdict(row)
    for texts, cells in found.items():
        made.add_row(*texts, *(cells.get(name, "") for name in columns))


def _verdict(row: Row, number: str = "reached") -> Text:
    text = f"{row[number]:,}"
    return said(text, "green", " ✓") if row["counterexample"] is None else said(f"{text} ✗", "bold red", "")


def claims(result: dict[str, Any]) -> str:
    """What torch_geometric says of layers' reach, and what it is."""
    rows = [[row["layer"], str(row["farthest"]), str(row["claimed"])] for row in result["claims"]]
    return markdown_table(["layer", "measured hops", "`get_num_hops`"], rows)


def ranges(result: dict[str, Any]) -> str:
    """The range of GCNConv's stacks, exact and as torch_geometric estimates it."""
    rows = [[row["layer"], f"{row['exact']:.3f}", f"{row['estimate']:.3f}"] for row in result["ranges"]]
    return markdown_table(["layer", "range, exact", "`total_influence`"], rows)


def reached(result: dict[str, Any]) -> str:
    """How far networks look on a path, and how far they do."""
    rows = []
    for row in result["influence"]:
        mean = geometric_mean(row["influence"])
        low, high = min(row["range"]), max(row["range"])
        rows.append([row["network"], str(len(mean) - 1), f"{np.mean(row['range']):.2f} ({low:.2f} to {high:.2f})"])
    return markdown_table(["network", "farthest input, hops", "range, hops"], rows)


TABLES = {"claims": claims, "ranges": ranges, "reached": reached}
