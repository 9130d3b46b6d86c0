"""Where a number came from: commit, versions, hardware, date and command."""

import datetime
import importlib.metadata
import platform
import shlex
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import joblib
import torch

__all__ = ["ROOT", "commit", "provenance"]

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gnnseq", "torch", "torch_geometric", "numpy", "scipy", "networkx")


def provenance() -> dict[str, Any]:
    """Where and with what a result was made, as JSON values."""
    changes = _git("status", "--porcelain", "--untracked-files=no")
    script = Path(sys.argv[0]).resolve()  # is named relative to the checkout: no result carries its maker's folders
    name = str(script.relative_to(ROOT)) if script.is_relative_to(ROOT) else script.name
    return {
        "commit": commit(),
        "dirty": None if changes is None else bool(changes),  # tracked files differ from the commit
        "versions": {
            "python": platform.python_version(),
            **{name: _version(name) for name in PACKAGES},
            "torch": torch.__version__,  # which names the build, CPU or CUDA; metadata may not
        },
        "cpu": _cpu_model(),
        "cores": joblib.cpu_count(),  # those this process may use
        "threads": torch.get_num_threads(),
        "platform": f"{platform.system()} {platform.machine()}",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": shlex.join(["python", name, *sys.argv[1:]]),
    }


def commit() -> str | None:
    """The checkout's commit; None outside of one."""
    return _git("rev-parse", "HEAD")


def _git(*arguments: str) -> str | None:
    with suppress(OSError, subprocess.SubprocessError):  # no git, or no checkout
        return subprocess.check_output(
            ["git", *arguments], cwd=ROOT, stderr=subprocess.DEVNULL, text=True, timeout=30
        ).strip()
    return None


def _version(package: str) -> str | None:
    with suppress(importlib.metadata.PackageNotFoundError):
        return importlib.metadata.version(package)
    return None


def _cpu_model() -> str:
    with suppress(OSError):  # other systems have no such file
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
