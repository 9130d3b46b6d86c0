"""Published files: downloaded once from where their authors keep them, checked, and kept in a folder.

``registry.txt`` beside this file lists each name with its SHA-256 and its address. The folder is the system's place for
caches, or the one that the environment variable ``GNNSEQ_DATA`` names; files that are there already need no network.

The module needs the extra packages of the experiments (pooch).
"""

import os
from functools import cache
from importlib import resources
from pathlib import Path

import pooch

__all__ = ["fetch", "folder", "names"]


def folder() -> Path:
    """Where the files are: ``GNNSEQ_DATA``, or ``gnnseq`` among the system's caches."""
    return Path(os.environ.get("GNNSEQ_DATA") or pooch.os_cache("gnnseq"))


@cache
def _registry() -> pooch.Pooch:
    registry = pooch.create(path=folder(), base_url="", registry={})
    with resources.files("gnnseq.data").joinpath("registry.txt").open(encoding="utf-8") as lines:
        registry.load_registry(lines)
    return registry


def names(prefix: str = "") -> list[str]:
    """The names that :func:`fetch` knows and that begin with ``prefix``, in the registry's order.

    Example:
        >>> names("epidemics/")
        ['epidemics/chickenpox.json', 'epidemics/england_covid.json']
    """
    return [name for name in _registry().registry if name.startswith(prefix)]


def fetch(name: str) -> Path:
    """The path of a published file; it is downloaded where the folder lacks it or holds another.

    Args:
        name: One of :func:`names`.

    Raises:
        ValueError: The name is unknown, or what was downloaded has another SHA-256 than the file had.
        ConnectionError: The file is not in the folder and its address cannot be reached.
    """
    registry = _registry()
    registry.path = folder()
    if name not in registry.registry:
        raise ValueError(f"name={name!r}; expected one of {', '.join(registry.registry)}")
    try:
        return Path(registry.fetch(name))
    except OSError as error:  # requests' errors are OSErrors too
        raise ConnectionError(
            f"{name}: not in {folder()}, and {registry.get_url(name)} cannot be had ({error}). Put the file there, or "
            "set GNNSEQ_DATA to a folder that has it."
        ) from error
