"""All runs of the settings, and what was read, as one JSON value."""

from typing import Any

from rich.console import Console

from gnnseq.data.contacts import width_of
from harness.provenance import provenance
from harness.report import PLAIN
from harness.sweep import run_sweep
from studies.social_graph.live import follow
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
    return {"experiment": "social_graph", "provenance": provenance(), **about, "runs": records}


def answer(run: SocialRun) -> dict[str, Any]:
    """The scores of one run."""
    return follow(run) if run.protocol == "live" else stream(run)
