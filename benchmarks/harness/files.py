"""Files that are whole or not there: results as JSON, pages as text."""

import json
import os
from pathlib import Path
from typing import Any

__all__ = ["UnreadableResultError", "read_json", "write_bytes", "write_json", "write_text"]


class UnreadableResultError(ValueError):
    """A result file that is not complete JSON, as a full disk or a power cut leaves it."""


def write_json(path: str | Path, value: Any, indent: int | None = 1) -> None:
    """Write ``value`` to ``path`` so that a reader finds the old file or the whole new one, never a part.

    The text goes to a temporary name in the same folder, reaches the disk, and then takes the file's place.

    Args:
        path: Where to write; missing folders are made.
        value: Anything the json module can write; NaN and infinity are refused because they are not JSON.
        indent: As in :func:`json.dumps`; None gives one line.

    Raises:
        ValueError: A number is NaN or infinite.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> write_json(folder / "runs" / "a.json", {"loss": 0.5})
        >>> read_json(folder / "runs" / "a.json")
        {'loss': 0.5}
    """
    separators = (",", ":") if indent is None else None
    write_text(path, json.dumps(value, indent=indent, separators=separators, allow_nan=False) + "\n")


def write_text(path: str | Path, text: str) -> None:
    """Write ``text`` to ``path`` as :func:`write_json` does: the old file or the whole new one, never a part."""
    write_bytes(path, text.encode())


def write_bytes(path: str | Path, content: bytes | memoryview) -> None:
    """Write ``content`` to ``path`` as :func:`write_json` does: the old file or the whole new one, never a part."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def read_json(path: str | Path) -> Any:
    """Read what :func:`write_json` wrote.

    Raises:
        UnreadableResultError: The file is not complete JSON; the message names it and the remedy.
        FileNotFoundError: There is no such file.
    """
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        size = Path(path).stat().st_size
        raise UnreadableResultError(
            f"{path}: {size} bytes that are not complete JSON ({error}). The file was cut off or edited; delete it and "
            "run the command again."
        ) from error
