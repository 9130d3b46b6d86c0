"""Published files: downloaded once from where their authors keep them, checked, and kept in a folder.

``registry.txt`` beside this file lists each name with its SHA-256 and its address. The folder is the system's place for
caches, or the one that the environment variable ``GNNSEQ_DATA`` names; files that are there already need no network. A
file whose address ends in .gz and whose name does not is kept, and was hashed, unpacked.

Downloads need pooch, which comes with ``pip install 'gnnseq[experiments]'``.
"""

import gzip
import os
import zlib
from functools import cache
from importlib import import_module, resources
from pathlib import Path
from typing import Any

__all__ = ["fetch", "folder", "names"]


def folder() -> Path:
    """Where the files are: ``GNNSEQ_DATA``, or ``gnnseq`` among the system's caches."""
    return Path(os.environ.get("GNNSEQ_DATA") or _pooch().os_cache("gnnseq")).expanduser()


@cache
def _registry() -> Any:
    """A pooch.Pooch of the files in registry.txt."""
    registry = _pooch().create(path=folder(), base_url="", registry={})
    with resources.files("gnnseq.data").joinpath("registry.txt").open(encoding="utf-8") as lines:
        registry.load_registry(lines)
    return registry


def _pooch() -> Any:
    try:
        return import_module("pooch")
    except ImportError as error:
        raise ImportError("data from the network need pooch; run `pip install 'gnnseq[experiments]'`") from error


def _unpacked(url: str, output_file: str, pooch: Any) -> None:
    """Download as pooch does, and unpack in place, so that pooch checks what was in it."""
    _pooch().core.choose_downloader(url)(url, output_file, pooch)
    path = Path(output_file)
    try:
        path.write_bytes(gzip.decompress(path.read_bytes()))
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise OSError(f"not gzipped, or cut off: {error}") from error


def names(prefix: str = "") -> list[str]:
    """The names that :func:`fetch` knows and that begin with ``prefix``, in the registry's order.

    Example:
        >>> names("epidemics/")
        ['epidemics/chickenpox.json', 'epidemics/england_covid.json']
    """
    return [name for name in _registry().registry if name.startswith(prefix)]


def fetch(name: str) -> Path:
    """The path of a published file; it is downloaded if the folder lacks it or holds another.

    Args:
        name: One of :func:`names`.

    Raises:
        ValueError: The name is unknown; the folder is none, or the file has to be downloaded and the folder cannot be
            written; or what was downloaded has another SHA-256 than the file had.
        ConnectionError: The file is not in the folder, or is another one there, and its address cannot be reached.
        ImportError: pooch is missing.
    """
    registry, where = _registry(), folder()
    registry.path = where
    if name not in registry.registry:
        raise ValueError(f"name={name!r}; expected one of {', '.join(registry.registry)}")
    if where.exists() and not where.is_dir():
        raise ValueError(f"GNNSEQ_DATA={where}: a file; expected a folder, which is made where it is missing")
    held = f"another SHA-256 in {where}, so cut off or changed" if (where / name).exists() else f"not in {where}"
    try:
        packed = registry.get_url(name).endswith(".gz") and not name.endswith(".gz")
        return Path(registry.fetch(name, downloader=_unpacked if packed else None))
    except OSError as error:
        # Errors of the network are OSErrors too; those of a folder name a file, or are pooch's word for them.
        if error.filename is not None or isinstance(error, PermissionError):
            raise ValueError(
                f"{name}: {held}, and nothing can be written there ({error}). Set GNNSEQ_DATA to a folder that can be "
                "written, or that has the file."
            ) from error
        raise ConnectionError(
            f"{name}: {held}, and {registry.get_url(name)} cannot be had ({error}). Put the file there, or set "
            "GNNSEQ_DATA to a folder that has it."
        ) from error
    except ValueError as error:
        raise ValueError(
            f"{name}: {registry.get_url(name)} has another SHA-256 than the file had ({error}). Try again; where it "
            f"stays so, the file was changed at its source: put the original into {where}."
        ) from error
