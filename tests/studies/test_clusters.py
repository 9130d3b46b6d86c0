"""Sweeps on clusters of two workers: the records of this machine, whatever dies on the way."""

import asyncio
import dataclasses
import io
import os
import signal
import sys
import time
from functools import partial
from importlib.util import find_spec

import numpy as np
import pytest
import torch
from rich.console import Console

from harness.engines import ClusterLostError, call, sweep_on
from harness.files import read_json
from harness.scripts import fork_server
from harness.sweep import run_sweep

NEEDED = {"dask": "distributed", "ray": "ray"}
BACKENDS = [
    pytest.param(name, marks=pytest.mark.skipif(find_spec(needed) is None, reason=f"needs the extra {name!r}"))
    for name, needed in NEEDED.items()
]
# Ray and Dask leave sockets to be collected.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning:ray"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@dataclasses.dataclass(frozen=True)
class Draw:
    seed: int
    shape: tuple[int, ...] = (2,)


DRAWS = [Draw(seed) for seed in (5, 3, 0, 2, 4, 1)]


def draw(settings, array, flag=None):
    """What must depend on the settings alone; seed 2 kills its worker, once."""
    if flag is not None and settings.seed == 2 and not os.path.exists(flag):  # noqa: PTH110  # a text travels
        os.close(os.open(flag, os.O_CREAT))
        os.kill(os.getpid(), signal.SIGKILL)
    torch.manual_seed(settings.seed)
    time.sleep(0.05)  # another thread of this worker would draw meanwhile
    shared = torch.from_numpy(array).add_(1)  # in place: the next run must not see it
    return [torch.rand(settings.shape).tolist(), shared.tolist(), torch.get_num_threads()]


def slow(settings):
    time.sleep(0.0 if settings.seed in (5, 3) else 30.0)
    return settings.seed


def fails(settings):
    raise FloatingPointError(f"seed {settings.seed} diverged")


def scheduler(port):
    from distributed import Scheduler

    async def serve():
        async with Scheduler(port=0, dashboard=False) as made:
            port.send(made.address)
            await made.finished()

    asyncio.run(serve())


def worker(address):
    from distributed import Worker

    for name in [name for name in sys.modules if name.partition(".")[0] == "harness"]:
        del sys.modules[name]  # a worker elsewhere has not met it

    async def serve():
        async with Worker(address, nthreads=2, dashboard=False) as made:
            await made.finished()

    asyncio.run(serve())


class DaskCluster:
    def __init__(self):
        server = fork_server()  # a fork of this process, which has threads, may wait for ever for what one of them held
        here, there = server.Pipe()
        self.head = server.Process(target=scheduler, args=[there])
        self.head.start()
        assert here.poll(60), "the scheduler does not start"
        self.address = here.recv()
        self.workers = [server.Process(target=worker, args=[self.address]) for _ in range(2)]
        for each in self.workers:
            each.start()

    def kill_head(self):
        self.head.kill()

    def stop(self):
        for each in (*self.workers, self.head):
            each.kill()
            each.join()


class RayCluster:
    address = None  # the engine starts one

    def kill_head(self):
        import psutil

        (head,) = [each for each in psutil.Process().children(recursive=True) if each.name() == "gcs_server"]
        head.kill()

    def stop(self):
        pass


@pytest.fixture(scope="module", params=BACKENDS)
def cluster(request):
    made = {"dask": DaskCluster, "ray": RayCluster}[request.param]()
    with sweep_on(request.param, made.address):
        yield made
        made.stop()


def console():
    return Console(file=io.StringIO(), width=400)


def kept(records):
    return [{name: record[name] for name in ("settings", "result", "commit")} for record in records]


def test_a_cluster_gives_the_records_of_this_machine_though_a_worker_dies(cluster, tmp_path):
    with sweep_on("loky"):
        expected = run_sweep(lambda each: draw(each, np.zeros(3)), DRAWS, tmp_path / "here", jobs=1, console=console())
    dying = partial(draw, array=np.zeros(3), flag=str(tmp_path / "died"))
    records = run_sweep(dying, DRAWS, tmp_path / "there", jobs=2, seconds=lambda each: 1.0, console=console())
    assert (tmp_path / "died").exists()
    assert kept(records) == kept(expected)
    names = {path.name for path in (tmp_path / "here").iterdir()}
    assert {path.name for path in (tmp_path / "there").iterdir()} == names
    assert kept([read_json(tmp_path / "there" / name) for name in names]) == kept(
        [read_json(tmp_path / "here" / name) for name in names]
    )


def test_a_run_that_fails_raises_its_own_error(cluster, tmp_path):
    with pytest.raises(FloatingPointError, match=r"seed \d diverged"):
        run_sweep(fails, DRAWS, tmp_path, jobs=2, console=console())


def test_a_lost_scheduler_is_named_and_the_same_sweep_continues(cluster, tmp_path, monkeypatch):
    """The last of the module: nothing is left of the cluster."""
    for name in ("harness.ray_engine", "harness.dask_engine"):
        if name in sys.modules:
            monkeypatch.setattr(sys.modules[name], "PATIENCE", 2.0)

    def heard(line="", **options):
        if "2 of 6 runs are finished" in str(line):
            cluster.kill_head()

    with monkeypatch.context() as patch:
        patch.setattr("harness.sweep.EVERY", -1.0)
        told = console()
        patch.setattr(told, "print", heard)
        begun = time.monotonic()
        with pytest.raises(ClusterLostError, match=r"cluster at .* does not answer any more .* the same command"):
            run_sweep(slow, DRAWS, tmp_path, jobs=2, console=told)
        assert time.monotonic() - begun < 25
    assert len(list(tmp_path.iterdir())) == 2
    told = console()
    with sweep_on("loky"):
        records = run_sweep(lambda each: each.seed, DRAWS, tmp_path, jobs=1, console=told)
    assert [record["result"] for record in records] == [each.seed for each in DRAWS]
    assert "2 of 6 runs were finished before" in told.file.getvalue()


@pytest.mark.parametrize("backend", NEEDED)
def test_a_library_that_is_missing_is_named_with_its_extra(backend, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda asked: None)
    with pytest.raises(
        ImportError, match=rf"--backend {backend}: .* is not installed; pip install 'gnnseq\[{backend}\]'"
    ):
        sweep_on(backend)


def test_a_worker_with_other_code_is_refused(monkeypatch):
    monkeypatch.setattr("harness.__file__", "/elsewhere/studies-1.zip/harness/__init__.py")
    with pytest.raises(ImportError, match="another version; restart the cluster's workers"):
        call(b"", b"", 0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_address_where_nobody_listens_is_named(backend, tmp_path, monkeypatch):
    with sweep_on(backend, "127.0.0.1:1"):
        monkeypatch.setattr(f"harness.{backend}_engine.PATIENCE", 0.5)
        with pytest.raises(ConnectionError, match=r"--cluster 127.0.0.1:1: no .* cluster answers there"):
            run_sweep(fails, DRAWS, tmp_path, console=console())
