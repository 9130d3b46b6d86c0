"""Tables of the speed benchmark and what of its goals is reached, from its JSON alone."""

import statistics
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.padding import Padding
from rich.table import Table

from harness.report import markdown_table
from studies.speed.figures import figures
from studies.speed.results import growth, lines, quartiles
from studies.speed.targets import MEMORY, Goal, Row, Statement, aimed_at, even_growth, has_goals, must_hold, no_slower

__all__ = ["TABLES", "aims", "checks", "figures", "print_report"]


def checks(result: Row) -> list[Statement]:
    """Statements that must hold, each with whether it does."""
    if "against" in result:
        return [] if result["quick"] else no_slower(result)
    if not has_goals(result):
        return []
    return even_growth(growth(result["scaling"])) if "scaling" in result else must_hold(list(lines(result)))


def aims(result: Row) -> list[Statement]:
    """Statements that need not hold, in the same form."""
    return aimed_at(list(lines(result))) if has_goals(result) and "works" in result else []


def print_report(result: Row, console: Console) -> None:
    """All tables that the result has numbers for, and what of the goals is reached."""
    if "against" in result:
        _print_against(result, console)
    elif "scaling" in result:
        _print_growth(result, console)
    else:
        _print_works(result, console)
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


def _print_against(result: Row, console: Console) -> None:
    table = _table("This build against another one", _builds(result), ("case",), ("other ms", "this ms", "ratio"))
    for record in result["against"]:
        name, *cells = against_cells(record)
        table.add_row(f"{record['case']}\n[dim]{name}[/]", *cells)
    console.print(table)


def against_cells(record: Row) -> list[str]:
    """Title and shape, the other build's time, this one's, the ratio with its quartiles."""
    low, middle, high = record["ratio"]
    times = (_milliseconds(record["median"][side]) for side in ("other", "this"))
    return [f"{record['title']}: {record['shape']}", *times, f"{middle:.3f} ({low:.3f}-{high:.3f})"]


def _builds(result: Row) -> str:
    builds = []
    for side, build in result["builds"].items():
        commit = f", commit {build['commit'][:7]}" if build["commit"] else ""
        builds.append(f"{side}: gnnseq {build['gnnseq']}{commit}, sources {build['sources']}, torch {build['torch']}")
    ratio = f"Ratio: other / this, median and quartiles of {result['rounds']} interleaved rounds"
    return f"{'; '.join(builds)}.\n{ratio}; geometric mean {result['geometric_mean']:.3f}.\n{_where(result)}."


def against(result: Row) -> str:
    """All cases of a comparison with another build."""
    rows = map(against_cells, result["against"])
    headings = ["case", "other build, ms", "this build, ms", "times as fast (quartiles)"]
    return f"{markdown_table(headings, rows)}\n{_builds(result)}\n"


TABLES = {"full": markdown, "summary": summary, "against": against}
