"""The sweep of one plan, as one JSON value."""

from typing import Any

from rich.console import Console

from harness.provenance import provenance
from harness.sweep import run_sweep
from studies.palindrome.fit import fit, seconds_at_most
from studies.palindrome.results import compact


def run(settings: Any, console: Console) -> dict[str, Any]:
    """Train all that the settings ask for; finished runs are not trained again."""
    plan = settings.plan()
    records = run_sweep(fit, plan.runs(), settings.folder / "cache", settings.jobs, seconds_at_most, console)
    return compact(settings.plan_name, plan.title, records, provenance())
