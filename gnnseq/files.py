"""Files that are whole or not there."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["whole_file"]


@contextmanager
def whole_file(path: Path, what: str) -> Iterator[Path]:
    """Where to write a file, which takes its name when the block ends: a reader finds the old one or the whole new one.

    Args:
        path: Of the file; its folder is made if needed.
        what: What it is, for messages.

    Raises:
        OSError: It cannot be written, as on a full disk; the message names the file and the remedy.

    Example:
        >>> from tempfile import TemporaryDirectory
        >>> with TemporaryDirectory() as folder:
        ...     with whole_file(Path(folder, "a.txt"), "text") as unfinished:
        ...         _ = unfinished.write_text("all of it")
        ...     Path(folder, "a.txt").read_text()
        'all of it'
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        yield unfinished
        unfinished.replace(path)
    except OSError as error:
        if error.errno is None:  # of no system's making: its text is all there is
            raise
        raise OSError(error.errno, f"{what} not written ({error.strerror}); make room or name another folder",
                      str(path)) from error  # fmt: skip
    finally:
        unfinished.unlink(missing_ok=True)
