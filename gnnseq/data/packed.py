"""Bytes and text of files that may be packed by gzip, with errors that name the file."""

import gzip
import zlib
from pathlib import Path

__all__ = ["as_utf8", "is_gzip", "read_unpacked"]


def is_gzip(path: Path) -> bool:
    """Whether the file begins as gzip does, whatever its name says."""
    with path.open("rb") as file:
        return file.read(2) == b"\x1f\x8b"


def read_unpacked(path: Path, most: int = -1) -> bytes:
    """What the file holds, unpacked if it is gzip.

    Args:
        path: The file.
        most: Bytes after which reading stops; -1 reads all.

    Raises:
        ValueError: It is gzip and cut off or damaged.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp()) / "a.txt"
        >>> _ = path.write_bytes(gzip.compress(b"a b"))
        >>> read_unpacked(path)
        b'a b'
    """
    try:
        with gzip.open(path) if is_gzip(path) else path.open("rb") as file:
            return file.read(most)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise ValueError(f"{path}: gzip that is cut off or damaged ({error}); expected a whole .gz file") from error


def as_utf8(path: Path, content: bytes) -> str:
    """The text of a file's content, without a byte order mark.

    Raises:
        ValueError: It is not UTF-8; with file and line.
    """
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}:{line}: not UTF-8 ({error.reason}); convert the file") from error
