"""The quick form of every study in the registry, two at a time, as CI runs them.

    python benchmarks/quick.py --studies palindrome stocks

Results go to a temporary folder. Exit code 0: every one ended with 0; 1: one did not; 2: an argument is wrong.
"""

import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from harness.cli import run
from harness.scripts import fork_server, run_script
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
    failed = []
    with (
        tempfile.TemporaryDirectory() as folder,
        ProcessPoolExecutor(2, mp_context=fork_server(), max_tasks_per_child=1) as pool,
    ):
        for name, code, said, seconds in pool.map(partial(_finish, folder=folder), settings.studies):
            print(f"python benchmarks/{name}.py --quick\n{said}", flush=True)
            print(f"{name}: exit code {code} after {seconds:.0f} s", flush=True)
            failed += [name] * (code != 0)
    print("failed:" if failed else "all quick forms ended well", *failed)
    return int(bool(failed))


def _finish(name: str, folder: str) -> tuple[str, int, str, float]:
    """Run a study's script: its name, exit code, what it printed, and seconds."""
    start, script, said = (
        time.monotonic(),
        Path(__file__).resolve().with_name(f"{name}.py"),
        Path(folder, f"{name}.txt"),
    )
    (arguments,) = (study.quick for study in STUDIES if study.name == name)
    code = run_script(script, [*arguments, "--results", str(Path(folder, name))], said)
    return name, code, said.read_text(encoding="utf-8"), time.monotonic() - start


if __name__ == "__main__":
    run(main, Settings)
