"""Runs of a sweep on a Ray cluster, by Ray's own API: joblib's backend for Ray refuses results as they finish."""

import contextlib
import itertools
import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from typing import Any

import joblib
import ray
from ray import exceptions
from ray.cloudpickle import dumps

from harness.engines import RETRIES, Outcome, Outcomes, call, code, killed, lost, unreachable

__all__ = ["RayEngine", "make"]

PATIENCE = 10.0  # seconds in which a head must answer; after 60 without one, Ray ends the process that asks


class RayEngine:
    """Workers of a Ray cluster; one of this machine where no address is given."""

    local = False

    def __init__(self, address: str | None) -> None:
        self.address = address
        self.met = False
        self.found = ""  # where the cluster's head listens, unless it is asked through Ray's client
        self.answered = 0.0

    def workers(self, jobs: int) -> int:
        """How many runs are done at a time; at least one, though a cluster may still be empty."""
        self._connect(jobs)
        found = int(ray.cluster_resources().get("CPU", 0))
        return max(1, found if jobs < 0 else min(found, jobs))

    def outcomes(self, function: Callable[[Any], Any], items: dict[int, Any], jobs: int) -> Outcomes:
        """Outcomes as they finish."""
        self._connect(jobs)
        do: Any = ray.remote(num_cpus=1, max_retries=RETRIES)(call)
        left = iter(items.items())
        pending: dict[Any, Any] = {}  # what is asked of each reference

        def begin() -> None:
            for number, item in itertools.islice(left, 1):
                pending[do.remote(done, dumps(item), number)] = item

        try:
            done = ray.put(dumps(function))
            for _ in items if jobs < 0 else range(jobs):
                begin()
            while pending:
                ready, _ = ray.wait(list(pending), num_returns=1, timeout=PATIENCE / 4)
                self._expect_head()
                for reference in ready:
                    item = pending.pop(reference)
                    outcome = _result(reference, item)
                    begin()
                    yield outcome
        except (exceptions.RayError, ConnectionError) as error:
            if isinstance(error, ConnectionError) and not self.address_is_client:
                raise
            raise lost(self.address or "this machine", str(error).splitlines()[0]) from None
        finally:  # where an error or Ctrl-C ends the sweep, nobody waits for the others
            with contextlib.suppress(Exception):
                for reference in pending:
                    ray.cancel(reference, force=True)

    def close(self) -> None:
        """Leave the cluster, and stop it if it is one's own."""
        if self.met:
            with contextlib.suppress(Exception):
                ray.shutdown()
            self.met = False

    @property
    def address_is_client(self) -> bool:
        """Whether the cluster is asked through Ray's client, which tells itself that it is lost."""
        return (self.address or "").startswith("ray://")

    def _connect(self, jobs: int) -> None:
        if self.met:
            return
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        quiet: dict[str, Any] = {"logging_level": logging.CRITICAL, "log_to_driver": False}
        if self.address is None:
            path = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            ray.init("local", num_cpus=joblib.effective_n_jobs(jobs), include_dashboard=False,
                     runtime_env={"env_vars": path}, **quiet)  # fmt: skip
        else:
            try:
                _answers(self.address.removeprefix("ray://"))  # Ray itself asks for minutes
                ray.init(self.address, runtime_env={"py_modules": [str(folder) for folder in code()]}, **quiet)
            except (OSError, RuntimeError, ValueError, exceptions.RayError) as error:
                raise unreachable("Ray", self.address, str(error).splitlines()[0]) from None
        self.met, self.answered = True, time.monotonic()
        if not self.address_is_client:
            self.found = ray.get_runtime_context().gcs_address

    def _expect_head(self) -> None:
        """A ClusterLostError if the head has not answered for a while: runs would go on, and nobody hear of them."""
        if not self.found or time.monotonic() - self.answered < PATIENCE / 4:
            return
        try:
            _answers(self.found)
            self.answered = time.monotonic()
        except OSError as error:
            if time.monotonic() - self.answered > PATIENCE:
                raise lost(self.address or "this machine", error) from None


def _result(reference: Any, item: Any) -> Outcome:
    """What a run returned, or the error that it raised itself."""
    try:
        outcome: Outcome = ray.get(reference)
        return outcome
    except exceptions.RayTaskError as error:
        raise error.cause from None
    except (exceptions.WorkerCrashedError, exceptions.OutOfMemoryError):
        raise killed(item) from None


def _answers(address: str) -> None:
    """An OSError if nobody listens at HOST:PORT."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE / 2).close()


def make(address: str | None) -> RayEngine:
    """The engine of the cluster at the address, which is met when it is needed."""
    return RayEngine(address)
