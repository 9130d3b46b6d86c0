"""Processes that end with the one that started them, also if it is killed and can tell nobody."""

import os
import threading
import time
from functools import cache

__all__ = ["end_with"]


@cache
def end_with(parent: int, every: float = 0.5) -> None:
    """Ends this process, whatever it does, within so many seconds of the end of the process that started it.

    Args:
        parent: That one's number. Nothing is done in the process itself, or in one that another one started, as a
            cluster's workers are, who end by themselves.
        every: Seconds between two looks.
    """
    if os.getppid() != parent:
        return

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(every)
        os._exit(1)

    threading.Thread(target=watch, name="end-with-parent", daemon=True).start()
