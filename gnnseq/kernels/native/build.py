"""Fused code, where Linux has a C compiler: the folder ``c``, compiled when first wanted.

Torch goes through memory once an operation, and a cell is a dozen of them; here it is one pass, and a sweep over paths
is one call. Nothing is compiled at install time, and without a compiler (or with ``GNNSEQ_NATIVE=0``) the kernels do
the same by torch's operations. What was compiled is kept in ``gnnseq`` within the user's cache folder
(``XDG_CACHE_HOME``) if nobody else can write there.
"""

import ctypes
import hashlib
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path

import torch
from torch import Tensor, nn

__all__ = ["bound", "call", "gemm", "is_plain", "library", "library_for", "native"]

# No -ffast-math: some compilers then link code that changes how the whole process rounds. NaN and infinity are kept.
FLAGS = ["-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fPIC"]
# gcc and clang stop at 256 bits otherwise; other machines do not know it.
WIDE = "-mprefer-vector-width=512"
# The first that compiles and loads. OpenMP's runtime is never linked, but found where torch has loaded its own: another
# beside it would fight it for the cores. Where none is found, one thread does.
CHOICES = [[WIDE, "-fopenmp"], ["-fopenmp"], [WIDE, "-fopenmp-simd"], ["-fopenmp-simd"], []]
LEAST_SIZE = 1 << 12
SOURCES = sorted(Path(__file__).with_name("c").glob("*.[ch]"))


def native(name: str, like: Tensor, size: int) -> Callable[..., int] | None:
    """The compiled function of that name; None where torch's operations have to do.

    It is called as ``function(n, H, *tensors)``, with contiguous tensors.

    Args:
        name: Of the function.
        like: As for :func:`library_for`.
        size: As for :func:`library_for`.
    """
    return None if library_for(like, size) is None else partial(call, name)


def call(name: str, *arguments: int | Tensor | None) -> int:
    """Calls a function that :func:`library_for` has found, on as many threads as torch uses.

    Args:
        name: Of the function.
        arguments: Sizes and contiguous tensors, None for NULL, the number of threads left out.

    Returns:
        What the function gives; means nothing where it gives nothing.
    """
    result: int = getattr(library(), name)(*map(_as_c, (torch.get_num_threads(), *arguments)))
    return result


def _as_c(argument: int | Tensor | None) -> ctypes.c_ssize_t | ctypes.c_void_p:
    if isinstance(argument, int):
        return ctypes.c_ssize_t(argument)
    return ctypes.c_void_p(None if argument is None else argument.data_ptr())


def library_for(like: Tensor, size: int) -> ctypes.CDLL | None:
    """The compiled functions; None where torch's operations have to do.

    Args:
        like: One of the tensors that are worked on; only plain ones of float32 on a CPU can be.
        size: Numbers in the largest of them; few are not worth a compiler's run.
    """
    return library() if size >= LEAST_SIZE and is_plain(like) else None


def bound(name: str, rows: int, hidden: int, *tensors: Tensor) -> Callable[[], None] | None:
    """The function of that name on tensors that the caller keeps, for calls so short that naming them would cost more.

    None as for :func:`native`, whatever the size, or where a tensor is not contiguous.
    """
    fit = all(is_plain(tensor) and tensor.is_contiguous() for tensor in tensors)
    compiled = library() if fit else None
    if compiled is None:
        return None
    sizes = [ctypes.c_ssize_t(size) for size in (1, rows, hidden)]
    return partial(getattr(compiled, name), *sizes, *(ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors))


@cache
def gemm() -> ctypes.c_void_p | None:
    """Fortran's ``sgemm`` of the library that torch's own products are made by, where it is in plain view."""
    try:
        found = ctypes.CDLL(str(Path(torch.__file__).parent / "lib" / "libtorch_cpu.so")).sgemm_
    except (AttributeError, OSError):
        return None
    two, one = ctypes.c_int64(2), ctypes.c_float(1.0)  # whose lower half is a 32-bit 2, if that is read
    numbers = [(ctypes.c_float * 4)(*values) for values in ((1, 2, 3, 4), (5, 6, 7, 8), (1, 1, 1, 1))]
    sizes = [ctypes.byref(two)] * 3
    a, b, c = ((number, ctypes.byref(two)) for number in numbers)
    found(b"N", b"N", *sizes, ctypes.byref(one), *a, *b, ctypes.byref(one), *c)
    return ctypes.cast(found, ctypes.c_void_p) if list(numbers[2]) == [24.0, 35.0, 32.0, 47.0] else None


def is_plain(tensor: Tensor) -> bool:
    """Whether it is of the kind that compiled functions take: float32 numbers as they lie in a CPU's memory."""
    known = type(tensor) in (Tensor, nn.Parameter) and not tensor.is_neg() and not tensor._is_zerotensor()
    return known and tensor.device.type == "cpu" and tensor.dtype == torch.float32


@cache
def library() -> ctypes.CDLL | None:
    """The compiled functions, where they can be had."""
    # A Mac without developer tools would answer with a dialogue; Windows has no cc.
    if sys.platform != "linux" or os.environ.get("GNNSEQ_NATIVE") == "0":
        return None
    try:
        name, *options = shlex.split(os.environ.get("CC") or "cc")  # such as "gcc -m64" or "ccache gcc"
        compiler = shutil.which(name)
        return None if compiler is None else _kept_or_compiled([compiler, *options])
    except (OSError, ValueError, subprocess.SubprocessError):  # nowhere to write, nonsense in CC, a compiler that hangs
        return None


def _kept_or_compiled(compiler: list[str]) -> ctypes.CDLL | None:
    """The library that an earlier process left in the user's cache, else a new one, left there if possible."""
    folder = _cache()
    if folder is None:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
            compiled = _compile(compiler, Path(temporary))
            return None if compiled is None else ctypes.CDLL(str(compiled))  # stays loaded when its file is gone
    name = f"cells-{_key(compiler)}"
    for kept in folder.glob(f"{name}-*.so"):
        if kept.stem == f"{name}-{_digest(kept.read_bytes())}":  # one that a full disk cut off would end the process
            return ctypes.CDLL(str(kept))
        kept.unlink(missing_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, ignore_cleanup_errors=True) as temporary:
        compiled = _compile(compiler, Path(temporary))
        if compiled is None:
            return None
        # Whole or not at all, whoever else compiles.
        return ctypes.CDLL(str(compiled.replace(folder / f"{name}-{_digest(compiled.read_bytes())}.so")))


def _cache() -> Path | None:
    """The folder of the user's cache; None where nobody else must be able to write, but might."""
    try:
        folder = Path(os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()) / "gnnseq"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = folder.stat()
    except (OSError, RuntimeError):
        return None
    private = status.st_uid == os.getuid() and not status.st_mode & 0o022
    return folder if private and os.access(folder, os.W_OK) else None


def _key(compiler: list[str]) -> str:
    """Changes with the source, the compiler, what it knows of this processor, and torch, whose OpenMP is used."""
    asked = [*compiler, *FLAGS, "-E", "-dM", "-x", "c", os.devnull]
    macros = subprocess.run(asked, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60).stdout
    parts = [
        *(source.read_bytes() for source in SOURCES),
        repr((compiler, FLAGS, CHOICES, torch.__version__)).encode(),
        macros,
    ]
    return _digest(b"\0".join(parts))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _compile(compiler: list[str], folder: Path) -> Path | None:
    """The first of the choices that compiles and loads."""
    for number, flags in enumerate(CHOICES):
        library = folder / f"cells{number}.so"
        objects = {source: str(folder / f"{source.stem}{number}.o") for source in SOURCES if source.suffix == ".c"}
        commands = [[*compiler, *FLAGS, *flags, "-c", "-o", made, str(source)] for source, made in objects.items()]
        try:
            for command in (*commands, [*compiler, "-shared", "-o", str(library), *objects.values()]):
                subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
            ctypes.CDLL(str(library))
            return library
        except (OSError, subprocess.CalledProcessError):
            continue
    return None
