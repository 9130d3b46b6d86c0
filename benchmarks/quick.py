"""The quick form of every study in the registry, two at a time, as CI runs them.

    python benchmarks/quick.py --studies palindrome stocks

Results go to a temporary folder. Exit code 0: every one ended with 0; 1: one did not; 2: an argument is wrong.
"""

import os
import runpy
import sys
import tempfile
import time
import traceback
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

from harness.cli import run
from studies.registry import STUDIES

IMPORTED = ["gnnseq.layers", "lightning.pytorch", "matplotlib.pyplot", "pandas", "rich.console"]  # by nearly all


@dataclass(frozen=True)
class Settings:
    """The quick form of every study."""

    studies: tuple[str, ...] = tuple(study.name for study in STUDIES)  # Only these

    def __post_init__(self) -> None:
        known = [study.name for study in STUDIES]
        for name in set(self.studies).difference(known):
            raise ValueError(f"--studies {name}: expected some of {', '.join(known)}")


def main(settings: Settings) -> int:
    """Run them, two at a time; the exit code."""
    os.environ["OMP_NUM_THREADS"] = "1"  # threads of two that share the cores wait for one another
    server, failed = get_context("forkserver"), []
    server.set_forkserver_preload(IMPORTED)  # once for all, in place of seconds in each
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(2, mp_context=server, max_tasks_per_child=1) as pool,
    ):
        for name, code, said, seconds in pool.map(partial(_finish, folder=folder), settings.studies):
            print(f"python benchmarks/{name}.py --quick\n{said}", flush=True)
            print(f"{name}: exit code {code} after {seconds:.0f} s", flush=True)
            failed += [name] * (code != 0)
    print("failed:" if failed else "all quick forms ended well", *failed)
    return int(bool(failed))


def _finish(name: str, folder: str) -> tuple[str, int, str, float]:
    """Run a script in this process, which is its own: its name, exit code, what it printed, and seconds."""
    start, script = time.monotonic(), Path(__file__).resolve().with_name(f"{name}.py")
    (arguments,) = (study.quick for study in STUDIES if study.name == name)
    sys.argv = [str(script), *arguments, "--results", str(Path(folder, name))]
    code: object = 0
    with Path(folder, f"{name}.txt").open("w+", encoding="utf-8") as said:
        for stream in (sys.stdout, sys.stderr):
            os.dup2(said.fileno(), stream.fileno())
        try:
            runpy.run_path(str(script), run_name="__main__")
        except SystemExit as end:
            code = end.code
        except BaseException:  # told with what the script printed, as Python tells it of a script
            traceback.print_exc()
            code = 1
        sys.stdout.flush()
        sys.stderr.flush()
        said.seek(0)
        return name, code if isinstance(code, int) else int(code is not None), said.read(), time.monotonic() - start


if __name__ == "__main__":
    run(main, Settings)
