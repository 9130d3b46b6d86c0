"""Fused element-wise code, where a C compiler is at hand: ``cells.c``, compiled once a process when first wanted.

Torch goes through memory once an operation, and a cell is a dozen of them; here it is one pass. Nothing is compiled at
install time, and without a compiler (or with ``GNNSEQ_NATIVE=0``) the kernels do the same by torch's operations.
"""

import ctypes
import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

__all__ = ["native"]

# No -ffast-math: some compilers then link code that changes how the whole process rounds. NaN and infinity are kept.
FLAGS = ["-O3", "-march=native", "-fno-math-errno", "-fno-trapping-math", "-fPIC"]
# gcc and clang stop at 256 bits otherwise; other machines do not know it.
WIDE = "-mprefer-vector-width=512"
# The first that compiles and loads. OpenMP's runtime is never linked, but found where torch has loaded its own: another
# beside it would fight it for the cores. Where none is found, one thread does.
CHOICES = [[WIDE, "-fopenmp"], ["-fopenmp"], [WIDE, "-fopenmp-simd"], ["-fopenmp-simd"], []]
LEAST_SIZE = 1 << 15


def native(name: str, like: Tensor, size: int) -> Callable[..., None] | None:
    """The function of ``cells.c`` of that name; None where torch's operations have to do.

    It is called as ``function(n, H, *tensors)``, with contiguous tensors.

    Args:
        name: Of the function.
        like: One of the tensors that are worked on; only plain ones of float32 on a CPU can be.
        size: Numbers in the largest of them; few are not worth a compiler's run.
    """
    plain = type(like) in (Tensor, nn.Parameter) and like.device.type == "cpu" and like.dtype == torch.float32
    library = _library() if plain and size >= LEAST_SIZE else None
    if library is None:
        return None
    function, threads = getattr(library, name), torch.get_num_threads()

    def run(rows: int, hidden: int, *tensors: Tensor) -> None:
        pointers = [ctypes.c_void_p(tensor.data_ptr()) for tensor in tensors]
        function(ctypes.c_ssize_t(threads), ctypes.c_ssize_t(rows), ctypes.c_ssize_t(hidden), *pointers)

    return run


@cache
def _library() -> ctypes.CDLL | None:
    if os.environ.get("GNNSEQ_NATIVE") == "0":
        return None
    try:
        name, *options = shlex.split(os.environ.get("CC") or "cc")  # such as "gcc -m64" or "ccache gcc"
        compiler = shutil.which(name)
        if compiler is None:
            return None
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            return _compile([compiler, *options], Path(folder))
    except (OSError, ValueError, subprocess.TimeoutExpired):  # nowhere to write, nonsense in CC, a compiler that hangs
        return None


def _compile(compiler: list[str], folder: Path) -> ctypes.CDLL | None:
    source = Path(__file__).with_name("cells.c")
    for number, flags in enumerate(CHOICES):
        object_file, library = (str(folder / f"cells{number}.{ending}") for ending in ("o", "so"))
        try:
            for command in (
                [*compiler, *FLAGS, *flags, "-c", "-o", object_file, str(source)],
                [*compiler, "-shared", "-o", library, object_file],
            ):
                subprocess.run(command, check=True, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)
            return ctypes.CDLL(library)  # stays loaded when its file is gone
        except (OSError, subprocess.CalledProcessError):
            continue
    return None
