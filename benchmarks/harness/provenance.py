"""Where a number came from: commit, versions, hardware, date and command."""

import datetime
import importlib.metadata
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import joblib
import torch

__all__ = ["ROOT", "commit", "provenance"]

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = ("gnnseq", "torch", "torch_geometric", "numpy", "scipy", "networkx")


def provenance() -> dict[str, Any]:
    """Where and with what a result was made: commit, versions, hardware, date and command.

    Returns:
        A dict of JSON values: ``commit`` (None outside a git checkout), ``dirty`` (whether tracked files differ from
        that commit), ``versions``, ``cpu``, ``cores``, ``threads`` (of torch), ``platform``, ``date`` (UTC, ISO 8601)
        and ``command`` (the script's path relative to the checkout).

    Example:
        >>> sorted(provenance())
        ['command', 'commit', 'cores', 'cpu', 'date', 'dirty', 'platform', 'threads', 'versions']
    """
    changes = _git("status", "--porcelain", "--untracked-files=no")
    return {
        "commit": commit(),
        "dirty": None if changes is None else bool(changes),
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "cpu": _cpu_model(),
        "cores": joblib.cpu_count(),  # those this process may use
        "threads": torch.get_num_threads(),
        "platform": f"{platform.system()} {platform.machine()}",
        "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        "command": _command(),
    }


def commit() -> str | None:
    """The checkout's commit; None outside of one."""
    return _git("rev-parse", "HEAD")


def _git(*arguments: str) -> str | None:
    """Output of a git command in this checkout, None where there is no git or no checkout."""
    try:
        finished = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True, timeout=30)
    except (OSError, subprocess.SubprocessError):
        return None
    return finished.stdout.strip()


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_model() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # not Linux
    return platform.processor() or platform.machine()


def _command() -> str:
    """The command line, with the script relative to the checkout: a result must not carry its maker's folders."""
    script = Path(sys.argv[0]).resolve()
    root = ROOT
    name = str(script.relative_to(root)) if script.is_relative_to(root) else script.name
    return shlex.join(["python", name, *sys.argv[1:]])
