"""Sweeps: frozen dataclasses, one a run. Each finished run is a file, so an interrupted sweep continues."""

import dataclasses
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TimeElapsedColumn, TimeRemainingColumn

from harness import processes
from harness.engines import current_engine
from harness.files import UnreadableResultError, read_json, write_json
from harness.orphans import end_with
from harness.provenance import commit
from harness.report import PLAIN

__all__ = ["now_and_then", "one_thread", "run_sweep"]

Settings = TypeVar("Settings")

EVERY = 10.0  # seconds between lines on what is finished, where output is a file or a pipe
STARTING = 5.0  # seconds that a process takes to start: less work than that is done in this one


def run_sweep(
    function: Callable[[Settings], Any],
    settings: Sequence[Settings],
    folder: str | Path,
    jobs: int = -1,
    seconds: Callable[[Settings], float] | None = None,
    console: Console | None = None,
) -> list[dict[str, Any]]:
    """Call ``function`` on every element of ``settings`` that has no finished run in ``folder``, in parallel.

    Runs go to processes of this machine, one torch thread each, or within :func:`harness.engines.sweep_on` to a Dask or
    a Ray cluster: only this process touches ``folder``. An exception in a run stops the sweep, and so does Ctrl-C;
    every run that had finished is kept. A run whose worker of a cluster was lost is done again.

    Args:
        function: From settings to a JSON value that depends on nothing but them.
        settings: Frozen dataclasses of JSON values; two that are equal are a ValueError.
        folder: Where each finished run is kept, in a file named after its settings.
        jobs: joblib's ``n_jobs``: -1 means every core, 1 means no further process.
        seconds: How long a run takes at most: with it the sweep says how long it will take, and the longest runs start
            first, so that no core idles at the end.
        console: Where the progress bar and the warnings go; stderr by default.

    Returns:
        One record for each element of ``settings``, in that order: ``{"settings", "result", "seconds", "commit"}``.
    """
    console = Console(stderr=True) if console is None else console
    paths = [Path(folder) / f"{_digest(setting)}.json" for setting in settings]
    if len(set(paths)) < len(paths):
        twice = next(setting for setting, path in zip(settings, paths, strict=True) if paths.count(path) > 1)
        raise ValueError(f"settings: {twice} occurs twice; every run of a sweep needs settings of its own")

    alone, first = processes.size() == 1, processes.is_first()
    records = [
        _finished(path, setting, console) if first else None for path, setting in zip(paths, settings, strict=True)
    ]
    records = processes.agree(records)
    missing = [index for index, record in enumerate(records) if record is None]
    finished = len(settings) - len(missing)
    if finished:
        console.print(f"{finished} of {len(settings)} runs were finished before, see {folder}", **PLAIN)
    if not missing:
        return [record for record in records if record is not None]

    engine = current_engine()
    weights = {index: 1.0 if seconds is None else seconds(settings[index]) for index in missing}
    missing.sort(key=lambda index: -weights[index])  # stable: equal ones keep the order given
    missing, jobs = processes.agree(missing), jobs if alone else 1
    if seconds is not None:
        jobs = 1 if engine.local and sum(weights.values()) < STARTING else jobs
        cores = engine.workers(jobs)
        minutes = max(sum(weights.values()) / cores, max(weights.values())) / 60
        console.print(f"{len(missing)} runs to do, at most about {minutes:.1f} minutes on {cores} cores", **PLAIN)
    made_at = commit()
    # Results arrive as they finish and are written here, so a run is on disk before the next one is waited for.
    outcomes = engine.outcomes(
        partial(_run, function, os.getpid()), {index: settings[index] for index in missing}, jobs
    )
    tell = now_and_then(console)
    columns = ("runs", BarColumn(None), "{task.fields[runs]}", TimeElapsedColumn(), "left", TimeRemainingColumn())
    with Progress(*columns, console=console) as progress, closing(outcomes):
        bar = progress.add_task("runs", total=sum(weights.values()), runs=f"{finished}/{len(settings)}")
        for index, (result, duration) in outcomes:
            record = {"settings": _plain(settings[index]), "result": result, "seconds": duration, "commit": made_at}
            if first:
                write_json(paths[index], record)
            records[index] = record
            finished += 1
            progress.update(bar, advance=weights[index], runs=f"{finished}/{len(settings)}")
            tell(f"{finished} of {len(settings)} runs are finished")
    return processes.agree([record for record in records if record is not None])


def _run(function: Callable[[Settings], Any], parent: int, setting: Settings) -> tuple[Any, float]:
    end_with(parent)
    with one_thread():
        start = time.perf_counter()
        result = function(setting)
        return result, round(time.perf_counter() - start, 3)


def now_and_then(console: Console) -> Callable[[str], None]:
    """A function that prints one line of many, where no bar moves because output is a file or a pipe."""
    said = time.monotonic()

    def tell(line: str) -> None:
        nonlocal said
        if not console.is_terminal and time.monotonic() - said > EVERY:
            said = time.monotonic()
            console.print(line, **PLAIN)

    return tell


@contextmanager
def one_thread() -> Iterator[None]:
    """Give torch one thread inside the block: runs side by side must not fight for the cores."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def _finished(path: Path, setting: Any, console: Console) -> dict[str, Any] | None:
    """The record at ``path``, or None where there is none that is whole and belongs to ``setting``."""
    if not path.exists():
        return None
    why = "is another run's"
    try:
        record = read_json(path)
        if isinstance(record, dict) and record.get("settings") == _plain(setting) and "result" in record:
            return record
    except UnreadableResultError:
        why = "was cut off"
    console.print(f"{path} {why}; this run is done again", style="yellow", **PLAIN)
    return None


def _plain(setting: Any) -> Any:
    """The settings as they read back from JSON: tuples become lists."""
    return json.loads(json.dumps(dataclasses.asdict(setting)))


def _digest(setting: Any) -> str:
    return hashlib.sha256(json.dumps(_plain(setting), sort_keys=True).encode()).hexdigest()[:16]
