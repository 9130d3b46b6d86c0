"""Tables of the study, from its JSON alone."""

import statistics
from typing import Any

from rich.console import Console

from harness.report import PLAIN, markdown_table, mean_std, table
from studies.social_graph.figures import figures
from studies.social_graph.results import best_heuristic, interval, models, of, spread
from studies.social_graph.runs import LEAKS, NETWORKS

__all__ = ["TABLES", "figures", "print_report"]

LIVE = {"edge MRR": "edges", "all-nodes MRR": "all nodes", "best-positive MRR": "best positive",
        "edge MRR, met pairs": "met", "edge MRR, new pairs": "never met"}  # fmt: skip
STREAM = {"AP, random": "AP random", "AP, historical": "AP historical", "MRR, random": "MRR random",
          "MRR, historical": "MRR historical", "AP, random, never met": "AP never met",
          "MRR, random, never met": "MRR never met"}  # fmt: skip


def rows(result: dict[str, Any], protocol: str) -> list[list[str]]:
    """A model a row: its scores, and for live update the difference to the best heuristic."""
    names = LIVE if protocol == "live" else STREAM
    reference = best_heuristic(result) if protocol == "live" else None
    made = []
    there = models(result, protocol) + [
        model for model in (*LEAKS, "oracle") if protocol == "live" and of(result, protocol, model)
    ]
    for model in there:
        values = [spread(result, protocol, model, name) for name in names]
        means = [[statistics.fmean(value)] if value else [] for value in values]
        cells = [_cell(value) for value in (values[0], *means[1:])]
        if protocol == "live":
            cells.append("" if reference is None or model == reference else _against(result, model, reference))
        made.append([model, *cells])
    return made


def _cell(values: list[float]) -> str:
    return mean_std(values, digits=3).replace("0.", ".") if values else ""


def _against(result: dict[str, Any], model: str, reference: str) -> str:
    mean, half, _ = interval(result, model, reference, "edge MRR")
    return f"{mean:+.3f} ± {half:.3f}".replace("0.", ".")


def headings(result: dict[str, Any], protocol: str) -> list[str]:
    """Of the rows."""
    if protocol == "live":
        return [*LIVE.values(), f"minus {best_heuristic(result) or 'heuristic'}"]
    return list(STREAM.values())


def sentences(result: dict[str, Any]) -> list[str]:
    """What the edges are worth: each network against the same without messages, and the best one named."""
    there = [model for model in models(result, "live") if model in NETWORKS]
    said = []
    for end in ("", " + recency", " + sum"):
        plain = f"no edges{end}"
        others = [model for model in there if "".join(model.partition(" + ")[1:]) == end and "nodes" not in model]
        for model in others if plain in there else ():
            if model != plain:
                mean, half, p = interval(result, model, plain, "edge MRR")
                said.append(f"{model} minus {plain}: {mean:+.4f} ± {half:.4f} of edge MRR by week, p = {p:.2g}")
    reference = best_heuristic(result)
    if there and reference:
        best = max(there, key=lambda model: statistics.fmean(spread(result, "live", model, "edge MRR")))
        for score in ("edge MRR", "all-nodes MRR"):
            mean, half, p = interval(result, best, reference, score)
            said.append(f"{best} minus {reference}: {mean:+.4f} ± {half:.4f} of {score} by week, p = {p:.2g}")
    return said


def print_report(result: dict[str, Any], console: Console) -> None:
    """A table a protocol, and what the edges are worth."""
    titles = {
        "live": "Live update: every week from what was before it",
        "streaming": "Streaming: the last 15 % of time",
    }
    captions = {
        "live": "1 / rank, mean of weeks, ± spread of seeds; last column: edges by week, ± half of a 95 % interval",
        "streaming": "one model for all columns; negatives keep the source; AP against one, MRR against twenty",
    }
    for protocol, title in titles.items():
        lines = rows(result, protocol)
        if not lines:
            continue
        made = table(f"{title}, {result['nodes']:,} nodes", captions[protocol], [""], headings(result, protocol))
        for line in lines:
            made.add_row(*line, style="" if line[0] in NETWORKS else "dim")
        console.print("", made, sep="\n")
    for sentence in sentences(result):
        console.print(sentence, **PLAIN)


def _markdown(protocol: str) -> Any:
    return lambda result: markdown_table(["", *headings(result, protocol)], rows(result, protocol))


TABLES = {
    "live": _markdown("live"),
    "streaming": _markdown("streaming"),
    "edges": lambda result: "".join(f"- {line}\n" for line in sentences(result)),
}
