"""Tables and verdict of the receptive-field study, from its JSON alone."""

from typing import Any

from rich.console import Console

from harness.report import markdown_table, table
from studies.receptive_field.figures import READS, figures, geometric_mean

__all__ = ["TABLES", "checks", "figures", "print_report"]

PARTS = ("gcn", "schedules", "claims", "temporal")  # whose pairs networkx knows
LAYERS = ("RNN", "LSTM", "GRU", "GatedGraph")

Row = dict[str, Any]


def checks(result: dict[str, Any]) -> list[tuple[str, bool]]:
    """Whether every pair of parts 1 to 3 and 5 is as networkx has it, and proven; else where one is not."""
    rows = [row for part in PARTS for row in result.get(part, [])]
    wrong = []
    for row in rows:
        if row["counterexample"] is not None:
            depth = row.get("schedule") or (f"{row['layers']} layers" if "layers" in row else "")
            where = ", ".join(str(part) for part in (row.get("layer", "GCN"), depth, row.get("graph")) if part)
            wrong.append((f"not exact: {where}: {row['counterexample']}", False))
    return wrong or [(f"all {sum(row['pairs'] for row in rows):,} pairs are as networkx has them, and proven", True)]


def print_report(result: dict[str, Any], console: Console) -> None:
    """One table a part."""
    _print_gcn(result["gcn"], console)
    _print_schedules(result["schedules"], console)
    made = table(
        "3. What torch_geometric's get_num_hops says",
        "get_num_hops counts modules, not what they do. A small graph may end before a layer's reach does.",
        ["layer"],
        ["equation", "measured", "get_num_hops"],
    )
    for row in result["claims"]:
        right = row["claimed"] == row["equation"]
        claimed = f"{row['claimed']} " if right else f"[red]{row['claimed']}, not {row['equation']}[/] "
        made.add_row(row["layer"], str(row["equation"]), _verdict(row, str(row["farthest"])), claimed)
    console.print(made)
    _print_influence(result["influence"], console)
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
            made.add_row(row["schedule"], READS[row["schedule"]], _verdict(row, f"{row['reached']:,}"))
        console.print(made)


def _verdict(row: Row, text: str) -> str:
    return f"[green]{text}[/] ✓" if row["counterexample"] is None else f"[bold red]{text} ✗[/]"


def _print_gcn(rows: list[Row], console: Console) -> None:
    made = table(
        "1. k graph convolutions reach k hops",
        "Pairs (output, input) that depend on each other, measured; ✓: networkx finds the same ones.",
        ["graph"],
        ["nodes", "edges", *(f"k = {k}" for k in sorted({row["layers"] for row in rows}))],
    )
    for name in dict.fromkeys(row["graph"] for row in rows):
        own = [row for row in rows if row["graph"] == name]
        cells = [_verdict(row, f"{row['reached']:,}") for row in own]
        made.add_row(name, f"{own[0]['nodes']:,}", f"{own[0]['edges']:,}", *cells)
    console.print(made)


def _print_schedules(rows: list[Row], console: Console) -> None:
    graphs = list(dict.fromkeys(row["graph"] for row in rows))
    made = table(
        "2. Sweeps reach all ancestors, k rounds k - 1 hops", "", ["layer", "schedule", "should reach"], graphs
    )
    found: dict[tuple[str, str, str], dict[str, str]] = {}
    for row in sorted(rows, key=lambda row: LAYERS.index(row["layer"])):
        cells = found.setdefault((row["layer"], row["schedule"], row["expected"]), {})
        cells[row["graph"]] = _verdict(row, f"{row['reached']:,}")
    last = ""
    for (layer, schedule, expected), cells in found.items():
        if last not in ("", layer):
            made.add_section()
        made.add_row("" if layer == last else layer, schedule, expected, *(cells.get(name, "") for name in graphs))
        last = layer
    console.print(made)


def _print_influence(rows: list[Row], console: Console) -> None:
    farthest = max(len(row["influence"][0]) for row in rows) - 1
    hops = [hop for hop in (0, 1, 5, 10, 25, 50) if hop < farthest] + [farthest]
    made = table(
        "4. Influence by hops, untrained",
        f"Geometric mean of {len(rows[0]['influence'])} networks; -: out of reach.",
        ["network"],
        [str(hop) for hop in hops],
    )
    for row in rows:
        mean = geometric_mean(row["influence"])
        made.add_row(row["network"], *(f"{mean[hop]:.0e}" if hop < len(mean) else "-" for hop in hops))
    console.print(made)


def claims(result: dict[str, Any]) -> str:
    """What torch_geometric says of layers' reach, and what it is."""
    rows = [[row["layer"], str(row["farthest"]), str(row["claimed"])] for row in result["claims"]]
    return markdown_table(["layer", "measured hops", "`get_num_hops`"], rows)


TABLES = {"claims": claims}
