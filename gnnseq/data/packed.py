"""Bytes, text and arrays of files that may be packed, with errors that name the file."""

import gzip
import struct
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["DAMAGED", "as_utf8", "is_gzip", "read_arrays", "read_unpacked"]

# What zipfile, zlib and NumPy raise of archives and arrays that are cut off, altered, encrypted or packed otherwise.
DAMAGED = (
    ArithmeticError,
    EOFError,
    LookupError,
    MemoryError,
    OSError,
    RuntimeError,  # and NotImplementedError, RecursionError
    SyntaxError,
    TypeError,
    ValueError,
    struct.error,
    zipfile.BadZipFile,
    zlib.error,
)


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


def read_arrays(path: Path, wrong: str) -> dict[str, NDArray[Any]]:
    """The arrays of an .npz by their names, or that of an .npy under no name; nothing is unpickled.

    Args:
        path: The file.
        wrong: What is said of a file that is cut off, damaged or of Python's objects.

    Raises:
        ValueError: It is such a file.
    """
    try:
        with path.open("rb") as opened:  # NumPy leaves a damaged .npz open
            found = np.load(opened, allow_pickle=False)
            if isinstance(found, np.ndarray):
                return {"": found}
            with found:
                return {name: np.asarray(found[name]) for name in found.files}
    except FileNotFoundError:
        raise
    except DAMAGED as error:
        raise ValueError(f"{path}: {wrong} ({error})") from error
