"""Where the runs of a sweep are done: processes of this machine by joblib, or the workers of a Dask or a Ray cluster.

An engine is asked for outcomes, and gives them as they finish. A worker that is lost loses the run it was at, and that
run is done again by another one. A scheduler that is lost is a ConnectionError.
"""

import importlib.util
import pickle
import threading
from collections.abc import Callable, Generator, Iterator
from contextlib import AbstractContextManager, contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any, Literal, Protocol

import joblib

import harness

__all__ = ["Backend", "ClusterLostError", "Engine", "RunKilledError", "current_engine", "expect_backend", "sweep_on"]

Backend = Literal["loky", "dask", "ray"]
LIBRARIES = {"dask": "distributed", "ray": "ray"}
RETRIES = 3  # times that a run is done again whose worker was lost: it may be what kills workers
Outcome = tuple[int, Any]  # which run, and what the function returned
Outcomes = Generator[Outcome, None, None]


class ClusterLostError(ConnectionError):
    """The scheduler of a cluster does not answer any more."""


class RunKilledError(ChildProcessError):
    """A run whose workers died, each time that it was tried."""


class Engine(Protocol):
    """Who does runs."""

    local: bool  # whether the runs are done on this machine in the way that costs least

    def workers(self, jobs: int) -> int:
        """How many runs are done at a time."""

    def outcomes(self, function: Callable[[Any], Any], items: dict[int, Any], jobs: int) -> Outcomes:
        """The function of each item, as they finish; those of the first items are begun first."""

    def close(self) -> None:
        """Stop what was started, and leave alone what was found."""


class Joblib:
    """Processes of this machine, or what :func:`joblib.parallel_config` says."""

    local = True

    def workers(self, jobs: int) -> int:
        """How many runs are done at a time."""
        return int(joblib.effective_n_jobs(jobs))

    def outcomes(self, function: Callable[[Any], Any], items: dict[int, Any], jobs: int) -> Outcomes:
        """Outcomes as they finish, so that each is on disk before the next one is waited for."""
        tasks = (joblib.delayed(_numbered)(function, item, number) for number, item in items.items())
        yield from joblib.Parallel(n_jobs=jobs, return_as="generator_unordered", pre_dispatch="n_jobs", batch_size=1)(
            tasks
        )

    def close(self) -> None:
        """Do nothing: joblib ends its processes itself."""


_engines: list[Engine] = [Joblib()]  # the last one is asked


def current_engine() -> Engine:
    """The engine that runs go to."""
    return _engines[-1]


def sweep_on(backend: Backend, cluster: str | None = None) -> AbstractContextManager[None]:
    """Inside the block, :func:`harness.sweep.run_sweep` sends its runs there.

    Args:
        backend: loky for processes of this machine; dask or ray.
        cluster: The address of a cluster that is there, as Dask or Ray write it; a cluster of this machine is started
            with the first run where not given, and stopped at the end of the block.
    """
    expect_backend(backend)  # at once, not when the block begins
    return _sweep_on(backend, cluster)


@contextmanager
def _sweep_on(backend: Backend, cluster: str | None) -> Iterator[None]:
    made: Any = import_module(f"harness.{backend}_engine") if backend != "loky" else None
    engine: Engine = Joblib() if made is None else made.make(cluster)
    _engines.append(engine)
    try:
        yield
    finally:
        _engines.remove(engine)
        engine.close()


def expect_backend(backend: Backend) -> None:
    """An ImportError that says what to install, where a backend's library is missing."""
    library = LIBRARIES.get(backend)
    if library is not None and importlib.util.find_spec(library) is None:
        raise ImportError(f"--backend {backend}: {library} is not installed; pip install 'gnnseq[{backend}]'")


_alone = threading.Lock()  # threads of one worker share torch's random state and its number of threads


def call(function: bytes, item: bytes, number: int) -> Outcome:
    """Do one run on a worker, which does no other one meanwhile.

    Function and settings come pickled: what they hold is the run's own, and a cluster's shared memory stays as it is.
    """
    if Path(harness.__file__ or "").parent != Path(__file__).parent:
        raise ImportError("a worker has met the studies' code in another version; restart the cluster's workers")
    with _alone:
        return _numbered(pickle.loads(function), pickle.loads(item), number)


def killed(what: Any) -> RunKilledError:
    """The error of a run that no worker survives."""
    return RunKilledError(f"{what}: {RETRIES + 1} workers died at this run, as they do where memory is short; finished "
                          "runs are kept, the same command continues with the others")  # fmt: skip


def lost(address: str, why: Any) -> ClusterLostError:
    """The error where nobody is left to ask."""
    return ClusterLostError(f"the cluster at {address} does not answer any more ({why}); finished runs are kept: start "
                            "it again, and the same command continues")  # fmt: skip


def unreachable(backend: str, cluster: str, why: Any) -> ConnectionError:
    """The error where nobody was there."""
    return ConnectionError(f"--cluster {cluster}: no {backend} cluster answers there ({why})")


def code() -> list[Path]:
    """What workers need of the studies and cannot install: the folders of their modules."""
    here = Path(__file__).parent
    return [here, here.parent / "studies"]


def _numbered(function: Callable[[Any], Any], item: Any, number: int) -> Outcome:
    return number, function(item)
