"""The quick form of every study in the registry, one after the other, as CI runs them.

    python benchmarks/quick.py --studies palindrome stocks

Results go to a temporary folder. Exit code 0: every one ended with 0; 1: one did not; 2: an argument is wrong.
"""

import subprocess
import sys
import tempfile
import time
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
    """Run them; the exit code."""
    failed = []
    with tempfile.TemporaryDirectory() as folder:
        for name in settings.studies:
            start = time.monotonic()
            print(f"python benchmarks/{name}.py --quick", flush=True)
            script = Path(__file__).resolve().with_name(f"{name}.py")
            code = subprocess.call([sys.executable, script, "--quick", "--results", Path(folder, name)])
            print(f"{name}: exit code {code} after {time.monotonic() - start:.0f} s", flush=True)
            failed += [name] * (code != 0)
    print("failed:" if failed else "all quick forms ended well", *failed)
    return int(bool(failed))


if __name__ == "__main__":
    run(main, Settings)
