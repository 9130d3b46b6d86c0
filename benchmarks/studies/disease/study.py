"""All splits of a population, and what it is, as one JSON value."""

from functools import partial
from typing import Any

import numpy as np
from rich.console import Console

from gnnseq.data.populations import Population
from gnnseq.data.populations.sources import best_auc
from harness.provenance import provenance
from harness.report import PLAIN, said
from harness.sweep import run_sweep
from studies.disease.filters import FREQUENCIES, spectrum
from studies.disease.fit import measure, prepared
from studies.disease.folds import site_folds, stratified_folds
from studies.disease.picture import influences
from studies.disease.runs import MODELS
from studies.disease.sources import read
from studies.disease.views import matrices

MOST = 5000  # people: kernels and graphs are N x N


def run(settings: Any, console: Console) -> dict[str, Any]:
    """Fit all models on all splits; finished ones are not fitted again."""
    source = settings.people
    population = read(source)  # what is wrong with it is met here, not in a process of the sweep
    if len(population) > MOST:
        raise ValueError(f"{len(population)} people; kernels between all of them are for {MOST} at most")
    _check_within(population, source.within)
    stratified_folds(population.labels, settings.folds, seed=0)
    parts, notes = _sites(population, source.site, bool(settings.site))
    if source.correlations:
        matrices(population.features[:1])
    for note in (*population.notes, *notes):
        console.print(said("note:", "yellow", f" {note}"), **PLAIN)
    runs = settings.runs(parts, source.digest())
    seconds = 0.3 if settings.quick else 2e-8 * len(population) ** 2 * 400
    records = run_sweep(
        partial(measure, source=source), runs, settings.folder / "cache", settings.jobs, lambda _: seconds, console
    )
    data = prepared(source, runs[0].training.neighbours)
    edges = {name: graph[0].size(1) for name, graph in (("full", data.full), ("nearest", data.nearest))}
    best = best_auc() if source.name == "planted" else None
    values = spectrum(*data.full, len(population), self_loops=False)
    about = {
        "name": source.name if settings.features is None else settings.features.name, "people": len(population),
        "features": population.features.shape[1], "classes": list(population.classes),
        "positive": int(population.labels.sum()), "sites": len(parts), "phenotypes": list(population.phenotypes),
        "edges": edges, "best_auc": best, "notes": [*population.notes, *notes], "folds": settings.folds,
        "frequencies": list(FREQUENCIES),
        "spectrum": [round(float(value), 4) for value in np.quantile(values, np.linspace(0, 1, 41))],
    }  # fmt: skip
    first = next(record["result"] for record in records if record["settings"]["protocol"] == "folds")
    models = [model for model in MODELS if model in first["scores"]]
    return {"experiment": "disease", "provenance": provenance(), "data": about, "influence": influences(),
            "settings": records[0]["settings"]["training"], "models": models, "networks": list(first["epochs"]),
            "runs": [_short(record, models) for record in records]}  # fmt: skip


def _check_within(population: Population, within: tuple[tuple[str, float], ...]) -> None:
    """That the columns of --within are there and hold numbers."""
    numbers = [name for name, column in population.phenotypes.items() if column.dtype.kind == "f"]
    for name, far in within:
        if name not in numbers:
            why = "it holds texts" if name in population.phenotypes else "no such column"
            raise ValueError(f"--within {name}={far:g}: {why}; expected one of the columns of numbers, "
                             f"{', '.join(numbers) or 'of which there are none'}")  # fmt: skip


def _sites(population: Population, column: str, asked: bool) -> tuple[tuple[str, ...], list[str]]:
    """Sites that can be left out, and notes on those that cannot."""
    sites = population.phenotypes.get(column)
    if sites is None:
        if asked:
            raise ValueError(f"--site {column}: no such column; expected one of {', '.join(population.phenotypes)}")
        return (), [f"no column called {column!r}: no site is left out, and no site's mean removed; --site names one"]
    try:
        parts = tuple(site_folds(sites, population.labels))
    except ValueError as error:
        return (), [f"no site is left out: {error}"]
    others = len(set(sites.tolist()) - set(parts))
    return parts, [f"{others} sites have people of one class alone, and are only trained on"] if others else []


def _short(record: dict[str, Any], models: list[str]) -> dict[str, Any]:
    """A run without what all runs have in common: a column a model, None where it was not measured."""
    result, settings = record["result"], record["settings"]
    scored = [result["scores"].get(model, [None, None]) for model in models]
    columns = {name: [None if pair[place] is None else round(pair[place], 4) for pair in scored]
               for place, name in enumerate(("auc", "accuracy"))}  # fmt: skip
    about = {key: settings[key] for key in ("protocol", "repeat", "part")}
    chosen = {key: result[key] for key in ("tested", "alpha", "theta", "response") if key in result}
    return {
        **about,
        **columns,
        **chosen,
        "epochs": list(result["epochs"].values()),
        "seconds": round(record["seconds"]),
    }
