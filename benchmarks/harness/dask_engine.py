"""Runs of a sweep on a Dask cluster."""

import contextlib
import hashlib
import itertools
import logging
import tempfile
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import distributed
import joblib
from cloudpickle import dumps

from harness.engines import Outcome, Outcomes, call, code, killed, lost, unreachable

__all__ = ["DaskEngine", "make"]

PATIENCE = 10.0  # seconds in which a scheduler must answer


class DaskEngine:
    """Workers of a Dask cluster; one of this machine, a process a run, where no address is given."""

    local = False

    def __init__(self, address: str | None) -> None:
        self.address = address
        self.own: distributed.LocalCluster | None = None
        self.client: distributed.Client | None = None
        for name in [name for name in logging.root.manager.loggerDict if name.partition(".")[0] == "distributed"]:
            logging.getLogger(name).setLevel(logging.CRITICAL)  # what is lost is said once, by us

    def workers(self, jobs: int) -> int:
        """How many runs are done at a time; at least one, though a cluster may still be empty."""
        found = len(self._connected(jobs).scheduler_info(n_workers=-1)["workers"])
        return max(1, found if jobs < 0 else min(found, jobs))

    def outcomes(self, function: Callable[[Any], Any], items: dict[int, Any], jobs: int) -> Outcomes:
        """Outcomes as they finish."""
        client, by_key = self._connected(jobs), {}
        left, done = enumerate(items.items()), dumps(function)
        pending = distributed.as_completed()

        def begin() -> None:
            for place, (number, item) in itertools.islice(left, 1):
                task = client.submit(call, done, dumps(item), number, pure=False, priority=-place)
                by_key[task.key] = item
                pending.add(task)

        for _ in items if jobs < 0 else range(jobs):
            begin()
        try:
            for future in pending:
                if future.status in ("cancelled", "lost"):
                    raise lost(self.address or "this machine", f"a run is {future.status}")
                try:
                    outcome: Outcome = future.result()
                except distributed.KilledWorker:
                    raise killed(by_key[future.key]) from None
                begin()
                yield outcome
        finally:  # where an error or Ctrl-C ends the sweep, nobody waits for the others
            with contextlib.suppress(Exception):
                client.cancel(list(pending.futures), force=True)

    def close(self) -> None:
        """Leave the cluster; stop one's own."""
        for each in (self.client, self.own):
            if each is not None:
                with contextlib.suppress(Exception):  # it may be gone
                    each.close(timeout=PATIENCE)

    def _connected(self, jobs: int) -> distributed.Client:
        if self.client is not None:
            return self.client
        if self.address is None:
            # A worker is a process of one thread with all the memory that there is, as those of loky are.
            self.own = distributed.LocalCluster(
                n_workers=joblib.effective_n_jobs(jobs), threads_per_worker=1, memory_limit=0, dashboard_address=None,
                silence_logs=logging.CRITICAL,
            )  # fmt: skip
            self.client = distributed.Client(self.own)
            return self.client
        file = Path(self.address)
        try:
            there: dict[str, Any] = {"scheduler_file": str(file)} if file.is_file() else {"address": self.address}
            self.client = distributed.Client(**there, timeout=PATIENCE)
            with tempfile.TemporaryDirectory() as folder:
                self.client.upload_file(str(_archive(Path(folder))))
        except (OSError, TimeoutError, ValueError) as error:
            raise unreachable("Dask", self.address, error) from None
        return self.client


def make(address: str | None) -> DaskEngine:
    """The engine of the cluster at the address, which is met when it is needed."""
    return DaskEngine(address)


def _archive(folder: Path) -> Path:
    """The studies' modules as a file that workers import from, named after what is in it."""
    texts = {file.relative_to(root.parent): file.read_bytes() for root in code() for file in sorted(root.rglob("*.py"))}
    digest = hashlib.sha256(b"".join(texts.values())).hexdigest()[:16]
    with zipfile.ZipFile(folder / f"studies-{digest}.zip", "w") as archive:
        for name, text in texts.items():
            archive.writestr(str(name), text)
    return folder / f"studies-{digest}.zip"
