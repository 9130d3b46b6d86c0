"""Ctrl-C and SIGTERM as requests that a training grants between two steps, when everything can be saved."""

import signal
import threading
from dataclasses import dataclass
from types import FrameType
from typing import Any


@dataclass(eq=False)
class Stopped(Exception):  # noqa: N818  # asked for, no error
    """Training was asked to stop by the signal ``number``, after ``step`` steps, and has saved ``path``."""

    number: int
    step: int
    path: str

    def __str__(self) -> str:
        return f"stopped by {signal.Signals(self.number).name} after step {self.step}; saved {self.path}"


class Signals:
    """Collects SIGINT and SIGTERM inside a with block in place of obeying them; a second SIGINT is obeyed."""

    def __init__(self) -> None:
        self.asked: list[int] = []  # those that have come
        self.before: dict[int, Any] = {}

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():  # which alone may handle signals
            self.before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        self.listen()
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self.before.items():
            signal.signal(number, handler)

    def listen(self) -> None:
        """Take the signals over from whoever handles them."""
        for number in self.before:
            signal.signal(number, self._ask)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if number == signal.SIGINT and number in self.asked:
            raise KeyboardInterrupt
        self.asked.append(number)
