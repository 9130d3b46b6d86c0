"""Where Linux has a C compiler: the folder ``c``, each of its files compiled when one of its functions is first wanted.

Torch goes through memory once an operation, and a cell is a dozen of them; here it is one pass, and a sweep over paths
is one call. Nothing is compiled at install time, and without a compiler (or with ``GNNSEQ_NATIVE=0``) the kernels do
the same by torch's operations. What was compiled is kept in ``gnnseq`` within the user's cache folder
(``XDG_CACHE_HOME``) if no other user can write there, else among temporary files: see
:mod:`gnnseq.kernels.native.folders`. Of several processes that start at once one compiles, and the others wait for it.

Each file is a library of its own, so that a first sweep waits for what it needs alone. It does wait: were torch's
operations to serve until the library is there, the numbers of a run would depend on how long a compiler takes.

``torch.utils.cpp_extension`` would need ninja, a C++ compiler and Python's headers, and parse torch's own for half a
minute; plain C through ctypes needs ``cc`` alone, compiles in seconds, and links with no version of Python or torch.
"""

import ctypes
import hashlib
import logging
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

import torch

from gnnseq.kernels.native.folders import folders, has_room, one_at_a_time

__all__ = ["library"]

# No -ffast-math: some compilers then link code that changes how the whole process rounds. NaN and infinity are kept.
FLAGS = ["-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fPIC"]
# gcc and clang stop at 256 bits otherwise; other machines do not know it.
WIDE = "-mprefer-vector-width=512"
# The first that compiles and loads. OpenMP's runtime is never linked, but used if torch has loaded its own: two
# runtimes would compete for the cores. Where none is found, one thread does all.
CHOICES = [[WIDE, "-fopenmp"], ["-fopenmp"], [WIDE, "-fopenmp-simd"], ["-fopenmp-simd"], []]
SOURCES = sorted(Path(__file__).with_name("c").glob("*.[ch]"))


@cache
def library(part: str = "cells") -> ctypes.CDLL | None:
    """The compiled functions of a file of the folder, named without ``.c``; None if they cannot be had."""
    # A Mac without developer tools would answer with a dialogue; Windows has no cc.
    if sys.platform != "linux" or os.environ.get("GNNSEQ_NATIVE") == "0":
        return None
    try:
        name, *options = shlex.split(os.environ.get("CC") or "cc")  # such as "gcc -m64" or "ccache gcc"
        compiler = shutil.which(name)
        return None if compiler is None else _kept_or_compiled([compiler, *options], part)
    except (OSError, ValueError, subprocess.SubprocessError):  # nowhere to write, nonsense in CC, a compiler that hangs
        return None


def _kept_or_compiled(compiler: list[str], part: str) -> ctypes.CDLL | None:
    """The library that an earlier process left, else a new one, left for later ones if possible."""
    name = f"{part}-{_key(compiler, part)}"
    for folder in folders():
        try:
            found = _kept(folder, name)
            if found is None and has_room(folder) and _loads(compiler, folder):
                with one_at_a_time(folder):
                    found = _kept(folder, name) or _made(compiler, folder, name, part)
            if found is not None:
                return found
        except OSError:  # it filled up, or cannot be loaded from
            continue
    logging.getLogger(__name__).warning(
        "compiled kernels are off, and layers some times slower: %s made nothing that loads, in the user's cache or "
        "among temporary files; set XDG_CACHE_HOME to a folder with room, not mounted noexec, or GNNSEQ_NATIVE=0",
        " ".join(compiler),
    )
    return None


def _kept(folder: Path, name: str) -> ctypes.CDLL | None:
    """What an earlier process left in a folder; what it left unfinished is removed."""
    for kept in folder.glob(f"{name}-*.so"):
        if kept.stem == f"{name}-{_digest(kept.read_bytes())}":  # one that a full disk cut off would end the process
            return ctypes.CDLL(str(kept))
        kept.unlink(missing_ok=True)
    return None


def _made(compiler: list[str], folder: Path, name: str, part: str) -> ctypes.CDLL | None:
    """A new library, whole in its folder or not there at all."""
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as temporary:
        compiled = _compile(compiler, Path(temporary), part)
        if compiled is None:
            return None
        return ctypes.CDLL(str(compiled.replace(folder / f"{name}-{_digest(compiled.read_bytes())}.so")))


def _loads(compiler: list[str], folder: Path) -> bool:
    """Whether what the compiler makes there can be loaded: tried with next to nothing, as all of it takes seconds."""
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as temporary:
        source, library = Path(temporary, "nothing.c"), Path(temporary, "nothing.so")
        source.write_text("int nothing(void) { return 0; }\n")
        try:
            _run([*compiler, "-fPIC", "-shared", "-o", str(library), str(source)], Path(temporary))
            ctypes.CDLL(str(library))
        except (OSError, subprocess.CalledProcessError):
            return False
        return True


def _run(command: list[str], folder: Path) -> None:
    """Runs the compiler, whose own files are in the same folder."""
    environment = os.environ | {"TMPDIR": str(folder)}
    options = {"stdin": subprocess.DEVNULL, "timeout": 60, "env": environment}
    subprocess.run(command, check=True, capture_output=True, **options)  # type: ignore[call-overload]


def _key(compiler: list[str], part: str) -> str:
    """Changes with the source, the compiler, what it knows of this processor, and torch, whose OpenMP is used."""
    parts = [
        *(source.read_bytes() for source in SOURCES if source.suffix == ".h" or source.stem == part),
        repr((compiler, FLAGS, CHOICES, torch.__version__)).encode(),
        _macros(*compiler, *FLAGS),
    ]
    return _digest(b"\0".join(parts))


@cache
def _macros(*compiler: str) -> bytes:
    """What a compiler knows of this processor."""
    asked = [*compiler, "-E", "-dM", "-x", "c", os.devnull]
    return subprocess.run(asked, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60).stdout


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _compile(compiler: list[str], folder: Path, part: str) -> Path | None:
    """The first of the choices that compiles and loads."""
    (source,) = (source for source in SOURCES if source.suffix == ".c" and source.stem == part)
    for number, flags in enumerate(CHOICES):
        made, library = folder / f"{part}{number}.o", folder / f"{part}{number}.so"
        try:
            _run([*compiler, *FLAGS, *flags, "-c", "-o", str(made), str(source)], folder)
            _run([*compiler, "-shared", "-o", str(library), str(made)], folder)
            ctypes.CDLL(str(library))
            return library
        except (OSError, subprocess.CalledProcessError):
            continue
    return None
