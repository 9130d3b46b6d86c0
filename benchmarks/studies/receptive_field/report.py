"""Tables and verdict of the receptive-field study, from its JSON alone."""

from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from harness.report import markdown_table, table
from studies.receptive_field.figures import READS, figures, geometric_mean

__all__ = ["TABLES", "checks", "figures", "print_report"]

PARTS = ("gcn", "schedules", "claims", "temporal")  # whose pairs networkx knows
LAYERS = ("RNN", "LSTM", "GRU", "GatedGraph")

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
        "2. Sweeps reach all ancestors, k rounds k - 1 hops", "", ["layer", "schedule", "should reach"], graphs
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
        claimed = f"{row['claimed']} " if right else f"[red]{row['claimed']}, not {row['equation']}[/] "
        made.add_row(row["layer"], str(row["equation"]), _verdict(row, "farthest"), claimed)
    console.print(made)
    means = {row["network"]: geometric_mean(row["influence"]) for row in result["influence"]}
    farthest = max(map(len, means.values())) - 1
    hops = [hop for hop in (0, 1, 5, 10, 25, 50) if hop < farthest] + [farthest]
    many = f"Geometric mean of {len(result['influence'][0]['influence'])} networks; -: out of reach."
    made = table("4. Influence by hops, untrained", many, ["network"], [str(hop) for hop in hops])
    for network, mean in means.items():
        made.add_row(network, *(f"{mean[hop]:.0e}" if hop < len(mean) else "-" for hop in hops))
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


def _add_rows(made: Table, rows: list[Row], about: Sequence[str], column: str, columns: Sequence[Any]) -> None:
    """What is reached: a row for each combination of what ``about`` names, a column for each of ``columns``."""
    found: dict[tuple[str, ...], dict[Any, str]] = {}
    for row in rows:
        found.setdefault(tuple(str(row[name]) for name in about), {})[row[column]] = _verdict(row)
    for texts, cells in found.items():
        made.add_row(*texts, *(cells.get(name, "") for name in columns))


def _verdict(row: Row, number: str = "reached") -> str:
    text = f"{row[number]:,}"
    return f"[green]{text}[/] ✓" if row["counterexample"] is None else f"[bold red]{text} ✗[/]"


def claims(result: dict[str, Any]) -> str:
    """What torch_geometric says of layers' reach, and what it is."""
    rows = [[row["layer"], str(row["farthest"]), str(row["claimed"])] for row in result["claims"]]
    return markdown_table(["layer", "measured hops", "`get_num_hops`"], rows)


TABLES = {"claims": claims}
