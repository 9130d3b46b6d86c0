"""Tables and the growth figure of the speed benchmark, from its JSON alone."""

import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter
from rich import box
from rich.console import Console
from rich.table import Table

from gnnseq.plots import COLORS, save_figure, style

HUES = {"RNN": "vermillion", "LSTM": "blue", "GRU": "green", "GCN": "purple"}
GROWTH = 1.5  # how far the time per node or edge may be from constant
# What was measured of growth, and how it is drawn.
PARTS: dict[str, dict[str, Any]] = {
    "steps": {"ls": "-", "marker": "o"},
    "building": {"ls": "--", "marker": "s", "ms": 5, "lw": 1.4},
    "reading": {"ls": "-.", "marker": "^", "ms": 5, "lw": 1.4},
}

Row = dict[str, Any]


def lines(result: Row) -> Iterator[Row]:
    """One line a peer: names, medians in ms, the ratio's quartiles, the limit as a share of our time, peaks."""
    for work in result["works"]:
        ours = work["ours"]["milliseconds"]
        middle = statistics.median(ours)
        line = {"work": work["title"], "shape": work["shape"], "ours": middle, "ours_peak": work["ours"]["peak_bytes"]}
        if work["limit"] is not None:
            limit = work["limit"]["milliseconds"]
            line |= {
                "limit": statistics.median(limit),
                "limit_is": work["limit"]["is"],
                "near": quartiles(limit, ours)[1],
            }
        for name, peer in work["peers"].items():
            if "missing" in peer:
                yield {**line, "peer": name, "peer_missing": peer["missing"]}
                continue
            theirs = peer["milliseconds"]
            yield {
                **line,
                "peer": name,
                "peer_ms": statistics.median(theirs),
                "ratio": quartiles(theirs, ours),
                "peer_peak": peer["peak_bytes"],
                "sampled": peer["share"] < 1,
            }


def quartiles(theirs: Sequence[float], ours: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile of the rounds' ratios."""
    low, middle, high = np.quantile(np.divide(theirs, ours), (0.25, 0.5, 0.75))
    return float(low), float(middle), float(high)


def print_report(result: Row, console: Console) -> None:
    """All tables that the result has numbers for."""
    if "scaling" in result:
        _print_growth(result, console)
        return
    found = list(lines(result))
    _print_speed(result, found, console)
    _print_memory(result, found, console)
    if result["autocast"]:
        _print_autocast(result, console)
    missing = {line["peer"]: line["peer_missing"] for line in found if "peer_missing" in line}
    for name, reason in missing.items():
        console.print(f"[yellow]not measured[/]: {name}: {reason}", highlight=False)


def _where(result: Row) -> str:
    provenance, threads = result["provenance"], result["threads"]
    place = provenance["cpu"] if result["device"] == "cpu" else result["gpu"]
    return f"{place}, {threads} thread{'s' * (threads > 1)}, torch {provenance['versions']['torch']}"


def _table(title: str, note: str, left: Sequence[str], right: Sequence[str]) -> Table:
    table = Table(
        title=title, caption=note, box=box.SIMPLE_HEAD, title_style="bold", title_justify="left", caption_justify="left"
    )
    for heading in left:
        table.add_column(heading)
    for heading in right:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _print_speed(result: Row, found: list[Row], console: Console) -> None:
    table = _table(
        "Time of a training step, ours and others'",
        f"Medians of {result['rounds']} interleaved rounds, float32; ratio: peer / ours, median and quartiles of the "
        f"rounds.\nLimit: the bare matrix products, or bytes at copy speed. {_where(result)}.",
        ("work", "peer"),
        ("ours ms", "peer ms", "ratio", "limit ms", "limit/ours"),
    )
    before = None
    for line in found:
        head = "" if line["work"] + line["shape"] == before else f"{line['work']}\n[dim]{line['shape']}[/]"
        if before is not None and head:
            table.add_section()
        before = line["work"] + line["shape"]
        table.add_row(head, *speed_cells(line, rich=True))
    console.print(table)


def speed_cells(line: Row, rich: bool) -> list[str]:
    """Peer, our time, its time, ratio, limit, limit over ours."""
    limit = [_milliseconds(line["limit"]), f"{100 * line['near']:.0f} %"] if "limit" in line else ["", ""]
    ours = _milliseconds(line["ours"])
    if "peer_missing" in line:
        return [line["peer"], ours, "not measured", "", *limit]
    low, middle, high = line["ratio"]
    ratio = f"{middle:.2f}" if middle < 10 else f"{middle:.0f}"
    if rich:
        ratio = f"[bold {'green' if middle >= 1 else 'red'}]{ratio}[/]"
    digits = 2 if middle < 10 else 0
    spread = f" ({low:.{digits}f}-{high:.{digits}f})"
    return [
        line["peer"],
        ours,
        ("~" if line["sampled"] else "") + _milliseconds(line["peer_ms"]),
        ratio + spread,
        *limit,
    ]


def _milliseconds(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def _print_memory(result: Row, found: list[Row], console: Console) -> None:
    how = "torch's allocator" if result["device"] == "cuda" else "the profiler's record of torch's allocations"
    table = _table(
        "Peak memory of a training step, beyond inputs and parameters",
        f"From {how}; oneDNN's scratch space is in nobody's number.",
        ("work", "peer"),
        ("ours MB", "peer MB", "ours/peer"),
    )
    before = None
    for line in found:
        if line.get("peer_peak") is None:
            continue
        head = "" if line["work"] + line["shape"] == before else f"{line['work']}\n[dim]{line['shape']}[/]"
        before = line["work"] + line["shape"]
        share = line["ours_peak"] / max(line["peer_peak"], 1)
        colour = "green" if share <= 1.2 else "red"
        sizes = (f"{line[name] / 1e6:.3g}" for name in ("ours_peak", "peer_peak"))
        table.add_row(head, line["peer"], *sizes, f"[bold {colour}]{share:.2f}[/]")
    console.print(table)


def _print_autocast(result: Row, console: Console) -> None:
    table = _table(
        "bfloat16 autocast beside float32",
        "Speed: float32 / bfloat16, median and quartiles. Errors: largest difference of any number, as a share of the "
        "tensor's largest.",
        ("layer", "shape"),
        ("float32 ms", "bfloat16 ms", "speed", "error of h", "of gradients"),
    )
    for row in result["autocast"]:
        times = row["milliseconds"]
        low, middle, high = quartiles(times["float32"], times["bfloat16"])
        table.add_row(
            row["layer"],
            row["shape"],
            *(_milliseconds(statistics.median(times[kind])) for kind in ("float32", "bfloat16")),
            f"{middle:.2f} ({low:.2f}-{high:.2f})",
            f"{row['output_error']:.1e}",
            f"{row['gradient_error']:.1e}",
        )
    console.print(table)


def summary(result: Row) -> str:
    """How many times as fast as the fastest of its peers each work is, in one column."""
    rows = ["| work (a training step where not said) | beside | times as fast (quartiles) |", "|---|---|--:|"]
    fastest: dict[str, Row] = {}
    for line in lines(result):
        work = f"{line['work']}: {line['shape'].replace(', no gradient of x', '')}"
        if "peer_missing" in line or line["peer"].startswith("our "):
            continue
        if work not in fastest or line["ratio"][1] < fastest[work]["ratio"][1]:
            fastest[work] = line
    for work, line in fastest.items():
        peer, _, _, ratio, _, _ = speed_cells(line, rich=False)
        rows.append(f"| {work} | {peer} | {ratio} |")
    return "\n".join([*rows, "", f"{_where(result)}; medians of {result['rounds']} interleaved rounds."]) + "\n"


def markdown(result: Row) -> str:
    """All works and peers, with times and the limit, and where they were measured."""
    rows = ["| work | ours, ms | peer | its time, ms | ratio (quartiles) | limit / ours |", "|---|--:|---|--:|--:|--:|"]
    before = None
    for line in lines(result):
        if "peer_missing" in line:
            continue
        peer, ours, theirs, ratio, _, near = speed_cells(line, rich=False)
        first = line["work"] + line["shape"] != before
        before = line["work"] + line["shape"]
        head = f"{line['work']}: {line['shape']}" if first else ""
        rows.append(f"| {head} | {ours if first else ''} | {peer} | {theirs} | {ratio} | {near if first else ''} |")
    return "\n".join([*rows, "", f"{_where(result)}; medians of {result['rounds']} interleaved rounds."]) + "\n"


def growth(records: list[Row]) -> dict[str, list[Row]]:
    """For each layer its sizes, with seconds per node or edge of a step, of the building before it, of reading rows."""
    found: dict[str, list[Row]] = {}
    for record in records:
        each = {part: statistics.median(record[part]) / record["size"] for part in PARTS if part in record}
        found.setdefault(record["layer"], []).append({"size": record["size"], **each})
    return found


def _print_growth(result: Row, console: Console) -> None:
    table = _table(
        "Growth: time per node of one path, per edge of a graph",
        f"A training step of {result['width']} channels; building: the schedule or the adjacency, once.\n"
        "Reading: the rows of every edge's source alone, from memory where a graph's fit no cache.\n"
        f"{_where(result)}.",
        ("layer", "nodes or edges"),
        ("step", "of the least", "building", "reading"),
    )
    for layer, rows in growth(result["scaling"]).items():
        least = min(row["steps"] for row in rows)
        for number, row in enumerate(rows):
            table.add_row(
                layer if number == 0 else "",
                f"{row['size']:,}",
                _each(row["steps"]),
                f"{row['steps'] / least:.2f}",
                *(_each(row[part]) if part in row else "" for part in ("building", "reading")),
            )
        table.add_section()
    console.print(table)


def _each(seconds: float) -> str:
    unit, scale = ("ns", 1e9) if seconds < 1e-6 else ("µs", 1e6) if seconds < 1e-3 else ("ms", 1e3)
    return f"{scale * seconds:.3g} {unit}"


def figures(result: Row, stem: Path) -> list[Path]:
    """Draws the growth curves, where there are any; gives the files."""
    if "scaling" not in result:
        return []
    with style():
        return list(save_figure(growth_figure(result), stem))


def growth_figure(result: Row) -> Figure:
    """Time per node and per edge on logarithmic axes, and constant time as a line under each curve."""
    curves = growth(result["scaling"])
    figure = Figure(figsize=(11.5, 5.6))
    left, right = figure.subplots(1, 2, sharey=False)
    paths = [layer for layer in curves if layer != "GCN"]
    _panel(left, {layer: curves[layer] for layer in paths}, "nodes of one path", "time per node, ns")
    if "GCN" in curves:
        _panel(right, {"GCN": curves["GCN"]}, "directed edges", "time per edge, ns")
    left.set_title("Sweep of a path")
    right.set_title("Graph convolution")
    handles = [Line2D([], [], color=COLORS[HUES[layer]], label=layer, **PARTS["steps"]) for layer in curves]
    names = {"building": "schedule or adjacency", "reading": "reading the edges' rows alone"}
    handles += [
        *(Line2D([], [], color=COLORS["ink"], label=label, **PARTS[part]) for part, label in names.items()),
        Line2D([], [], color=COLORS["ink"], ls=":", lw=1.4, label=f"constant, band to {GROWTH:g} times"),
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    figure.suptitle(f"Time of a training step per node and per edge, {result['width']} channels", x=0.01, ha="left")
    return figure


def _panel(axes: Axes, curves: dict[str, list[Row]], x: str, y: str) -> None:
    for layer, rows in curves.items():
        color = COLORS[HUES[layer]]
        size = [row["size"] for row in rows]
        steps = [1e9 * row["steps"] for row in rows]
        axes.fill_between(size, min(steps), GROWTH * min(steps), color=color, alpha=0.12, lw=0)
        axes.axhline(min(steps), color=color, ls=":", lw=1.4)
        for part, look in PARTS.items():
            if part in rows[0]:
                axes.plot(size, [1e9 * row[part] for row in rows], color=color, **look)
    drawn = [1e9 * row[part] for rows in curves.values() for row in rows for part in PARTS if part in row]
    decades = (10 ** np.floor(np.log10(min(drawn))), 10 ** np.ceil(np.log10(GROWTH * max(drawn))))
    axes.set(xscale="log", yscale="log", ylim=decades, xlabel=x, ylabel=y)
    axes.yaxis.set_minor_formatter(NullFormatter())
