"""All runs of the settings, and what was read, as one JSON value."""

import statistics
from typing import Any

from rich.console import Console

from gnnseq.data.contacts import width_of
from harness.provenance import provenance
from harness.report import PLAIN
from harness.sweep import run_sweep
from studies.social_graph.live import follow
from studies.social_graph.ranking import SCORES
from studies.social_graph.runs import SocialRun
from studies.social_graph.sources import read
from studies.social_graph.stream import stream


def run(settings: Any, console: Console) -> dict[str, Any]:
    """Run what is asked for; finished runs are not done again."""
    width = width_of(settings.every)
    events, digest, report = read(settings.reading, width)
    console.print(report, **PLAIN)
    runs = settings.runs(digest, width)
    records = run_sweep(answer, runs, settings.folder / "cache", settings.jobs, settings.seconds, console)
    about = {"data": settings.reading, "width": width, "report": report, "events": len(events), "nodes": events.nodes}
    return {"experiment": "social_graph", "provenance": provenance(), **about, **compact(records)}


def compact(records: list[dict[str, Any]]) -> dict[str, Any]:
    """Runs, with what they have in common said once: settings, weeks, positives of each week.

    The first two scores are kept of every week, as they are compared by week; of the others the mean is.
    """
    first = records[0]["settings"]
    common = {name: value for name, value in first.items() if name not in ("protocol", "model", "seed")
              and all(record["settings"][name] == value for record in records)}  # fmt: skip
    once = {}
    for record in records:
        record["settings"] = {name: value for name, value in record["settings"].items() if name not in common}
        for name in ("weeks", "positives", "questions"):
            if name in record["result"]:
                once[name] = record["result"].pop(name)
        scores = record["result"]["scores"]
        for name in SCORES[2:]:
            if name in scores:
                there = [value for value in scores[name] if value is not None]
                scores[name] = round(statistics.fmean(there), 4) if there else None
    return {"settings": common, **once, "runs": records}


def answer(run: SocialRun) -> dict[str, Any]:
    """The scores of one run."""
    return follow(run) if run.protocol == "live" else stream(run)
