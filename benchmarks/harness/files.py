"""Files that are whole or not there: results as JSON, pages as text."""

import dataclasses
import hashlib
import json
import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import lru_cache, wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

__all__ = [
    "UnreadableResultError",
    "cached_while_unchanged",
    "expect_result",
    "fitting",
    "name_of",
    "read_json",
    "short_hash",
    "write_bytes",
    "write_json",
    "write_text",
]


Arguments = ParamSpec("Arguments")
Made = TypeVar("Made")


def cached_while_unchanged(most: int) -> Callable[[Callable[Arguments, Made]], Callable[Arguments, Made]]:
    """As :func:`functools.lru_cache`, for what is made of files that arguments name: a changed file is read anew.

    Args:
        most: How many results are kept. Arguments are hashable; paths may be texts, in tuples, or in dataclasses.
    """

    def decorate(function: Callable[Arguments, Made]) -> Callable[Arguments, Made]:
        @lru_cache(maxsize=most)
        def kept(_: object, *args: Any, **kwargs: Any) -> Made:
            return function(*args, **kwargs)

        @wraps(function)
        def call(*args: Arguments.args, **kwargs: Arguments.kwargs) -> Made:
            state = os.environ.get("GNNSEQ_DATA"), _stamps((*args, *kwargs.values()))
            return kept(state, *args, **kwargs)  # type: ignore[arg-type]

        call.cache_clear = kept.cache_clear  # type: ignore[attr-defined]
        return call

    return decorate


def _stamps(values: Sequence[Any]) -> tuple[Any, ...]:
    """Size and times of every file that some values name."""
    found: list[Any] = []
    for value in values:
        if dataclasses.is_dataclass(value):
            found.append(_stamps([getattr(value, field.name) for field in dataclasses.fields(value)]))
        elif isinstance(value, tuple):
            found.append(_stamps(value))
        elif isinstance(value, str | Path) and Path(value).is_file():
            about = Path(value).stat()
            found.append((about.st_ino, about.st_size, about.st_mtime_ns, about.st_ctime_ns))
    return tuple(found)


class UnreadableResultError(ValueError):
    """A result file that is not complete JSON, as a full disk or a power cut leaves it."""


def name_of(paths: Sequence[Path]) -> str:
    """What results of several files are called: by the first, and by where all are, as no other files' results are."""
    places = "\n".join(str(path.resolve()) for path in paths)
    return f"{fitting(paths[0].stem)}-{short_hash(places)}"


def fitting(name: str) -> str:
    """A name that a file can have with something added, in text: a long one is cut, and what is no text left out.

    Such names are told from others by a digest.

    Example:
        >>> fitting("trees"), len(fitting("trees-" * 50))
        ('trees', 129)
    """
    kept = name.encode(errors="surrogateescape")[:120].decode(errors="ignore")
    return name if kept == name else f"{kept}-{short_hash(name)}"


def short_hash(text: str) -> str:
    """Eight characters that another text does not have, but by rare chance."""
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:8]


def write_json(path: str | Path, value: Any) -> None:
    """:func:`write_bytes` for a JSON value, on one line; NaN and infinity are a ValueError, because JSON has none."""
    write_text(path, json.dumps(value, separators=(",", ":"), allow_nan=False) + "\n")


def write_text(path: str | Path, text: str) -> None:
    """:func:`write_bytes` for text."""
    write_bytes(path, text.encode())


def write_bytes(path: str | Path, content: bytes | memoryview) -> None:
    """Write so that a reader finds the old file or the whole new one, never a part; missing folders are made.

    An OSError, as of a full disk, names the file and says whether there is one from before.
    """
    path = Path(path)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        if error.errno is None:  # of no system's making: its text is all there is
            raise
        before = "the one from before is intact" if path.exists() else "there is none from before"
        raise OSError(error.errno, f"not written, {before}; make room or name another folder ({error.strerror})",
                      str(path)) from error  # fmt: skip
    finally:
        with suppress(OSError):  # as where its folder is none
            temporary.unlink(missing_ok=True)


def expect_result(path: Path) -> Path:
    """The path of a result that a run without --report-only has written; a FileNotFoundError if there is none."""
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist; run the command without --report-only first")
    return path


def read_json(path: str | Path) -> Any:
    """Read what :func:`write_json` wrote; an UnreadableResultError names the remedy."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        size = Path(path).stat().st_size
        raise UnreadableResultError(
            f"{path}: {size} bytes that are not complete JSON ({error}). The file was cut off or edited; delete it and "
            "run the command again."
        ) from error
