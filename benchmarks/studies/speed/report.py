"""Tables of the speed benchmark and what of its goals is reached, from its JSON alone."""

import statistics
from collections.abc import Iterator, Sequence

import numpy as np
from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from studies.speed.targets import GOALS, MEMORY, Goal, Row, Statement, aimed_at, even_growth, has_goals, must_hold

PARTS = ("steps", "building", "memory")  # what is measured of growth, an item each


def lines(result: Row) -> Iterator[Row]:
    """One line a peer: names, medians in ms, the ratio's quartiles, its goal, limit as a share of our time, peaks."""
    goals = GOALS if has_goals(result) else {}
    for work in result["works"]:
        ours = work["ours"]["milliseconds"]
        middle = statistics.median(ours)
        line = {"work": work["title"], "shape": work["shape"], "ours": middle, "ours_peak": work["ours"]["peak_bytes"]}
        if work["limit"] is not None:
            line["near"] = quartiles(work["limit"]["milliseconds"], ours)[1]
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
                "goal": goals.get((work["title"], name)),
                "peer_peak": peer["peak_bytes"],
                "sampled": peer["share"] < 1,
            }


def quartiles(theirs: Sequence[float], ours: Sequence[float]) -> tuple[float, float, float]:
    """Lower quartile, median and upper quartile of the rounds' ratios."""
    low, middle, high = np.quantile(np.divide(theirs, ours), (0.25, 0.5, 0.75))
    return float(low), float(middle), float(high)


def checks(result: Row) -> list[Statement]:
    """Statements that must hold, each with whether it does."""
    if not has_goals(result):
        return []
    return even_growth(growth(result["scaling"])) if "scaling" in result else must_hold(list(lines(result)))


def aims(result: Row) -> list[Statement]:
    """Statements that need not hold, in the same form."""
    return aimed_at(list(lines(result))) if has_goals(result) and "works" in result else []


def print_report(result: Row, console: Console) -> None:
    """All tables that the result has numbers for, and what of the goals is reached."""
    if "scaling" in result:
        _print_growth(result, console)
    else:
        _print_works(result, console)
    for statement, holds in checks(result):
        console.print(f"[green]holds[/] {statement}" if holds else f"[bold red]FAILS[/] {statement}", highlight=False)
    for statement, holds in aims(result):
        console.print(f"[green]holds[/] {statement}" if holds else f"[yellow]not yet[/] {statement}", highlight=False)


def _print_works(result: Row, console: Console) -> None:
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
        table.add_column(heading, overflow="fold")
    for heading in right:
        table.add_column(heading, justify="right", no_wrap=True)
    return table


def _print_speed(result: Row, found: list[Row], console: Console) -> None:
    table = _table(
        "Time of a training step, ours and others'",
        f"Medians of {result['rounds']} interleaved rounds, float32. Ratio: peer / ours, median and quartiles of the "
        "rounds.\nGoal: at least / aim. Limit: bare matrix products, or bytes at copy speed, as a share of our time.\n"
        f"{_where(result)}.",
        ("ours, then peers",),
        ("ms", "ratio", "goal", "limit"),
    )
    before = None
    for line in found:
        peer, ours, theirs, ratio, goal, near = speed_cells(line, rich=True)
        if line["work"] + line["shape"] != before:
            if before is not None:
                table.add_section()
            table.add_row(f"{line['work']}\n[dim]{line['shape']}[/]", ours, "", "", near)
        before = line["work"] + line["shape"]
        table.add_row(Padding(peer, (0, 0, 0, 2)), theirs, ratio, goal, "")
    console.print(table)


def speed_cells(line: Row, rich: bool) -> list[str]:
    """Peer, our time, its time, ratio, the ratio's goal, limit over ours."""
    ours, near = _milliseconds(line["ours"]), f"{100 * line['near']:.0f} %" if "near" in line else ""
    if "peer_missing" in line:
        return [line["peer"], ours, "not measured", "", "", near]
    low, middle, high = line["ratio"]
    ratio = f"{middle:.2f}" if middle < 10 else f"{middle:.0f}"
    if rich:
        ratio = f"[bold {'green' if middle >= 1 else 'red'}]{ratio}[/]"
    digits = 2 if middle < 10 else 0
    return [
        line["peer"],
        ours,
        ("~" if line["sampled"] else "") + _milliseconds(line["peer_ms"]),
        f"{ratio} ({low:.{digits}f}-{high:.{digits}f})",
        "" if line["goal"] is None else _reached(line["goal"], middle) if rich else str(line["goal"]),
        near,
    ]


def _reached(goal: Goal, ratio: float) -> str:
    colour = "green" if ratio >= goal.aim else "yellow" if ratio >= goal.at_least else "red"
    return f"[{colour}]{goal}[/]"


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
        colour = "green" if share <= MEMORY else "red"
        sizes = (f"{line[name] / 1e6:.3g}" for name in ("ours_peak", "peer_peak"))
        table.add_row(head, line["peer"], *sizes, f"[bold {colour}]{share:.2f}[/]")
    console.print(table)


def _print_autocast(result: Row, console: Console) -> None:
    table = _table(
        "bfloat16 autocast beside float32",
        "Speed: float32 / bfloat16, median and quartiles. Errors: largest difference of any number, as a share of the "
        "tensor's largest.",
        ("layer",),
        ("float32\nms", "bfloat16\nms", "speed", "error\nof h", "error of\ngradients"),
    )
    for row in result["autocast"]:
        times = row["milliseconds"]
        low, middle, high = quartiles(times["float32"], times["bfloat16"])
        table.add_row(
            f"{row['layer']}\n[dim]{row['shape']}[/]",
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
    """All works and peers, with times, goals and the limit, where it was measured, and what of the goals is reached."""
    rows = [
        "| work | ours, ms | peer | its time, ms | ratio (quartiles) | at least / aim | limit / ours |",
        "|---|--:|---|--:|--:|--:|--:|",
    ]
    before = None
    for line in lines(result):
        if "peer_missing" in line:
            continue
        peer, ours, theirs, ratio, goal, near = speed_cells(line, rich=False)
        first = line["work"] + line["shape"] != before
        before = line["work"] + line["shape"]
        head = [f"{line['work']}: {line['shape']}", ours, near] if first else [""] * 3
        rows.append(f"| {head[0]} | {head[1]} | {peer} | {theirs} | {ratio} | {goal} | {head[2]} |")
    rows += ["", f"{_where(result)}; medians of {result['rounds']} interleaved rounds."]
    goals = [f"- {statement}" for statement, _ in [*checks(result), *aims(result)]]
    return "\n".join([*rows, *([""] if goals else []), *goals]) + "\n"


def growth(records: list[Row]) -> dict[str, list[Row]]:
    """For each layer its sizes, with seconds per node or edge of a step, of the building before it, of memory alone.

    Of the rounds the fastest, as what slows a processor for seconds is nothing of ours. The rest is what remains of a
    step without the memory, for each node or edge beyond a few.
    """
    found: dict[str, dict[int, Row]] = {}
    for record in records:
        seconds = {part: statistics.median(record[part]) for part in (*PARTS, "few")}
        before = found.setdefault(record["layer"], {}).setdefault(record["size"], {"few_size": record["few_size"]})
        before |= {part: min(value, before.get(part, value)) for part, value in seconds.items()}
    return {layer: _curve(sizes) for layer, sizes in found.items()}


def _curve(sizes: dict[int, Row]) -> list[Row]:
    """A row a size, smallest first: seconds per item, and how many times the least of the smaller sizes the rest is."""
    rows: list[Row] = []
    for size, seconds in sorted(sizes.items()):
        rest = (seconds["steps"] - seconds["memory"] - seconds["few"]) / (size - seconds["few_size"])
        grown = rest / min(rest, *(row["rest"] for row in rows)) if rows else 1.0
        rows.append({"size": size, **{part: seconds[part] / size for part in PARTS}, "rest": rest, "grown": grown})
    return rows


def _print_growth(result: Row, console: Console) -> None:
    table = _table(
        "Growth: time per node of one path, per edge of a graph",
        f"A training step of {result['width']} channels, the fastest round. Building: schedule or adjacency, once.\n"
        "Memory: what a step takes of it filled once, or every edge and its source read.\n"
        "Rest: a step without that, per node or edge beyond the first 128 or 1,000.\n"
        "Grown: the rest as a multiple of its least at smaller sizes.\n"
        f"{_where(result)}.",
        ("layer", "nodes or edges"),
        ("step", "memory", "rest", "grown", "building"),
    )
    for layer, rows in growth(result["scaling"]).items():
        for number, row in enumerate(rows):
            table.add_row(
                layer if number == 0 else "",
                f"{row['size']:,}",
                *(_each(row[part]) for part in ("steps", "memory", "rest")),
                f"{row['grown']:.2f}",
                _each(row["building"]),
            )
        table.add_section()
    console.print(table)


def _each(seconds: float) -> str:
    unit, scale = ("ns", 1e9) if seconds < 1e-6 else ("µs", 1e6) if seconds < 1e-3 else ("ms", 1e3)
    return f"{scale * seconds:.3g} {unit}"
