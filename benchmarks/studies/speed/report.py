"""Tables of the speed benchmark and what of its targets is reached, from its JSON alone."""

import statistics
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.text import Text

from harness.report import PLAIN, literal, markdown_table, said, table
from studies.speed.figures import figures
from studies.speed.results import growth, lines, quartiles
from studies.speed.targets import (
    Row,
    Statement,
    aimed_at,
    even_growth,
    first_sweeps,
    has_targets,
    must_hold,
    no_slower,
    since_former,
    under_autocast,
)

__all__ = ["TABLES", "aims", "checks", "figures", "print_report"]


def checks(result: Row) -> list[Statement]:
    """Statements that must hold, each with whether it does."""
    if "cold" in result:
        return [] if result["quick"] else first_sweeps(result, "at_least")
    if "against" in result:
        return [] if result["quick"] else no_slower(result)
    if not has_targets(result):
        return []
    if "scaling" in result:
        return even_growth(growth(result["scaling"]))
    return [*must_hold(lines(result)), *under_autocast(_mixed(result), "at_least")]


def aims(result: Row) -> list[Statement]:
    """Statements that need not hold, in the same form."""
    if "cold" in result or "against" in result:
        return [] if result["quick"] else (first_sweeps if "cold" in result else since_former)(result, "aim")
    if not has_targets(result) or "works" not in result:
        return []
    return [*aimed_at(lines(result)), *under_autocast(_mixed(result), "aim")]


def print_report(result: Row, console: Console) -> None:
    """All tables that the result has numbers for, and what is aimed at."""
    rows: list[list[str | Text]]
    if "cold" in result:
        rows = [[f"{side} build", f"{statistics.median(seconds):.3g}"] for side, seconds in result["cold"].items()]
        note = (
            f"With an empty cache: median seconds of {len(result['cold']['this'])} processes each.\n{_place(result)}."
        )
        _print(console, "First float32 sweep of a process", note, ["case", "seconds"], rows)
    elif "against" in result:
        sides = [(record["case"], *_sides(record)) for record in result["against"]]
        rows = [[_below(case, title), *cells] for case, title, *cells in sides]
        headings = ["case", "other ms", "this ms", "ratio"]
        _print(console, "This build against another one", _builds(result), headings, rows)
    elif "scaling" in result:
        _print_growth(result, console)
    else:
        _print_cases(result, console)
    for statement, holds in aims(result):
        console.print(said(*(("holds", "green") if holds else ("not yet", "yellow")), f" {statement}"), **PLAIN)


def full(result: Row) -> str:
    """All cases and peers, with times, targets and the roofline, if it was measured, and what of them is reached."""
    head = "| work | ours, ms | peer | its time, ms | ratio (quartiles) | at least / aim | limit / ours |\n"
    cells = _cells([line for line in lines(result) if "peer_missing" not in line])
    rows = [head, "|---|--:|---|--:|--:|--:|--:|\n", *(f"| {' | '.join(row)} |\n" for row in cells)]
    rows.append(f"\n{_place(result)}; medians of {result['rounds']} interleaved rounds.\n")
    reached = [f"- {statement}\n" for statement, _ in [*checks(result), *aims(result)]]
    return "".join([*rows, *["\n"] * bool(reached), *reached])


def against(result: Row) -> str:
    """All cases of a comparison with another build."""
    headings = ["case", "other build, ms", "this build, ms", "times as fast (quartiles)"]
    return f"{markdown_table(headings, map(_sides, result['against']))}\n{_builds(result)}\n"


def autocast(result: Row) -> str:
    """Every layer under bfloat16 autocast beside itself in float32."""
    headings = ["layer", "float32, ms", "bfloat16, ms", "times as fast (quartiles)", "error of h", "error of gradients"]
    rows = [[f"{row['layer']}: {row['shape']}", *_autocast(row)] for row in result["autocast"]]
    note = "Errors: the largest difference of any number, as a share of the largest of its tensor"
    return f"{markdown_table(headings, rows)}\n{note}. {_place(result)}.\n"


TEXT = ("case", "layer", "peer")  # headings of the columns that are text
TABLES = {"full": full, "against": against, "autocast": autocast}


def _print(
    console: Console, title: str, note: str, headings: Sequence[str], rows: Iterable[Sequence[str | Text]]
) -> None:
    text = [heading for heading in headings if heading in TEXT]
    made = table(title, note, text, headings[len(text) :], title_justify="left")
    made.columns[0].no_wrap, made.columns[0].overflow = False, "fold"
    for row in rows:
        made.add_row(*row)
    console.print(made)


def _print_cases(result: Row, console: Console) -> None:
    found = lines(result)
    cells = _cells(found)
    speed = [[case, peer, ours, *others] for case, ours, peer, *others in cells]
    memory = [
        [row[0], line["peer"], *(f"{line[name] / 1e6:.3g}" for name in ("ours_peak", "peer_peak")),
         f"{line['ours_peak'] / max(line['peer_peak'], 1):.2f}"]
        for line, row in zip(found, cells, strict=True) if line.get("peer_peak") is not None
    ]  # fmt: skip
    note = (
        f"Medians of {result['rounds']} interleaved rounds, float32. Ratio: peer / ours, median and quartiles of the "
        "rounds.\nGoal: at least / aim. Limit: bare matrix products, or bytes at copy speed, as a share of our time.\n"
        f"{_place(result)}."
    )
    title = "Time of a training step, ours and others'"
    _print(console, title, note, ["case", "peer", "ours ms", "its ms", "ratio", "goal", "limit"], speed)
    how = "torch's allocator" if result["device"] == "cuda" else "the profiler's record of torch's allocations"
    note = f"From {how}; oneDNN's scratch space is in nobody's number."
    title = "Peak memory of a training step, beyond inputs and parameters"
    _print(console, title, note, ["case", "peer", "ours MB", "peer MB", "ours/peer"], memory)
    if result["autocast"]:
        note = "Speed: float32 / bfloat16, median and quartiles. Errors: largest difference, as a share of the largest."
        headings = ["layer", "float32\nms", "bfloat16\nms", "speed", "error\nof h", "error of\ngradients"]
        mixed: list[list[str | Text]] = [
            [_below(row["layer"], row["shape"]), *_autocast(row)] for row in result["autocast"]
        ]
        _print(console, "bfloat16 autocast against float32", note, headings, mixed)
    missing = {line["peer"]: line["peer_missing"] for line in found if "peer_missing" in line}
    for name, reason in missing.items():
        console.print(said("not measured", "yellow", f": {name}: {reason}"), **PLAIN)


def _below(name: str, more: str) -> Text:
    """A name, and below it in a paler line what it is."""
    return Text.assemble(literal(f"{name}\n"), literal(more, "dim"))


def _mixed(result: Row) -> dict[str, float]:
    """Times as fast under autocast, by title, of layers measured where the processor has instructions for it."""
    rows = [row for row in result["autocast"] if row.get("rounds_products")]
    return {
        row["layer"]: quartiles(*(row["milliseconds"][kind] for kind in ("float32", "bfloat16")))[1] for row in rows
    }


def _autocast(row: Row) -> list[str]:
    both = [row["milliseconds"][name] for name in ("float32", "bfloat16")]
    times = [_milliseconds(statistics.median(ms)) for ms in both]
    errors = [f"{row[error]:.1e}" for error in ("output_error", "gradient_error")]
    return [*times, _ratio(quartiles(*both), 2), *errors]


def _cells(found: list[Row]) -> list[list[str]]:
    """Case and our time, in the case's first line, the peer, its time, ratio, target, roofline over ours."""
    made, before = [], None
    for line in found:
        case, theirs = f"{line['work']}: {line['shape']}", ["not measured", "", ""]
        near = f"{100 * line['near']:.0f} %" if "near" in line else ""
        own = [case, _milliseconds(line["ours"]), near] if case != before else [""] * 3
        if "peer_missing" not in line:
            time = "~" * line["sampled"] + _milliseconds(line["peer_ms"])
            theirs = [time, _ratio(line["ratio"], 2 if line["ratio"][1] < 10 else 0), str(line["goal"] or "")]
        made.append([*own[:2], line["peer"], *theirs, own[2]])
        before = case
    return made


def _milliseconds(value: float) -> str:
    return f"{value:.3g}" if value < 100 else f"{value:,.0f}"


def _ratio(ratio: Sequence[float], digits: int) -> str:
    low, middle, high = (f"{value:.{digits}f}" for value in ratio)
    return f"{middle} ({low}-{high})"


def _place(result: Row) -> str:
    provenance, threads = result["provenance"], result["threads"]
    place = provenance["cpu"] if result["device"] == "cpu" else result["gpu"]
    return f"{place}, {threads} thread{'s' * (threads > 1)}, torch {provenance['versions']['torch']}"


def _print_growth(result: Row, console: Console) -> None:
    note = (
        f"A training step of {result['width']} channels, the fastest round. Building: schedule or adjacency, once.\n"
        "Memory: what a step takes of it filled once, or every edge and its source read.\n"
        "Rest: a step without that, per node or edge beyond the first 128 or 1,000.\n"
        "Grown: the rest as a multiple of its least at smaller sizes.\n"
        f"{_place(result)}."
    )
    rows = [
        ["" if number else layer, f"{row['size']:,}", *(_each(row[part]) for part in ("steps", "memory", "rest")),
         f"{row['grown']:.2f}", _each(row["building"])]
        for layer, curve in growth(result["scaling"]).items()
        for number, row in enumerate(curve)
    ]  # fmt: skip
    headings = ["layer", "nodes or edges", "step", "memory", "rest", "grown", "building"]
    _print(console, "Growth: time per node of one path, per edge of a graph", note, headings, rows)


def _each(seconds: float) -> str:
    unit, scale = ("ns", 1e9) if seconds < 1e-6 else ("µs", 1e6) if seconds < 1e-3 else ("ms", 1e3)
    return f"{scale * seconds:.3g} {unit}"


def _sides(record: Row) -> list[str]:
    """Title and shape, the other build's time, this one's, the ratio with its quartiles."""
    times = [_milliseconds(record["median"][side]) for side in ("other", "this")]
    return [f"{record['title']}: {record['shape']}", *times, _ratio(record["ratio"], 3)]


def _builds(result: Row) -> str:
    builds = []
    for side, build in result["builds"].items():
        commit = f", commit {build['commit'][:7]}" if build["commit"] else ""
        builds.append(f"{side}: gnnseq {build['gnnseq']}{commit}, sources {build['sources']}, torch {build['torch']}")
    ratio = f"Ratio: other / this, median and quartiles of {result['rounds']} interleaved rounds"
    return f"{'; '.join(builds)}.\n{ratio}; geometric mean {result['geometric_mean']:.3f}.\n{_place(result)}."
