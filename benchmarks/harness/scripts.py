"""Scripts that run in forks of a process that has imported what takes longest, each as if it were called by itself."""

import os
import runpy
import sys
import traceback
from collections.abc import Sequence
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path

__all__ = ["fork_server", "run_script"]

# What nearly all studies import, the last when an optimizer makes its first step.
IMPORTED = ["gnnseq.layers", "lightning.pytorch", "matplotlib.pyplot", "pandas", "rich.console", "torch._dynamo"]


def fork_server() -> ForkServerContext:
    """Where such processes come from; they have one thread each, or those that share the cores wait for one another."""
    os.environ["OMP_NUM_THREADS"] = "1"
    server = get_context("forkserver")
    server.set_forkserver_preload(IMPORTED)
    return server


def run_script(script: Path, arguments: Sequence[str], said: Path) -> int:
    """Run a script in this process, which must be its own; its exit code. What it prints goes into a file."""
    sys.argv = [str(script), *arguments]
    with said.open("w", encoding="utf-8") as file:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(file.fileno(), stream.fileno())
    try:
        runpy.run_path(str(script), run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # told as Python tells it of a script
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0
