"""Trials in child processes, so that a signal is counted and ends nobody else."""

import os
import select
import signal
from collections.abc import Callable, Iterable
from typing import NamedTuple

__all__ = ["Outcome", "attempt_all"]

PATIENCE = 120.0  # seconds for one trial


class Outcome(NamedTuple):
    """What became of one trial.

    Attributes:
        number: Of the trial.
        what: A word: ``right``, the name of the error that was raised, or ``signal`` or ``hang``.
        detail: More of it.
    """

    number: int
    what: str
    detail: str


def attempt_all(
    numbers: Iterable[int], attempt: Callable[[int], tuple[str, str]], state: Callable[[], object] = lambda: None
) -> list[Outcome]:
    """What a function of each number says, called in a child that is replaced when it dies.

    It is replaced too when a trial leaves another ``state`` than it found: the next trial is then no heir of it.
    """
    waiting, outcomes = list(numbers), []
    while waiting:
        done, status = _in_child(waiting, attempt, state)
        outcomes += done
        waiting = waiting[len(done) :]
        if waiting and status != 0:
            died = os.WIFSIGNALED(status)
            name = (
                signal.Signals(os.WTERMSIG(status)).name if died else f"exit code {os.waitstatus_to_exitcode(status)}"
            )
            what = "hang" if died and os.WTERMSIG(status) == signal.SIGKILL else "signal"
            outcomes.append(Outcome(waiting[0], what, name))
            waiting = waiting[1:]
    return outcomes


def _in_child(
    numbers: list[int], attempt: Callable[[int], tuple[str, str]], state: Callable[[], object]
) -> tuple[list[Outcome], int]:
    """The outcomes of the first of them, until the child ended, and how it did."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(read)
        found = state()
        with os.fdopen(write, "w", encoding="utf-8") as lines:
            for number in numbers:
                what, detail = attempt(number)
                lines.write(f"{number}\t{what}\t{' '.join(detail.split())[:200]}\n")
                lines.flush()
                if state() != found:
                    break
        os._exit(0)
    os.close(write)
    text = b""
    with os.fdopen(read, "rb", buffering=0) as lines:
        while True:
            if not select.select([lines], [], [], PATIENCE)[0]:
                os.kill(child, signal.SIGKILL)
                break
            part = lines.read(1 << 16)
            if not part:
                break
            text += part
    status = os.waitpid(child, 0)[1]
    found = [line.split("\t") for line in text.decode().split("\n")[:-1]]
    return [Outcome(int(number), what, detail) for number, what, detail in found], status
