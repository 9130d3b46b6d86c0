"""Every module imports after a plain `pip install gnnseq`, without what the extras add."""

import json
import re
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions

from places import ROOT

# Takes a JSON list of top-level names that are to be missing; prints the names of all modules.
IMPORT_ALL = """
import importlib, json, pkgutil, sys, traceback

class Hiding:  # finds nothing of them, rather than raise: torch asks for some without need
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, path=None, target=None):
        return None if name.partition(".")[0] in hidden else self.finder.find_spec(name, path, target)

hidden = set(json.loads(sys.argv[1]))
sys.meta_path[:] = map(Hiding, sys.meta_path)
import gnnseq
names, failed = ["gnnseq"], []
for module in pkgutil.walk_packages(gnnseq.__path__, "gnnseq.", onerror=lambda name: None):
    names.append(module.name)
    try:
        importlib.import_module(module.name)
    except Exception:
        failed.append(f"{module.name}: {traceback.format_exc(limit=-1).strip()}")
print(json.dumps(names))
sys.exit("\\n".join(failed) or 0)
"""


def normal(name: str) -> str:
    """A distribution's name as it is compared, see PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()


def distributions(requirements: list[str]) -> set[str]:
    return {normal(re.match(r"[\w.-]+", requirement)[0]) for requirement in requirements}


def only_in_extras() -> list[str]:
    """Top-level names of the installed distributions that pyproject lists in extras alone."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = set().union(*map(distributions, project["optional-dependencies"].values()))
    extras -= distributions(project["dependencies"]) | {normal(project["name"])}
    return [name for name, owners in packages_distributions().items() if set(map(normal, owners)) <= extras]


def test_every_module_imports_without_the_extras():
    hidden = only_in_extras()
    assert {"pandas", "pooch", "lightning", "rich"} <= set(hidden)
    command = [sys.executable, "-E", "-c", IMPORT_ALL, json.dumps(hidden)]  # -E: no PYTHONPATH with benchmarks in it
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert result.returncode == 0, f"these do not import after a plain install:\n{result.stderr}"
    files = {path.relative_to(ROOT).with_suffix("") for path in (ROOT / "gnnseq").rglob("*.py")}
    modules = {".".join(path.parts).removesuffix(".__init__") for path in files}
    assert set(json.loads(result.stdout)) == modules
