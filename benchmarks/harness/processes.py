"""Processes that train together, on one machine or several: who they are, and which share of a batch each has.

Every process runs the same command. Lightning's DDP averages their gradients over gloo; losses are weighted so that the
average is the gradient of one process with the whole batch, also where a share is short or empty.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import IO, Any, TypeVar

import numpy as np
import torch
from torch import distributed
from torch.utils.data import Sampler

__all__ = ["ProcessLostError", "ShareSampler", "agree", "gather", "in_turn", "is_first", "is_lost", "join",
           "mean_of_all", "rank", "same_turns", "share", "share_or_one", "size", "sum_of_all", "together"]  # fmt: skip

Value = TypeVar("Value")
Other = tuple[subprocess.Popen[bytes], IO[bytes]]  # a process that was started, and what it writes to stderr

TIMEOUT = timedelta(minutes=30)  # that a process waits for another one: the first one may be drawing samples
GRACE = 60.0  # seconds in which the others must have ended, once the first has
PATIENCE = 20.0  # seconds in which this process must have heard that another one has ended
GONE = ("closed by peer", "reset by peer", "Broken pipe", "Timed out waiting", "Connection refused", "recv error")


class ProcessLostError(ChildProcessError):
    """A process that was training with this one has ended."""


def size() -> int:
    """How many processes train together; 1 where this one is alone."""
    return distributed.get_world_size() if distributed.is_available() and distributed.is_initialized() else 1


def rank() -> int:
    """Which of them this one is, from 0 on."""
    return distributed.get_rank() if size() > 1 else 0


def is_first() -> bool:
    """Whether this process writes files and speaks, for all."""
    return rank() == 0


def agree(value: Value) -> Value:
    """The first process' value, on every process."""
    if size() == 1:
        return value
    box = [value]
    distributed.broadcast_object_list(box, src=0)
    return box[0]


def in_turn(make: Callable[[], None]) -> None:
    """Have the first process make a file, then the first of each other machine, which may share a disk; all wait."""
    for turn in (True, False):
        if int(os.environ.get("LOCAL_RANK", 0)) == 0 and is_first() == turn:
            make()
        if size() > 1:
            distributed.barrier()


def gather(value: Value) -> list[Value]:
    """The values of all processes, on each."""
    if size() == 1:
        return [value]
    values: list[Any] = [None] * size()
    distributed.all_gather_object(values, value)
    return values


def share(count: int) -> slice:
    """This process' share of so many things: disjoint, together all, in order, none larger by two than another.

    Example:
        >>> share(5)
        slice(0, 5, None)
    """
    return slice(count * rank() // size(), count * (rank() + 1) // size())


def share_or_one(count: int) -> tuple[slice, float]:
    """:func:`share` and 1, or the first thing and 0 where the share is empty: every process must take part in a step.

    Multiply the loss by the number: DDP waits for gradients of everybody, and these are zero.
    """
    if count < 1:
        raise ValueError(f"count={count}; expected at least one thing to share")
    own = share(count)
    return (own, 1.0) if own.stop > own.start else (slice(0, 1), 0.0)


def mean_of_all(total: torch.Tensor, of_all: float | torch.Tensor) -> torch.Tensor:
    """A loss to call backward on, from a process' sum of errors and how many there are on all processes together.

    DDP takes the mean of gradients over processes, each as loud as another, however few errors it has. The mean of
    these losses is the sum of all errors over the number of all.
    """
    return total * size() / of_all


def sum_of_all(value: torch.Tensor) -> torch.Tensor:
    """The sum over processes, without a gradient."""
    value = value.detach().clone()
    if size() > 1:
        distributed.all_reduce(value)
    return value


def same_turns(goes_on: bool) -> bool:
    """Whether all processes go on; a ValueError on all where they differ, whose gradients would be paired wrongly."""
    going = int(sum_of_all(torch.tensor(int(goes_on))))
    if going not in (0, size()):
        raise ValueError(f"{going} of {size()} processes have another batch and the rest have none; expected as many "
                         "batches on each, as harness.processes.ShareSampler gives them")  # fmt: skip
    return goes_on


class ShareSampler(Sampler[list[int]]):
    """Batches of indices in random order, of each its share, for torch's DataLoader.

    ``DataLoader(data, sampler=ShareSampler(...), batch_size=None)`` asks ``data`` for lists, which may be empty; with
    ``batch_sampler=`` torch would collate single samples, and fail where there is none.

    The batches are those of one process, whose indices the processes divide among them. All have as many batches;
    where an epoch's last is short, a share may be empty. Each epoch has an order of its own, the same for equal seeds.

    Example:
        >>> [len(indices) for indices in ShareSampler(10, batch=4, seed=0)]
        [4, 4, 2]
    """

    def __init__(self, count: int, batch: int, seed: int, shuffle: bool = True) -> None:
        if count < 1 or batch < 1:
            raise ValueError(f"count={count}, batch={batch}; expected both to be at least 1")
        self.count, self.batch, self.seed, self.shuffle = count, batch, seed, shuffle
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Which epoch comes next, where it is not the one after the last."""
        self.epoch = epoch

    def __len__(self) -> int:
        return -(-self.count // self.batch)

    def __iter__(self) -> Iterator[list[int]]:
        generator = np.random.default_rng([self.seed, self.epoch])
        order = generator.permutation(self.count) if self.shuffle else np.arange(self.count)
        self.epoch += 1
        for first in range(0, self.count, self.batch):
            whole = order[first : first + self.batch]
            yield whole[share(len(whole))].tolist()


@contextlib.contextmanager
def together(devices: int, nodes: int, option: str = "--nodes") -> Iterator[bool]:
    """Run the block on ``devices`` processes of each of ``nodes`` machines; whether this is the first of all.

    ``option`` is what the command line calls the number of machines.

    On one machine the other processes are started here, with this one's command line. On several the command is
    started on each with MASTER_ADDR, MASTER_PORT and NODE_RANK in its environment, or torchrun or Slurm starts all.
    A process that dies ends the others: here a ProcessLostError says which and of what.
    """
    if devices * nodes == 1:
        _expect_no_others(option)
        yield True
        return
    before = dict(os.environ)
    others = [] if _started_by_others(devices, nodes, option) else _start(devices, nodes, option)
    over = threading.Event()
    threading.Thread(target=_end_without, args=[others, over], daemon=True).start()
    try:
        join()
        yield is_first()
        _wait(others)
    except RuntimeError as error:
        if not is_lost(error):
            raise
        raise ProcessLostError(_who(others, error)) from None
    finally:
        over.set()
        if distributed.is_initialized():
            distributed.destroy_process_group()
        for process, log in others:
            process.kill()
            process.wait()
            log.close()
        for name in set(os.environ) - set(before):
            del os.environ[name]
        os.environ.update(before)


def is_lost(error: BaseException) -> bool:
    """Whether an error says that another process has gone: gloo has no class of its own for that."""
    return isinstance(error, RuntimeError) and any(words in str(error) for words in GONE)


def join() -> None:
    """Meet the other processes, as RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT say."""
    torch.set_num_threads(max(1, (os.cpu_count() or 1) // int(os.environ.get("LOCAL_WORLD_SIZE", 1))))
    distributed.init_process_group("cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo", timeout=TIMEOUT)


def _expect_no_others(option: str) -> None:
    count = int(os.environ.get("WORLD_SIZE", 1))
    if "TORCHELASTIC_RUN_ID" in os.environ and count > 1:
        raise ValueError(f"torchrun has started {count} processes, which would all do the same; give --devices, "
                         f"processes of each machine, and {option}, machines")  # fmt: skip


def _started_by_others(devices: int, nodes: int, option: str) -> bool:
    """Whether torchrun, Slurm or the first process of this machine has started this one, and said which it is."""
    environment = os.environ
    if environment.get("SLURM_NTASKS") == str(devices * nodes) and "SLURM_PROCID" in environment:
        from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

        found = SLURMEnvironment(auto_requeue=False)
        environment |= {
            "RANK": str(found.global_rank()), "WORLD_SIZE": str(found.world_size()),
            "LOCAL_RANK": str(found.local_rank()), "NODE_RANK": str(found.node_rank()),
            "LOCAL_WORLD_SIZE": str(devices), "MASTER_ADDR": found.main_address, "MASTER_PORT": str(found.main_port),
        }  # fmt: skip
        return True
    if "TORCHELASTIC_RUN_ID" in environment:
        found_size, here = int(environment["WORLD_SIZE"]), int(environment["LOCAL_WORLD_SIZE"])
        if (found_size, here) != (devices * nodes, devices):
            raise ValueError(f"--devices {devices} {option} {nodes}: torchrun has started {here} processes here and "
                             f"{found_size} in all; expected --nproc-per-node {devices} --nnodes {nodes}")  # fmt: skip
        return True
    parent = environment.get("GNNSEQ_FIRST_PROCESS")
    if parent is not None:
        threading.Thread(target=_end_with, args=[int(parent)], daemon=True).start()
    return parent is not None


def _start(devices: int, nodes: int, option: str) -> list[Other]:
    """Start the other processes of this machine, and note which this one is."""
    environment = os.environ
    node = int(environment.get("NODE_RANK", 0))
    missing = [name for name in ("MASTER_ADDR", "MASTER_PORT", "NODE_RANK") if name not in environment]
    if nodes > 1 and missing:
        raise ValueError(f"{option} {nodes}: {', '.join(missing)} is not in the environment; start the command on each "
                         "machine with MASTER_ADDR and MASTER_PORT of the first and its own NODE_RANK from 0 on, or by "
                         f"torchrun --nnodes {nodes} --nproc-per-node {devices} ...")  # fmt: skip
    if nodes > 1 and not 0 <= node < nodes:
        raise ValueError(f"NODE_RANK={node}; expected 0 to {nodes - 1} with {option} {nodes}")
    if nodes == 1:
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(_free_port()), "NODE_RANK": "0"}
    environment |= {"WORLD_SIZE": str(devices * nodes), "LOCAL_WORLD_SIZE": str(devices)}
    started: list[Other] = []
    for local in reversed(range(devices)):
        environment |= {"LOCAL_RANK": str(local), "RANK": str(node * devices + local)}
        if local > 0:
            log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # closed with the process
            command = [sys.executable, *sys.orig_argv[1:]]
            inside = environment | {"GNNSEQ_FIRST_PROCESS": str(os.getpid())}
            started.append((subprocess.Popen(command, env=inside, stdout=subprocess.DEVNULL, stderr=log), log))
    return started


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def _end_with(parent: int) -> None:
    """End when the process that started this one has: it cannot say so, if it was killed."""
    while os.getppid() == parent:
        time.sleep(0.5)
    os._exit(1)


def _end_without(others: list[Other], over: threading.Event) -> None:
    """End if another process has, and this one does not come to hear of it: it may wait where no message comes."""
    while others and not over.wait(1.0):
        if any(process.poll() not in (None, 0) for process, _ in others) and not over.wait(PATIENCE):
            print(_who(others, "no answer"), file=sys.stderr, flush=True)
            os._exit(2)


def _wait(others: list[Other]) -> None:
    end = time.monotonic() + GRACE
    with contextlib.suppress(subprocess.TimeoutExpired):
        for process, _ in others:
            process.wait(max(0.0, end - time.monotonic()))


def _who(others: list[Other], error: Any) -> str:
    """Which process has ended, and of what."""
    kept = "what was saved is kept, and the same command goes on from there"
    end = time.monotonic() + 5.0
    while others and time.monotonic() < end and all(process.poll() in (None, 0) for process, _ in others):
        time.sleep(0.05)
    ended = [(process.poll(), log) for process, log in others if process.poll() not in (None, 0)]
    if not ended:
        reason = str(error).splitlines()[0][:160]
        return f"another of {os.environ.get('WORLD_SIZE')} processes has ended ({reason}); {kept}"
    code, log = ended[0]
    number = [process for process, _ in others].index(next(p for p, each in others if each is log))
    log.seek(0)
    said = log.read().decode(errors="replace").strip().splitlines()
    how = f"was killed by {signal.Signals(-code).name}" if code is not None and code < 0 else f"ended with code {code}"
    last = f": {said[-1].strip()}" if said and code is not None and code > 0 else ""
    local = len(others) - number
    return f"process {local} of {len(others) + 1} on this machine {how}{last}; {kept}"
