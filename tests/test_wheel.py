"""What is uploaded: the built wheel, alone in a folder, with nothing of the checkout in reach."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from importlib.metadata import packages_distributions

from places import BENCHMARKS, ROOT

# An editable install puts the checkout on the path, after PYTHONPATH; a user has no checkout. Nor, after a plain
# `pip install gnnseq`, what the extras add: names of the folder and of what is to be missing are given as JSON.
ALONE = f"""
import importlib.util, json, os, pathlib, sys
checkout = {[str(ROOT), str(ROOT / "tests"), str(BENCHMARKS)]}
sys.path = [path for path in sys.path if path not in checkout]

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
assert pathlib.Path(gnnseq.__file__).is_relative_to(os.environ["PYTHONPATH"]), gnnseq.__file__
assert importlib.util.find_spec("harness") is None
"""

IMPORT_ALL = """
import importlib, pkgutil, traceback
names, failed = ["gnnseq"], []
for module in pkgutil.walk_packages(gnnseq.__path__, "gnnseq.", onerror=lambda name: None):
    names.append(module.name)
    try:
        importlib.import_module(module.name)
    except Exception:
        failed.append(f"{module.name}: {traceback.format_exc(limit=-1).strip()}")
assert not failed, "these do not import after a plain install:\\n" + "\\n".join(failed)
print(json.dumps(names))
"""

# With the extras again, as some examples use them.
README = """
import doctest
sys.meta_path[:] = [finder.finder for finder in sys.meta_path if isinstance(finder, Hiding)]
failed, tried = doctest.testfile("README.md", module_relative=False, optionflags=doctest.NORMALIZE_WHITESPACE)
assert tried > 20 and not failed, (tried, failed)
"""

# A sweep so large that the compiled code takes it: it is built of the wheel's C files, and loaded.
COMPILED = """
import torch
layer = gnnseq.layers.LSTM(8, 32)
layer(torch.randn(640, 8), gnnseq.packed_paths([10] * 64))[0].sum().backward()
built = list(pathlib.Path(os.environ["XDG_CACHE_HOME"], "gnnseq").glob("*.so"))
assert len(built) == 1, built
assert str(built[0]) in pathlib.Path("/proc/self/maps").read_text()
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


def called(*arguments, **options):
    result = subprocess.run([sys.executable, *arguments], capture_output=True, text=True, check=False, **options)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout


def test_the_wheel_is_whole_imports_without_the_extras_and_does_what_the_readme_says(tmp_path):
    wheels, installed, room = (tmp_path / name for name in ("wheels", "installed", "room"))
    room.mkdir()
    called("-m", "build", "--wheel", "--no-isolation", "--outdir", wheels, ROOT)
    (wheel,) = wheels.iterdir()
    files = {path.relative_to(ROOT) for path in (ROOT / "gnnseq").rglob("*")
             if path.is_file() and path.suffix != ".pyc"}  # fmt: skip
    held = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("gnnseq/")}
    assert held == {path.as_posix() for path in files}
    called("-m", "pip", "install", "--quiet", "--no-deps", "--no-index", "--no-compile", "--target", installed, wheel)
    shutil.copy(ROOT / "README.md", room)
    hidden = only_in_extras()
    assert {"pandas", "pooch", "lightning", "rich"} <= set(hidden)
    environment = {**os.environ, "PYTHONPATH": str(installed), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    environment.pop("GNNSEQ_NATIVE", None)
    compiles = sys.platform == "linux" and shutil.which("cc")
    code = ALONE + IMPORT_ALL + README + (COMPILED if compiles else "")
    names = json.loads(called("-c", code, json.dumps(hidden), cwd=room, env=environment))
    modules = {".".join(path.with_suffix("").parts).removesuffix(".__init__") for path in files if path.suffix == ".py"}
    assert set(names) == modules
