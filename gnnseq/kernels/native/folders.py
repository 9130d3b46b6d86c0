"""Folders that may keep compiled code: ones that no other user can write to, and one process at a time builds in."""

import os
import stat
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["folders", "has_room", "one_at_a_time"]

# Bytes that building takes at most: objects, the compiler's own files and the library.
ROOM = 4 << 20
# Seconds after which one that builds is taken for stopped.
PATIENCE = 180.0


def folders() -> Iterator[Path]:
    """In the user's cache, else among temporary files, where the next process finds it too, else for this one alone.

    Each is tried as long as those before are full, or mounted so that nothing in them can be loaded.
    """
    cache = os.environ.get("XDG_CACHE_HOME")
    try:
        home = _private(Path(cache or Path("~/.cache").expanduser()) / "gnnseq", parents=True)
    except (OSError, RuntimeError):  # RuntimeError: a user without a home
        home = None
    if home is not None:
        yield home
    try:
        shared = _private(Path(tempfile.gettempdir()) / f"gnnseq-{os.getuid()}", parents=False)
    except OSError:
        shared = None
    if shared is not None:
        yield shared
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as own:  # what was loaded stays when its file is gone
        yield Path(own)


def _private(folder: Path, parents: bool) -> Path | None:
    """The folder, made if it is not there; None if another user might write there, or nothing there can be loaded."""
    folder.mkdir(mode=0o700, parents=parents, exist_ok=True)
    status = folder.lstat() if not parents else folder.stat()  # among temporary files anybody may leave a link
    private = stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022
    loads = not os.statvfs(folder).f_flag & getattr(os, "ST_NOEXEC", 0)
    return folder if private and loads and os.access(folder, os.W_OK) else None


def has_room(folder: Path) -> bool:
    """Whether there is room to build: written and removed, as quotas and limits are seen in no table."""
    try:
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(bytes(ROOM))
            file.flush()
    except OSError:
        return False
    return True


@contextmanager
def one_at_a_time(folder: Path) -> Iterator[None]:
    """Waits for the other processes and threads that build there; not for ever, nor where nobody can lock."""
    import fcntl  # not on Windows, where nothing is compiled

    held = os.open(folder, os.O_RDONLY | os.O_CLOEXEC)
    try:
        until = time.monotonic() + PATIENCE
        while time.monotonic() < until:
            try:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                time.sleep(0.05)
            except OSError:  # as on some network file systems
                break
        yield
    finally:
        os.close(held)  # which unlocks, as the end of a process does
