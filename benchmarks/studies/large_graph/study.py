"""All runs on one graph as one JSON value."""

import hashlib
from functools import partial
from pathlib import Path
from typing import Any

import torch
from rich.console import Console

from harness.files import read_json
from harness.processes import in_turn, is_first
from harness.provenance import provenance
from harness.report import PLAIN, said
from harness.sweep import run_sweep
from studies.large_graph.batches import has_dgl
from studies.large_graph.degrees import measure_degrees
from studies.large_graph.fit import fit, needed
from studies.large_graph.graph import LargeGraph
from studies.large_graph.planted import best_scores, planted
from studies.large_graph.runs import PEER, SHARED
from studies.large_graph.sampling import measure_sampling
from studies.large_graph.sources import own_graph

MOST_MEASURED = 1_000_000  # nodes: what is measured beside the runs needs no larger graph


def run(settings: Any, console: Console) -> dict[str, Any]:
    """Make or read the graph, train what is asked for and fits; finished runs are not trained again."""
    torch.set_num_threads(1)
    folder, digest = _graph(settings, console)
    about = read_json(folder / "about.json")
    if about["training"] == 0:
        raise ValueError(f"{about['name']}: none of {about['nodes']} nodes is labelled and in the training part; "
                         "expected one or more")  # fmt: skip
    left_out = {}
    for method in settings.methods:
        wants = needed(method, about["nodes"], about["edges"], settings.hidden, about["width"])
        if settings.processes > 1 and method not in SHARED:
            left_out[method] = "one process's; --devices and --machines divide the seeds of samples and no edges"
        elif method == PEER and not has_dgl():
            left_out[method] = "DGL is not installed"
        elif wants > settings.memory:
            left_out[method] = f"wants about {wants:.0f} GB; --memory is {settings.memory:g}"
    for method, why in left_out.items():
        console.print(said("left out:", "yellow", f" {method}: {why}"), **PLAIN)
    runs = [each for each in settings.runs(digest, about["nodes"]) if each.method not in left_out]
    if not runs:
        raise ValueError(f"nothing is left to do: {'; '.join(f'{name} {why}' for name, why in left_out.items())}")
    # One process, so that no run's memory is another's: the network's epochs differ most, and take so long at most.
    records = run_sweep(
        partial(fit, folder=folder), runs, settings.folder / "cache", 1,
        lambda each: 6e-7 * about["edges"] * each.epochs + 1, console,
    )  # fmt: skip
    own = settings.graph is not None
    if not is_first():  # the rest is measured once
        return {}
    best = None if own else {name: round(score, 5) for name, score in best_scores(LargeGraph.load(folder)).items()}
    speed = None
    if not own and about["nodes"] <= MOST_MEASURED:
        nodes, edges = (5_000, 50_000) if settings.quick else (1_000_000, 10_000_000)
        speed = measure_sampling(nodes, edges, 3 if settings.quick else 10)
    lost = None if speed is None else measure_degrees(LargeGraph.load(folder), 32 if settings.quick else 64)
    shown = {key: value for key, value in about.items() if key != "features"}
    return {
        "experiment": "large_graph", "provenance": provenance(), "graph": shown, "best": best, "sampling": speed,
        "degrees": lost,
        "left_out": left_out, "runs": [{**record["settings"], **record["result"]} for record in records],
    }  # fmt: skip


def _graph(settings: Any, console: Console) -> tuple[Path, str]:
    """The folder of a graph in files, made if it is not there, and what tells it from others."""
    if settings.graph is None:
        nodes, edges = settings.size
        what = f"planted {nodes} {edges} 1"
    else:
        files = [path for path in (settings.graph, settings.features, settings.labels) if path is not None]
        for path in files:
            if not path.exists():
                raise FileNotFoundError(f"{path} does not exist")
        each = [file for path in files for file in ([path] if path.is_file() else sorted(path.rglob("*.csv*")))]
        stamps = [(str(file.resolve()), file.stat().st_size, file.stat().st_mtime_ns) for file in each]
        what = repr((stamps, settings.directed))
    digest = hashlib.sha256(what.encode()).hexdigest()[:16]
    folder = settings.folder / "cache" / f"graph-{digest}"
    if not (folder / "about.json").exists():
        console.print(f"the graph is written to {folder}", **PLAIN)

    def write() -> None:
        if (folder / "about.json").exists():
            return
        if settings.graph is None:
            planted(folder, *settings.size)
        else:
            own_graph(folder, settings.graph, settings.features, settings.labels, settings.directed)

    in_turn(write)
    return folder, digest
