"""The quick form of every study in the registry, two at a time, as CI runs them.

    python benchmarks/quick.py --studies palindrome stocks

Results go to a temporary folder. Exit code 0: every one ended with 0; 1: one did not; 2: an argument is wrong.
"""

import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from harness.cli import run
from studies.registry import STUDIES


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
    alone = os.environ | {"OMP_NUM_THREADS": "1"}  # threads of two that share the cores wait for one another
    failed, arguments = [], {study.name: study.quick for study in STUDIES}

    def finish(name: str) -> tuple[str, subprocess.CompletedProcess[str], float]:
        start, script = time.monotonic(), Path(__file__).resolve().with_name(f"{name}.py")
        command = [sys.executable, script, *arguments[name], "--results", Path(folder, name)]
        made = subprocess.run(
            command, check=False, text=True, env=alone, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        return name, made, time.monotonic() - start

    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(2) as pool:
        for name, made, seconds in pool.map(finish, settings.studies):
            print(f"python benchmarks/{name}.py --quick\n{made.stdout}", flush=True)
            print(f"{name}: exit code {made.returncode} after {seconds:.0f} s", flush=True)
            failed += [name] * (made.returncode != 0)
    print("failed:" if failed else "all quick forms ended well", *failed)
    return int(bool(failed))


if __name__ == "__main__":
    run(main, Settings)
